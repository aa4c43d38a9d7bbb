"""Bulk settlements in memory: which offsets of a destination were settled in one row. No I/O.

Owns the list of the store's ranges as this node knows it. May not know lanes or senders. Invariant: it grows as the
store's table does, so that both give the same state of a delivery. Crash: `replace` loads it again with the next
partitions.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tidegate.core.model import RangeSettlement


class BulkRanges:
    """`all` is in the order of the store."""

    def __init__(self, ranges: Iterable[RangeSettlement] = ()) -> None:
        self.all: list[RangeSettlement] = list(ranges)

    def replace(self, ranges: Iterable[RangeSettlement]) -> None:
        self.all = list(ranges)

    def add(self, one: RangeSettlement) -> None:
        """As the store does it: the last range of a destination grows when state and cause are the same."""
        ranges = self.all
        i = next((i for i in reversed(range(len(ranges))) if ranges[i].destination == one.destination), None)
        if i is not None and (ranges[i].state, ranges[i].cause) == (one.state, one.cause):
            ranges[i] = msgspec.structs.replace(ranges[i], upto=one.upto, at_us=one.at_us)
        else:
            ranges.append(one)

    def find(self, offset: int, destination: int) -> RangeSettlement | None:
        """The range that settled a delivery; None when none did."""
        for one in self.all:
            if one.destination == destination and one.after < offset <= one.upto:
                return one
        return None
