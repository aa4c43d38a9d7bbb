"""What a store says of itself: versions, sizes, and the settings that durability depends on.

Owns the shapes of `Store.facts()`; `query/health_checks.py` decides what they mean. Each value is read when it is asked
for. Holds no logic.
"""

from __future__ import annotations

from msgspec import Struct


class SqliteFacts(Struct, kw_only=True, tag_field="kind", tag="sqlite"):
    """Of the embedded store. `synchronous` is the PRAGMA (2 is FULL); sizes are bytes."""

    path: str
    sqlite_version: str
    schema_version: int
    page_count: int
    free_pages: int
    page_bytes: int
    used_bytes: int
    synchronous: int
    free_bytes: int  # of the disk
    commits: int


class PostgresFacts(Struct, kw_only=True, tag_field="kind", tag="postgresql"):
    """Of the shared store. Settings are those of the server, as text; `clock_ahead_seconds` is of this machine."""

    server: str
    server_version: str
    schema_version: int
    pool_size: int
    down: bool
    sessions: str
    fsync: str
    full_page_writes: str
    autovacuum: str
    synchronous_commit: str
    synchronous_standby_names: str
    standbys: int
    in_recovery: bool
    max_connections: int
    used_bytes: int
    node: str
    fence: int
    partitions: int
    clock_ahead_seconds: float
    spans: int
    statements: int


StoreFacts = SqliteFacts | PostgresFacts
