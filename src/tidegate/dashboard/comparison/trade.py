"""Requests against delay for one resource, as a curve and as the table "what if a change may be so late?".

Owns the what-if: the row of the chosen interval and the cost at the chosen price, as the form asks for them without
scripts. `static/trade.js` does the same sums in the browser, from the numbers that each row carries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup
from msgspec import Struct

from tidegate.dashboard import formatting
from tidegate.dashboard.charts.tradeoff import Stop, tradeoff
from tidegate.dashboard.comparison.subject import Subject, money, per_day, share, span
from tidegate.rules.measure import wording
from tidegate.rules.measure.curve import CurvePoint

NEAR = 0.02  # two intervals that differ less are one
_PRICE = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?", re.ASCII)


class WhatIf(Struct, kw_only=True):
    """One row. `mark`: "now", "recommended" or "". `per_day`: requests; `besides`: what costs beside them."""

    id: str
    late: str
    mark: str
    median: str
    requests: str
    empty: str
    cost: str
    within_limit: bool
    per_day: float
    besides: float


class Asked(Struct, frozen=True):
    """What the form asks, as typed: a resource, the id of a row, and a price of one request."""

    resource: str = ""
    late: str = ""
    price: str = ""


class Trade(Struct, kw_only=True):
    """`name`: the resource whose curve it is; `others`: names to choose from. `on`: the row that the answer is about.

    `price`: of one request, "" where none is known; `wrong`: why the typed price was not taken.
    """

    name: str
    others: list[str]
    chart: str
    rows: list[WhatIf]
    on: WhatIf
    price: str
    wrong: str


def trade(subjects: Sequence[Subject], shown: Sequence[Subject], asked: Asked) -> Trade | None:
    """None when no resource has a curve. Without a resource in `asked`, the first one shown."""
    known = [one for one in subjects if one.advised.curve]
    if not known:
        return None
    choices = [one for one in shown if one.advised.curve]
    one = next((found for found in known if found.name == asked.resource), (choices or known)[0])
    now = _interval_now(one)
    best = one.advised.every_seconds if one.advised.recommendation in ("poll_every", "reconcile_every") else None
    points = one.advised.curve
    webhook = _webhook(one)
    typed, wrong = _typed(asked.price)
    costs = _Costs(_price(one), typed)
    rows = [*_webhook_row(webhook, costs), *(_row(point, now, best, costs) for point in points)]
    on = _chosen(rows, asked.late)
    stops = [_stop(point, now, best) for point in points]
    words = f"{one.name}: requests per day against median delay for {len(points)} intervals"
    return Trade(
        name=one.name,
        others=list(dict.fromkeys([one.name, *(found.name for found in choices)])),
        chart=Markup(tradeoff(stops, webhook, words, on.id)),  # noqa: S704 - escaped there
        rows=rows,
        on=on,
        price="" if costs.price is None else f"{costs.price:.9f}".rstrip("0").rstrip("."),
        wrong=wrong,
    )


# -- what if ---------------------------------------------------------------------------------------------


class _Costs(NamedTuple):
    """`now`: the price that the figures have; `typed`: the one to reckon with instead. None where not known."""

    now: float | None
    typed: float | None

    @property
    def price(self) -> float | None:
        return self.now if self.typed is None else self.typed

    def of(self, per_day: float, cost: float | None) -> tuple[str, float]:
        """The cost of a day as text, and what of it is not requests: that delay costs."""
        besides = max(0.0, cost - per_day * self.now) if cost is not None and self.now is not None else 0.0
        if self.typed is None:
            return (formatting.DASH if cost is None else money(cost)), besides
        return money(besides + per_day * self.typed), besides


def _typed(text: str) -> tuple[float | None, str]:
    """The price, or why it is none."""
    if not text:
        return None, ""
    if _PRICE.fullmatch(text) is None:
        return None, f"{text[:20]!r} is not a price (example: 0.002)"
    return float(text), ""


def _price(one: Subject) -> float | None:
    """Of one request, as the figures were priced."""
    found = one.measured.requests
    return found.cost_per_day / found.per_day if found.cost_per_day is not None and found.per_day else None


def _chosen(rows: Sequence[WhatIf], late: str) -> WhatIf:
    """The row that was asked for, else the recommended one, else the present one, else the middle."""
    marked = {one.mark: one for one in reversed(rows) if one.mark}
    by_id = {one.id: one for one in rows}
    return by_id.get(late) or marked.get("recommended") or marked.get("now") or rows[len(rows) // 2]


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


def _row(point: CurvePoint, now: float | None, best: float | None, costs: _Costs) -> WhatIf:
    cost, besides = costs.of(point.requests_per_day, point.cost_per_day)
    return WhatIf(
        id=_id(point),
        late=wording.span(point.poll_every_seconds),
        mark="recommended" if _is(point, best) else "now" if _is(point, now) else "",
        median=span(point.delay_p50_seconds),
        requests=per_day(point.requests_per_day),
        empty=share(point.empty_share) if point.empty_share is not None else formatting.DASH,
        cost=cost,
        within_limit=point.within_limit,
        per_day=point.requests_per_day,
        besides=besides,
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


def _webhook_row(stop: Stop | None, costs: _Costs) -> list[WhatIf]:
    if stop is None:
        return []
    cost, besides = costs.of(stop.requests, None if costs.now is None else costs.now * stop.requests)
    mark = "now" if stop.now else "recommended"
    return [
        WhatIf(
            id=stop.row, late="webhook", mark=mark, median=span(stop.median), requests=per_day(stop.requests),
            empty=formatting.DASH, cost=cost, within_limit=True, per_day=stop.requests, besides=besides,
        )
    ]  # fmt: skip


def _is(point: CurvePoint, every: float | None) -> bool:
    return every is not None and abs(point.poll_every_seconds - every) <= every * NEAR


def _id(point: CurvePoint) -> str:
    return f"w-{point.poll_every_seconds:g}".replace(".", "-")
