"""What a healed event says: which webhook was missed, since when and for how long. Pure.

Owns the bounds. A record whose version is a time says itself when it changed, and then the duration is exact. Without
one, and for deletes, only the look before is known: what it did not find happened after it began, so the change was
missing for at most that long, and at least not at all. A delete that a scan finds needs two scans unless each missing
item is asked for, so its bound is the scan before those; a feed of deletes has no bound. Knows no store and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.core.clock import rfc3339
from tidegate.core.model import Healed
from tidegate.rules.sync.spec import Resource

SCANS_KEPT = 2


def earliest_us(resource: Resource, kind: str, looked_from_us: int, scanned_from_us: Sequence[int]) -> int:
    """The earliest instant at which a change can have happened that a look finds now; 0 when nothing is known.

    `looked_from_us`: when the last complete look began. `scanned_from_us`: the same of the last scans that decided
    about deletes, the newest last.
    """
    if kind == "deleted" and resource.deletes.mode == "feed":
        return 0  # another resource has the deletes, and its looks say nothing of this one's
    if kind != "deleted" or resource.deletes.mode != "scan":
        return looked_from_us
    scans = 1 if resource.deletes.confirm == "get" and resource.item_path else SCANS_KEPT
    return scanned_from_us[-scans] if len(scanned_from_us) >= scans else 0


def healed(resource: Resource, kind: str, exact_us: int | None, since_us: int, now_us: int) -> Healed:
    """`exact_us`: when the change happened by its own record; None when it does not say. `since_us`: the earliest."""
    exact = exact_us is not None and exact_us <= now_us
    start_us = exact_us if exact and exact_us is not None else min(since_us, now_us)
    longest = round((now_us - start_us) / 1_000_000, 3) if start_us else None
    return Healed(
        webhooks=_webhooks(resource, kind),
        since=rfc3339(start_us or None),
        missed_for_seconds=longest,
        missed_for_at_least_seconds=longest if exact and longest is not None else 0.0,
    )


def _webhooks(resource: Resource, kind: str) -> tuple[str, ...]:
    """The types of the webhooks that report such a change."""
    places = resource.webhook
    if places is None:
        return ()
    deletes = tuple(places.deleted_types)
    if kind == "deleted" and deletes:
        return deletes
    return tuple(one for one in places.types if one not in deletes) or deletes
