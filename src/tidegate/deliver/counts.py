"""Counts what senders did, until the settle of those attempts writes it.

Owns the rollups of destinations that are collected. Knows no sender and no clock: the minute is that of the latest
attempt. Invariant: what a settlement takes belongs to the attempts that it has. Crash: both are gone, and sent again.
"""

from __future__ import annotations

from typing import Protocol

from tidegate.core.histogram import bucket_of
from tidegate.core.model import Deferred
from tidegate.core.rollups import DESTINATION, RollupRow, minute_of

_SHORT_MILLISECONDS = 1024
_SHORT = tuple(bucket_of(late) for late in range(_SHORT_MILLISECONDS))


class Sent(Protocol):
    """What is counted of an attempt; `Flight` has it."""

    number: int
    deferred: Deferred | None
    received_at_us: int  # of the event
    body_bytes: int


class _Counts:
    """Of one destination: numbers, which become metrics when they are taken. This runs for each delivery."""

    __slots__ = ("body_bytes", "delays", "delivered", "exhausted", "failed", "retried")

    def __init__(self) -> None:
        self.delivered = self.body_bytes = self.failed = self.retried = self.exhausted = 0
        self.delays: dict[int, list[int]] = {}  # bucket -> number, milliseconds

    def rows(self, minute: int, destination: str) -> list[RollupRow]:
        found = {
            "delivered": (self.delivered, self.body_bytes),
            "failed": (self.failed, 0),
            "retried": (self.retried, 0),
            "exhausted": (self.exhausted, 0),
        }
        rows = [RollupRow(minute, DESTINATION, destination, metric, *one) for metric, one in found.items() if one[0]]
        rows += [
            RollupRow(minute, DESTINATION, destination, f"delay.{bucket}", *one) for bucket, one in self.delays.items()
        ]
        return rows


class DeliveryCounts:
    """Of all destinations of this node."""

    def __init__(self) -> None:
        self._counts: dict[str, _Counts] = {}
        self._latest_us = 0

    def delivered(self, destination: str, flight: Sent, ended_at_us: int) -> None:
        """An attempt was confirmed. Without the delay of a replay: its event may be weeks old."""
        counts = self._of(destination, flight, ended_at_us)
        counts.delivered += 1
        counts.body_bytes += flight.body_bytes
        if flight.deferred is None or not flight.deferred.replay:
            late = max(0, ended_at_us - flight.received_at_us) // 1000
            bucket = _SHORT[late] if late < _SHORT_MILLISECONDS else bucket_of(late)
            found = counts.delays.get(bucket)
            if found is None:
                counts.delays[bucket] = [1, late]
            else:
                found[0] += 1
                found[1] += late

    def failed(self, destination: str, flight: Sent, ended_at_us: int, *, exhausted: bool) -> None:
        """An attempt failed; `exhausted`: it was the last one."""
        counts = self._of(destination, flight, ended_at_us)
        counts.failed += 1
        counts.exhausted += exhausted

    def _of(self, destination: str, flight: Sent, ended_at_us: int) -> _Counts:
        if ended_at_us > self._latest_us:
            self._latest_us = ended_at_us
        counts = self._counts.get(destination)
        if counts is None:
            counts = self._counts[destination] = _Counts()
        if flight.number > 1:
            counts.retried += 1
        return counts

    def take(self) -> list[RollupRow]:
        """The rows of what was collected; nothing is collected then."""
        if not self._counts:
            return []
        minute, self._latest_us = minute_of(self._latest_us), 0
        taken, self._counts = self._counts, {}
        return [row for name, counts in taken.items() for row in counts.rows(minute, name)]
