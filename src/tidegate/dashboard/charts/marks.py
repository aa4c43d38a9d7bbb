"""The small marks: state icons, and the helper for numbers that all charts share.

Knows no page. A sign is drawn in a box of 12 x 12 in `currentColor`; the class of its parent gives the color, and
the shape alone already tells the state.
"""

from __future__ import annotations

from html import escape

from tidegate.core.unseen import visible_lines

# The shape of each state icon. "f" is filled, "cut" takes the color of the surface.
GLYPHS = {
    "delivered": '<circle class="f" cx="6" cy="6" r="5.5"/>',
    "sending": '<circle cx="6" cy="6" r="4.75"/><path class="f" d="M6 1.5a4.5 4.5 0 0 1 0 9z"/>',
    "pending": '<circle cx="6" cy="6" r="4.75"/>',
    "retry": '<circle cx="6" cy="6" r="4.75"/><path class="f" d="M6 6V1.2A4.8 4.8 0 0 1 10.8 6z"/>',
    "exhausted": '<circle class="f" cx="6" cy="6" r="5.75"/><path class="cut" d="M4 4l4 4M8 4l-4 4"/>',
    "canceled": '<circle cx="6" cy="6" r="4.75"/><path d="M3.4 6h5.2"/>',
    "paused": '<circle cx="6" cy="6" r="4.75"/><path d="M6 3.4v5.2"/>',
    "filtered": '<circle class="f" cx="6" cy="6" r="2"/>',
}
TONES = {
    "delivered": "ok",
    "sending": "wait",
    "pending": "wait",
    "retry": "wait",
    "exhausted": "fail",
    "canceled": "off",
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
    return f'<text x="{num(x)}" y="{num(y)}"{classes}{where}>{escape(visible_lines(words))}</text>'


def glyph_at(state: str, x: float, y: float) -> str:
    """The icon of a state with its center at (x, y). Its shape is the symbol `s-STATE`, which each page has once."""
    tone, glyph = TONES.get(state, "off"), state if state in GLYPHS else "pending"
    return f'<use class="gs {tone}" href="#s-{glyph}" x="{num(x - 6)}" y="{num(y - 6)}" width="12" height="12"/>'


def open_svg(width: float, height: float, title: str, description: str, cls: str = "", *, fit: bool = False) -> str:
    """The head of a chart. Title and description are read to those who cannot see it. `fit`: never drawn larger."""
    title, natural = escape(visible_lines(title)), f' width="{num(width)}" height="{num(height)}"' if fit else ""
    return (
        f'<svg class="chart {escape(cls)}" viewBox="0 0 {num(width)} {num(height)}"{natural} role="group">'
        f"<title>{title}</title><desc>{escape(visible_lines(description))}</desc>"
    )
