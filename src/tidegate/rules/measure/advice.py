"""The shape of advice for one resource, and how sure it is. Pure.

Owns the fixed words, the structs that the API sends, and the rule of confidence: none below 20 changes, medium below
100, high from 100 on unless the interval crosses the line where the advice would be another one. Polls that found
nothing are evidence too: where their interval stays on one side of the line, the advice is medium with fewer changes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.rules.measure import wording
from tidegate.rules.measure.curve import CurvePoint
from tidegate.rules.measure.observed import Observed, Offers, Setting, Wishes

WORDS = (
    "keep_polling", "poll_every", "subscribe", "keep_both", "reconcile_every", "cache_for", "drop_webhook",
    "stop_polling", "not_enough_data",
)  # fmt: skip
ENOUGH_CHANGES = 20
SURE_CHANGES = 100
BURSTY = 4.0  # variance by mean of hourly changes beyond which intervals are too narrow


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the advice for one resource depends on."""

    observed: Observed = Observed()
    setting: Setting = Setting()
    offers: Offers = Offers()
    wishes: Wishes = Wishes()


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate with its bounds, and the threshold at which the advice would change. `estimate` None: unknown."""

    name: str
    estimate: float | None
    low: float
    high: float
    threshold: float | None = None
    threshold_text: str = ""

    @property
    def crosses(self) -> bool:
        return self.threshold is not None and self.low < self.threshold < self.high


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One figure behind the advice. `text` is for people; `low` and `high` bound the value where that is known."""

    name: str
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a setting costs and brings. None: not measured. `expected`: derived, not measured."""

    requests_per_day: float | None = None
    delay_p50_seconds: float | None = None
    delay_p99_seconds: float | None = None
    missed_share: float | None = None
    empty_share: float | None = None
    cached_share: float | None = None
    limit_used: float | None = None
    cost_per_day: float | None = None
    expected: bool = False


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is advised and why. `edits`: keys of the resource with their new value; None removes a key.

    `needs`: what a person has to fill in before it can be applied. `counted`: what confidence is about, changes unless
    it is said otherwise.
    """

    word: str
    reason: str
    sentence: str
    every: float | None = None
    edits: dict[str, Any] = {}
    needs: str = ""
    interval: Interval | None = None
    evidence: list[Evidence] = []
    after: Effect | None = None
    counted: int | None = None
    would_change: str = ""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """The advice for one resource. `recommendation` is one of WORDS; `every_seconds` belongs to poll_every,
    reconcile_every and cache_for. `sentence` is for a manager, `evidence` for an engineer."""

    recommendation: str
    label: str
    every_seconds: float | None
    reason: str
    sentence: str
    confidence: str  # none, medium or high
    confidence_reason: str
    would_change: str
    evidence: list[Evidence]
    assumptions: list[str]
    interval: Interval | None
    now: Effect
    after: Effect | None
    edits: dict[str, Any]
    needs: str
    curve: list[CurvePoint]


def confidence(case: Case, choice: Choice, spread: float | None) -> tuple[str, str]:
    """(word, why) by the rule above. `spread`: the dispersion of the changes, where it is known."""
    what = "changes" if choice.counted is None else "reads"
    counted = case.observed.changes if choice.counted is None else choice.counted
    crosses = choice.interval is not None and choice.interval.crosses
    if choice.word == "not_enough_data":
        return "none", choice.reason
    if counted < ENOUGH_CHANGES:
        if choice.interval is None or choice.interval.estimate is None or crosses:
            return "none", f"{wording.count(counted, what)} seen; {ENOUGH_CHANGES} are needed"
        return "medium", f"{wording.count(counted, what)} seen, and the polls that found nothing are evidence"
    if counted < SURE_CHANGES:
        return "medium", f"{wording.count(counted, what)} seen; high from {SURE_CHANGES}{_when(case, counted)}"
    if crosses:
        return "medium", f"the interval crosses the threshold of {_threshold(choice)}"
    if spread is not None and spread > BURSTY:
        return "medium", "changes come in bursts, so the intervals are too narrow"
    return "high", f"{wording.count(counted, what)} seen"


def _when(case: Case, counted: int) -> str:
    """In how many days there are enough, at this rate."""
    per_day = counted * case.observed.per_day
    return f", in about {wording.span((SURE_CHANGES - counted) / per_day * 86_400)}" if per_day > 0 else ""


def _threshold(choice: Choice) -> str:
    assert choice.interval is not None and choice.interval.threshold is not None
    return wording.share(choice.interval.threshold)
