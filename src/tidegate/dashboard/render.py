"""From a dict to a page: the template environment and the headers every page carries.

Owns autoescape (on for everything), the filters of `words.py`, the strict Content-Security-Policy and the theme that
is remembered. Knows no store and no gateway; `now_us` is handed in. Markup enters a page from two places only, the
templates and the charts; a text of a payload is always text.
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

from tidegate.dashboard import formatting as words
from tidegate.dashboard.assets import Assets
from tidegate.dashboard.charts.marks import SIGNS, TONES

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
    ("compare", "/api-or-webhook", "API or webhook"),
)
_FOLDER = Path(__file__).parent / "templates"


def _seen(value: Any) -> Any:
    """What an expression of a template puts on the page: every foreign text passes here, our own markup does not."""
    return words.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


class Pages:
    """Renders templates. `now_us` gives the instant that relative times are counted from."""

    def __init__(self, assets: Assets, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._env = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_seen,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters.update(
            count=words.count,
            percent=words.percent,
            seconds=words.seconds,
            ms=words.milliseconds,
            size=words.size,
            cut=words.cut,
            sentence=words.sentence,
            advice=advice,
            utc=words.clock_text,
        )
        self._env.globals.update(
            asset=assets.url,
            plural=words.plural,
            way_of=words.way,
            SIGNS={name: Markup(glyph) for name, glyph in SIGNS.items()},  # noqa: S704 - our own constants
            TONES=TONES,
            NAVIGATION=NAVIGATION,
        )

    def text(self, template: str, **context: Any) -> str:
        """The page (or part of one) as text. `instant` and `since` are added, which count from now."""
        now_us = self._now_us()
        return self._env.get_template(template).render(
            instant=lambda at: words.instant(at, now_us),
            since=lambda at: words.since(at, now_us),
            **context,
        )

    def page(
        self, request: Request, template: str, *, status: int = 200, section: str = "", **context: Any
    ) -> HTMLResponse:
        """A whole page for one request. `section` is its entry in the navigation."""
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
    """What to do, as a line of a page: `key`, and a command at its end, as code. A command stays as it is typed."""
    out, at = Markup(""), 0
    shown = text if text.startswith("tidegate ") else words.sentence(text)
    if _CODE.search(text) and shown.endswith(".") and "tidegate " in text:
        shown = shown[:-1]  # a full stop would be typed with the command
    for found in _CODE.finditer(shown):
        out += shown[at : found.start()]
        out += Markup("<code>{}</code>").format(found[1] or found[2])
        at = found.end()
    return out + shown[at:]


# What an action answers after its redirect (`?done=WORD`): only these words, so that a link cannot put text on a page.
NOTICES = {
    "paused": ("ok", "Paused. Events keep waiting and nothing is lost."),
    "resumed": ("ok", "Resumed. What waited is sent from now on."),
    "test-ok": ("ok", "The test was sent and the destination answered with success."),
    "test-failed": ("bad", "The test was sent and did not succeed. Its answer is shown below."),
    "retried": ("ok", "The delivery is tried again now."),
    "canceled": ("ok", "The delivery is canceled and will not be tried again."),
    "replayed": ("ok", "The replay has started. Deliveries go out in the order of the log."),
}
