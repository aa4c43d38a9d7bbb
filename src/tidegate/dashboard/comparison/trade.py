"""Requests against delay for one resource, as a curve and as the table "what if a change may be so late?"."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from tidegate.dashboard import formatting
from tidegate.dashboard.charts.tradeoff import Stop, tradeoff
from tidegate.dashboard.comparison.subject import Subject, money, per_day, share, span
from tidegate.rules.measure import wording
from tidegate.rules.measure.curve import CurvePoint

NEAR = 0.02  # two intervals that differ less are one


class WhatIf(Struct, kw_only=True):
    """One row. `mark`: "now", "recommended" or ""."""

    id: str
    late: str
    mark: str
    median: str
    requests: str
    empty: str
    cost: str
    within_limit: bool


class Trade(Struct, kw_only=True):
    """`name`: the resource whose curve it is; `others`: names to choose from."""

    name: str
    others: list[str]
    chart: str
    rows: list[WhatIf]
    priced: bool


def trade(subjects: Sequence[Subject], shown: Sequence[Subject], wanted: str = "") -> Trade | None:
    """None when no resource has a curve. `wanted`: the resource that was chosen; else the first one shown."""
    known = [one for one in subjects if one.advised.curve]
    if not known:
        return None
    choices = [one for one in shown if one.advised.curve]
    one = next((found for found in known if found.name == wanted), (choices or known)[0])
    now = _interval_now(one)
    best = one.advised.every_seconds if one.advised.recommendation in ("poll_every", "reconcile_every") else None
    points = one.advised.curve
    stops = [_stop(point, now, best) for point in points]
    webhook = _webhook(one)
    words = f"{one.name}: requests per day against median delay for {len(points)} intervals"
    return Trade(
        name=one.name,
        others=list(dict.fromkeys([one.name, *(found.name for found in choices)])),
        chart=Markup(tradeoff(stops, webhook, words)),  # noqa: S704 - escaped there
        rows=[*_webhook_row(webhook), *(_row(point, now, best) for point in points)],
        priced=any(point.cost_per_day is not None for point in points),
    )


def _interval_now(one: Subject) -> float | None:
    """The interval whose requests are nearest to those that were measured."""
    measured = one.requests
    if not measured or "pull" not in one.ways:
        return None
    nearest = min(one.advised.curve, key=lambda point: abs(point.requests_per_day - measured))
    return nearest.poll_every_seconds if abs(nearest.requests_per_day - measured) <= measured / 4 else None


def _stop(point: CurvePoint, now: float | None, best: float | None) -> Stop:
    return Stop(
        label=wording.span(point.poll_every_seconds),
        requests=point.requests_per_day,
        median=point.delay_p50_seconds,
        p99=point.delay_p99_seconds,
        row=_id(point),
        now=_is(point, now),
        recommended=_is(point, best),
        within_limit=point.within_limit,
    )


def _row(point: CurvePoint, now: float | None, best: float | None) -> WhatIf:
    return WhatIf(
        id=_id(point),
        late=wording.span(point.poll_every_seconds),
        mark="recommended" if _is(point, best) else "now" if _is(point, now) else "",
        median=span(point.delay_p50_seconds),
        requests=per_day(point.requests_per_day),
        empty=share(point.empty_share) if point.empty_share is not None else formatting.DASH,
        cost=money(point.cost_per_day) if point.cost_per_day is not None else "",
        within_limit=point.within_limit,
    )


def _webhook(one: Subject) -> Stop | None:
    """Where the advice is a webhook, or one brings changes now."""
    advised = one.advised
    effect = advised.now if "push" in one.ways else advised.after if advised.recommendation == "subscribe" else None
    if effect is None or effect.delay_p50_seconds is None:
        return None
    return Stop(
        label="webhook" if "push" in one.ways else "webhook, expected",
        requests=effect.requests_per_day or 0.0,
        median=effect.delay_p50_seconds,
        p99=effect.delay_p99_seconds or effect.delay_p50_seconds,
        row="w-webhook",
        now="push" in one.ways,
        recommended="push" not in one.ways,
    )


def _webhook_row(stop: Stop | None) -> list[WhatIf]:
    if stop is None:
        return []
    mark = "now" if stop.now else "recommended"
    return [
        WhatIf(
            id=stop.row, late="webhook", mark=mark, median=span(stop.median), requests=per_day(stop.requests),
            empty=formatting.DASH, cost="", within_limit=True,
        )
    ]  # fmt: skip


def _is(point: CurvePoint, every: float | None) -> bool:
    return every is not None and abs(point.poll_every_seconds - every) <= every * NEAR


def _id(point: CurvePoint) -> str:
    return f"w-{point.poll_every_seconds:g}".replace(".", "-")
