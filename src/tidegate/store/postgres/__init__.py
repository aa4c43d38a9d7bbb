"""The shared store: any number of nodes on one PostgreSQL server, and no other service."""
