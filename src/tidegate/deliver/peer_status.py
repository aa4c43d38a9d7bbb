"""How senders of other nodes are: what each node tells of its own, a second old at most.

Only for people to look at: nothing is decided by it. A node alone tells and reads nothing. Crash: what a node told goes
with its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from tidegate.core.errors import TidegateError
from tidegate.deliver.health import SenderHealth
from tidegate.store import PARTITIONS, Leases

EVERY_SECONDS = 1.0
MAX_TOLD = 20  # senders with something to tell, the most troubled first


class Status(msgspec.Struct, omit_defaults=True):
    """What a node tells of itself: its senders that are not simply well, by destination."""

    senders: dict[int, SenderHealth] = {}


class PeerStatus:
    """`of(destination)` is the health that another node told, None when none did."""

    def __init__(self, leases: Leases, own: Callable[[], Mapping[int, SenderHealth]]) -> None:
        self._leases = leases
        self._own = own
        self._others: dict[int, SenderHealth] = {}

    def of(self, destination: int) -> SenderHealth | None:
        return self._others.get(destination)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            if len(self._leases.held) < PARTITIONS:
                self._leases.publish_status(msgspec.json.encode(Status(told(self._own()))))
                await self._read()
            else:
                self._others = {}

    async def _read(self) -> None:
        try:
            nodes = await self._leases.nodes()
        except TidegateError:
            return  # shown a second later
        others: dict[int, SenderHealth] = {}
        for node in nodes[1:]:
            others.update(msgspec.json.decode(node.status, type=Status).senders)
        self._others = others


def told(senders: Mapping[int, SenderHealth]) -> dict[int, SenderHealth]:
    """Those with something to tell, bounded: open circuits first, then the longest backlogs."""
    busy = [
        (number, one)
        for number, one in senders.items()
        if one.circuit != "closed" or one.in_flight or one.waiting or one.lag_events or one.last_error
    ]
    busy.sort(key=lambda pair: (pair[1].circuit == "closed", -pair[1].lag_events, -pair[1].waiting))
    return dict(busy[:MAX_TOLD])
