"""The small marks: state signs, sparkline and bars, and the numbers helper that all charts share.

Knows no page. A sign is drawn in a box of 12 x 12 in `currentColor`; the class of its parent gives the colour, and
the shape alone already tells the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tidegate.dashboard.words import count

# The glyph of each state sign (look: State sign). "f" is filled, "cut" takes the colour of the surface.
SIGNS = {
    "delivered": '<circle class="f" cx="6" cy="6" r="5.5"/>',
    "sending": '<circle cx="6" cy="6" r="4.75"/><path class="f" d="M6 1.5a4.5 4.5 0 0 1 0 9z"/>',
    "pending": '<circle cx="6" cy="6" r="4.75"/>',
    "retry": '<circle cx="6" cy="6" r="4.75"/><path class="f" d="M6 6V1.2A4.8 4.8 0 0 1 10.8 6z"/>',
    "exhausted": '<circle class="f" cx="6" cy="6" r="5.75"/><path class="cut" d="M4 4l4 4M8 4l-4 4"/>',
    "cancelled": '<circle cx="6" cy="6" r="4.75"/><path d="M3.4 6h5.2"/>',
    "paused": '<circle cx="6" cy="6" r="4.75"/><path d="M6 3.4v5.2"/>',
    "filtered": '<circle class="f" cx="6" cy="6" r="2"/>',
}
TONES = {
    "delivered": "ok",
    "sending": "wait",
    "pending": "wait",
    "retry": "wait",
    "exhausted": "fail",
    "cancelled": "off",
    "paused": "off",
    "filtered": "off",
}


def num(value: float) -> str:
    """A coordinate, short: one decimal, no trailing zero."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, words: str, cls: str = "", anchor: str = "") -> str:
    """An escaped `<text>`."""
    classes = f' class="{cls}"' if cls else ""
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{num(x)}" y="{num(y)}"{classes}{where}>{escape(words)}</text>'


def sign_at(state: str, x: float, y: float) -> str:
    """A state sign with its centre at (x, y)."""
    tone = TONES.get(state, "off")
    glyph = SIGNS.get(state, SIGNS["pending"])
    return f'<g class="gs {tone}" transform="translate({num(x - 6)} {num(y - 6)})">{glyph}</g>'


def open_svg(width: float, height: float, title: str, description: str, cls: str = "") -> str:
    """The head of a chart. Title and description are read to those who cannot see it."""
    return (
        f'<svg class="chart {escape(cls)}" viewBox="0 0 {num(width)} {num(height)}" role="group" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title><desc>{escape(description)}</desc>'
    )


def sparkline(values: Sequence[float], title: str, *, width: int = 120, height: int = 28) -> str:
    """A line from zero, oldest first, with its last value as a dot. "" for fewer than two values."""
    if len(values) < 2:
        return ""
    top = max(*values, 1)
    step = (width - 6) / (len(values) - 1)
    points = [(3 + i * step, height - 3 - (max(v, 0) / top) * (height - 6)) for i, v in enumerate(values)]
    line = " ".join(f"{num(x)},{num(y)}" for x, y in points)
    x, y = points[-1]
    words = f"from {count(values[0])} to {count(values[-1])}, at most {count(top)}"
    return (
        open_svg(width, height, title, words)
        + f'<path class="ax" d="M0 {height - 2.5}H{width}"/><polyline class="sp" points="{line}"/>'
        + f'<circle cx="{num(x)}" cy="{num(y)}" r="2.5" fill="currentColor"/></svg>'
    )


def bars(rows: Sequence[tuple[str, str, float, str]], title: str, *, width: int = 480, top: float | None = None) -> str:
    """Horizontal bars from zero. A row: (label, way, value, the value in words); `top` shares an axis among charts."""
    label_width, value_width, height = 56, 96, 22 * len(rows) + 4
    room = width - label_width - value_width
    most = max([row[2] for row in rows], default=0)
    most = max(most, top or 0) or 1
    out = [open_svg(width, height, title, "; ".join(f"{row[0]} {row[3]}" for row in rows))]
    out.append(f'<path class="tick" d="M{label_width} 0V{height}"/>')
    for i, (label, way, value, words) in enumerate(rows):
        y = 4 + 22 * i
        length = max(0.0, value) / most * room
        out.append(text(label_width - 8, y + 11, label, anchor="end"))
        if value > 0:
            cls = "bp" if way == "push" else "bl"
            out.append(f'<rect class="{cls}" x="{label_width}" y="{y}" width="{num(max(length, 1.5))}" height="14"/>')
        out.append(text(label_width + length + 8, y + 11, words))
    return "".join(out) + "</svg>"
