"""Counts what one resource did, until the next commit of its records writes it.

Owns which metric (`core/rollups.py`) a request, a run, a change or a webhook becomes. Knows no store and no clock.
Invariant: counts are written in the transaction of the state that they belong to, and forgotten when that failed: the
state is read again then, and what happened since happens again. Crash: the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from tidegate.core.histogram import bucket_of
from tidegate.core.model import Origin
from tidegate.core.rollups import RESOURCE, RollupRow, Tally, minute_of
from tidegate.pull.run import Run
from tidegate.rules.measure.shadow import Sightings
from tidegate.rules.sync.merge import MergeDecision

LOOKED = (Origin.POLL, Origin.RECONCILE)
_STORED = (MergeDecision.STORE, MergeDecision.REPLACE)

Usage = Iterable[tuple[str, int]]  # (metric, total)


class ResourceCounts:
    """Of one resource on the node that polls it."""

    def __init__(self, source: str, name: str, *, has_webhooks: bool) -> None:
        self._tally = Tally(RESOURCE, f"{source}/{name}")
        self.sightings: Sightings | None = None  # of a comparison that runs
        self._has_webhooks = has_webhooks
        self._run_us = 0  # start of the run whose first page was requested

    def take(self, now_us: int) -> list[RollupRow]:
        return self._tally.take(minute_of(now_us))

    def forget(self) -> None:
        self._tally.forget()

    # -- requests ----------------------------------------------------------------------------------------

    def page(self, run: Run, answer_bytes: int, *, again: bool) -> None:
        """A request of a run. `again`: the page was requested before."""
        if run.origin is Origin.RECONCILE:
            kind = "reconcile"
        elif run.started_us == self._run_us or run.resumed:
            kind = "pages"
        else:
            kind = "polls"
        self._run_us = run.started_us
        self._request("retries" if again else kind, answer_bytes)

    def fetch_back(self, answer_bytes: int) -> None:
        self._request("fetch_backs", answer_bytes)

    def _request(self, kind: str, answer_bytes: int) -> None:
        self._tally.add(f"request.{kind}", answer_bytes)
        if self.sightings is not None:
            self.sightings.requests += 1
            self.sightings.bytes += answer_bytes

    def usage(self, used: Usage) -> None:
        """What the requests waited for the rate limit, and used of it."""
        for metric, total in used:
            self._tally.add(metric, total)

    # -- looks -------------------------------------------------------------------------------------------

    def look(self, run: Run, now_us: int, looked_us: int | None, *, failed: bool) -> None:
        """A run ended. `looked_us`: when the one before it did.

        The gap between the two is an observation of how often the resource changes: not of a snapshot, and not of a run
        that goes on where another stopped, which looks at one half of the list only.
        """
        found = run.applied.changes + run.applied.to_fetch > 0
        result = _result(run, failed, found)
        self._tally.add(f"look.{result}")
        if not (failed or run.silent or run.resumed):
            self._tally.add("took", (now_us - run.started_us) // 1000)
        if failed or run.silent or run.resumed or looked_us is None or now_us <= looked_us:
            return
        gap = (now_us - looked_us) // 1000
        self._tally.add(f"gap.{'changed' if found else 'same'}.{bucket_of(gap)}", gap)

    def change(self, origin: Origin, at_us: int | None, now_us: int, looked_us: int | None) -> None:
        """A change became an event. `at_us`: when it happened, where that is known."""
        name = origin.value
        self._tally.add(f"change.{name}")
        late: int | None = None
        if at_us is not None and at_us <= now_us:
            late = (now_us - at_us) // 1000
            self._tally.add(f"delay.{name}.{bucket_of(late)}", late)
        elif origin in LOOKED and looked_us is not None and looked_us <= now_us:
            late = (now_us - looked_us) // 1000
            self._tally.add(f"bound.{name}.{bucket_of(late)}", late)
        if self._has_webhooks and origin in LOOKED:
            self._tally.add("healed", late or 0)

    # -- webhooks ----------------------------------------------------------------------------------------

    def webhook(self, decision: MergeDecision, before: Origin | None, *, changed: bool) -> str:
        """A webhook was merged: what it was. `before`: the origin of the record that was known; `changed`: it made a
        change."""
        if decision in _STORED and changed:
            result = "changed"
        elif decision is MergeDecision.FETCH:
            result = "to_fetch"
        elif before in LOOKED:
            result = "late"
        elif before is Origin.WRITE:
            result = "own"
        else:
            result = "out_of_order" if decision is MergeDecision.OLDER else "repeated"
        self._tally.add(f"webhook.{result}")
        return result

    def hint_was_late(self) -> None:
        """An item that a webhook gave as a hint had nothing new: a look had found it."""
        self._tally.add("late_hint")

    def one(self, metric: str, times: int = 1) -> None:
        """Count `webhook.unreadable` or `answer.RESULT`."""
        if times:
            self._tally.add(metric, times=times)


def _result(run: Run, failed: bool, found: bool) -> str:
    if failed:
        return "failed"
    if run.silent:
        return "snapshot"
    if found:
        return "found"
    if run.not_modified:
        return "not_modified"
    return "unchanged" if run.records_seen + run.records_before else "empty_list"
