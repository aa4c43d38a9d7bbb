"""Requests against delay: the curve of polling and other policies as points. A picture of its own, for files.

Both axes are logarithmic, and say so by their grid. The file has its own colors for light and dark, so that it can be
shown anywhere; polling is hollow and webhooks solid, as everywhere. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from tidegate.dashboard.charts.marks import num, open_svg, text

WIDTH, HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 740, 46, 366
_LEAST_DELAY, _LEAST_REQUESTS = 1.0, 1.0
_TICKS = ((1, "1 s"), (10, "10 s"), (60, "1 m"), (600, "10 m"), (3600, "1 h"), (21_600, "6 h"), (86_400, "1 d"))
_STYLE = """<style>
svg{background:#fff;font:12px system-ui,sans-serif;color:#1c2530}text{fill:currentColor}
.h{font-size:15px;font-weight:600}.g{stroke:#8a97a5;stroke-opacity:.3}.m{fill:#5a6774}
.c{fill:none;stroke:#8a97a5;stroke-width:1.5;stroke-dasharray:4 3}.o{fill:#fff;stroke:#17609f;stroke-width:2}
.s{fill:#8b2f93;stroke:#8b2f93;stroke-width:2}
@media (prefers-color-scheme: dark){svg{background:#12171d;color:#e6ebf0}.m{fill:#9aa7b4}.o{fill:#12171d;stroke:#72b6f0}
.s{fill:#de93e0;stroke:#de93e0}}
</style>"""


class Costed(Protocol):
    """What a point is made from: an outcome of the simulation."""

    @property
    def policy(self) -> str: ...
    @property
    def requests_per_day(self) -> float: ...
    @property
    def delay_p95_seconds(self) -> float | None: ...


class PolicyPoint(Struct, frozen=True):
    """`requests` a day, `delay` in seconds (p95)."""

    name: str
    requests: float
    delay: float

    @classmethod
    def of(cls, outcome: Costed) -> PolicyPoint:
        return cls(outcome.policy, outcome.requests_per_day, outcome.delay_p95_seconds or 0.0)


def policy_chart(curve: Sequence[PolicyPoint], points: Sequence[PolicyPoint], title: str) -> str:
    """An SVG document. `curve`: polling at fixed intervals, in order; `points`: the policies to compare."""
    every = [*curve, *points]
    most = max([one.requests for one in every] + [10.0])
    slowest = max([one.delay for one in every] + [60.0])
    described = "; ".join(f"{one.name}: {one.requests:,.0f} requests a day, p95 {one.delay:,.0f} s" for one in points)
    head = open_svg(WIDTH, HEIGHT, title, described).replace("<title>", '<title id="title">')
    alone = '<svg xmlns="http://www.w3.org/2000/svg" aria-labelledby="title what" '
    out = [head.replace("<desc>", '<desc id="what">').replace("<svg ", alone, 1)]
    out += [_STYLE, text(_LEFT, 24, title, "h"), *_grid(most, slowest)]
    path = " ".join(f"{num(_x(one.delay, slowest))},{num(_y(one.requests, most))}" for one in curve)
    out.append(f'<polyline class="c" points="{path}"/>')
    taken: list[tuple[float, float]] = []
    for one in points:
        x, y = _x(one.delay, slowest), _y(one.requests, most)
        kind = "s" if one.name.startswith("webhook") else "o"
        out.append(f'<circle class="{kind}" cx="{num(x)}" cy="{num(y)}" r="5"/>')
        out.append(_label(one.name, x, y, taken))
    return "".join(out) + "</svg>\n"


def _grid(most: float, slowest: float) -> list[str]:
    out = []
    for seconds, words in _TICKS:
        if seconds <= slowest * 1.5:
            x = num(_x(seconds, slowest))
            out.append(f'<path class="g" d="M{x} {_TOP}V{_BOTTOM}"/>')
            out.append(text(_x(seconds, slowest), _BOTTOM + 18, words, "m", "middle"))
    for power in range(int(math.log10(most)) + 1):
        y = _y(10**power, most)
        out.append(f'<path class="g" d="M{_LEFT} {num(y)}H{_RIGHT}"/>')
        out.append(text(_LEFT - 8, y + 4, f"{10**power:,}", "m", "end"))
    out.append(text(_RIGHT, _BOTTOM + 38, "p95 delay (at the left edge: 1 s or less)", "m", "end"))
    out.append(text(_LEFT, _TOP - 6, "requests a day", "m"))
    return out


def _label(name: str, x: float, y: float, taken: list[tuple[float, float]]) -> str:
    """Beside its point, below the labels that are there already."""
    at = y - 9
    while any(abs(at - other) < 14 and abs(x - beside) < 190 for beside, other in taken):
        at += 14
    taken.append((x, at))
    return text(x + 9, at, name) if x < _RIGHT - 180 else text(x - 9, at, name, "", "end")


def _x(delay: float, slowest: float) -> float:
    span = math.log(max(slowest, 60.0) / _LEAST_DELAY)
    return _LEFT + (_RIGHT - _LEFT) * min(1.0, math.log(max(delay, _LEAST_DELAY) / _LEAST_DELAY) / span)


def _y(requests: float, most: float) -> float:
    span = math.log(max(most, 10.0) / _LEAST_REQUESTS)
    return _BOTTOM - (_BOTTOM - _TOP) * math.log(max(requests, _LEAST_REQUESTS) / _LEAST_REQUESTS) / span
