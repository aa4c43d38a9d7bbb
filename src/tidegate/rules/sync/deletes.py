"""When an absence is a delete. Pure.

Owns the decision after a complete scan: which known keys are missing, whether so many may be believed at once (the
brake), and which still want a second proof. May not know how the proof is got. Invariant: one absence proves
nothing: offset pages skip live rows while others are deleted, so a missing key is a suspect until the source says
404 or 410 for it, or a second complete scan misses it too.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class ScanVerdict(msgspec.Struct, frozen=True):
    """`suspects` want their proof; with `braked` there are too many of them and nothing may be deleted."""

    suspects: tuple[str, ...]
    braked: bool
    ratio: float


def decide(missing: Sequence[str], live: int, max_ratio: float) -> ScanVerdict:
    """`missing`: known live keys that a complete scan did not show; `live`: how many were known before it."""
    ratio = len(missing) / live if live else 0.0
    braked = ratio > max_ratio
    return ScanVerdict(() if braked else tuple(sorted(missing)), braked, ratio)


def twice_missing(now: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    """With `confirm = "second_scan"`: what was missing in this scan and in the last one."""
    return tuple(sorted(set(now) & set(before)))


def proves_absence(status: int) -> bool:
    """Whether the answer to asking for the item alone says that it is gone."""
    return status in (404, 410)
