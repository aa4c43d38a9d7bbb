"""The advice for a resource that webhooks update. Pure.

Owns what is decided by missed webhooks: changes that a reconciliation or a poll found first, as a share of all, with
the exact interval. While at most 1% are missed, the 99th percentile of the delay is that of the webhooks; beyond that
it is the reconciliation's: a missed change waits uniformly up to R, so the share of changes later than d is
m (1 - d / R), and d is the 99th percentile at R = d / (1 - 0.01 / m).
"""

from __future__ import annotations

import math
from typing import Any

from tidegate.rules.measure import wording
from tidegate.rules.measure.advice import ENOUGH_CHANGES, Case, Choice, Evidence, Interval
from tidegate.rules.measure.cost import INTERVALS, Load, Prices, cheapest_reconcile, cost_of_webhooks, longest_within
from tidegate.rules.measure.effects import after_polling, after_webhooks
from tidegate.rules.measure.observed import DAY_SECONDS, gap_seconds, rate_of
from tidegate.rules.measure.shares import Proportion, exact

RARELY = 0.01  # of all changes: below it, the p99 is that of the webhooks
HARDLY = 0.005  # upper bound below which reconciling more often than MEASURE_SECONDS finds nothing
MOSTLY_MISSED = 0.5
ENOUGH_RECONCILIATIONS = 100
MEASURE_SECONDS = 6 * 3_600.0
WORTH = 1.25
NEARLY_BEST = 1.10
_RANGE = [one for one in INTERVALS if 60 <= one <= DAY_SECONDS]


def pushed(case: Case) -> Choice:
    """Decide."""
    seen = case.observed
    every = _checked_every(case)
    if every is None:
        return _unchecked(case)
    missed = exact(min(seen.polled, seen.changes), seen.changes)
    if seen.changes < ENOUGH_CHANGES:
        return _few(case, missed, every)
    if missed.low > MOSTLY_MISSED:
        return _drop(case, missed, every)
    target = _wanted(case, missed, every)
    if target is not None:
        return _reconcile(case, missed, every, *target)
    return _keep(case, missed, every)


def _checked_every(case: Case) -> float | None:
    """How often something looks for what webhooks missed; None when nothing does."""
    ways = [one for one in (case.setting.reconcile_seconds, case.setting.poll_seconds) if one]
    if case.setting.scheduled or case.setting.adaptive:
        ways.append(gap_seconds(case.observed, case.setting) or DAY_SECONDS)
    return min(ways) if ways else None


def _wanted(case: Case, missed: Proportion, every: float) -> tuple[float, str] | None:
    """(interval, reason) of a better reconciliation, None when the present one is fine."""
    wishes = case.wishes
    if case.setting.reconciles_by_itself:
        return None
    if wishes.max_delay_seconds is not None and not wishes.priced:
        return _by_delay(wishes.max_delay_seconds, missed, every)
    if wishes.priced:
        return _by_price(case, missed, every)
    if case.setting.polls and every * WORTH <= 3_600:
        return 3_600.0, f"webhooks bring the changes, and polling every {wording.span(every)} as well repeats them"
    if (
        not missed.part
        and missed.high < HARDLY
        and case.observed.polls >= ENOUGH_RECONCILIATIONS
        and every * WORTH <= MEASURE_SECONDS
    ):
        polls = wording.count(case.observed.polls, "reconciliations")
        return MEASURE_SECONDS, f"{polls} found no missed webhook among {wording.count(missed.whole, 'changes')}"
    return None


def _by_delay(wanted: float, missed: Proportion, every: float) -> tuple[float, str] | None:
    share = missed.high
    if share <= RARELY:
        longest, why = MEASURE_SECONDS, "less than 1% of the webhooks are missed, so the p99 delay is theirs"
    else:
        keeps = wanted / (1 - RARELY / share)
        longest = longest_within(min(keeps, MEASURE_SECONDS)) or INTERVALS[0]
        why = f"up to {wording.share(share)} of the changes are missed, and max_delay = {wording.span(wanted)}"
    if every > longest * WORTH or longest >= every * WORTH:
        return longest, why
    return None


