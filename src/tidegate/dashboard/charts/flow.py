"""The flow map: sources left, the log as one vertical band, destinations right.

One lane for each source (two when it has webhooks and polls) and each destination, its width by volume on one linear
scale for both sides. Push is a solid ribbon with a filled head, pull two thin lines with an open head, so the map reads
without color. Pending deliveries are a ruled basin where the lane of the destination begins; an open circuit and a
pause are a gap in the lane. There is a wide and a narrow form: the narrow one has its labels above the lanes, so that a
phone shows the same figures. Pure: figures in, SVG text out.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from tidegate.dashboard.charts.marks import glyph_at, num, open_svg, text
from tidegate.dashboard.formatting import count, plural

_MOST = 8  # lanes a side: a page stays under 60 KB; what is beyond is one lane that says how many it stands for
_WIDEST = 30.0
_THINNEST = 2.0
_LINE = 25  # characters of a name on one line beside the wide map


class FlowLane(NamedTuple):
    """One lane. `gap` is "" for an unbroken lane, else the icon in the gap ("paused", "exhausted")."""

    name: str
    way: str  # "push" or "pull"
    volume: int
    words: str  # the line below the name
    href: str
    gap: str = ""
    tone: str = ""  # "wait", "fail", "off": color of the label
    waiting: int = 0  # pending deliveries: drawn as a basin where the lane begins


class _Frame(NamedTuple):
    """Where things stand. Labels beside the lanes (wide) or above them (narrow)."""

    width: float
    left: float
    right: float
    band_left: float
    band_right: float
    row: float
    above: bool


_WIDE = _Frame(1080, 232, 848, 500, 580, 52, False)
_NARROW = _Frame(358, 4, 354, 161, 197, 62, True)


def flow_map(
    sources: Sequence[FlowLane], destinations: Sequence[FlowLane], *, events: int, narrow: bool = False
) -> str:
    """The map as SVG. Order is kept; pass what `bounded` gave."""
    frame = _NARROW if narrow else _WIDE
    left, right = sources, destinations
    rows = max(len(left), len(right), 2)
    top, height = 40.0, 40 + rows * frame.row + 22
    most = max([1, *(max(lane.volume, lane.waiting) for lane in (*left, *right))])
    title = f"Flow: {plural(events, 'event')} in the log"
    words = "Sources on the left, destinations on the right, each with its figures; the table below says the same."
    out = [open_svg(frame.width, height, title, words, "narrow" if narrow else "wide-only")]
    out += _chart_frame(frame, height) if not narrow else []
    out += _side(frame, left, top, rows, most, coming=True)
    out += _side(frame, right, top, rows, most, coming=False)
    out += _band(frame, height, events)
    return "".join(out) + "</svg>"


def bounded(lanes: Sequence[FlowLane], what: str, href: str) -> list[FlowLane]:
    """At most 8 lanes of one side, the broken ones before the rest; the last stands for all that are left out."""
    if len(lanes) <= _MOST:
        return list(lanes)
    telling = sorted(lanes, key=lambda lane: (lane.gap == "", lane.tone != "fail", -lane.volume))
    shown, rest = telling[: _MOST - 1], telling[_MOST - 1 :]
    total, waiting = sum(lane.volume for lane in rest), sum(lane.waiting for lane in rest)
    words = plural(total, "event") + (f", {count(waiting)} waiting" if waiting else "")
    more = FlowLane(f"{len(rest)} more {what}", "push", total, words, href, waiting=waiting)
    return [*(lane for lane in lanes if lane in shown), more]


def _chart_frame(frame: _Frame, height: float) -> list[str]:
    """The graduated neat line of a sea chart, above and below."""
    return [
        f'<path class="neat" d="M0 .5H{num(frame.width)}M0 6.5H{num(frame.width)}"/>'
        f'<path class="grad" d="M0 3.5H{num(frame.width)}"/>'
        f'<path class="neat" d="M0 {num(height - 6.5)}H{num(frame.width)}M0 {num(height - 0.5)}H{num(frame.width)}"/>'
        f'<path class="grad" d="M20 {num(height - 3.5)}H{num(frame.width)}"/>'
    ]


def _band(frame: _Frame, height: float, events: int) -> list[str]:
    """The log: a well with depth lines, and what it holds."""
    a, b = frame.band_left, frame.band_right
    top, bottom = (30.0, height - 6) if frame.above else (38.0, height - 16)
    inset = 6 if frame.above else 10
    out = [f'<rect class="band" x="{num(a)}" y="{num(top)}" width="{num(b - a)}" height="{num(bottom - top)}" rx="3"/>']
    for i in range(1, 3):
        d = inset * i
        out.append(
            f'<rect class="deep" x="{num(a + d)}" y="{num(top + d)}" width="{num(b - a - 2 * d)}" '
            f'height="{num(bottom - top - 2 * d)}" rx="{6 - i}"/>'
        )
    middle = (a + b) / 2
    label = f"the log · {count(events)}" if frame.above else f"the log · {plural(events, 'event')}"
    out.append(text(middle, 28 if not frame.above else 20, label, "t1", "middle"))
    return out


def _side(frame: _Frame, lanes: Sequence[FlowLane], top: float, rows: int, most: int, *, coming: bool) -> list[str]:
    if not lanes:
        return [_nothing(frame, top, rows, coming=coming)]
    spread = rows * frame.row / len(lanes)
    widths = [_width(lane.volume, most) for lane in lanes]
    anchor = "start" if coming == frame.above else "end"
    out = [f'<g text-anchor="{anchor}">']
    for i, (lane, width) in enumerate(zip(lanes, widths, strict=True)):
        y = top + spread * (i + 0.5)
        basin = _width(lane.waiting, most)
        out.append(_lane(frame, lane, y, width, coming=coming, reach=min(spread, 64), basin=basin))
    out.append("</g>")
    return out


def _nothing(frame: _Frame, top: float, rows: int, *, coming: bool) -> str:
    words = "no source yet" if coming else "no destination yet"
    x = frame.left if coming else frame.right
    return text(x, top + rows * frame.row / 2, words, "t3", "start" if coming == frame.above else "end")


def _width(volume: int, most: int) -> float:
    """Linear, so that twice the volume is twice the width; nothing moved is 0, something is never invisible."""
    return 0.0 if volume <= 0 else max(_THINNEST, volume / most * _WIDEST)


def _lane(
    frame: _Frame, lane: FlowLane, y: float, width: float, *, coming: bool, reach: float, basin: float = 0.0
) -> str:
    x1, x2 = (frame.left, frame.band_left) if coming else (frame.band_right, frame.right)
    out = [f'<a href="{escape(lane.href)}">']
    box_x, box_w = (0.0, frame.band_left - 2) if coming else (frame.band_right + 2, frame.width - frame.band_right - 2)
    out.append(
        f'<path class="hit" d="M{num(box_x)} {num(y - reach / 2 + 1)}h{num(box_w)}v{num(reach - 2)}h-{num(box_w)}z"/>'
    )
    lane_y, most = (y + 14, 18.0) if frame.above else (y, _WIDEST)
    x1, x2 = x1 + (0 if coming else 3), x2 - (3 if coming else 0)
    if basin:
        length = 18 if frame.above else 42
        out.append(_basin(x1, lane_y, length, min(max(basin, 5), most)))
        x1 += length + 3
    out.append(_ribbon(x1, x2, lane_y, min(width, most), lane))
    tone = {"wait": "tw", "fail": "tf", "off": "to"}.get(lane.tone, "t3")
    if frame.above:
        x = frame.left if coming else frame.right
        out += [text(x, y - 16, _short(lane.name, 20)), text(x, y - 2, _short(lane.words, 26), tone)]
    else:
        x = frame.left - 14 if coming else frame.right + 14
        lines = _lines(lane.name)
        first = y - 2 - 7 * (len(lines) - 1)
        out += [text(x, first + 14 * i, line) for i, line in enumerate(lines)]
        out.append(text(x, first + 2 + 14 * len(lines), _short(lane.words, 34), tone))
    return "".join(out) + "</a>"


def _ribbon(x1: float, x2: float, y: float, width: float, lane: FlowLane) -> str:
    """The lane itself, with its head at the end the events go to."""
    if width == 0:
        return f'<path class="lane still" d="M{num(x1)} {num(y)}H{num(x2)}"/>' + _gap(x1, x2, y, lane, width)
    head = min(11 + width * 0.2, 16)
    half = width / 2
    end = x2 - head
    if lane.way == "push":
        wing = half + 4
        body = f'<path class="lane push" d="M{num(x1)} {num(y - half)}H{num(end)}V{num(y - wing)}L{num(x2)} {num(y)}'
        point = f'L{num(end)} {num(y + wing)}V{num(y + half)}H{num(x1)}z"/>'
    else:
        half = max(half, 1.75)
        body = f'<path class="lane pull" d="M{num(end)} {num(y - half)}H{num(x1)}V{num(y + half)}H{num(end)}"/>'
        wing = half + 4
        point = f'<path class="ho" d="M{num(end)} {num(y - wing)}L{num(x2 - 1)} {num(y)}L{num(end)} {num(y + wing)}"/>'
    return body + point + _gap(x1, x2, y, lane, width)


def _basin(x: float, y: float, length: float, width: float) -> str:
    """Pending deliveries as a basin before the lane, ruled so that it differs from a lane without color."""
    top = y - width / 2
    steps = len(range(6, int(length), 6))
    rules = f"M{num(x + 6)} {num(top)}" + f"m6-{num(width)}".join([f"v{num(width)}"] * steps)
    return f'<path class="pool" d="M{num(x)} {num(top)}h{num(length)}v{num(width)}h-{num(length)}z{rules}"/>'


def _gap(x1: float, x2: float, y: float, lane: FlowLane, width: float) -> str:
    """A gap in the lane with the sign that says why nothing passes."""
    if not lane.gap:
        return ""
    middle = (x1 + x2) / 2
    tall = width + 6
    hole = f'<rect x="{num(middle - 18)}" y="{num(y - tall / 2)}" width="36" height="{num(tall)}" class="hole"/>'
    return hole + glyph_at(lane.gap, middle, y)


def _lines(name: str) -> list[str]:
    """One line or two, broken behind a hyphen where there is one; of a name that is longer still, both ends."""
    if len(name) <= _LINE:
        return [name]
    at = max(name.rfind(sign, 0, _LINE) for sign in "-_") + 1
    at = at if at >= _LINE // 2 else _LINE
    rest = name[at:]
    return [name[:at], rest if len(rest) <= _LINE else "…" + rest[1 - _LINE :]]


def _short(words: str, most: int) -> str:
    """Cut in the middle, because names differ at both ends."""
    return words if len(words) <= most else f"{words[: most // 2]}…{words[most // 2 + 1 - most :]}"
