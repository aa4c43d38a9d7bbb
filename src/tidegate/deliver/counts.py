"""Counts what senders did, until the settle of those attempts writes it.

Owns the rollups of destinations that are collected. Knows no sender and no clock: the minute is that of the latest
attempt. Invariant: what a settlement takes belongs to the attempts that it has. Crash: both are gone, and sent again.
"""

from __future__ import annotations

from typing import Protocol

from tidegate.core.histogram import bucket_of
from tidegate.core.model import Deferred
from tidegate.core.rollups import DESTINATION, RollupRow, Tally, minute_of


class Sent(Protocol):
    """What is counted of an attempt; `Flight` has it."""

    number: int
    deferred: Deferred | None
    received_at_us: int  # of the event
    body_bytes: int


class DeliveryCounts:
    """Of all destinations of this node."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self._latest_us = 0

    def delivered(self, destination: str, flight: Sent, ended_at_us: int) -> None:
        """An attempt was confirmed. Without the delay of a replay: its event may be weeks old."""
        tally = self._of(destination, flight, ended_at_us)
        tally.add("delivered", flight.body_bytes)
        if flight.deferred is None or not flight.deferred.replay:
            late = (ended_at_us - flight.received_at_us) // 1000
            tally.add(f"delay.{bucket_of(late)}", late)

    def failed(self, destination: str, flight: Sent, ended_at_us: int, *, exhausted: bool) -> None:
        """An attempt failed; `exhausted`: it was the last one."""
        tally = self._of(destination, flight, ended_at_us)
        tally.add("failed")
        if exhausted:
            tally.add("exhausted")

    def _of(self, destination: str, flight: Sent, ended_at_us: int) -> Tally:
        if ended_at_us > self._latest_us:
            self._latest_us = ended_at_us
        tally = self._tallies.get(destination)
        if tally is None:
            tally = self._tallies[destination] = Tally(DESTINATION, destination)
        if flight.number > 1:
            tally.add("retried")
        return tally

    def take(self) -> list[RollupRow]:
        """The rows of what was collected; nothing is collected then."""
        if not self._tallies:
            return []
        minute, self._latest_us = minute_of(self._latest_us), 0
        tallies, self._tallies = self._tallies, {}
        return [row for tally in tallies.values() for row in tally.take(minute)]
