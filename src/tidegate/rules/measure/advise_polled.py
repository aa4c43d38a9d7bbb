"""The advice for a resource that is polled and not updated by webhooks. Pure.

Owns the thresholds of plain waste: at least a day of polls of which 95% found nothing, a rate limit used to 80%. With
`max_delay` the cheapest setting that keeps it is advised, with both prices the one with the lowest cost, and a setting
within 10% of that is kept. Where nothing was ever found, the upper bound of the rate decides: the interval is the one
at which 95% of polls would find nothing even if changes came as often as they can.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from tidegate.rules.measure import wording
from tidegate.rules.measure.advice import ENOUGH_CHANGES, Case, Choice, Evidence, Interval
from tidegate.rules.measure.cost import (
    INTERVALS,
    LOSS_ASSUMED,
    SHORTEST_SECONDS,
    Load,
    Prices,
    cheapest_poll,
    cheapest_reconcile,
    cost_of_polling,
    cost_of_webhooks,
    longest_within,
    shortest_from,
)
from tidegate.rules.measure.effects import after_polling, after_webhooks, changes_per_day
from tidegate.rules.measure.estimate import RateEstimate
from tidegate.rules.measure.observed import DAY_SECONDS, gap_seconds, limit_of, looked_seconds, looks_of, rate_of
from tidegate.rules.measure.shares import exact

MOSTLY_EMPTY = 0.95
AIMED_EMPTY = 0.90  # of a longer interval, so that it is not advised again at once
LIMIT_NEAR = 0.80
ENOUGH_POLLS = 20
NOTHING_SECONDS = 7 * DAY_SECONDS  # at most one change in this time: polling is not worth it
WORTH = 1.25  # an interval that is nearer to the present one is not advised
NEARLY_BEST = 1.10  # of the lowest cost: the present setting is kept
LONGEST_SECONDS = DAY_SECONDS  # without a preference nothing longer is advised
RECONCILE_SECONDS = 3_600.0


def polled(case: Case) -> Choice:
    """Decide. The rate limit comes first, then what the user wants, then waste."""
    rate = rate_of(case.observed, case.setting)
    every = case.setting.poll_seconds or gap_seconds(case.observed, case.setting)
    if rate is None or every is None or not (every > 0 and math.isfinite(every)):
        return _too_little(case, "it was not polled yet")
    used = limit_of(case.observed, case.setting)
    if used is not None and used >= LIMIT_NEAR:
        return _limit(case, every, used)
    enough = case.observed.changes >= ENOUGH_CHANGES
    if case.wishes.priced and (enough or _a_day(case)):
        return _by_price(case, rate, every)
    if case.wishes.max_delay_seconds is not None and (enough or _a_day(case)):
        return _by_delay(case, every)
    if _wasteful(case):
        return _waste(case, rate, every)
    if not enough:
        return _too_little(case, f"{wording.count(case.observed.changes, 'changes')} seen so far")
    return _keep(case, "polls find changes often enough for what they cost")


def _a_day(case: Case) -> bool:
    return case.observed.seconds >= DAY_SECONDS and case.observed.polls >= ENOUGH_POLLS


def _wasteful(case: Case) -> bool:
    enough = case.observed.changes >= ENOUGH_CHANGES or _a_day(case)
    return enough and case.observed.empty_polls >= MOSTLY_EMPTY * case.observed.polls


# -- what is allowed -------------------------------------------------------------------------------------


def _allowed(case: Case, every: float) -> list[float]:
    """The intervals that keep `max_delay` and the rate limit; empty when no polling does."""
    fetch = case.observed.fetch_seconds or 0.0
    low, high = max(SHORTEST_SECONDS, fetch), INTERVALS[-1]
    if case.wishes.max_delay_seconds is not None:
        high = (case.wishes.max_delay_seconds - fetch) / 0.99
    used = limit_of(case.observed, case.setting)
    if used:
        low = max(low, every * used / LIMIT_NEAR)
    return [one for one in INTERVALS if low <= one <= high]


def _limit(case: Case, every: float, used: float) -> Choice:
    text = f"polling every {wording.span(every)} uses {wording.share(used)} of the rate limit"
    paused = case.observed.throttled_seconds
    pauses = f" Polls were paused for {wording.span(paused)}." if paused else ""
    interval = Interval(
        name="Rate limit used", estimate=used, low=used, high=used, threshold=LIMIT_NEAR,
        threshold_text=f"advised from {wording.share(LIMIT_NEAR)}",
    )  # fmt: skip
    if case.offers.webhooks:
        return _subscribe(case, Why(reason=text, more=pauses, interval=interval))
    allowed = _allowed(case, every)
    if not allowed:
        wanted = wording.span(case.wishes.max_delay_seconds or 0)
        return _keep(case, f"{text}, and max_delay = {wanted} allows no longer interval; ask for a higher limit")
    return _poll(case, shortest_from(allowed[0]), Why(reason=text, more=pauses, interval=interval))


# -- what the user wants ---------------------------------------------------------------------------------


def _by_delay(case: Case, every: float) -> Choice:
    """The fewest requests that keep `max_delay` at the 99th percentile."""
    wanted = case.wishes.max_delay_seconds or 0.0
    allowed, fetch = _allowed(case, every), case.observed.fetch_seconds or 0.0
    late = every * 0.99 + fetch
    if not allowed:
        reason = f"no poll keeps max_delay = {wording.span(wanted)}"
        if case.offers.webhooks:
            return _subscribe(case, Why(reason=reason))
        return _keep(case, f"{reason}, and {_no_push()}")
    longest = allowed[-1]
    requests = case.observed.requests_per_poll * DAY_SECONDS
    if case.offers.webhooks and requests / longest > 2 * requests / _reconcile(case):
        reason = f"keeping max_delay = {wording.span(wanted)} takes {_per_day(requests / longest)} by polls"
        return _subscribe(case, Why(reason=reason))
    if late > wanted * 1.001:
        return _poll(case, longest, Why(reason=f"changes are up to {wording.span(late)} late, {_allows(wanted)}"))
    empty = exact(case.observed.empty_polls, case.observed.polls).estimate or 0.0
    reason = f"{wording.share(empty)} of the polls found nothing, and max_delay allows {wording.span(longest)}"
    return _poll(case, longest, Why(reason=reason)) if longest >= every * WORTH else _keep(case, reason)


def _by_price(case: Case, rate: RateEstimate, every: float) -> Choice:
    """The interval or the way with the lowest cost a day."""
    prices = Prices(case.wishes.price_per_call or 0.0, case.wishes.delay_price or 0.0)
    changes = changes_per_day(case, rate)
    if rate.bound == "upper" and rate.high is not None:
        changes = rate.high * DAY_SECONDS  # as often as they can come, so that no delay is a surprise
    load = Load(changes, case.observed.requests_per_poll, case.observed.fetch_seconds or 0.0)
    allowed = _allowed(case, every)
    if not allowed:
        return _by_delay(case, every)
    best = cheapest_poll(load, prices, allowed)
    cost, least = cost_of_polling(every, load, prices), cost_of_polling(best, load, prices)
    evidence = [Evidence(name="Cost of a day", text=f"{_money(cost)} now, {_money(least)} at the best interval")]
    if case.offers.webhooks:
        healing = cheapest_reconcile(LOSS_ASSUMED, load, prices, [one for one in INTERVALS if one >= 60])
        pushed = cost_of_webhooks(healing, LOSS_ASSUMED, load, prices)
        if pushed < least * 0.8:
            reason = f"a day costs {_money(pushed)} by webhook and {_money(least)} by the cheapest polls"
            return _subscribe(case, Why(reason=reason, evidence=evidence), healing)
    if min(allowed) <= every <= max(allowed) and cost <= NEARLY_BEST * least:
        return _keep(case, f"a day costs {_money(cost)}; the best interval costs {_money(least)}", evidence)
    reason = f"a day costs {_money(least)} instead of {_money(cost)}"
    return _poll(case, best, Why(reason=reason, evidence=evidence))


# -- waste -----------------------------------------------------------------------------------------------


def _waste(case: Case, rate: RateEstimate, every: float) -> Choice:
    share = exact(case.observed.empty_polls, case.observed.polls)
    interval = Interval(
        name="Empty polls", estimate=share.estimate, low=share.low, high=share.high, threshold=MOSTLY_EMPTY,
        threshold_text=f"poll less often above {wording.share(MOSTLY_EMPTY)}",
    )  # fmt: skip
    if rate.bound == "upper":
        return _nothing_found(case, rate, every, interval)
    reason = f"{wording.share(share.estimate or 0)} of the polls found nothing"
    if case.offers.webhooks:
        return _subscribe(case, Why(reason=reason, interval=interval))
    if case.setting.adaptive:
        return _keep(case, f"{reason}, and the interval follows the changes by itself", interval=interval)
    wanted = -math.log(AIMED_EMPTY) / (rate.rate or 1.0)
    target = longest_within(min(LONGEST_SECONDS, wanted))
    if target is None or target < every * WORTH:
        return _keep(case, f"{reason}, and it is polled only every {wording.span(every)}", interval=interval)
    return _poll(case, target, Why(reason=f"{reason}, and {_no_push()}", interval=interval))


def _nothing_found(case: Case, rate: RateEstimate, every: float, interval: Interval) -> Choice:
    """Polling for nothing, the costliest case: only an upper bound of the rate is known, and it is enough."""
    most = rate.high or 0.0
    seconds = looked_seconds(looks_of(case.observed, case.setting))
    reason = (
        f"{wording.count(rate.looks, 'polls')} in {wording.span(seconds)} found nothing; with 90% confidence there are "
        f"at most {wording.number(most * DAY_SECONDS)} changes a day"
    )
    bound = f"at most {wording.number(most * DAY_SECONDS)}"
    evidence = [Evidence(name="Changes a day", text=bound, low=0.0, high=most * DAY_SECONDS)]
    if case.offers.webhooks:
        return _subscribe(case, Why(reason=reason, interval=interval, evidence=evidence))
    if most * NOTHING_SECONDS < 1:
        return Choice(
            word="stop_polling", reason=reason, interval=interval, evidence=evidence, edits=_no_poll(case),
            sentence=f"{_start(reason)}. That takes {_per_day(_requests_now(case))}; pull it on demand instead.",
            after=after_webhooks(case, None), would_change="one poll that finds a change",
        )  # fmt: skip
    target = longest_within(min(LONGEST_SECONDS, -math.log(MOSTLY_EMPTY) / most))
    if target is None or target < every * WORTH:
        return _keep(case, reason, evidence, interval)
    return _poll(case, target, Why(reason=reason, interval=interval, evidence=evidence))


# -- choices ---------------------------------------------------------------------------------------------


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The reason of a choice, a sentence more where one is needed, and the figures behind it."""

    reason: str
    more: str = ""
    interval: Interval | None = None
    evidence: list[Evidence] = []


