"""Takeover: the lanes of partitions that this node has just been given, from the store to the end of the log.

Owns the order: high-water marks, lanes and deferred deliveries come from the store; then the log is read from the
lowest mark on, once for all lanes, until it meets the published offset. May not know the engine. Invariant: senders
stay suspended, and nothing is written here; the engine adopts them in the same step, and sends after it has stored that
the partitions are taken. Crash at any point: the partitions are at their old marks, and the next node reads the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tidegate.core.model import Lane
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.load_deferred import load_deferred
from tidegate.deliver.ports import Ports
from tidegate.deliver.sender import Sender
from tidegate.deliver.senders import Senders
from tidegate.runtime import ActiveDestination
from tidegate.store import Standing, partition_of

_SCAN_ROWS = 4096
_WAIT_SECONDS = 0.01  # the log publishes within a quarter of a second


class Takeover:
    """One takeover of `partitions`. After `run`, `senders` and `unknown` are what the table adopts."""

    def __init__(self, ports: Ports, senders: Senders, partitions: frozenset[int]) -> None:
        self.senders: dict[int, Sender] = {}
        self.unknown: dict[int, LaneCursor] = {}  # lanes of destinations that the configuration does not have yet
        self._ports = ports
        self._table = senders
        self._partitions = partitions
        self._high_water_marks: Mapping[int, int] = {}

    async def run(self) -> None:
        """Return when every lane was offered everything published, or lags. Raises what the store raises."""
        standing = await self._ports.deliveries.load(self._partitions)
        self._high_water_marks = standing.high_water_marks
        await self._wait_for_published(standing)
        self._ports.ranges.replace(await self._ports.deliveries.ranges())
        for row in standing.lanes:
            await self._load(row, standing.high_water_mark_of(row.destination))
        await self._catch_up()

    async def _wait_for_published(self, standing: Standing) -> None:
        """Wait until the log has published here what the lanes have seen.

        Otherwise a node that is behind would be offered, as new, what the node before it had delivered.
        """
        seen = max(standing.high_water_marks.values(), default=0)
        for lane in standing.lanes:
            seen = max(seen, lane.committed_offset or 0, *lane.settled_ahead[-1:])
        while self._ports.log.published_offset < seen:  # noqa: ASYNC110 - the log has no event for an offset
            await asyncio.sleep(_WAIT_SECONDS)

    async def _load(self, row: Lane, high_water_mark: int) -> None:
        destination = self._table.configured(row.destination)
        if destination is None:
            self.unknown[row.destination] = LaneCursor(row.destination, high_water_mark, row)
            return
        sender = self._suspended(destination, row, high_water_mark)
        ordered = bool(destination.spec.ordered_by)
        await load_deferred(self._ports.deliveries, sender.backlog, ordered=ordered)
        self.senders[row.destination] = sender

    def _suspended(self, destination: ActiveDestination, row: Lane | None, high_water_mark: int) -> Sender:
        sender = self._table.new_sender(destination, row, high_water_mark)
        sender.backlog.suspended = True
        return sender

    async def _catch_up(self) -> None:
        """Offer what lies between the marks and the published offset; on return they meet."""
        log, marks = self._ports.log, self._high_water_marks
        after = min(marks.values(), default=log.published_offset)
        while after < log.published_offset:
            upto = log.published_offset
            rows = await log.scan(after, upto, _SCAN_ROWS)
            audiences = log.audiences()
            for offset, audience in rows:
                for number, _ in audiences[audience].wanted:
                    if offset > marks.get(partition_of(number), offset):
                        self._offer(number, offset, marks[partition_of(number)])
            after = rows[-1][0] if len(rows) == _SCAN_ROWS else upto

    def _offer(self, number: int, offset: int, high_water_mark: int) -> None:
        sender = self.senders.get(number)
        if sender is None:
            destination = self._table.configured(number)
            if destination is None:
                self.unknown.setdefault(number, LaneCursor(number, high_water_mark)).lag_from(offset)
                return
            sender = self.senders[number] = self._suspended(destination, None, high_water_mark)
        # Not given to the settler yet: the row of a partition that is not taken in the end must not be written.
        if sender.lane.offer(offset):
            sender.backlog.ready.append(offset)
