"""The edge of HTTP: listeners, connections, and where each request ends."""
