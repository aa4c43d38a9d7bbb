"""Reads in time, and what a cache leaves of them. Pure.

Owns the replay that `tidegate simulate` and the tests of `cache_for` share: every read is looked up in a cache that
keeps each answer for so long, whatever the process of the reads. So it checks the formula of the advice, which assumes
reads at random. Errors: ValueError beyond MAX_READS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from random import Random

import msgspec

MAX_READS = 2_000_000

Read = tuple[float, int]  # seconds from the start, which answer


class Replayed(msgspec.Struct, frozen=True):
    """`asked`: when the source was asked, by answer, oldest first."""

    reads: int
    asked: tuple[tuple[float, ...], ...]

    @property
    def requests(self) -> int:
        return sum(len(one) for one in self.asked)

    @property
    def hit_share(self) -> float | None:
        return 1 - self.requests / self.reads if self.reads else None


def replay(reads: Iterable[Read], age: float, answers: int = 1) -> Replayed:
    """Through a cache whose answers may be `age` seconds old."""
    asked: list[list[float]] = [[] for _ in range(answers)]
    count = 0
    for at, answer in reads:
        count += 1
        copies = asked[answer]
        if not copies or at - copies[-1] > age:
            copies.append(at)
    return Replayed(count, tuple(tuple(one) for one in asked))


def at_random(rate: float, seconds: float, chance: Random, weights: Sequence[float] = (1.0,)) -> Iterator[Read]:
    """Reads at `rate` per second; each answer is read as often as its weight says."""
    if rate * seconds > MAX_READS:
        raise ValueError(f"that makes {rate * seconds:,.0f} reads; at most {MAX_READS:,} are simulated")
    sums, places = list(accumulate(weights)), range(len(weights))
    at = chance.expovariate(rate)
    while at <= seconds:
        yield at, chance.choices(places, cum_weights=sums)[0]
        at += chance.expovariate(rate)
