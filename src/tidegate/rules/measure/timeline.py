"""Rollup rows of resources as bins of a chart. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tidegate.core.clock import rfc3339
from tidegate.core.measured import TimelineBin
from tidegate.core.rollups import MINUTE_US, RollupRow


def bins_of(rows: Iterable[RollupRow]) -> dict[str, list[TimelineBin]]:
    """By subject, oldest first; `minute` of a row is the first one of its bin."""
    bins: dict[str, dict[int, TimelineBin]] = {}
    for row in rows:
        of_subject = bins.setdefault(row.subject, {})
        one = of_subject.get(row.minute)
        if one is None:
            one = of_subject[row.minute] = TimelineBin(at=rfc3339(row.minute * MINUTE_US) or "")
        _add(one, row)
    return {subject: [one for _, one in sorted(found.items())] for subject, found in sorted(bins.items())}


def _add(one: TimelineBin, row: RollupRow) -> None:
    kind, _, rest = row.metric.partition(".")
    if kind == "look":
        one.polls += row.times
        one.found += row.times if rest == "found" else 0
        one.failed += row.times if rest == "failed" else 0
    elif kind == "request":
        one.requests += row.times
    elif kind == "pull":
        one.pulls += row.times if rest in ("hit", "shared", "asked") else 0
    elif kind == "webhook":
        one.webhooks += row.times
    elif kind == "change":
        one.changes += row.times
    elif kind == "healed":
        one.healed += row.times if not rest else 0
        one.missing_seconds += row.total / 1000
    elif kind == "throttled":
        one.throttled_seconds += row.total / 1000
