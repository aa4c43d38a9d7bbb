"""Decisions about requests that come in: signatures and redaction."""