def _by_price(case: Case, missed: Proportion, every: float) -> tuple[float, str] | None:
    prices = Prices(case.wishes.price_per_call or 0.0, case.wishes.delay_price or 0.0)
    seen = case.observed
    load = Load(seen.changes * seen.per_day, seen.requests_per_poll, 0.0)
    loss = (missed.part + 0.5) / (missed.whole + 1)  # half a loss more, so that none so far does not mean never
    best = cheapest_reconcile(loss, load, prices, _RANGE)
    cost, least = (cost_of_webhooks(one, loss, load, prices) for one in (every, best))
    if cost <= NEARLY_BEST * least:
        return None
    return best, f"a day costs {least:,.2f} instead of {cost:,.2f}"


# -- choices ---------------------------------------------------------------------------------------------


def _keep(case: Case, missed: Proportion, every: float) -> Choice:
    requests = case.observed.requests * case.observed.per_day
    return Choice(
        word="keep_both",
        reason=f"webhooks bring the changes, and a check every {wording.span(every)} found {_none(missed)}",
        sentence=(
            f"Webhooks brought {wording.count(case.observed.pushed, 'changes')}{_delay(case)}, and {missed.part:,} of "
            f"{missed.whole:,} were missed. The check every {wording.span(every)} finds them, for "
            f"{wording.number(requests)} requests a day."
        ),
        interval=_interval(missed),
        evidence=_evidence(case, missed),
        would_change=f"none missed, and for certain fewer than {wording.share(HARDLY)}: reconcile every 6 h",
    )


def _reconcile(case: Case, missed: Proportion, every: float, target: float, reason: str) -> Choice:
    after = after_webhooks(case, target, missed.estimate)
    edits: dict[str, Any] = {"reconcile": wording.duration(target)}
    if case.setting.polls:
        edits |= {"schedule": None} if case.setting.scheduled else {"poll": None}
    before = case.observed.requests * case.observed.per_day
    return Choice(
        word="reconcile_every", every=target, reason=reason, edits=edits, after=after,
        sentence=(
            f"{reason[:1].upper()}{reason[1:]}. A reconciliation every {wording.span(target)} takes "
            f"{wording.number(after.requests_per_day or 0.0)} requests a day instead of {wording.number(before)}."
        ),
        interval=_interval(missed), evidence=_evidence(case, missed),
        would_change=f"more than {wording.share(RARELY)} of the webhooks missed",
    )  # fmt: skip


def _drop(case: Case, missed: Proportion, every: float) -> Choice:
    """Most changes were found by asking, so the webhook is paid for and brings little."""
    edits: dict[str, Any] = {"webhook": None, "reconcile": None}
    if not case.setting.polls:
        edits["poll"] = wording.duration(every)
    return Choice(
        word="drop_webhook",
        reason=f"webhooks missed {missed.part:,} of {missed.whole:,} changes, and polls found them",
        sentence=(
            f"Webhooks missed {missed.part:,} of {missed.whole:,} changes. Repair the webhook, or drop it: polling "
            f"every {wording.span(every)} finds them without it."
        ),
        edits=edits, interval=_interval(missed), evidence=_evidence(case, missed), after=after_polling(case, every),
        would_change="webhooks that arrive: check the deliveries of the provider to this source",
    )  # fmt: skip