def _poll(case: Case, target: float, why: Why) -> Choice:
    after = after_polling(case, target)
    requests = after.requests_per_day or 0.0
    late = wording.span(target + (case.observed.fetch_seconds or 0.0))
    sentence = (
        f"{_start(why.reason)}.{why.more} Every {wording.span(target)} takes {_per_day(requests)} instead of "
        f"{_count(_requests_now(case))}, and a change is at most {late} late."
    )
    edits: dict[str, Any] = {"poll": wording.duration(target)}
    if case.setting.scheduled:
        edits["schedule"] = None
    return Choice(
        word="poll_every", every=target, reason=why.reason, sentence=sentence, edits=edits, interval=why.interval,
        evidence=[*why.evidence, *_polls(case)], after=after,
        would_change="a webhook of the source" if not case.offers.webhooks else "other figures or another preference",
    )  # fmt: skip


def _subscribe(case: Case, why: Why, healed: float | None = None) -> Choice:
    healed = healed or _reconcile(case)
    after = after_webhooks(case, healed)
    sentence = (
        f"{_start(why.reason)}, and the source can send webhooks.{why.more} A webhook and a reconciliation every "
        f"{wording.span(healed)} take {_per_day(after.requests_per_day or 0.0)} instead of "
        f"{_count(_requests_now(case))}."
    )
    edits: dict[str, Any] = {**_no_poll(case), "reconcile": wording.duration(healed)}
    needs = []
    if not case.offers.receives:
        needs.append("set up the webhook of the source first, with its secret")
    if not case.offers.described:
        edits["webhook"] = {"types": list(case.offers.types) or ["*"]}
        needs.append("check which event types have this record, and where it is in them")
    return Choice(
        word="subscribe", reason=why.reason, sentence=sentence, edits=edits, needs="; ".join(needs),
        interval=why.interval, evidence=[*why.evidence, *_polls(case)], after=after,
        would_change=f"more than {wording.share(1 - MOSTLY_EMPTY)} of the polls with a change, or another preference",
    )  # fmt: skip


