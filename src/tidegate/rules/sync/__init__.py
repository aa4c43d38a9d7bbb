"""Decisions about polled data: pages, items, cursors, merging, deletes, caching."""
