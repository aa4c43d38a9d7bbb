"""Both ways at once: for each resource with `shadow`, what the comparison says and the figures of the two ways."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tidegate.dashboard import formatting
from tidegate.dashboard.comparison.subject import money, per_day, span
from tidegate.query.shadow import ShadowSchema, WaySchema
from tidegate.rules.measure import wording

_SIGNS = {"poll": "pull", "webhook": "push"}
_LABELS = {"poll": "Polls", "webhook": "Webhooks"}


class WayRow(Struct, kw_only=True):
    """`way`: "pull" or "push"."""

    way: str
    label: str
    role: str
    found: str
    missed: str
    requests: str
    bytes: str
    cost: str


class Both(Struct, kw_only=True):
    """One comparison; `others`: names of further ones."""

    name: str
    others: list[str]
    state: str
    sentences: list[str]
    rows: list[WayRow]
    note: str


def both(found: Sequence[ShadowSchema], wanted: str = "") -> Both | None:
    """The comparison of the resource `wanted`, else the first one; None without any."""
    if not found:
        return None
    one = next((one for one in found if one.resource == wanted), found[0])
    notes = [f"The last {way.way} failed: {way.error}." for way in one.ways if way.error]
    if one.undecided:
        notes.append(f"{wording.count(one.undecided, 'changes')} not decided yet.")
    if one.left_out:
        notes.append(f"{wording.count(one.left_out, 'changes')} left out: too many to keep.")
    if one.own_writes:
        notes.append(f"{wording.count(one.own_writes, 'own writes')} left out: their answers come before any poll.")
    measured = f"measured for {span(one.measured_seconds)}"
    return Both(
        name=one.resource,
        others=[other.resource for other in found if other is not one],
        state={"starting": "Starting", "ended": f"Ended, {measured}"}.get(one.state, measured.capitalize()),
        sentences=one.sentences,
        rows=[_row(way) for way in one.ways],
        note=" ".join(notes),
    )


def _row(way: WaySchema) -> WayRow:
    bounds, missed = way.missed_share, formatting.DASH
    if bounds.low is not None and bounds.high is not None:
        missed = f"{way.missed:,} of {way.of:,} ({wording.share(bounds.low)} to {wording.share(bounds.high)})"
    return WayRow(
        way=_SIGNS[way.way],
        label=_LABELS[way.way],
        role="makes the records" if way.makes_records else "only measures",
        found=f"{way.found:,}",
        missed=missed,
        requests=per_day(way.requests_per_day),
        bytes=formatting.size(way.bytes + way.webhook_bytes),
        cost=money(way.cost_per_day) if way.cost_per_day is not None else formatting.DASH,
    )
