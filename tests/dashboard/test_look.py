"""The look, computed: contrast of all tokens in both themes, weight of every page, headings in order."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from starlette.requests import Request

from support.browser import sample_pages
from support.browser.page_weight import MOST_BYTES, named, weight
from tidegate.cli import COMMANDS
from tidegate.dashboard.assets import Assets
from tidegate.dashboard.render import _FOLDER as FOLDER
from tidegate.dashboard.render import Templates

ASSETS = Assets()
CSS = ASSETS._files["tide.css"].decode()
ALL_CSS = "".join(body.decode() for name, body in ASSETS._files.items() if name.endswith(".css"))
PAGES = sample_pages.pages()
TEXTS = ("ink", "ink2", "ink3", "pull", "push", "ok", "wait", "fail", "off")
SURFACES = ("bg", "surface", "sunken")
TINTED = ("pull", "push", "ok", "wait", "fail", "off")


def tokens(css: str, theme: str) -> dict[str, str]:
    """Name -> #RRGGBB of one theme, as the style sheet says."""
    found = re.findall(r"--([a-z0-9-]+):light-dark\((#[0-9A-Fa-f]{6}),(#[0-9A-Fa-f]{6})\)", css)
    return {name: light if theme == "light" else dark for name, light, dark in found}


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_says() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_is_readable_on_every_surface_it_stands_on(theme: str) -> None:
    known = tokens(CSS, theme)
    pairs = [(text, surface) for text in TEXTS for surface in SURFACES]
    pairs += [(tone, f"{tone}-tint") for tone in TINTED] + [("ink", f"{tone}-tint") for tone in ("fail", "ok", "wait")]
    pairs += [("bg", "ink")]  # the primary button
    short = {pair: round(found, 2) for pair in pairs if (found := contrast(known[pair[0]], known[pair[1]])) < 4.5}
    assert short == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_borders_of_controls_and_the_focus_ring_are_seen(theme: str) -> None:
    known = tokens(CSS, theme)
    for surface in SURFACES:
        assert contrast(known["ink"], known[surface]) >= 3
    for surface in ("bg", "surface"):
        assert contrast(known["edge"], known[surface]) >= 3


def test_the_style_sheet_uses_no_color_but_its_tokens() -> None:
    rules = CSS.partition("--sans:")[2].partition("@media print")[0]
    assert re.findall(r"#[0-9A-Fa-f]{3,8}\b", rules) == []
    assert re.findall(r"\b(?:url|@import|expression)\b", CSS) == []


def test_motion_ends_where_it_is_not_wanted() -> None:
    assert "@media (prefers-reduced-motion:reduce){*{animation:none!important;transition:none!important}}" in CSS
    seconds = re.findall(r"(?:animation|transition):[^;}]*?([\d.]+)s", ALL_CSS)
    assert seconds and all(float(found) <= 0.2 for found in seconds)


def page(name: str, **cookies: str) -> str:
    template, section, context = PAGES[name]
    cookie = "; ".join(f"{key}={value}" for key, value in cookies.items()).encode()
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"cookie", cookie)]}
    templates = Templates(ASSETS, lambda: sample_pages.NOW)
    return templates.response(Request(scope), template, section=section, **context).body.decode()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_with_its_style_and_scripts_is_under_60_kb(name: str) -> None:
    body = page(name).encode()
    assert {"tide.css", "app.js"} <= named(body)
    assert weight(body) < MOST_BYTES, {one: ASSETS.size(one) for one in named(body)}


class Outline(HTMLParser):
    """Headings, landmarks and names of controls of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.labelled: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in found:
            self.ids.append(str(found["id"]))
        if "aria-labelledby" in found:
            self.labelled.append(str(found["aria-labelledby"]))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_headings_and_landmarks_stand_in_order(name: str) -> None:
    outline = Outline(page(name))
    assert outline.headings.count(1) == 1
    headings = [level for level in outline.headings if level]
    first = headings.index(1)
    assert first == 0
    for before, after in pairwise(headings):
        assert after <= before + 1, headings
    assert outline.tags.count("main") == 1
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.labelled) <= set(outline.ids)


def test_the_theme_that_was_chosen_stands_in_the_page_so_that_nothing_flashes() -> None:
    assert '<html lang="en" data-theme="dark">' in page("overview", tidegate_theme="dark")
    assert '<html lang="en">' in page("overview")
    assert '<html lang="en">' in page("overview", tidegate_theme='x" onload="')


@pytest.mark.parametrize("template", sorted(path.name for path in FOLDER.glob("*.html")))
def test_a_command_that_a_page_names_is_one_of_the_command_line(template: str) -> None:
    named = re.findall(r"tidegate ([a-z]+)((?: [^\s\"<{]+)*)", (FOLDER / template).read_text())
    for command, rest in named:
        assert command in COMMANDS, (template, command)
        assert command != "add" or (rest.split()[0] in ("source", "destination", "route") and "--" not in rest), rest
