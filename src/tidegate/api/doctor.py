"""`GET /doctor`: what needs a person, the nodes, and the facts of the gateway and its store.

Answers as well when the store does not: then that is what it tells. Changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.api.calls import Call
from tidegate.core.clock import rfc3339
from tidegate.core.errors import StoreBusy
from tidegate.query import health as troubles
from tidegate.query import health_checks as upkeep
from tidegate.query import stats
from tidegate.store import FOREVER_US, Node

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway


async def doctor(call: Call) -> dict[str, Any]:
    """The facts of the gateway, before them what needs a person and who was turned away."""
    gateway = call.gateway
    try:
        facts = await gateway.doctor()
        nodes = await gateway.store.leases.nodes()
        found = [
            *upkeep.of_store(facts["store"], nodes),
            *troubles.find(gateway, await stats.snapshot(gateway)),
        ]
    except StoreBusy as error:
        ready = gateway.ready() or error.message
        return {"ready": ready, "troubles": msgspec.to_builtins([upkeep.away(error.message)]), "rejected_requests": []}
    return {
        "ready": facts.pop("ready"),
        "troubles": msgspec.to_builtins(found),
        "rejected_requests": msgspec.to_builtins(await troubles.rejected_requests(call.gateway)),
        "nodes": [_node(node, gateway) for node in nodes],
        **facts,
    }


def _node(node: Node, gateway: Gateway) -> dict[str, Any]:
    """One that lives. `behind` is how many offsets of the log it has not offered to its lanes yet."""
    return {
        "id": node.id,
        "partitions": node.partitions,
        "started_at": rfc3339(node.started_at_us),
        "lease_expires_at": rfc3339(node.lease_expires_at_us) if node.lease_expires_at_us < FOREVER_US else None,
        "behind": max(0, gateway.store.log.published_offset - node.high_water_mark) if node.high_water_mark else None,
    }
