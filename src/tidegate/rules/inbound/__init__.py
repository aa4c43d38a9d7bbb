"""Decisions about incoming requests: signatures and redaction."""
