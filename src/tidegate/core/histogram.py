"""A histogram with fixed buckets on a logarithmic scale: those of several nodes merge exactly. Pure.

Bucket 0 is everything below one millisecond; bucket n covers the milliseconds from 2^((n-1)/5) to 2^(n/5), so that
neighbors differ by 15% and a quantile is at most 7.2% away from the sample that it stands for. The buckets never
change: rows of every release add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

BUCKETS_PER_OCTAVE = 5
LAST_BUCKET = 200  # 2^40 milliseconds, 35 years: everything above


def bucket_of(milliseconds: float) -> int:
    """The bucket of a duration. Negative ones, as after a clock that went back, count as 0."""
    if milliseconds < 1:
        return 0
    return min(LAST_BUCKET, 1 + int(math.log2(milliseconds) * BUCKETS_PER_OCTAVE))


def bounds(bucket: int) -> tuple[float, float]:
    """[from, to) of a bucket, in milliseconds."""
    if bucket <= 0:
        return 0.0, 1.0
    return 2.0 ** ((bucket - 1) / BUCKETS_PER_OCTAVE), 2.0 ** (bucket / BUCKETS_PER_OCTAVE)


class Histogram:
    """Counts by bucket, and the sum of the milliseconds in each."""

    __slots__ = ("counts",)

    def __init__(self, counts: Iterable[tuple[int, int, int]] = ()) -> None:
        """`counts`: (bucket, count, milliseconds); the same bucket may come several times."""
        self.counts: dict[int, tuple[int, int]] = {}
        for bucket, count, total in counts:
            self.add(bucket, count, total)

    def add(self, bucket: int, count: int, total: int) -> None:
        before = self.counts.get(bucket, (0, 0))
        self.counts[bucket] = before[0] + count, before[1] + total

    def merge(self, other: Histogram) -> None:
        for bucket, (count, total) in other.counts.items():
            self.add(bucket, count, total)

    @property
    def samples(self) -> int:
        return sum(count for count, _ in self.counts.values())

    @property
    def mean_seconds(self) -> float | None:
        samples = self.samples
        return sum(total for _, total in self.counts.values()) / samples / 1000 if samples else None

    def quantile_seconds(self, share: float) -> float | None:
        """The nearest-rank quantile, at most 7.2% from the true one; None without samples."""
        return quantile_of(self.points(), share)

    def points(self) -> list[tuple[float, int]]:
        """(seconds, count): one value for the samples of each bucket, the sample itself when there is one."""
        return [(_point(bucket, *found), found[0]) for bucket, found in self.counts.items()]

    def means(self) -> list[tuple[float, int]]:
        """(seconds, count): the mean of each bucket, for samples that are nearly equal, as gaps of a schedule are."""
        found = ((*bounds(bucket), *counted) for bucket, counted in self.counts.items() if counted[0])
        return [(min(high, max(low, total / count)) / 1000, count) for low, high, count, total in found]


def _point(bucket: int, count: int, total: int) -> float:
    low, high = bounds(bucket)
    if count == 1:
        return min(high, max(low, total)) / 1000
    return (math.sqrt(low * high) if bucket else min(high, total / count)) / 1000


def quantile_of(weighted: Iterable[tuple[float, int]], share: float) -> float | None:
    """The nearest-rank quantile of values with weights; None without any."""
    ordered = sorted(one for one in weighted if one[1] > 0)
    rank = -int(-share * sum(weight for _, weight in ordered) // 1)  # rounded up
    for value, weight in ordered:
        rank -= weight
        if rank <= 0:
            return value
    return None
