"""One resource as the page compares it: how it is read, what was measured, and the advice.

Owns the order of resources (what to change first, then what stays) and the words for figures that are not known.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from tidegate.core.measured import ResourceMeasured, TimelineBin
from tidegate.query.schemas import AdviceSchema
from tidegate.rules.measure import wording

NOT_MEASURED = "not measured"
STAYS = ("keep_polling", "keep_both", "not_enough_data")


class Subject(Struct, kw_only=True):
    """`ways`: "pull", "push" or both, in the order of the page. `bins`: the last 24 hours."""

    name: str
    ways: tuple[str, ...]
    advised: AdviceSchema
    measured: ResourceMeasured
    bins: Sequence[TimelineBin] = ()
    anchor: str = ""  # the id of its card

    @property
    def changes_something(self) -> bool:
        return self.advised.recommendation not in STAYS

    @property
    def requests(self) -> float | None:
        return self.advised.now.requests_per_day

    @property
    def requests_after(self) -> float | None:
        """With the recommendation; as now where there is none."""
        after = self.advised.after.requests_per_day if self.advised.after is not None else None
        return self.requests if after is None else after


def ordered(subjects: Sequence[Subject]) -> list[Subject]:
    """What to change comes first, by what it saves; then what stays; then what nobody knows enough about."""

    def rank(one: Subject) -> tuple[bool, bool, float, str]:
        saved = (one.requests or 0.0) - (one.requests_after or 0.0)
        return not one.changes_something, one.advised.recommendation == "not_enough_data", -saved, one.name

    found = sorted(subjects, key=rank)
    return [structs.replace(one, anchor=f"r{place}") for place, one in enumerate(found, 1)]


def per_day(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{round(value):,}" if value >= 10 or value == int(value) else f"{value:.1f}"


def money(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return "<0.01" if 0 < value < 0.01 else f"{value:,.2f}"


def span(value: float | None) -> str:
    return NOT_MEASURED if value is None else wording.span(value)


def share(value: float | None) -> str:
    return NOT_MEASURED if value is None else wording.share(value)


def total(values: Sequence[float | None]) -> float | None:
    """None when nothing is known at all."""
    known = [one for one in values if one is not None]
    return sum(known) if known else None
