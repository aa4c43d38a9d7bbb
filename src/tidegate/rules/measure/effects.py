"""What the present setting costs and brings, and what another one is expected to. Pure.

Owns the pairs "now" and "after" of the advice. Now is measured where it was measured; after is derived from the curve,
and says so. A delay that nobody measured is None, never 0.
"""

from __future__ import annotations

from tidegate.rules.measure.advice import Case, Effect
from tidegate.rules.measure.curve import Expectation, expectation, point
from tidegate.rules.measure.estimate import RateEstimate
from tidegate.rules.measure.observed import DAY_SECONDS, Delays, profile_of, rate_of

P99_SAMPLES = 100


def changes_per_day(case: Case, rate: RateEstimate | None) -> float:
    """The higher of what was counted and what the looks imply, because polls miss changes that hide others."""
    counted = case.observed.changes * case.observed.per_day
    implied = rate.rate * DAY_SECONDS if rate is not None and rate.rate is not None else 0.0
    return max(counted, implied)


def expected_of(case: Case) -> Expectation:
    """What the curve of this resource is made from."""
    rate = rate_of(case.observed, case.setting)
    profile = profile_of(case.observed.hours)
    rates: tuple[tuple[float, float], ...] = ()
    if profile is not None:
        rates = profile.rates
    elif rate is not None and rate.rate is not None:
        rates = ((1.0, rate.rate),)
    return expectation(case.observed, case.wishes, changes_per_day(case, rate), rates)


def now(case: Case) -> Effect:
    """As measured."""
    seen = case.observed
    delays = seen.webhook_delay if case.setting.webhook and seen.webhook_delay.samples else seen.poll_delay
    requests = (seen.requests + seen.read_requests) * seen.per_day
    missed = None
    if case.setting.webhook and (case.setting.reconcile_seconds or case.setting.polls) and seen.changes:
        missed = round(seen.polled / seen.changes, 4)
    return Effect(
        requests_per_day=round(requests, 3) if seen.per_day else None,
        delay_p50_seconds=delays.p50,
        delay_p99_seconds=_p99(delays),
        missed_share=missed,
        empty_share=round(seen.empty_polls / seen.polls, 4) if seen.polls else None,
        cached_share=round(seen.read_hits / seen.reads, 4) if seen.reads else None,
        limit_used=seen.limit_used,
        cost_per_day=_money(case, requests if seen.per_day else None),
    )


def after_polling(case: Case, every: float) -> Effect:
    """Polling every `every` seconds."""
    at = point(every, expected_of(case))
    requests = at.requests_per_day + case.observed.read_requests * case.observed.per_day
    return Effect(
        requests_per_day=round(requests, 3),
        delay_p50_seconds=at.delay_p50_seconds,
        delay_p99_seconds=at.delay_p99_seconds,
        missed_share=at.missed_share,
        empty_share=at.empty_share,
        limit_used=_limit(case, requests),
        cost_per_day=_money(case, requests),
        expected=True,
    )


def after_webhooks(case: Case, every: float | None, loss: float | None = None) -> Effect:
    """Webhooks, healed every `every` seconds; their delay is measured here, or expected from other resources."""
    own = case.observed.webhook_delay
    delays = own if own.samples else case.offers.webhook_delay
    requests = case.observed.requests_per_poll * DAY_SECONDS / every if every else 0.0
    requests += case.observed.read_requests * case.observed.per_day
    return Effect(
        requests_per_day=round(requests, 3),
        delay_p50_seconds=delays.p50,
        delay_p99_seconds=_p99(delays),
        missed_share=loss,
        limit_used=_limit(case, requests),
        cost_per_day=_money(case, requests),
        expected=True,
    )


def _p99(delays: Delays) -> float | None:
    return delays.p99 if delays.samples >= P99_SAMPLES else None


def _limit(case: Case, requests: float) -> float | None:
    seen = case.observed
    before = (seen.requests + seen.read_requests) * seen.per_day
    return round(seen.limit_used * requests / before, 4) if seen.limit_used is not None and before else None


def _money(case: Case, requests: float | None) -> float | None:
    price = case.wishes.price_per_call
    return None if price is None or requests is None else round(requests * price, 6)