def _keep(case: Case, reason: str, evidence: list[Evidence] | None = None, interval: Interval | None = None) -> Choice:
    seen = case.observed
    if interval is None and seen.polls:
        share = exact(seen.empty_polls, seen.polls)
        interval = Interval(
            name="Empty polls", estimate=share.estimate, low=share.low, high=share.high, threshold=MOSTLY_EMPTY,
            threshold_text=f"poll less often above {wording.share(MOSTLY_EMPTY)}",
        )  # fmt: skip
    sentence = (
        f"{wording.count(seen.polls, 'polls')} found {wording.count(seen.polled, 'changes')} in "
        f"{wording.span(seen.seconds)}. Keep the setting: {reason}."
    )
    change = "set max_delay or prices to say what matters" if case.wishes == type(case.wishes)() else "other figures"
    return Choice(
        word="keep_polling", reason=reason, sentence=sentence, interval=interval,
        evidence=[*(evidence or []), *_polls(case)], would_change=change,
    )  # fmt: skip


def _too_little(case: Case, reason: str) -> Choice:
    seen = case.observed
    text = f"{wording.count(seen.polls, 'polls')} found {wording.count(seen.changes, 'changes')} so far"
    per_day = seen.changes * seen.per_day
    when = f", in about {wording.span((ENOUGH_CHANGES - seen.changes) / per_day * DAY_SECONDS)}" if per_day else ""
    return Choice(
        word="not_enough_data", reason=f"{reason}; {ENOUGH_CHANGES} changes are needed, or a day of empty polls",
        sentence=f"{text}. {ENOUGH_CHANGES} changes are needed{when}, or a day of polls that find nothing.",
        evidence=_polls(case), would_change=f"{ENOUGH_CHANGES} changes",
    )  # fmt: skip


