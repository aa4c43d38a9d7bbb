"""Receives webhooks, forms and published events. Each is stored in the log before it is answered."""