def _unchecked(case: Case) -> Choice:
    """Nothing looks for what webhooks missed, so nothing is known of it."""
    seen = case.observed
    text = f"{wording.count(seen.webhooks, 'webhooks')} brought {wording.count(seen.pushed, 'changes')}"
    unknown = "nothing reconciles this webhook, so it is not known whether one was missed"
    interval = Interval(name="Missed webhooks", estimate=None, low=0.0, high=1.0)
    if not case.offers.api:
        return Choice(
            word="not_enough_data", reason=f"{unknown}; the source has no API to ask", interval=interval,
            sentence=f"{text}. Without an API of the source, 0 of them can be checked.", evidence=_received(case),
            would_change="an API of the source",
        )  # fmt: skip
    wanted = case.wishes.max_delay_seconds
    target = min(MEASURE_SECONDS, longest_within(wanted) or 60.0) if wanted else MEASURE_SECONDS
    after = after_webhooks(case, target)
    cost = f"{wording.number(after.requests_per_day or 0.0)} requests a day"
    if wanted and seen.changes >= ENOUGH_CHANGES:
        return Choice(
            word="reconcile_every", every=target, reason=f"{unknown}, and max_delay = {wording.span(wanted)}",
            sentence=f"{text}, and nothing checks whether one was missed. A reconciliation every "
            f"{wording.span(target)} keeps max_delay, for {cost}.",
            edits={"reconcile": wording.duration(target)}, after=after, interval=interval, evidence=_received(case),
            would_change="a missed share below 1%, once it is measured",
        )  # fmt: skip
    return Choice(
        word="not_enough_data", reason=unknown, edits={"reconcile": wording.duration(target)}, after=after,
        sentence=f"{text}, and nothing checks whether one was missed. To measure it, reconcile every "
        f"{wording.span(target)}, for {cost}.",
        interval=interval, evidence=_received(case), would_change=f"reconcile = \"{wording.duration(target)}\"",
    )  # fmt: skip


def _few(case: Case, missed: Proportion, every: float) -> Choice:
    """Below 20 changes: only a check that found nothing for a day is evidence."""
    seen, rate = case.observed, rate_of(case.observed, case.setting)
    quiet = rate is not None and rate.bound == "upper" and seen.seconds >= DAY_SECONDS and seen.polls >= ENOUGH_CHANGES
    if quiet and rate is not None and rate.high and seen.changes == 0 and not case.setting.reconciles_by_itself:
        target = longest_within(min(DAY_SECONDS, -math.log(0.95) / rate.high))
        most = wording.number(rate.high * DAY_SECONDS)
        if target is not None and target >= every * WORTH:
            reason = (
                f"{wording.count(seen.polls, 'checks')} and {wording.count(seen.webhooks, 'webhooks')} in "
                f"{wording.span(seen.seconds)} found nothing; with 90% confidence there are at most {most} changes "
                "a day"
            )
            return _reconcile(case, missed, every, target, reason)
    return Choice(
        word="not_enough_data",
        reason=f"{wording.count(seen.changes, 'changes')} seen so far; {ENOUGH_CHANGES} are needed",
        sentence=f"{wording.count(seen.changes, 'changes')} in {wording.span(seen.seconds)}, {missed.part:,} of them "
        f"missed by webhooks. {ENOUGH_CHANGES} are needed.",
        interval=_interval(missed), evidence=_evidence(case, missed), would_change=f"{ENOUGH_CHANGES} changes",
    )  # fmt: skip


# -- words -----------------------------------------------------------------------------------------------


def _interval(missed: Proportion) -> Interval:
    return Interval(
        name="Missed webhooks", estimate=missed.estimate, low=missed.low, high=missed.high, threshold=HARDLY,
        threshold_text="reconcile if above",
    )  # fmt: skip


def _evidence(case: Case, missed: Proportion) -> list[Evidence]:
    bounds = f"95% interval {wording.share(missed.low)} to {wording.share(missed.high)}"
    text = f"{missed.part:,} of {missed.whole:,} changes, {bounds}"
    checks = f"{case.observed.polls:,}, {case.observed.found_polls:,} found something"
    return [
        *_received(case),
        Evidence(name="Missed", text=text, value=missed.estimate, low=missed.low, high=missed.high),
        Evidence(name="Reconciliations", text=checks, value=float(case.observed.polls)),
    ]


def _received(case: Case) -> list[Evidence]:
    text = f"{case.observed.webhooks:,} received, {case.observed.pushed:,} changes"
    return [Evidence(name="Webhooks", text=text, value=float(case.observed.webhooks))]


def _delay(case: Case) -> str:
    p50 = case.observed.webhook_delay.p50
    return f" in {wording.span(p50)}" if p50 is not None else ""


def _none(missed: Proportion) -> str:
    return f"{missed.part:,} missed" if missed.part else "none missed"