# -- words -----------------------------------------------------------------------------------------------


def _polls(case: Case) -> list[Evidence]:
    seen = case.observed
    if not seen.polls:
        return []
    share = exact(min(seen.empty_polls, seen.polls), seen.polls)
    text = (
        f"{wording.count(seen.polls, 'polls')}, {seen.found_polls:,} with a change "
        f"({wording.share(share.estimate or 0)} empty, 95% interval {wording.share(share.low)} to "
        f"{wording.share(share.high)})"
    )
    return [Evidence(name="Polls", text=text, value=share.estimate, low=share.low, high=share.high)]


def _reconcile(case: Case) -> float:
    """How often webhooks are checked: every hour, sooner when `max_delay` is shorter."""
    wanted = case.wishes.max_delay_seconds
    return min(RECONCILE_SECONDS, longest_within(wanted) or 60.0) if wanted else RECONCILE_SECONDS


def _no_poll(case: Case) -> dict[str, Any]:
    return {"schedule": None} if case.setting.scheduled else {"poll": None}


def _requests_now(case: Case) -> float:
    return (case.observed.requests + case.observed.read_requests) * case.observed.per_day


def _per_day(requests: float) -> str:
    return f"{_count(requests)} requests a day"


def _count(value: float) -> str:
    return wording.number(value) if value < 10 else f"{value:,.0f}"


def _money(value: float) -> str:
    return f"{value:,.2f}" if value >= 0.01 or value == 0 else f"{value:.2g}"


def _allows(wanted: float) -> str:
    return f"and max_delay = {wording.span(wanted)} allows less"


def _no_push() -> str:
    return "the source sends no webhooks here"


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]
