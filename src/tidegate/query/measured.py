"""What was measured in a window, read from the rollups of all nodes.

`measured(gateway, "24h")` has the figures of every resource, source and destination; `timeline` the same resources in
bins, for charts; `looks` the observations from which `rules/measure/estimate.py` estimates how often it changes.
Windows are whole minutes, and whole hours where they begin more than two days ago. Knows no SQL.
"""

from __future__ import annotations

from tidegate.core.clock import parse_instant, rfc3339
from tidegate.core.errors import BadRequest
from tidegate.core.measured import DestinationMeasured, Measured, ResourceMeasured, SourceMeasured, Timeline
from tidegate.core.rollups import MINUTE_US, RESOURCE, RollupRow, minute_of
from tidegate.query.context import ReadContext
from tidegate.query.window_sums import Span, warm, window_sums
from tidegate.rules.measure.estimate import Looks
from tidegate.rules.measure.measured import Covered, looks_of, measure, sums_of
from tidegate.rules.measure.timeline import bins_of
from tidegate.store import MINUTES_KEPT

WINDOWS = {"1h": 60, "24h": 24 * 60, "7d": 7 * 24 * 60, "30d": 30 * 24 * 60}  # minutes
DEFAULT_WINDOW = "24h"
LOOKS = "gap."  # what the metrics of looks begin with
WEEK_MINUTES = 7 * 24 * 60
MONDAY_MINUTES = 4 * 24 * 60  # 1970-01-01 was a Thursday, so 4 days later is a Monday


async def measured(gateway: ReadContext, window: str = DEFAULT_WINDOW) -> Measured:
    """The figures of a window that ends now. BadRequest for a window that is not one of `WINDOWS`.

    Every configured resource, source and destination is there, and those that were deleted within the window.
    """
    since, until = _span(gateway, window)
    first = await gateway.store.rollups.first_minute()
    rows = await window_sums(gateway, window, since, until)
    now = gateway.clock.now_us()
    begin_us = now if first is None else max(since, first) * MINUTE_US
    await gateway.pull.refresh()
    starts = {name: figures.since for name, figures in gateway.pull.statistics().items()}
    covered = {name: _seconds(max(begin_us, parse_instant(at)), now) for name, at in starts.items() if at is not None}
    made = measure(rows, Covered(_seconds(begin_us, now), covered), prices(gateway))
    made.window, made.until = window, rfc3339(until * MINUTE_US) or ""
    made.since = None if first is None else rfc3339(begin_us)
    _add_configured(gateway, made)
    return made


async def warm_windows(gateway: ReadContext) -> None:
    """Sum up what `measured` and `looks_of_all` read, so that the first of them after a start need not."""
    spans = {window: Span(*_span(gateway, window)) for window in WINDOWS}
    short = [(window, spans[window]) for window in ("1h", "24h")]
    wanted = [*spans.items(), ("30d", spans["30d"]._replace(prefix=LOOKS))]
    await warm(gateway, short)  # first what statistics and metrics read
    await warm(gateway, [one for one in wanted if one not in short])
    for window, span in wanted:
        await window_sums(gateway, window, *span)  # those that were kept before move on


async def timeline(gateway: ReadContext, window: str = DEFAULT_WINDOW, bin_minutes: int = 15) -> Timeline:
    """Every resource in bins of `bin_minutes`; those of hours, more than two days ago, are an hour at least."""
    since, until = _span(gateway, window)
    since -= since % bin_minutes
    rows = await gateway.store.rollups.read(since, until, every=bin_minutes, scope=RESOURCE)
    return Timeline(
        since=rfc3339(since * MINUTE_US) or "",
        until=rfc3339(until * MINUTE_US) or "",
        bin_seconds=bin_minutes * 60,
        resources=bins_of(rows),
    )


async def looks(gateway: ReadContext, name: str, window: str = "30d") -> list[Looks]:
    """The looks of one resource (SOURCE/RESOURCE) by the gap before them and whether they found a change."""
    since, until = _span(gateway, window)
    rows = await gateway.store.rollups.read(since, until, scope=RESOURCE, subject=name)
    return _looks(rows)


async def looks_of_all(gateway: ReadContext, window: str = "30d") -> dict[str, list[Looks]]:
    """The same for every resource that has looks, in one read."""
    since, until = _span(gateway, window)
    by_name: dict[str, list[RollupRow]] = {}
    for row in await window_sums(gateway, window, since, until, LOOKS):
        by_name.setdefault(row.subject, []).append(row)
    return {name: found for name, rows in by_name.items() if (found := _looks(rows))}


async def looks_by_hour_of_week(gateway: ReadContext, name: str, window: str = "30d") -> dict[int, list[Looks]]:
    """The same by the hour (UTC) in which a look ended: 0 is Monday, 00:00 to 01:00, and 167 the last one on Sunday."""
    since, until = _span(gateway, window)
    rows = await gateway.store.rollups.read(since, until, every=60, scope=RESOURCE, subject=name)
    hours: dict[int, list[RollupRow]] = {}
    for row in rows:
        hours.setdefault((row.minute - MONDAY_MINUTES) % WEEK_MINUTES // 60, []).append(row)
    return {hour: found for hour, of_hour in sorted(hours.items()) if (found := _looks(of_hour))}


def prices(gateway: ReadContext) -> dict[str, float]:
    """The price of one request by source, where `price_per_call` is set."""
    found = {}
    for name, live in gateway.active.sources.items():
        api = live.spec.api
        if api is not None and api.price_per_call is not None:
            found[name] = api.price_per_call
    return found


def _looks(rows: list[RollupRow]) -> list[Looks]:
    return [Looks(gap, changed, times) for gap, changed, times in looks_of(sums_of(rows))]


def _span(gateway: ReadContext, window: str) -> tuple[int, int]:
    """[since, until) in minutes; the running minute is part of it."""
    minutes = WINDOWS.get(window)
    if minutes is None:
        raise BadRequest(f"window: {window[:80]!r} is not allowed (allowed: {', '.join(WINDOWS)})")
    until = minute_of(gateway.clock.now_us()) + 1
    since = until - minutes
    return (since - since % 60 if minutes > MINUTES_KEPT else since), until


def _seconds(since_us: int, until_us: int) -> float:
    return max(0.0, (until_us - since_us) / 1_000_000)


def _add_configured(gateway: ReadContext, made: Measured) -> None:
    for name in gateway.pull.statistics():
        made.resources.setdefault(name, ResourceMeasured(covered_seconds=made.covered_seconds))
    for name in gateway.active.sources:
        made.sources.setdefault(name, SourceMeasured())
    for name in gateway.active.destinations:
        made.destinations.setdefault(name, DestinationMeasured())
