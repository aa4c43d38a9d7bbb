"""The last card: what following all recommendations changes, of all resources and not only of those that are shown."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from tidegate.dashboard.charts.strips import bar
from tidegate.dashboard.comparison.subject import Subject, money, per_day, total
from tidegate.rules.measure import wording


class Together(Struct, kw_only=True):
    """`rows`: (label, now, after)."""

    wanted: int
    word: str
    rows: list[tuple[str, str, str]]
    bar: str


def together(subjects: Sequence[Subject]) -> Together | None:
    """None with fewer than two recommendations: then their card says it."""
    wanted = [one for one in subjects if one.changes_something]
    now, after = total([one.requests for one in subjects]), total([one.requests_after for one in subjects])
    if len(wanted) < 2 or not now or after is None:
        return None
    costs = total([one.advised.now.cost_per_day for one in subjects]), total([_cost_after(one) for one in subjects])
    rows = [("Requests per day", per_day(now), per_day(after))]
    rows += [("Cost per day", money(costs[0]), money(costs[1]))] if costs[0] is not None else []
    share = wording.share(abs(now - after) / now)
    return Together(
        wanted=len(wanted),
        word=f"{share} {'fewer' if after <= now else 'more'} requests",
        rows=rows,
        bar=Markup(bar("pull", now, after, max(now, after))),  # noqa: S704 - escaped there
    )


def _cost_after(one: Subject) -> float | None:
    after = one.advised.after.cost_per_day if one.advised.after is not None else None
    return one.advised.now.cost_per_day if after is None else after
