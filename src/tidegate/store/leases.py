"""The leases: which node runs which of the 64 partitions of background work.

Owns the protocol `Leases`, which `sqlite/leases.py` and `postgres/leases.py` implement, its shapes, and the assignment
of destinations and sources to partitions. Knows no sender and no poll: the gateway (`Holder`) starts and stops them.

Invariants: a partition is held by at most one node at a time, and a node without a valid lease writes nothing, because
every settle and every commit of records checks its fence. After a crash other nodes take its partitions when its lease
ends or its database session is gone.
"""

from __future__ import annotations

import zlib
from typing import Protocol

import msgspec

PARTITIONS = 64  # of background work: senders, polls, replays and maintenance
FOREVER_US = 1 << 62  # the end of a lease that does not expire


def partition_of(destination: int) -> int:
    """The partition of a destination's sender."""
    return destination % PARTITIONS


def partition_of_name(name: str) -> int:
    """The partition of a replay or of a source: its resources share one rate limit, so one node polls them all."""
    return zlib.crc32(name.encode()) % PARTITIONS


class Node(msgspec.Struct, frozen=True):
    """One running process. Times are those of the store's clock."""

    id: str
    fence: int
    partitions: int
    started_at_us: int
    lease_expires_at_us: int
    status: bytes = b"{}"  # JSON, as the node published it
    high_water_mark: int = 0  # every event up to here was offered to the lanes of its partitions


class Holder(Protocol):
    """Runs the work of partitions: the gateway. `Leases` makes one call at a time.

    Only `lost` can come at any time; a running `take` or `leave` is canceled then.
    """

    async def take(self, partitions: frozenset[int]) -> None:
        """Start the work of partitions that this node holds now. Fenced and StoreBusy return them."""
        ...

    async def leave(self, partitions: frozenset[int]) -> None:
        """Stop the work of partitions; afterwards nothing is in flight and everything is settled."""
        ...

    def lost(self) -> None:
        """The lease ended and other nodes may already work: stop at once and write nothing."""
        ...

    async def answer(self, call: bytes) -> bytes:
        """Do what another node asks of a partition held here. A TidegateError is raised at the other node."""
        ...


class Leases(Protocol):
    """The right to run background work, by partition. On SQLite one process holds all of them.

    A node has one lease, not one per partition: it renews a single row.
    """

    @property
    def fence(self) -> int:
        """The fencing token of the current lease; 0 without one."""
        ...

    @property
    def held(self) -> frozenset[int]:
        """Partitions that this node holds now."""
        ...

    async def start(self, holder: Holder) -> None:
        """Join, take free partitions, and rebalance as nodes come and go. Returns after the first round."""
        ...

    async def stop(self) -> None:
        """Give everything back. The holder has stopped its work before."""
        ...

    async def ask(self, partition: int, call: bytes) -> bytes:
        """Have `call` answered by the node that holds a partition. StoreBusy when no node answered in time.

        It may be answered more than once when the partition changes hands meanwhile.
        """
        ...

    def publish_status(self, status: bytes) -> None:
        """Show other nodes the status of this one (JSON of at most a few kilobytes) with the next renewal."""
        ...

    async def nodes(self) -> list[Node]:
        """All running nodes, this one first."""
        ...
