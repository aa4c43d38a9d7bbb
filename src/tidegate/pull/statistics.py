"""The figures of one resource: requests made, changes found, seconds of delay.

Owns the counters in the state of the resource, and their schema in `GET /stats`. Knows no engine. Invariant: the
transaction of a change writes its counters too, so a change is counted once. Staleness is kept only where the source
says when a record changed. Crash: the counters are as durable as the changes.
"""

from __future__ import annotations

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.core.figures import DelayFigures, ResourceFigures
from tidegate.core.model import Healed, Origin
from tidegate.core.quantiles import quantile
from tidegate.pull.resource_health import Note

SAMPLES_HEALED = 3
_OWN = Origin.WRITE.value  # changes by our own operations: nothing was requested to find them
SAMPLES = 256  # the last so many of each origin: p99 of them is the third worst


class Statistics(msgspec.Struct, omit_defaults=True):
    """Counters of one resource for life. `requests` are those of polls, pages, scans and fetch-backs."""

    since_us: int = 0
    history_since_us: int = 0  # from then on every change of a record has an event
    requests: int = 0
    bytes: int = 0
    polls: int = 0
    empty_polls: int = 0
    failed_polls: int = 0
    not_modified: int = 0
    errors: int = 0
    changes: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    by_origin: dict[str, int] = {}
    healed: int = 0  # changes that a look found and no webhook had reported
    healed_longest_seconds: float = 0.0  # the longest that one of them can have been missing
    healed_samples: list[str] = []  # the last three
    last_healed_at_us: int | None = None
    webhooks: int = 0  # webhooks of the source with a record of this resource
    older: int = 0  # copies ignored because they were older, or not provably newer
    unreadable: int = 0  # items or webhooks without a key
    fetch_backs: int = 0
    retries: int = 0  # of pages, within a run
    resumed: int = 0  # runs that went on at the page where an earlier one stopped
    scans: int = 0
    stopped_by_ratio: int = 0  # scans that missed more records than max_ratio allows: nothing was deleted
    last_error: str = ""
    last_remedy: str = ""  # what to do about it
    last_error_at_us: int | None = None
    failing_since_us: int | None = None  # the first failed poll since one that succeeded
    last_poll_at_us: int | None = None
    last_change_at_us: int | None = None
    empty_forms: dict[str, int] = {}  # of empty lists: [], null, absent, 204, empty body
    notes: dict[str, Note] = {}  # what was ignored, skipped, clamped or contradicted, by code
    staleness: dict[str, list[float]] = {}  # origin -> seconds late, oldest first

    def changed(self, kind: str, origin: Origin, at_us: int | None, now_us: int) -> None:
        """Count one change that became an event. `at_us`: when it happened, where its version says so."""
        self.changes += 1
        setattr(self, kind, getattr(self, kind) + 1)
        self.by_origin[origin.value] = self.by_origin.get(origin.value, 0) + 1
        self.last_change_at_us = now_us
        if at_us is not None and at_us <= now_us and kind != "deleted":
            samples = self.staleness.setdefault(origin.value, [])
            samples.append(round((now_us - at_us) / 1_000_000, 3))
            del samples[:-SAMPLES]

    def healed_one(self, found: Healed, name: str, now_us: int) -> None:
        """Count a healed change. `name`: its type and the key of its record."""
        self.healed += 1
        self.healed_longest_seconds = max(self.healed_longest_seconds, found.missed_for_seconds or 0.0)
        self.last_healed_at_us = now_us
        self.healed_samples = [*self.healed_samples, name[:200]][-SAMPLES_HEALED:]

    def count_empty(self, form: str) -> None:
        self.empty_forms[form] = self.empty_forms.get(form, 0) + 1

    def failed(self, message: str, now_us: int, hint: str = "") -> None:
        self.errors += 1
        self.last_error = message[:500]
        self.last_remedy = hint[:300]
        self.last_error_at_us = now_us

    def figures(self) -> ResourceFigures:
        """As `GET /stats` shows it. Shares and ratios are None while there is nothing to divide by."""
        late = sorted(sample for origin, samples in self.staleness.items() for sample in samples if origin != _OWN)
        found = self.changes - self.by_origin.get(_OWN, 0)
        return ResourceFigures(
            since=rfc3339(self.since_us or None),
            history_since=rfc3339(self.history_since_us or None),
            requests=self.requests,
            bytes=self.bytes,
            changes=self.changes,
            created=self.created,
            updated=self.updated,
            deleted=self.deleted,
            by_origin=dict(self.by_origin),
            polls=self.polls,
            empty_polls=self.empty_polls,
            failed_polls=self.failed_polls,
            not_modified=self.not_modified,
            empty_share=_share(self.empty_polls, self.polls - self.failed_polls),
            not_modified_share=_share(self.not_modified, self.polls),
            requests_per_change=_share(self.requests, found),
            staleness_p50_seconds=quantile(late, 0.5),
            staleness_p99_seconds=quantile(late, 0.99),
            staleness_samples=len(late),
            staleness_by_origin={origin: _delay(sorted(samples)) for origin, samples in self.staleness.items()},
            healed=self.healed,
            healed_longest_seconds=self.healed_longest_seconds or None,
            healed_samples=list(self.healed_samples),
            last_healed_at=rfc3339(self.last_healed_at_us),
            webhooks=self.webhooks,
            older_ignored=self.older,
            unreadable=self.unreadable,
            fetch_backs=self.fetch_backs,
            scans=self.scans,
            scans_stopped_by_ratio=self.stopped_by_ratio,
            retries=self.retries,
            resumed=self.resumed,
            empty_forms=dict(self.empty_forms),
            findings={code: note.figures() for code, note in self.notes.items()},
            errors=self.errors,
            last_error=self.last_error or None,
            last_remedy=self.last_remedy or None,
            last_error_at=rfc3339(self.last_error_at_us),
            failing_since=rfc3339(self.failing_since_us),
            last_poll_at=rfc3339(self.last_poll_at_us),
            last_change_at=rfc3339(self.last_change_at_us),
        )


def _delay(ordered: list[float]) -> DelayFigures:
    return DelayFigures(p50_seconds=quantile(ordered, 0.5), p99_seconds=quantile(ordered, 0.99), samples=len(ordered))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
