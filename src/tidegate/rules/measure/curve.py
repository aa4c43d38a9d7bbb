"""Requests and delay by poll interval: the trade-off that polling has and a webhook avoids. Pure.

Owns the points of the curve and what is expected of one interval. Requests are 86400 / T for each page; a change waits
uniformly between 0 and T and then for the fetch, so the median is T / 2 and the 99th percentile 0.99 T. Of several
changes of one record between two polls only the last is seen: with changes spread evenly over the records, each at the
rate l, the share of changes that nobody sees is 1 - (1 - exp(-l T)) / (l T) (Cho and Garcia-Molina, TODS 28(4), 2003).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from tidegate.rules.measure.cost import Load, Prices, cost_of_polling
from tidegate.rules.measure.observed import DAY_SECONDS, Observed, Wishes

STOPS = (10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0)
_MOST = 700.0  # exp(-700) is still a number


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """What polling every `poll_every_seconds` is expected to cost and bring. None where nothing is known."""

    poll_every_seconds: float
    requests_per_day: float
    delay_p50_seconds: float
    delay_p99_seconds: float
    missed_share: float | None = None
    empty_share: float | None = None
    cost_per_day: float | None = None
    within_limit: bool = True  # False: more requests than the rate limit of the source allows


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What the curve is made from: `rates` are (share of the time, looks that would find something per second)."""

    load: Load
    rates: tuple[tuple[float, float], ...] = ()
    records: int | None = None
    prices: Prices | None = None
    limit_per_day: float | None = None


def point(every: float, expected: Expectation) -> CurvePoint:
    requests = expected.load.requests * DAY_SECONDS / every
    limit, prices = expected.limit_per_day, expected.prices
    return CurvePoint(
        poll_every_seconds=every,
        requests_per_day=round(requests, 3),
        delay_p50_seconds=round(every / 2 + expected.load.fetch, 3),
        delay_p99_seconds=round(every * 0.99 + expected.load.fetch, 3),
        missed_share=unseen_share(every, expected.load.changes, expected.records),
        empty_share=empty_share(every, expected.rates),
        cost_per_day=None if prices is None else round(cost_of_polling(every, expected.load, prices), 6),
        within_limit=limit is None or requests <= limit,
    )


def curve(expected: Expectation, more: Iterable[float | None] = ()) -> list[CurvePoint]:
    """The points of the usual intervals and of `more`, shortest first."""
    stops = {*STOPS, *(one for one in more if one is not None and one > 0 and math.isfinite(one))}
    return [point(every, expected) for every in sorted(stops)]


def empty_share(every: float, rates: Sequence[tuple[float, float]]) -> float | None:
    """The share of polls that find nothing: exp(-r T), over the hours of the week where they are known."""
    if not rates:
        return None
    return round(math.fsum(share * math.exp(-min(rate * every, _MOST)) for share, rate in rates), 4)


def unseen_share(every: float, changes_per_day: float, records: int | None) -> float | None:
    """The share of changes that a later change of the same record hides."""
    if not records or records < 1:
        return None
    power = changes_per_day / DAY_SECONDS / records * every
    if power < 1e-9:
        return 0.0
    return round(1 - -math.expm1(-power) / power, 4)


def expectation(
    observed: Observed, wishes: Wishes, changes_per_day: float, rates: tuple[tuple[float, float], ...]
) -> Expectation:
    """From the figures of a resource."""
    prices = None
    if wishes.price_per_call is not None:
        prices = Prices(wishes.price_per_call, wishes.delay_price or 0.0)
    limit = None
    if observed.limit_used and observed.per_day:
        limit = observed.requests * observed.per_day / observed.limit_used
    return Expectation(
        load=Load(changes_per_day, observed.requests_per_poll, observed.fetch_seconds or 0.0),
        rates=rates,
        records=observed.records,
        prices=prices,
        limit_per_day=limit,
    )
