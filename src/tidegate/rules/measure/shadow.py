"""Both ways at once: which one had the changes of the same records sooner, and which one missed more. Pure.

Owns what is kept of a comparison and how sightings become figures. A sighting is the moment at which one way found a
version of a record. Versions that both ways found are pairs; after `wait`, and after a poll that began later, a version
that only one way found was missed by the other. Each version is decided once, in the order of the first sighting, so
`settled_us` is all that a restart needs. A version that the answer to our own write showed first is known before any
poll could find it, so it is left out and counted.

The share that a way misses is taken of the versions that the other way found: a version that neither found cannot be
counted, so both shares are right when the misses of the two ways do not depend on each other. Invariants: intervals are
exact (binomial), nothing is divided by 0, and what could not be decided is counted. Knows no clock and no store.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from tidegate.core.histogram import bounds, bucket_of
from tidegate.rules.measure.proportions import interval

POLL, WEBHOOK = "poll", "webhook"
OTHER = {POLL: WEBHOOK, WEBHOOK: POLL}
MAX_SIGHTINGS = 1000  # of one way; each commit writes all of them
KEPT_US = 86_400_000_000  # so long a decided sighting is remembered, so that a late one is not taken for a new one
FEWEST_PAIRS = 6  # below it there is no 95% interval of the median


class Sightings(msgspec.Struct, omit_defaults=True):
    """What one way found since `since_us`. `tag`: of the comparison that they belong to."""

    tag: str = ""
    since_us: int = 0
    found: dict[str, int] = {}  # a version of a record -> when it was found
    began_us: int = 0  # the start of the last finished poll
    based_us: int = 0  # the end of the first finished poll that began after `since_us`: what it found was there before
    requests: int = 0
    bytes: int = 0  # of the answers
    webhooks: int = 0
    webhook_bytes: int = 0
    dropped: int = 0  # sightings that did not fit
    dropped_us: int = 0  # the last of them: what is not later cannot be decided
    written: dict[str, int] = {}  # versions that an answer to our own write brought, and when

    def add(self, version: str, at_us: int) -> None:
        """The first sighting of a version counts."""
        if version not in self.found:
            self._put(self.found, version, at_us)

    def write(self, version: str, at_us: int) -> None:
        """Our own write made a version, and its answer shows it."""
        if version not in self.found and version not in self.written:
            self._put(self.written, version, at_us)

    def _put(self, kept: dict[str, int], version: str, at_us: int) -> None:
        if len(kept) >= MAX_SIGHTINGS:
            self.dropped_us = max(self.dropped_us, kept.pop(next(iter(kept))))
            self.dropped += 1
        kept[version] = at_us

    def forget(self, settled_us: int) -> None:
        """Drop what was decided long ago, and the oldest decided ones while there are many."""
        for kept in (self.found, self.written):
            old = [one for one, at in kept.items() if at <= settled_us - KEPT_US]
            decided = [one for one, at in kept.items() if at <= settled_us]
            many = max(0, len(kept) - MAX_SIGHTINGS // 2)
            for one in {*old, *decided[:many]}:
                del kept[one]


class ShadowFigures(msgspec.Struct, omit_defaults=True):
    """The result so far. `webhook_first` and `poll_first`: pairs by the bucket of how much later the other way was."""

    tag: str = ""
    started_us: int = 0
    settled_us: int = 0
    ended_us: int = 0
    pairs: int = 0
    untimed: int = 0  # both ways have it, and the moment of one is not known any more
    only_webhook: int = 0
    only_poll: int = 0
    own_writes: int = 0  # left out: the answer to our own write had them before a poll could
    webhook_first: dict[int, int] = {}
    poll_first: dict[int, int] = {}

    def pair(self, poll_us: int, webhook_us: int) -> None:
        self.pairs += 1
        first = self.webhook_first if webhook_us <= poll_us else self.poll_first
        bucket = bucket_of(abs(poll_us - webhook_us) / 1000)
        first[bucket] = first.get(bucket, 0) + 1


class StoredShadow(msgspec.Struct):
    """What of the stored state of a resource belongs to a comparison."""

    sightings: Sightings = msgspec.field(default_factory=Sightings)
    shadow: ShadowFigures = msgspec.field(default_factory=ShadowFigures)


class Undecided(msgspec.Struct, frozen=True):
    """Versions whose time has come: those of one way only must still be looked up in the records of the other."""

    upto_us: int
    own_writes: int
    both: tuple[str, ...]
    alone: Mapping[str, tuple[str, ...]]  # by the way that found them


def version_of(key: str, version: str) -> str:
    """The name of a version of a record. `version`: as text that both ways write alike."""
    return f"{key}\x1f{version}"


def key_of(version: str) -> str:
    return version.rpartition("\x1f")[0]


def due(figures: ShadowFigures, poll: Sightings, webhook: Sightings, now_us: int, wait_us: int) -> Undecided | None:
    """What can be decided now; None while there is nothing."""
    if not poll.based_us:
        return None
    after = max(figures.settled_us, poll.based_us, poll.dropped_us, webhook.dropped_us)
    upto = min(now_us - wait_us, poll.began_us)
    if upto <= after:
        return None
    names: dict[str, list[str]] = {"both": [], POLL: [], WEBHOOK: [], "own": []}
    for version in poll.found.keys() | webhook.found.keys():
        first = min(poll.found.get(version, now_us), webhook.found.get(version, now_us))
        if after < first <= upto:
            names[_group(version, poll, webhook)].append(version)
    alone = {way: tuple(names[way]) for way in (POLL, WEBHOOK)}
    return Undecided(upto, len(names["own"]), tuple(names["both"]), alone)


def _group(version: str, poll: Sightings, webhook: Sightings) -> str:
    """Who found it: "both", one way, or "own": our own write, whose answer a poll cannot be sooner than."""
    if version in poll.written:
        return "own"
    if version in poll.found:
        return "both" if version in webhook.found else POLL
    return WEBHOOK


def settle(
    figures: ShadowFigures, poll: Sightings, webhook: Sightings, made: Undecided, held: Mapping[str, Iterable[str]]
) -> None:
    """Count what is due. `held`: of the versions that a way found alone, those in the records of the other way."""
    figures.own_writes += made.own_writes
    for version in made.both:
        figures.pair(poll.found[version], webhook.found[version])
    for way, versions in made.alone.items():
        untimed = len(set(held.get(way, ())) & set(versions))
        figures.untimed += untimed
        missed = len(versions) - untimed
        if way == POLL:
            figures.only_poll += missed
        else:
            figures.only_webhook += missed
    figures.settled_us = made.upto_us
    for one in (poll, webhook):
        one.forget(made.upto_us)


# -- figures ---------------------------------------------------------------------------------------------


class Bounded(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its 95% interval. `estimate` None: not known."""

    estimate: float | None = None
    low: float | None = None
    high: float | None = None


