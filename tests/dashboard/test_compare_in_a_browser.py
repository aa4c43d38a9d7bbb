"""The page "API or webhook?" in a real browser: both themes, phone and paper, and advice that is applied and undone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.browser import comparison
from support.browser.busy_gateway import in_background
from support.browser.chromium import SCREENSHOTS, chromium, no_wider_than_its_window, picture, watched
from support.gateway.api import Served, served
from tidegate.dashboard.pages import compare

SOURCE = {
    "webhook": {"verify": "none"},
    "api": {"base_url": "http://127.0.0.1:9"},
    "resources": {"orders": {"path": "/orders", "webhook": {"types": ["order/*"]}}},
}
SHEET = {"width": 740, "height": 1060}  # pixels of A4 between its margins
SMALL = """[...document.querySelectorAll("main *")].filter((one) => one.checkVisibility() &&
  [...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim()) &&
  parseFloat(getComputedStyle(one).fontSize) * one.currentCSSZoom < 9.9).map((one) => one.outerHTML.slice(0, 80))"""
CUT_OFF = """[...document.querySelectorAll("main .panel, main .panel *")].filter((one) => one.checkVisibility() &&
  !one.closest("svg") && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline")
  .map((one) => one.outerHTML.slice(0, 80))"""
WIDE = """[document.documentElement.scrollWidth, ...[...document.querySelectorAll('body *')].filter((one) =>
  one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 80))]"""


async def add_source(one: Served) -> None:
    answer = await one.api("PUT", "/api/v1/sources/shop", SOURCE)
    assert answer.status == 201, answer.body


async def reconciles(one: Served) -> Any:
    return (await one.api.get("/sources/shop"))["resources"]["orders"].get("reconcile")


def signed_in(context: Any, one: Served) -> Any:
    page = context.new_page()
    page.goto(f"{one.api.url}/login?token={one.context.sessions.new_link()}")
    page.click("button:has-text('Open the dashboard')")
    page.wait_for_url(one.api.url + "/")
    return page


def test_the_page_fits_every_width_and_paper_and_its_text_is_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = comparison.page(2)
    monkeypatch.setattr(compare, "view", lambda *_: full)
    complaints: list[str] = []
    with in_background(served(tmp_path, "")) as (one, _), chromium() as browser:
        for theme in ("light", "dark"):
            for width in (1280, 320):
                with watched(
                    browser, complaints, viewport={"width": width, "height": 900}, color_scheme=theme
                ) as context:
                    page = signed_in(context, one)
                    page.goto(one.api.url + "/api-or-webhook")
                    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
                    assert no_wider_than_its_window(page), (theme, width, page.evaluate(WIDE))
                    assert page.locator(".card:not(.all)").count() == len(full.cards if full else ())
                    picture(page, f"compare-{theme}-{width}")
    assert complaints == []


def test_it_prints_on_one_sheet_that_can_be_read_and_says_what_is_not_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadows = [comparison.shadow("crm/deals")]
    pages = {"plain": comparison.page(), "paged": comparison.page(2), "both": comparison.page(2, shadows=shadows)}
    complaints: list[str] = []
    with (
        in_background(served(tmp_path, "")) as (one, _),
        chromium() as browser,
        watched(browser, complaints, viewport=SHEET, color_scheme="dark") as context,
    ):
        page = signed_in(context, one)
        page.emulate_media(media="print")
        for name, full in pages.items():
            monkeypatch.setattr(compare, "view", lambda *_, full=full: full)
            page.goto(one.api.url + "/api-or-webhook")
            picture(page, f"compare-print-{name}")
            assert page.evaluate(SMALL) == []
            assert no_wider_than_its_window(page), page.evaluate(WIDE)
            assert page.evaluate(CUT_OFF) == []
            assert page.is_visible(".sheet") and "what-if, definitions" in page.inner_text(".sheet")
            assert ("other resources than 1 to 4 of 10" in page.inner_text(".sheet")) == (name != "plain")
            assert ("the last 24 hours" in page.inner_text(".sheet")) == (name == "both") != page.is_visible("#day")
            assert page.locator("button:visible").count() == 0
            paper = page.pdf(prefer_css_page_size=True, path=SCREENSHOTS / f"compare-print-{name}.pdf")
            assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    assert complaints == []


def test_advice_is_applied_and_undone_with_a_button_and_without_scripts(tmp_path: Path) -> None:
    complaints: list[str] = []
    with in_background(served(tmp_path, "")) as (one, side), chromium() as browser:
        side.run(add_source(one))
        with watched(browser, complaints, java_script_enabled=False) as context:
            page = signed_in(context, one)
            page.goto(one.api.url + "/api-or-webhook")
            assert "Not enough data yet" in page.inner_text(".card")
            page.click("text=Apply")
            assert "Applied." in page.inner_text("[data-toast]")
            assert side.run(reconciles(one)) == "6h"
            page.click(".card >> text=Undo")
            assert "Undone." in page.inner_text("[data-toast]")
            assert side.run(reconciles(one)) is None
    assert complaints == []


def test_the_page_shows_new_figures_once_a_minute_and_leaves_what_a_person_opened(tmp_path: Path) -> None:
    complaints: list[str] = []
    asked: list[str] = []
    with in_background(served(tmp_path, "")) as (one, side), chromium() as browser:
        side.run(add_source(one))
        with watched(browser, complaints) as context:
            page = signed_in(context, one)
            page.clock.install()
            page.goto(one.api.url + "/api-or-webhook")
            page.evaluate("document.querySelector('main').dataset.old = '1'")
            page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<details open></details>')")
            page.on("request", lambda request: asked.append(request.url))
            page.clock.fast_forward(61_000)
            page.evaluate("document.querySelector('main > details').open = false")
            page.clock.fast_forward(61_000)
            page.wait_for_selector("main:not([data-old])")
            assert asked == [one.api.url + "/api-or-webhook"], "only when nothing was open"
    assert complaints == []


def test_what_if_changes_with_the_slider_and_the_price_and_stays_in_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[str] = []
    monkeypatch.setattr(compare, "view", lambda *args: comparison.page(chosen=args[4]))
    with (
        in_background(served(tmp_path, "")) as (one, _),
        chromium() as browser,
        watched(browser, complaints) as context,
    ):
        page = signed_in(context, one)
        page.goto(one.api.url + "/api-or-webhook?curve=accounting/customers")
        assert page.inner_text(".ask output b") == "96 requests per day"
        assert page.locator(".what tr.on").inner_text().startswith("15 min")
        page.fill("input[name=price]", "0.5")
        assert (
            "cost 48.00" in page.inner_text(".ask output") and page.inner_text(".what tr.on td:last-child") == "48.00"
        )
        page.focus(".ask input[type=range]")
        page.keyboard.press("ArrowRight")
        assert page.inner_text(".ask output b") == "24 requests per day"
        assert "cost 12.00" in page.inner_text(".ask output")
        assert page.locator(".what tr.on").count() == page.locator(".curve .on").count() == 1
        page.fill("input[name=price]", "free")
        assert page.get_attribute("input[name=price]", "aria-invalid") == "true"
        page.fill("input[name=price]", "0")
        assert "cost 0.00" in page.inner_text(".ask output") and "late=w-3600" in page.url and "price=0" in page.url
        page.locator("section[aria-labelledby=trade]").screenshot(path=SCREENSHOTS / "compare-what-if.png")
        page.reload()
        assert page.inner_text(".ask output b") == "24 requests per day"
        assert "cost 0.00" in page.inner_text(".ask output")
    assert complaints == []


def test_what_if_works_without_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[str] = []
    monkeypatch.setattr(compare, "view", lambda *args: comparison.page(chosen=args[4]))
    with (
        in_background(served(tmp_path, "")) as (one, _),
        chromium() as browser,
        watched(browser, complaints, java_script_enabled=False, viewport={"width": 320, "height": 800}) as context,
    ):
        page = signed_in(context, one)
        page.goto(one.api.url + "/api-or-webhook")
        page.select_option("select[name=curve]", "accounting/customers")
        page.select_option("select[name=late]", label="1 h")
        page.fill("input[name=price]", "0.5")
        page.click(".ask button")
        assert page.inner_text(".ask output b") == "24 requests per day"
        assert "cost 12.00" in page.inner_text(".ask output") and page.input_value("input[name=price]") == "0.5"
        page.locator("section[aria-labelledby=trade]").screenshot(path=SCREENSHOTS / "compare-what-if-320.png")
        page.fill("input[name=price]", "2 EUR")
        page.click(".ask button")
        assert "'2 EUR' is not a price (example: 0.002)" in page.inner_text(".ask")
        assert "cost 0.05" in page.inner_text(".ask output"), "the price of the configuration"
    assert complaints == []
