"""Builds the gateway and runs it as one process."""
