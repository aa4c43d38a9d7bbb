"""Keeps the disk bounded."""
