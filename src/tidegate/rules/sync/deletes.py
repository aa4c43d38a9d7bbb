"""When a record is deleted: by what its row says, or because a scan misses it. Pure.

Owns the decision after a complete scan: which known keys are missing, whether so many may be deleted at once (the
ratio), and which still need a second proof. Knows no HTTP. Invariant: one absence proves nothing, because offset pages
skip live rows while others are deleted. A missing key is a candidate until the source answers 404 or 410 for it, or a
second complete scan misses it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.paths import compiled
from tidegate.rules.sync.spec import Deletes


class ScanResult(msgspec.Struct, frozen=True):
    """`candidates` need a proof. With `stopped_by_ratio` there are too many, and nothing may be deleted."""

    candidates: tuple[str, ...]
    stopped_by_ratio: bool
    ratio: float


def decide(missing: Sequence[str], live: int, max_ratio: float) -> ScanResult:
    """`missing`: known live keys that a complete scan did not show; `live`: the number of live records before it."""
    ratio = len(missing) / live if live else 0.0
    stopped_by_ratio = ratio > max_ratio
    return ScanResult(() if stopped_by_ratio else tuple(sorted(missing)), stopped_by_ratio, ratio)


def is_deleted(row: Any, rule: Deletes) -> bool:
    """Whether a row of a list says that its record is deleted.

    `flag`: the field has one of `values`, or any value but null, false, 0, "", [] and {}. `in_band`: the row has the
    field, with any value but null and false.
    """
    if rule.mode not in ("flag", "in_band"):
        return False
    found = compiled(rule.path).first(row)
    if found is MISSING or found is None:
        return False
    if rule.mode == "flag" and rule.values:  # `active` = false may mean it
        return any(found == one and isinstance(found, bool) is isinstance(one, bool) for one in rule.values)
    if rule.mode == "in_band" or found is False:
        return found is not False
    return found not in (0, "", [], {}, "false", "0")


def twice_missing(now: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    """With `confirm = "second_scan"`: what was missing in this scan and in the last one."""
    return tuple(sorted(set(now) & set(before)))