def share(part: int, whole: int) -> Bounded:
    """With the interval of Clopper and Pearson."""
    if not whole:
        return Bounded()
    low, high = interval(part, whole)
    return Bounded(estimate=part / whole, low=low, high=high)


def missed(figures: ShadowFigures, way: str) -> tuple[int, int]:
    """(missed by a way, found by the other one)."""
    lost = figures.only_poll if way == WEBHOOK else figures.only_webhook
    return lost, lost + figures.pairs + figures.untimed


def later(figures: ShadowFigures, quantile: float = 0.5) -> Bounded:
    """How many seconds later polls were than webhooks, of the pairs; below 0 polls were first.

    The interval is that of order statistics, whatever the distribution, widened to the bounds of the buckets.
    """
    values = sorted(_signed(figures), key=lambda one: one[1])
    total = figures.pairs
    ranks = quantile_ranks(total, quantile)
    low, high = (None, None) if ranks is None else (_at(values, ranks[0])[0], _at(values, ranks[1])[2])
    middle = _at(values, max(1, math.ceil(quantile * total)))[1] if total else None
    return Bounded(estimate=middle, low=low, high=high)


def _signed(figures: ShadowFigures) -> list[tuple[float, float, float, int]]:
    """(low, middle, high, pairs) in seconds, of each bucket."""
    found = []
    for sign, buckets in ((1, figures.webhook_first), (-1, figures.poll_first)):
        for bucket, count in buckets.items():
            low, high = (one / 1000 for one in bounds(bucket))
            middle = math.sqrt(low * high) if bucket else high / 2
            ends = sorted((sign * low, sign * high))
            found.append((ends[0], sign * middle, ends[1], count))
    return found


def _at(values: list[tuple[float, float, float, int]], rank: int) -> tuple[float, float, float]:
    for low, middle, high, count in values:
        rank -= count
        if rank <= 0:
            return low, middle, high
    return values[-1][:3]


def quantile_ranks(count: int, quantile: float) -> tuple[int, int] | None:
    """The ranks between which the quantile lies with 95%: 2.5% of the binomial distribution on either side.

    None when there are too few values: then even the extremes do not make such an interval.
    """
    if count < FEWEST_PAIRS:
        return None
    below, low, high = 0.0, 0, count + 1
    for number in range(count + 1):  # `number` values are below the quantile
        term = _binomial(number, count, quantile)
        if below + term <= 0.025:
            low = number + 1
        if below >= 0.975 and high > count:
            high = number
        below += term
    return (low, high) if low >= 1 and high <= count else None


def _binomial(number: int, count: int, chance: float) -> float:
    log = math.lgamma(count + 1) - math.lgamma(number + 1) - math.lgamma(count - number + 1)
    return math.exp(log + number * math.log(chance) + (count - number) * math.log1p(-chance))


def fresher(figures: ShadowFigures) -> str:
    """The way whose pairs are sooner by the median, when its interval says so; else ""."""
    found = later(figures)
    if found.low is None or found.high is None:
        return ""
    return WEBHOOK if found.low > 0 else POLL if found.high < 0 else ""


def more_complete(figures: ShadowFigures) -> str:
    """The way that missed fewer of the same versions, when an exact test says so; else "".

    Only versions that one way alone found say something: with equal misses each half is as likely.
    """
    lost = figures.only_webhook + figures.only_poll
    if not lost:
        return ""
    low, high = interval(figures.only_webhook, lost)
    return WEBHOOK if low > 0.5 else POLL if high < 0.5 else ""
