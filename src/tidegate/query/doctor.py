"""`GET /doctor`: all findings, the nodes, and the facts of the gateway and its store.

Owns `Doctor`. Answers while the store does not: then that is the finding. Changes nothing.
"""

from __future__ import annotations

from msgspec import Struct

from tidegate.core import units
from tidegate.core.clock import rfc3339
from tidegate.core.errors import StoreBusy
from tidegate.core.findings import Finding
from tidegate.outbound.post import PostStats
from tidegate.query import health, health_checks, stats
from tidegate.query.all_findings import all_findings
from tidegate.query.context import ReadContext
from tidegate.query.schemas import Instant
from tidegate.store import FOREVER_US, Node, StoreFacts


class NodeSchema(Struct, kw_only=True):
    """A node on the same store. `behind`: offsets of the log that it has not offered to its lanes; null: not known."""

    id: str
    partitions: int
    started_at: Instant | None
    lease_expires_at: Instant | None
    behind: int | None


class Doctor(Struct, kw_only=True):
    """The health of this gateway. `ready` is "yes" or the reason why requests are not accepted.

    `store` is null while the store does not answer; then the counts below it are zero.
    """

    ready: str
    findings: list[Finding]
    nodes: list[NodeSchema] = []
    store: StoreFacts | None = None
    sources: int = 0
    destinations: int = 0
    routes: int = 0
    paused: list[str] = []
    waiting_for_disk: int = 0
    connections: PostStats | None = None


async def examine(gateway: ReadContext) -> Doctor:
    try:
        facts = await gateway.store.facts()
        nodes = await gateway.store.leases.nodes()
        of_store = health_checks.of_store(facts, nodes, units.size_bytes(gateway.active.settings.alerts.disk_free))
        more = [*of_store, *await health.rejections(gateway)]
        found = await all_findings(gateway, await stats.snapshot(gateway), more)
    except StoreBusy as error:
        ready = gateway.ready() or error.message
        return Doctor(ready=ready, findings=[health_checks.unreachable(error.message), *gateway.findings.listed()])
    active = gateway.active
    return Doctor(
        ready=gateway.ready() or "yes",
        findings=found,
        nodes=[_node(node, gateway.store.log.published_offset) for node in nodes],
        store=facts,
        sources=len(active.sources),
        destinations=len(active.destinations),
        routes=len(active.routes),
        paused=sorted(one.name for one in active.destinations.values() if one.paused_at_us is not None),
        waiting_for_disk=gateway.store.log.waiting,
        connections=gateway.connections(),
    )


def _node(node: Node, published_offset: int) -> NodeSchema:
    return NodeSchema(
        id=node.id,
        partitions=node.partitions,
        started_at=rfc3339(node.started_at_us),
        lease_expires_at=rfc3339(node.lease_expires_at_us) if node.lease_expires_at_us < FOREVER_US else None,
        behind=max(0, published_offset - node.high_water_mark) if node.high_water_mark else None,
    )
