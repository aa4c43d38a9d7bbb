"""From a view model to a page: the template environment, and the headers that every page has.

Owns autoescape (on for everything), the filters of `formatting.py`, the strict Content-Security-Policy and the theme
cookie. Knows no store and no gateway; `now_us` is an argument. Markup enters a page from two places only, the templates
and the charts; the text of a payload stays text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from tidegate.core.unseen import visible_lines
from tidegate.dashboard import formatting
from tidegate.dashboard.assets import Assets
from tidegate.dashboard.charts.marks import GLYPHS, TONES

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
}
THEME_COOKIE = "tidegate_theme"
NAVIGATION = (
    ("overview", "/", "Overview"),
    ("events", "/events", "Events"),
    ("destinations", "/destinations", "Destinations"),
    ("sources", "/sources", "Sources"),
    ("alerts", "/alerts", "Alerts"),
    ("compare", "/api-or-webhook", "API or webhook"),
)


def navigation_keys() -> dict[str, str]:
    """The key of each page, after `g`: the first character of its label that no page before it has."""
    keys: dict[str, str] = {}
    for name, _, label in NAVIGATION:
        keys[name] = next(one for one in label.lower() if one.isalpha() and one not in keys.values())
    return keys


_FOLDER = Path(__file__).parent / "templates"


def _visible(value: Any) -> Any:
    """Called for each expression of a template: makes invisible characters of foreign text visible; markup passes."""
    return visible_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


class Templates:
    """Renders templates. `now_us` gives the instant that relative times are counted from."""

    def __init__(self, assets: Assets, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._env = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_visible,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters.update(
            count=formatting.count,
            percent=formatting.percent,
            seconds=formatting.seconds,
            ms=formatting.milliseconds,
            size=formatting.size,
            cut=formatting.cut,
            sentence=formatting.sentence,
            advice=advice,
            utc=formatting.clock_text,
        )
        self._env.globals.update(
            asset=assets.url,
            plural=formatting.plural,
            way_of=formatting.way,
            GLYPHS={name: Markup(glyph) for name, glyph in GLYPHS.items()},  # noqa: S704 - our own constants
            TONES=TONES,
            NAVIGATION=NAVIGATION,
            KEYS=navigation_keys(),
        )

    def text(self, template: str, **context: Any) -> str:
        """The page (or part of one) as text. `instant` and `since` are added, which count from now."""
        now_us = self._now_us()
        return self._env.get_template(template).render(
            instant=lambda at: formatting.instant(at, now_us),
            since=lambda at: formatting.since(at, now_us),
            **context,
        )

    def response(
        self, request: Request, template: str, *, status: int = 200, section: str = "", **context: Any
    ) -> HTMLResponse:
        """A whole page for one request. `section`: its entry in the navigation; `context`: what the template reads."""
        theme = request.cookies.get(THEME_COOKIE, "")
        body = self.text(
            template,
            section=section,
            status=status,
            theme=theme if theme in ("light", "dark") else "",
            path=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            csrf=getattr(request.state, "csrf", ""),
            signed_in=getattr(request.state, "signed_in", True),
            undo=context.pop("undo", None),
            notice=NOTICES.get(request.query_params.get("done", "")),
            **context,
        )
        return HTMLResponse(body, status, headers=SECURITY_HEADERS)


_CODE = re.compile(r"`([^`]+)`|(\btidegate [a-z].*)$")


def advice(text: str) -> Markup:
    """A remedy as HTML: `key` and a command at the end become code. A command gets no capital and no full stop."""
    out, at = Markup(""), 0
    shown = text if text.startswith("tidegate ") else formatting.sentence(text)
    if _CODE.search(text) and shown.endswith(".") and "tidegate " in text:
        shown = shown[:-1]  # a full stop would be typed with the command
    for found in _CODE.finditer(shown):
        out += shown[at : found.start()]
        out += Markup("<code>{}</code>").format(found[1] or found[2])
        at = found.end()
    return out + shown[at:]


# Shown after the redirect of an action (`?done=WORD`). Only these words count, so a link cannot put text on a page.
NOTICES = {
    "paused": ("ok", "Paused. Deliveries stay pending; nothing is lost."),
    "resumed": ("ok", "Resumed. Pending deliveries are being sent."),
    "test-ok": ("ok", "The test event was delivered."),
    "test-failed": ("bad", "The test event was not delivered. The response is shown below."),
    "retried": ("ok", "The delivery is being retried."),
    "canceled": ("ok", "The delivery was canceled."),
    "conflict-resolved": ("ok", "Decided. Its deliveries are sent again."),
    "advice-applied": ("ok", "Applied. Figures are measured again from now on; Undo is on the card."),
    "advice-undone": ("ok", "Undone. The settings are what they were before."),
    "advice-all-applied": ("ok", "All applied. Figures are measured again from now on; Undo is below."),
    "advice-all-undone": ("ok", "All undone. The settings are what they were before."),
    "advice-changed": ("bad", "The advice has changed since you read it. Nothing was applied."),
    "acknowledged": ("ok", "Acknowledged. It is not repeated until it ends."),
    "muted": ("ok", "Muted. Nothing is sent about it until the mute ends."),
    "unmuted": ("ok", "The mute ended."),
    "sent": ("ok", "Sent. The delivery is shown below."),
    "replay-canceled": ("ok", "The replay was canceled. What it had made pending is still delivered."),
    "replayed": ("ok", "The replay has started. Deliveries are sent in the order of the log."),
}
