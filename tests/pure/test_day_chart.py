"""The lane of a day: pauses are one hatched stretch each, at their place, whatever the width of the drawing."""

from __future__ import annotations

import re

from tidegate.dashboard.charts.day import DayBin, lane


def test_a_pause_over_neighboring_bins_is_one_hatched_stretch_that_nothing_stretches() -> None:
    drawn = lane([DayBin(place=place, polls=3, throttled=place in (2, 3, 4, 8)) for place in range(10)], 10)
    assert re.findall(r'class="hatch" x="([\d.]+)%" y="4" width="([\d.]+)%"', drawn) == [("20", "30"), ("80", "10")]
    stretched = drawn.split("<svg ")[2].split("</svg>")[0]
    assert 'preserveAspectRatio="none"' in stretched and "hatch" not in stretched
    assert "hatch" not in lane([DayBin(place=0, polls=1)], 1) and lane([], 48)
