"""Requests against delay: the line that polling moves along, and the point of a webhook beside it.

Both axes are logarithmic; no requests at all has a place of its own left of the break. Now is outlined, the recommended
setting filled. Each stop is a link to its row of the table. Pure: points in, SVG out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from msgspec import Struct

from tidegate.dashboard.charts.marks import num
from tidegate.dashboard.charts.strips import strip

HEIGHT, TOP, BOTTOM = 320, 22, 284
LEFT, RIGHT = 14, 96  # percent
LABELS_LEFT = 45  # percent
DELAYS = ((1.0, "1 s"), (60.0, "1 min"), (3600.0, "1 h"), (86_400.0, "1 d"))
MOST_DELAY = 86_400.0


class Stop(Struct, frozen=True, kw_only=True):
    """A setting on the line. `row`: the id of its row in the table."""

    label: str
    requests: float
    median: float
    p99: float
    row: str
    now: bool = False
    recommended: bool = False
    within_limit: bool = True


def tradeoff(stops: Sequence[Stop], webhook: Stop | None, words: str, on: str = "") -> str:
    """`stops` by their interval, the shortest first; `webhook` where one is measured or expected; `on`: a row."""
    most = max([10.0, *(one.requests for one in stops)])
    parts = _axes(most)
    line = "L".join(f"{num(_x(one.requests, most))} {num(_y(one.median))}" for one in stops)
    parts.append(_stretched(f'<path class="pl w2" d="M{line}"/>'))
    for one in stops:
        parts.append(_stop(one, _x(one.requests, most), on))
    if webhook is not None:
        x, y = num(_x(webhook.requests, most)), _y(webhook.median)
        parts.append(
            f'<a href="#{webhook.row}"{_on(webhook, on)}><circle class="psf" cx="{x}%" cy="{num(y)}" r="6"/>'
            f'<text class="tp" x="{x}%" y="{num(y)}" dx="10" dy="4">{escape(webhook.label)}</text></a>'
        )
    return strip(HEIGHT, parts, "curve", words)


def _on(one: Stop, row: str) -> str:
    return ' class="on"' if one.row == row else ""


def _stop(one: Stop, x: float, on: str) -> str:
    y, at = num(_y(one.median)), num(x)
    kind = "plf" if one.recommended else "pl ho"
    size = 6 if one.now or one.recommended else 3.5
    out = [f'<a href="#{one.row}"{_on(one, on)}>']
    if one.now or one.recommended:
        out.append(f'<line class="pl" x1="{at}%" x2="{at}%" y1="{num(_y(one.p99))}" y2="{y}"/>')
    out.append(f'<circle class="{kind}{" w3" if one.now else ""}" cx="{at}%" cy="{y}" r="{size}"/>')
    label = one.label + (", now" if one.now else "") + (", recommended" if one.recommended else "")
    tone = "t1" if one.now or one.recommended else "tw" if not one.within_limit else "t3"
    # a long label on the right half is left of its point and under the line, so that a phone does not cut it off
    tone, dx, dy = (f"{tone} end", -9, 14) if tone == "t1" and x > LABELS_LEFT else (tone, 9, -7)
    out.append(f'<text class="{tone}" x="{at}%" y="{y}" dx="{dx}" dy="{dy}">{escape(label)}</text></a>')
    return "".join(out)


def _axes(most: float) -> list[str]:
    grid, parts = "", []
    for seconds, label in DELAYS:
        y = num(_y(seconds))
        grid += f"M{LEFT} {y}H100"
        parts.append(f'<text class="t3" x="0" y="{y}" dy="4">{label}</text>')
    power = 1
    while power <= most:
        x = num(_x(power, most))
        grid += f"M{x} {TOP}V{BOTTOM}"
        parts.append(f'<text class="t3 mid" x="{x}%" y="{BOTTOM + 16}">{power:,}</text>')
        power *= 10
    x = num(_x(0.0, most))
    parts.append(f'<text class="t3 mid" x="{x}%" y="{BOTTOM + 16}">0</text>')
    parts.append(f'<text class="t3 end" x="100%" y="{HEIGHT - 3}">requests per day →</text>')
    parts.append('<text class="t3" x="0" y="12">median delay</text>')
    return [_stretched(f'<path class="gr" d="{grid}"/>'), *parts]


def _stretched(path: str) -> str:
    """Lines whose x is a percent, in a drawing of their own; only labels and signs keep their shape."""
    return f'<svg viewBox="0 0 100 {HEIGHT}" preserveAspectRatio="none" height="{HEIGHT}">{path}</svg>'


def _x(requests: float, most: float) -> float:
    """Percent; below one request a day is the place of none."""
    if requests < 1:
        return LEFT + 2
    return LEFT + 8 + math.log10(requests) / math.log10(most) * (RIGHT - LEFT - 14)


def _y(seconds: float) -> float:
    bounded = min(max(seconds, 0.5), MOST_DELAY)
    return TOP + (1 - math.log(bounded / 0.5) / math.log(MOST_DELAY / 0.5)) * (BOTTOM - TOP)
