"""Charts of the page "API or webhook?" that are one strip: a bar, a share, a delay, an interval.

Widths are percents and heights pixels, so that text keeps its size at every width and one drawing serves desktop, phone
and paper. Pull is outlined, push is filled; a delay has a logarithmic axis that is the same in every strip. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tidegate.core.unseen import visible_lines
from tidegate.dashboard.charts.marks import num

SHORTEST, LONGEST = 0.1, 86_400.0  # of the delay axis, in seconds
MARKS = ((1.0, "1 s"), (60.0, "1 min"), (3600.0, "1 h"))


def strip(height: int, parts: Sequence[str], cls: str = "", words: str = "") -> str:
    """A drawing that is as wide as its place. `words` are read to those who cannot see it; without them the text beside
    it says the same."""
    kind = f"ch {cls}".strip()
    title = f' role="img"><title>{escape(visible_lines(words))}</title>' if words else ' aria-hidden="true">'
    return f'<svg class="{kind}" height="{height}"{title}{"".join(parts)}</svg>'


def bar(way: str, whole: float, part: float, most: float) -> str:
    """A bar from zero: `whole` of `most` is outlined, `part` of it filled."""
    long, filled = (_percent(min(value, most), most) * 0.99 for value in (whole, min(part, whole)))
    tone = "ps" if way == "push" else "pl"
    parts = ['<path class="ax" d="M.5 0V14"/>']
    if whole > 0:
        parts.append(f'<rect class="{tone}t" x="1" y="2.5" width="{num(max(long, 0.6))}%" height="10"/>')
    if part > 0:
        parts.append(f'<rect class="{tone}f" x="1" y="2.5" width="{num(max(filled, 0.4))}%" height="10"/>')
    return strip(15, parts)


def delay_strip(way: str, median: float | None, p99: float | None) -> str:
    """Median as a dot, p99 as the end of a line, on the shared axis from 0.1 s to a day."""
    tone = "ps" if way == "push" else "pl"
    parts = ['<line class="gr" x2="100%" y1="8.5" y2="8.5"/>']
    for seconds, label in MARKS:
        x = num(place(seconds))
        parts.append(f'<line class="ax" x1="{x}%" x2="{x}%" y1="5" y2="12"/>')
        parts.append(f'<text class="t3 mid" x="{x}%" y="25">{label}</text>')
    if median is not None:
        x = num(place(median))
        if p99 is not None:
            end = num(place(p99))
            parts.append(f'<line class="{tone} w3" x1="{x}%" x2="{end}%" y1="8.5" y2="8.5"/>')
            parts.append(f'<line class="{tone} w3" x1="{end}%" x2="{end}%" y1="4" y2="13"/>')
        parts.append(f'<circle class="{tone}f" cx="{x}%" cy="8.5" r="4"/>')
    return strip(28, parts)


def interval_strip(way: str, low: float, estimate: float | None, high: float, threshold: float | None) -> str:
    """The interval as a box, the estimate as a line, and the threshold dashed, on an axis that shows all of them.

    An unknown estimate is a hatched box over the interval.
    """
    first, last = _axis(low, high, threshold)

    def at(value: float) -> float:
        return _percent(min(max(value, first), last) - first, last - first)

    tone = "ps" if way == "push" else "pl"
    box = f"{tone}t" if estimate is not None else "hatch"
    parts = [
        '<line class="gr" x2="100%" y1="10.5" y2="10.5"/>',
        f'<rect class="{box}" x="{num(at(low))}%" y="4.5" width="{num(max(at(high) - at(low), 0.8))}%" height="12"/>',
    ]
    if estimate is not None:
        x = num(at(estimate))
        parts.append(f'<line class="{tone} w3" x1="{x}%" x2="{x}%" y1="2" y2="19"/>')
    if threshold is not None:
        x = num(at(threshold))
        parts.append(f'<line class="ax dash" x1="{x}%" x2="{x}%" y1="0" y2="21"/>')
    return strip(21, parts)


def place(seconds: float) -> float:
    """Percent on the delay axis."""
    bounded = min(max(seconds, SHORTEST), LONGEST)
    return math.log10(bounded / SHORTEST) / math.log10(LONGEST / SHORTEST) * 100


def _axis(low: float, high: float, threshold: float | None) -> tuple[float, float]:
    """The axis with a tenth more on both sides, and within 0 to 1 for shares."""
    values = [low, high] + ([threshold] if threshold is not None else [])
    first, last = min(values), max(values)
    space = (last - first or abs(last) or 1.0) / 10
    begin = max(0.0, first - space) if first >= 0 else first - space
    end = min(1.0, last + space) if last <= 1 else last + space
    return (begin, end) if end > begin else (begin, begin + 1.0)


def _percent(value: float, most: float) -> float:
    return max(0.0, min(100.0, value / most * 100)) if most > 0 and math.isfinite(value) else 0.0
