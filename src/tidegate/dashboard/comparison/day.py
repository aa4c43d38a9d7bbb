"""The last 24 hours: one lane for each resource, in the order of the cards."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from tidegate.core.clock import parse_instant, to_datetime
from tidegate.core.measured import Timeline
from tidegate.dashboard.charts.day import DayBin, lane
from tidegate.dashboard.comparison.subject import Subject
from tidegate.rules.measure import wording

HOURS = 3  # between two labels of the axis


class Lane(Struct, kw_only=True):
    name: str
    ways: tuple[str, ...]
    text: str
    chart: str


class Day(Struct, kw_only=True):
    """`hours`: the labels of the axis from the oldest to now."""

    hours: list[str]
    lanes: list[Lane]


def day(subjects: Sequence[Subject], timeline: Timeline) -> Day:
    since, until = parse_instant(timeline.since), parse_instant(timeline.until)
    bin_us = timeline.bin_seconds * 1_000_000
    places = max(1, -(-(until - since) // bin_us))
    step = HOURS * 3_600_000_000
    first = -(-since // step) * step
    hours = [f"{to_datetime(at):%H:%M}" for at in range(first, until, step)]
    return Day(hours=hours, lanes=[_lane(one, since, bin_us, places) for one in subjects])


def _lane(one: Subject, since: int, bin_us: int, places: int) -> Lane:
    bins = [
        DayBin(
            place=place,
            polls=found.polls,
            found=found.found,
            pulls=found.pulls,
            webhooks=found.webhooks,
            healed=found.healed,
            throttled=found.throttled_seconds > 0,
        )
        for found in one.bins
        if 0 <= (place := (parse_instant(found.at) - since) // bin_us) < places
    ]
    text = _text(bins)
    return Lane(
        name=one.name,
        ways=one.ways,
        text=text,
        chart=Markup(lane(bins, places)),  # noqa: S704 - escaped there
    )


def _text(bins: Sequence[DayBin]) -> str:
    sums = {
        "polls": sum(one.polls for one in bins), "webhooks": sum(one.webhooks for one in bins),
        "pulls": sum(one.pulls for one in bins),
    }  # fmt: skip
    parts = [wording.count(number, what) for what, number in sums.items() if number]
    found, healed = sum(one.found for one in bins), sum(one.healed for one in bins)
    parts += [f"{found:,} with a change"] if sums["polls"] else []
    parts += [f"{healed:,} healed"] if healed else []
    return ", ".join(parts) or "nothing in 24 hours"
