"""Findings about the store and the nodes: settings that can lose events, too few connections, little disk space.

Pure: from the facts that the store gives of itself. An `error` means that a promise is at risk, and `tidegate doctor`
then exits 1. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.core.findings import Finding, finding
from tidegate.store import PARTITIONS, Node, PostgresFacts, SqliteFacts, StoreFacts

SESSIONS_BESIDE_POOL = 2  # the session of the lease, and one that checks whether the server is back
RESERVED = 3  # superuser_reserved_connections
MIN_FREE_BYTES = 512 << 20
SYNCHRONOUS_FULL = 2

_BEFORE_DISK = "Tidegate can answer 2xx before the event is on disk"


def of_store(facts: StoreFacts, nodes: Sequence[Node], min_free_bytes: int = MIN_FREE_BYTES) -> list[Finding]:
    """`min_free_bytes`: `disk_free` of [alerts]."""
    if isinstance(facts, PostgresFacts):
        return [
            *_settings(facts),
            *_connections(facts, len(nodes)),
            *_standby(facts),
            *_clock(facts),
            *_partitions(nodes),
        ]
    return _embedded(facts, min_free_bytes)


def unreachable(message: str) -> Finding:
    """The store does not answer."""
    return finding("store_unreachable", "store:database", f"{message[:1].upper()}{message[1:]}.")


def _settings(facts: PostgresFacts) -> list[Finding]:
    required = (
        ("fsync", facts.fsync, "A crash of the server's machine can lose or damage acknowledged events"),
        ("full_page_writes", facts.full_page_writes, "A crash of the server's machine can damage stored data"),
        ("autovacuum", facts.autovacuum, "Tables that are written often grow without limit"),
    )
    found = [
        finding("store_setting_unsafe", f"store:{name}", f"{effect}.", title=f"is {value}")
        for name, value, effect in required
        if value != "on"
    ]
    if facts.synchronous_commit in ("off", "local"):
        remedy = "remove whatever sets it for the sessions of Tidegate, which ask for `on`"
        title = f"is {facts.synchronous_commit}"
        found.append(
            finding(
                "store_setting_unsafe", "store:synchronous_commit", f"{_BEFORE_DISK} on all servers.", remedy, title
            )
        )
    return found


def _connections(facts: PostgresFacts, nodes: int) -> list[Finding]:
    needed = nodes * (facts.pool_size + SESSIONS_BESIDE_POOL) + RESERVED
    if facts.max_connections >= needed:
        return []
    summary = f"{nodes} nodes may need {needed} connections ({facts.pool_size} + {SESSIONS_BESIDE_POOL} each)."
    remedy = f"ALTER SYSTEM SET max_connections = {needed + RESERVED}; then restart the server"
    title = f"is {facts.max_connections}"
    return [finding("connections_short", "store:max_connections", summary, remedy, title)]


def _standby(facts: PostgresFacts) -> list[Finding]:
    if not facts.standbys or facts.synchronous_standby_names:
        return []
    summary = "The standby replicates asynchronously. After a failover, the latest acknowledged events can be missing."
    return [finding("standby_asynchronous", "store:synchronous_standby_names", summary, title="is empty")]


def _clock(facts: PostgresFacts) -> list[Finding]:
    """Differences below a second are not corrected and not reported."""
    ahead = facts.clock_ahead_seconds
    if not ahead:
        return []
    off = f"{abs(ahead):.0f} s"
    place = "ahead of" if ahead > 0 else "behind"
    summary = f"This machine's clock is {off} {place} the database server's. This node follows the server's clock."
    return [finding("clock_skew", "store:clock", summary, title=f"{off} {place.removesuffix(' of')}")]


def _partitions(nodes: Sequence[Node]) -> list[Finding]:
    free = PARTITIONS - sum(node.partitions for node in nodes)
    if free <= 0:
        return []
    return [finding("partitions_unassigned", "store:partitions", f"{free} of {PARTITIONS} partitions have no node.")]


def _embedded(facts: SqliteFacts, min_free_bytes: int) -> list[Finding]:
    found = []
    if facts.synchronous < SYNCHRONOUS_FULL:
        remedy = "restart this gateway, which sets PRAGMA synchronous = FULL"
        title = f"is {facts.synchronous}"
        found.append(finding("store_setting_unsafe", "store:synchronous", f"{_BEFORE_DISK}.", remedy, title))
    if facts.free_bytes < min_free_bytes:
        summary = f"{facts.free_bytes >> 20} MiB of disk space are free. A full disk accepts no events."
        found.append(finding("disk_low", "store:disk", summary))
    return found
