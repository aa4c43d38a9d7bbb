"""API or webhook: the advice for one resource, from what it cost and brought, and from what the user wants. Pure.

Owns the order of the decision. A resource whose polls fail gets no advice, one that webhooks update is decided by what
they missed, one that is polled by what polls cost, any other by its reads. Requests fall with the interval and delay
grows with it, so without a preference there is no optimum: then only plain waste is advised against. Invariants: a
recommendation and its reason come from the same branch, so they cannot contradict each other; no input makes NaN.
"""

from __future__ import annotations

from typing import Any

from tidegate.rules.measure import wording
from tidegate.rules.measure.advice import Advice, Case, Choice, Evidence, confidence
from tidegate.rules.measure.advise_polled import polled
from tidegate.rules.measure.advise_pushed import pushed
from tidegate.rules.measure.advise_read import read
from tidegate.rules.measure.curve import curve
from tidegate.rules.measure.effects import expected_of, now
from tidegate.rules.measure.observed import profile_of, spread_of

_EVEN = 2.0  # a dispersion from half to twice that of a Poisson process is not worth a word


def advise(case: Case) -> Advice:
    """The advice, with its figures and the curve."""
    choice = _choose(case)
    spread = spread_of(case.observed.hours)
    sure, why = confidence(case, choice, spread)
    return Advice(
        recommendation=choice.word,
        label=wording.label(choice.word, choice.every),
        every_seconds=choice.every,
        reason=choice.reason,
        sentence=choice.sentence,
        confidence=sure,
        confidence_reason=why,
        would_change=choice.would_change,
        evidence=[*choice.evidence, *_always(case)],
        assumptions=_assumptions(case, choice, spread),
        interval=choice.interval,
        now=now(case),
        after=choice.after,
        edits=_edits(case, choice),
        needs=choice.needs,
        curve=curve(expected_of(case), (case.setting.poll_seconds, _poll_of(choice))) if case.offers.api else [],
    )


def _choose(case: Case) -> Choice:
    asks = case.setting.polls or case.setting.reconcile_seconds is not None
    if case.observed.failing and asks:  # else it is the failure of a setting that is gone
        polls = wording.count(case.observed.polls, "polls")
        return Choice(
            word="not_enough_data",
            reason=f"the last poll failed: {case.observed.failing}",
            sentence=f"The last poll failed, after {polls} and {wording.count(case.observed.changes, 'changes')}. "
            "Advice follows when polls succeed again.",
            would_change="a poll that succeeds",
        )
    if case.setting.webhook:
        return pushed(case)
    return polled(case) if case.setting.polls else read(case)


def _edits(case: Case, choice: Choice) -> dict[str, Any]:
    """A comparison of both ways ends when one of them is chosen."""
    chooses = {"webhook", "reconcile"} & choice.edits.keys() or choice.edits.get("poll", "") is None
    return {**choice.edits, "shadow": None} if case.setting.shadow and chooses else choice.edits


def _poll_of(choice: Choice) -> float | None:
    return choice.every if choice.word == "poll_every" else None


def _always(case: Case) -> list[Evidence]:
    """Figures that an engineer checks whatever the advice is."""
    seen = case.observed
    found = []
    if seen.per_day:
        found.append(Evidence(name="Measured", text=f"for {wording.span(seen.seconds)}", value=seen.seconds))
    if seen.requests:
        ratio = f", {seen.requests / seen.changes:,.1f} per change" if seen.changes else ""
        found.append(Evidence(name="Requests", text=f"{seen.requests:,}{ratio}", value=float(seen.requests)))
    if seen.limit_used is not None:
        text = f"{wording.share(seen.limit_used)} at most, paused {wording.span(seen.throttled_seconds)}"
        found.append(Evidence(name="Rate limit used", text=text, value=seen.limit_used))
    return found


def _assumptions(case: Case, choice: Choice, spread: float | None) -> list[str]:
    """What the figures take for granted, where that is not so or not known."""
    found = []
    if choice.word == "cache_for" and choice.after is not None:
        found.append(
            "Reads are taken as random and spread evenly over the answers; where some answers are read much more often "
            "than others, a longer cache gains less."
        )
    if spread is not None and not 1 / _EVEN <= spread <= _EVEN:
        how = "in bursts" if spread > 1 else "more evenly than at random"
        found.append(
            f"Changes come {how}: the changes of an hour vary {wording.number(spread)} times as much as at random. "
            "The rate's interval assumes changes at random; delay and requests do not."
        )
    profile = profile_of(case.observed.hours)
    if profile is not None and profile.busy_share > 0.6:
        hours = ", ".join(f"{hour:02d}" for hour in profile.busy_hours)
        found.append(
            f"{wording.share(profile.busy_share)} of the changes come in nine hours of the day ({hours} UTC), so "
            "empty polls are expected by hour of the week."
        )
    if case.setting.scheduled:
        found.append("The polls follow a schedule; delays are those of even gaps.")
    return found
