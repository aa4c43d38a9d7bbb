"""The health of other nodes' senders: what each node publishes of its own, about a second old.

Owns what this node publishes and what it last read. May not know senders: it is given their health. Invariant: only for
people to look at, nothing is decided by it; a single node publishes and reads nothing. Crash: what a node published is
deleted with its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from tidegate.core.errors import TidegateError
from tidegate.deliver.health import SenderHealth
from tidegate.store import PARTITIONS, Leases

EVERY_SECONDS = 1.0
MAX_SENDERS = 20  # in what a node publishes
MAX_FAILING = 1000
FAILING = SenderHealth("open", 0, 0, 0, None, "", 0.0, failing=True)  # all that is known of one beyond MAX_SENDERS


class NodeStatus(msgspec.Struct, omit_defaults=True):
    """What a node publishes: by destination, the health of its senders that are not idle and healthy.

    `failing`: destinations that fail and are not in `senders`, because there are too many.
    """

    senders: dict[int, SenderHealth] = {}
    failing: list[int] = []


class PeerStatus:
    """`of(destination)` is the health that another node published; None when none did."""

    def __init__(self, leases: Leases, own: Callable[[], Mapping[int, SenderHealth]]) -> None:
        self._leases = leases
        self._own = own
        self._others: dict[int, SenderHealth] = {}

    def of(self, destination: int) -> SenderHealth | None:
        return self._others.get(destination)

    async def run(self) -> None:
        """Publish and read every second, until canceled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            if len(self._leases.held) < PARTITIONS:
                self._leases.publish_status(msgspec.json.encode(status_of(self._own())))
                await self._read()
            else:
                self._others = {}

    async def _read(self) -> None:
        try:
            nodes = await self._leases.nodes()
        except TidegateError:
            return  # the next reading is a second away
        others: dict[int, SenderHealth] = {}
        for node in nodes[1:]:
            status = msgspec.json.decode(node.status, type=NodeStatus)
            others.update(dict.fromkeys(status.failing, FAILING))
            others.update(status.senders)
        self._others = others


def status_of(senders: Mapping[int, SenderHealth]) -> NodeStatus:
    """What a node publishes of its senders."""
    notable = most_notable(senders)
    failing = [number for number, one in senders.items() if one.failing and number not in notable]
    return NodeStatus(notable, failing[:MAX_FAILING])


def most_notable(senders: Mapping[int, SenderHealth]) -> dict[int, SenderHealth]:
    """At most MAX_SENDERS that are not idle and healthy: open circuits first, then the longest backlogs."""
    busy = [
        (number, one)
        for number, one in senders.items()
        if one.circuit != "closed" or one.in_flight or one.waiting or one.lag_events or one.last_error
    ]
    busy.sort(key=lambda pair: (pair[1].circuit == "closed", -pair[1].lag_events, -pair[1].waiting))
    return dict(busy[:MAX_SENDERS])
