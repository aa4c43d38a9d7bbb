"""The advice for a resource that nothing polls and no webhook updates: only reads on demand. Pure.

Owns the expectation of a longer cache: with the share h of reads answered by a cache of T seconds, reads of one answer
come x = h / (1 - h) per T, so a cache of U seconds answers y / (1 + y) with y = x U / T (reads at random). Its changes
are not known, so nothing is said of polling and webhooks.
"""

from __future__ import annotations

from tidegate.rules.measure import wording
from tidegate.rules.measure.advice import Case, Choice, Effect, Evidence, Interval
from tidegate.rules.measure.cost import longest_within
from tidegate.rules.measure.effects import now
from tidegate.rules.measure.shares import Proportion, exact

ENOUGH_READS = 100
WORTH_SHARE = 0.60  # answered from the cache
WITHOUT_WISH_SECONDS = 30.0  # the oldest answer that is advised when the user said nothing
MOST_SECONDS = 30 * 86_400.0


def read(case: Case) -> Choice:
    """Decide."""
    seen, cache = case.observed, case.setting.cache_seconds
    if not seen.reads:
        text = "0 polls and 0 reads: nothing is known of its changes."
        return _unknown("nothing polls it, and nobody reads it", text)
    hits = exact(min(seen.read_hits, seen.reads), seen.reads)
    evidence = [_evidence(hits)]
    reads = wording.count(seen.reads, "reads")
    answered = _answered(seen.reads, hits)
    if seen.reads < ENOUGH_READS:
        text = f"{reads} in {wording.span(seen.seconds)}; {ENOUGH_READS} are needed."
        return _unknown(f"{reads} so far; {ENOUGH_READS} are needed", text, evidence)
    wanted = case.wishes.max_delay_seconds
    target = longest_within(min(wanted if wanted is not None else WITHOUT_WISH_SECONDS, MOST_SECONDS))
    if target is None or target <= cache * 1.25:
        return _unknown(
            "nothing polls it, so its changes are not known; its cache is as long as it may be",
            f"{answered}. Nothing is known of its changes.",
            evidence,
        )
    if cache <= 0 and wanted is None:
        text = f"{reads} took {wording.count(seen.read_requests, 'requests')}, and no cache is set. "
        return _unknown(
            "its reads are not cached, and no max_delay says how old an answer may be",
            text + "Set max_delay, or a short cache to measure it.",
            evidence,
        )
    return _cache(case, hits, target, evidence)


def _cache(case: Case, hits: Proportion, target: float, evidence: list[Evidence]) -> Choice:
    seen, cache = case.observed, case.setting.cache_seconds
    reads = wording.count(seen.reads, "reads")
    if cache <= 0:  # the user says how old an answer may be, and nothing speaks against a cache
        reason = f"max_delay allows answers that are {wording.span(target)} old, and reads are not cached"
        return Choice(
            word="cache_for", every=target, reason=reason, edits={"cache": wording.duration(target)},
            sentence=f"{reads} took {wording.count(seen.read_requests, 'requests')}. A cache of {wording.span(target)} "
            "answers repeated reads within max_delay.",
            evidence=evidence, counted=seen.reads, would_change="readers that need younger answers",
        )  # fmt: skip
    low, middle, high = (_expected(one, target / cache) for one in (hits.low, hits.estimate or 0.0, hits.high))
    interval = Interval(
        name=f"Answered from the cache at {wording.span(target)}", estimate=middle, low=low, high=high,
        threshold=WORTH_SHARE, threshold_text=f"worth it from {wording.share(WORTH_SHARE)}",
    )  # fmt: skip
    if middle < WORTH_SHARE:
        return _unknown(
            f"a cache of {wording.span(target)} would answer about {wording.share(middle)} of the reads",
            f"{_answered(seen.reads, hits)}. A longer cache would bring little.",
            evidence,
        )
    before = now(case)
    left = (before.requests_per_day or 0.0) * (1 - middle) / max(1e-9, 1 - (hits.estimate or 0.0))
    price = case.wishes.price_per_call
    return Choice(
        word="cache_for", every=target, interval=interval, evidence=evidence, counted=seen.reads,
        reason=f"the same reads would be answered from the cache about {wording.share(middle)} of the time",
        sentence=(
            f"The cache of {wording.span(cache)} answers {wording.share(hits.estimate or 0)} of {reads}. With "
            f"{wording.span(target)} it would be about {wording.share(middle)}, with {wording.number(left)} requests a "
            f"day instead of {wording.number(before.requests_per_day or 0.0)}."
        ),
        edits={"cache": wording.duration(target)},
        after=Effect(
            requests_per_day=round(left, 3), cached_share=round(middle, 4), expected=True,
            cost_per_day=None if price is None else round(left * price, 6),
        ),
        would_change="readers that need younger answers: set max_delay",
    )  # fmt: skip


def _expected(hit: float, longer: float) -> float:
    """The share that a cache answers that is kept `longer` times as long as the one that answered `hit`."""
    if hit >= 1:
        return 1.0
    x = hit / (1 - hit) * longer
    return x / (1 + x)


def _unknown(reason: str, sentence: str, evidence: list[Evidence] | None = None) -> Choice:
    return Choice(
        word="not_enough_data", reason=reason, sentence=sentence, evidence=evidence or [],
        would_change="a poll, a webhook or more reads",
    )  # fmt: skip


def _answered(reads: int, hits: Proportion) -> str:
    return f"{wording.count(reads, 'reads')}, of which the cache answered {wording.share(hits.estimate or 0)}"


def _evidence(hits: Proportion) -> Evidence:
    text = f"{hits.whole:,}, {wording.share(hits.estimate or 0)} from the cache"
    return Evidence(name="Reads", text=text, value=hits.estimate, low=hits.low, high=hits.high)
