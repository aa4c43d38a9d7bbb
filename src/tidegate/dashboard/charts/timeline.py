"""The attempt timeline: one axis of time, attempts as signs, waits as lines, the next try hollow.

Waits of a delivery grow from seconds to hours, so the axis is drawn by the logarithm of each wait and says so:
every wait carries its length in words, every sign its number and answer. Pure; instants are microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from tidegate.dashboard.charts.marks import glyph_at, num, open_svg, text
from tidegate.dashboard.formatting import plural, relative, seconds

_SHOWN = 8  # the last ones; the list below the chart has all


class Try(NamedTuple):
    """A finished attempt. `answer` is short: `200`, `timeout`."""

    number: int
    at_us: int
    ok: bool
    answer: str


def attempt_timeline(
    tries: Sequence[Try], *, next_at_us: int | None = None, now_us: int = 0, sending: bool = False, width: int = 560
) -> str:
    """SVG of attempts in order of their number; `next_at_us` draws the hollow sign. "" when there is nothing."""
    shown = list(tries[-_SHOWN:])
    stops: list[tuple[int, str, str, str]] = [
        (t.at_us, "delivered" if t.ok else "exhausted", t.answer, f"{t.number}") for t in shown
    ]
    if sending:
        stops.append((now_us, "sending", "sending", ""))
    elif next_at_us is not None:
        due = (next_at_us - now_us) / 1e6
        stops.append((next_at_us, "retry", _until(due), "next"))
    if not stops:
        return ""
    xs, waits = _places([stop[0] for stop in stops], width)
    width = round(xs[-1]) + 44
    failed = sum(1 for t in tries if not t.ok)
    title = f"{plural(len(tries), 'attempt')}, {failed} failed"
    words = "; ".join(f"{stop[3] or 'now'}: {stop[2]}" for stop in stops)
    out = [open_svg(width, 64, title, f"{words}. Waits are drawn by their logarithm.", fit=True)]
    y = 30
    for i, wait in enumerate(waits):
        planned = ' stroke-dasharray="3 4"' if i == len(waits) - 1 and len(stops) > len(shown) else ""
        out.append(f'<path class="tick" d="M{num(xs[i] + 9)} {y}H{num(xs[i + 1] - 9)}"{planned}/>')
        if xs[i + 1] - xs[i] >= 58:
            out.append(text((xs[i] + xs[i + 1]) / 2, y - 8, seconds(wait), "t3", "middle"))
    for x, (_, state, answer, number) in zip(xs, stops, strict=True):
        anchor = "start" if x < 30 else "end" if x > width - 30 else "middle"
        at = x - 6 if anchor == "start" else x + 6 if anchor == "end" else x
        out.append(glyph_at(state, x, y))
        out.append(text(at, y + 24, answer, {"exhausted": "tf", "retry": "tw"}.get(state, ""), anchor))
        out.append(text(at, y - 16, number, "t3", anchor))
    if len(tries) > len(shown):
        out.append(text(width, 10, f"the last {len(shown)} of {len(tries)}", "t3", "end"))
    return "".join(out) + "</svg>"


def _until(due: float) -> str:
    """As the page says it beside the chart."""
    if due <= 0:
        return "due now"
    return relative(-due) if due < 3600 else f"in {seconds(due)}"


def _places(instants: Sequence[int], width: int) -> tuple[list[float], list[float]]:
    """x of each instant, and the waits between them in seconds. Every gap has room for a sign."""
    waits = [max(0.0, (b - a) / 1e6) for a, b in pairwise(instants)]
    weights = [1.2 + math.log10(1 + wait) for wait in waits]
    context = min(width - 52, 110 * len(waits) + 40 * sum(1 for w in waits if w >= 60))
    total = sum(weights) or 1
    xs = [8.0]
    for weight in weights:
        xs.append(xs[-1] + weight / total * context)
    return xs, waits
