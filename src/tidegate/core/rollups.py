"""Counts by minute: what each source, destination and resource did, as numbers that only add up.

Owns the shape of a row and the collector that engines fill between two transactions. A row is one metric of one subject
in one minute: how often (`times`) and how much (`total`: bytes or milliseconds, as the metric says). Everything is a
sum, also histograms, which have one metric for each bucket (`core/histogram.py`): so nodes write rows of their own,
minutes become hours, and rows merge exactly by addition. Metrics and what they mean: `METRICS`.

Invariant: a count is lost or kept with its fact. Rows are written in the transaction of what they count, or that can be
counted again. Crash: what was collected and not written is gone, and so are the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MINUTE_US = 60_000_000
HOUR_MINUTES = 60

SOURCE = "source"
DESTINATION = "destination"
RESOURCE = "resource"  # its subject is SOURCE/RESOURCE

METRICS: dict[str, str] = {
    # of a source
    "accepted.ORIGIN": "events accepted, by origin; total: bytes of their bodies",
    "doubled": "webhooks with a delivery id that was stored before",
    # of a destination
    "delivered": "deliveries confirmed; total: bytes of event bodies",
    "failed": "attempts that failed",
    "retried": "attempts after the first one",
    "exhausted": "deliveries given up after their last attempt",
    "delay.BUCKET": "time from the event's arrival to its delivery, without replays; total: milliseconds",
    "pending": "samples of the number of pending deliveries; total: their sum",
    # of a resource
    "request.KIND": "requests: polls, pages, reconcile, fetch_backs, retries, on_demand; total: bytes of answers",
    "look.RESULT": "finished runs: found, not_modified, unchanged, empty_list, failed, snapshot",
    "took": "runs from their first request to their end, without failed and resumed ones and snapshots; total: ms",
    "gap.same.BUCKET": "time since the look before, of looks that found nothing; total: milliseconds",
    "gap.changed.BUCKET": "time since the look before, of looks that found a change; total: milliseconds",
    "change.ORIGIN": "changes found, by origin",
    "delay.ORIGIN.BUCKET": "age of a change when it was stored, where its version is a time; total: milliseconds",
    "bound.ORIGIN.BUCKET": "the longest that age can be, where only the look before is known; total: milliseconds",
    "healed": "changes of a resource with webhooks that a look found; total: milliseconds missing, at most",
    "webhook.RESULT": "webhooks read: changed, late (a look was first), own (the answer to our write was first), "
    "repeated, out_of_order, to_fetch, unreadable",
    "answer.RESULT": "answers to writes: changed (a record), same, older, left (to the next poll: shows too little)",
    "late_hint": "webhooks that were a hint, and whose item a look had found",
    "pull.RESULT": "pulls on demand: hit, shared (one flight for several), not_modified, stale, asked",
    "throttled": "waits for the rate limit; total: milliseconds",
    "quota.TWENTIETH": "answers that said how much of the quota was used, in twentieths rounded up",
}


class RollupRow(NamedTuple):
    """What is added to one metric of one subject in one minute (minutes since 1970 UTC)."""

    minute: int
    scope: str
    subject: str
    metric: str
    times: int
    total: int = 0


def minute_of(at_us: int) -> int:
    """The minute of an instant."""
    return at_us // MINUTE_US


class Tally:
    """Collects the counts of one subject until a transaction takes them."""

    __slots__ = ("_counts", "scope", "subject")

    def __init__(self, scope: str, subject: str) -> None:
        self.scope = scope
        self.subject = subject
        self._counts: dict[str, list[int]] = {}

    def add(self, metric: str, total: int = 0, times: int = 1) -> None:
        """Count something. A negative total, as after a clock that went back, counts as 0."""
        found = self._counts.get(metric)
        if found is None:
            self._counts[metric] = [times, max(0, total)]
        else:
            found[0] += times
            found[1] += max(0, total)

    def take(self, minute: int) -> list[RollupRow]:
        """What was collected, as rows of a minute; the collector is empty then."""
        counts, self._counts = self._counts, {}
        return [RollupRow(minute, self.scope, self.subject, metric, *found) for metric, found in counts.items()]

    def forget(self) -> None:
        """The facts were not stored: neither are their counts."""
        self._counts = {}

    def __bool__(self) -> bool:
        return bool(self._counts)


def added(rows: Sequence[RollupRow]) -> list[RollupRow]:
    """Rows with one for each key, in the order of keys: two writers then never wait for each other in a circle."""
    found: dict[tuple[int, str, str, str], list[int]] = {}
    for row in rows:
        sums = found.setdefault(row[:4], [0, 0])
        sums[0] += row.times
        sums[1] += row.total
    return [RollupRow(*key, *found[key]) for key in sorted(found)]
