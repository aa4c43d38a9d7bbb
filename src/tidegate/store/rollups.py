"""The rollups: counts by minute and hour of each source, destination and resource.

Owns the protocol `Rollups`, which `sqlite/rollups.py` and `postgres/rollups.py` implement. Knows no metric: a row is a
sum, and equal keys add up. Rows are written with what they count: the append of an event writes those of its source
(`accepted.ORIGIN`, `doubled`) itself, a settlement and a commit of records bring theirs. `sqlite/counts.py` writes
`accepted.ORIGIN` later; what is read has them at once.

Invariant: a count is in exactly one place, a minute or an hour, so what is read is the sum of both. On PostgreSQL each
node has rows of its own, and nodes never wait for each other. After a crash a row is there when its fact is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tidegate.core.rollups import RollupRow

MINUTES_KEPT = 48 * 60  # then a minute becomes part of its hour
HOURS_KEPT = 40 * 24


class Rollups(Protocol):
    """Counts by minute (minutes since 1970 UTC); those older than two days by hour."""

    async def add(self, rows: Sequence[RollupRow]) -> None:
        """Add rows that have no other transaction: samples, and pulls on demand."""
        ...

    async def read(
        self,
        since: int,
        until: int,
        *,
        every: int = 0,
        scope: str | None = None,
        subject: str | None = None,
        prefix: str | None = None,
    ) -> list[RollupRow]:
        """Sums of the minutes [since, until), of all nodes, ordered by minute, scope, subject and metric.

        `prefix`: only metrics that begin so.
        `every`: sums of so many minutes each, with the first of them; 0: one sum of all, with minute 0. An hour counts
        as its first minute.
        """
        ...

    async def first_minute(self) -> int | None:
        """The first minute that has a row; None without rows."""
        ...

    async def fold(self, before: int) -> int:
        """Make some of the minutes before one part of their hours. Returns how many rows moved; 0: nothing is left."""
        ...

    async def trim(self, before: int) -> None:
        """Delete the hours that begin before a minute."""
        ...
