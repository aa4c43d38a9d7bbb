"""Every page in a real browser on a busy gateway: quiet, in its width, with keys, themes, live, without scripts.

What a person does is done by clicks, and checked by what arrives at real receivers.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from support.browser.busy_gateway import BackgroundLoop, BusyGateway, busy_gateway, fill, in_background
from support.browser.chromium import PICTURES, chromium, no_wider_than_its_window, picture, watched
from support.gateway.api import Served, served
from support.receiver.scripted import OK, answer

WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
ROOMS = ("/", "/events", "/destinations", "/sources", "/api-or-webhook", "/alerts")


Busy = tuple[Browser, BusyGateway, BackgroundLoop, dict[str, str]]
PICTURED = ("/", "/events", "/destinations", "/sources", "/api-or-webhook", "/alerts", "/destinations/warehouse")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    """A browser, and a busy gateway in a thread for all tests that leave it as it was."""
    with chromium() as browser, in_background(busy_gateway(tmp_path_factory.mktemp("busy"))) as (one, side):
        yield browser, one, side, side.run(fill(one))


def sign_in(context: BrowserContext, one: BusyGateway, to: str = "/") -> Page:
    page = context.new_page()
    page.goto(one.login())
    page.click("button:has-text('Open the dashboard')")
    page.wait_for_url(one.url + "/")
    if to != "/":
        page.goto(one.url + to)
    return page


def soon(what: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"not in {seconds} s"
        time.sleep(0.05)
    return found


def addresses(ids: dict[str, str], names: Iterator[str]) -> list[str]:
    events = [f"/events/{one}" for one in ids.values()]
    looks = [f"/events/{ids['charge']}?view={view}" for view in ("raw", "headers")]
    return [*ROOMS, "/events?q=nothing-like-it", *events, *looks, *(f"/destinations/{name}" for name in names)]


def test_every_page_is_quiet_fits_and_has_its_landmarks_in_both_themes_and_widths(shared: Busy) -> None:
    complaints: list[str] = []
    browser, one, side, ids = shared
    changed = side.run(one.gate.api.get("/events?type=customers.updated"))["data"][0]["id"]
    ids = {**ids, "change": changed}
    for theme, viewport in (("light", WIDE), ("dark", PHONE)):
        with watched(browser, complaints, viewport=viewport, color_scheme=theme) as context:
            page = sign_in(context, one)
            for path in addresses(ids, iter(one.receivers)):
                page.goto(one.url + path)
                page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
                assert no_wider_than_its_window(page), (path, viewport)
                assert page.locator("main").count() == 1 and page.locator("h1").count() == 1, path
                assert page.locator("nav[aria-label] a").count() == 6, path
                if PICTURES and (path in PICTURED or path.endswith(ids["charge"])):
                    name = re.sub(r"\W+", "-", path.replace(ids["charge"], "one")).strip("-") or "overview"
                    page.reload()
                    picture(page, f"dashboard-{name}-{theme}-{viewport['width']}")
                levels = page.eval_on_selector_all("h1,h2,h3,h4", "all => all.map(h => +h.tagName[1])")
                assert all(b <= a + 1 for a, b in pairwise(levels)), (path, levels)
            page.goto(one.url + f"/events/{ids['change']}")
            assert page.locator(".diff .add").count() >= 2 and page.locator(".diff .rem").count() >= 1
    assert complaints == []


def test_a_phone_shows_the_current_page_in_the_navigation(shared: Busy) -> None:
    with watched(shared[0], [], viewport=PHONE) as context:
        page = sign_in(context, shared[1], "/api-or-webhook")
        page.wait_for_load_state("load")
        box = page.locator(".bar nav [aria-current]").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]


USUAL = """rows => rows.map(row => {
  const type = row.querySelector("a.open");
  [type.textContent, row.children[2].textContent] = ["customers.updated", "resource:payments/charges"];
  [row.children[1].lastChild.textContent, row.children[4].textContent] = ["inbox-polled", "updated charges"];
  return type;
}).map(type => type.getClientRects().length)"""


def test_types_of_events_stay_in_one_line_beside_the_rejected_requests(shared: Busy) -> None:
    with watched(shared[0], [], viewport=WIDE) as context:
        page = sign_in(context, shared[1])
        assert page.eval_on_selector_all(".ev tr[data-row]", USUAL) == [1] * 8


LONG = "-".join(("warehouse", "management", "of", "the", "northern", "region", "and", "its", "seaport"))


def long_names(server: str) -> str:
    """The longest names that are allowed, 63 characters, at every place of the configuration."""
    names = [f"{LONG}-{part}"[:63] for part in ("door", "receiver", "rule", "webhooks")]
    return f"""
[sources.{names[0]}.publish]
[sources.{names[3]}.webhook]
verify = "github"
secret = "a secret"
[destinations.{names[1]}]
url = "{server}/hooks"
retry = ["1h"]
[routes.{names[2]}]
from = "*"
to = "{names[1]}"
"""


async def tell_at_length(one: Served) -> str:
    """An event with a long type and a long key that was delivered to nobody, and a rejected request."""
    source, signed = sorted(one.gateway.active.sources)
    event = {"source": source, "type": ".".join(["department"] * 8), "key": "customer" * 20, "data": {}}
    found = await one.api.post("/events", event)
    await one.api.with_key(None)("POST", f"/in/{signed}", b"{}")
    return str(found["id"])


SIDEWAYS = """[...document.querySelectorAll('.scroll, .panel')].filter(
  (one) => one.offsetParent && one.scrollWidth > one.clientWidth + 1).map((one) => one.innerText.slice(0, 60))"""


def test_long_names_wrap_and_no_table_hides_its_columns_at_the_side(shared: Busy, tmp_path: Path) -> None:
    complaints: list[str] = []
    with in_background(served(tmp_path, long_names("http://127.0.0.1:9"))) as (one, side):
        event = side.run(tell_at_length(one))
        url, (name,) = one.api.url, list(one.gateway.active.destinations)
        for viewport in (WIDE, PHONE):
            with watched(shared[0], complaints, viewport=viewport) as context:
                page = context.new_page()
                page.goto(f"{url}/login?token={one.context.sessions.new_link()}")
                page.click("button:has-text('Open the dashboard')")
                page.wait_for_url(url + "/")
                page.get_by_text("signature missing").wait_for()
                for path in (*ROOMS, f"/destinations/{name}", f"/events/{event}"):
                    page.goto(url + path)
                    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
                    assert no_wider_than_its_window(page), (path, viewport)
                    assert page.evaluate(SIDEWAYS) == [], (path, viewport)
                    tallest = page.evaluate(
                        "Math.max(0, ...[...document.querySelectorAll('tr')].map(r => r.offsetHeight))"
                    )
                    assert tallest < 400, (path, viewport, "a column has room for more than a letter")
                page.goto(url + "/")
                _names_stay_inside_the_map(page)
    assert complaints == []


def _names_stay_inside_the_map(page: Page) -> None:
    maps = page.locator("svg.chart:visible")
    assert maps.count() == 1, "drawn twice, for a wide window and for a phone, and shown once"
    outside = page.evaluate("""[...document.querySelectorAll('svg.chart')].filter((map) => map.getClientRects().length)
      .flatMap((map) => { const { left, right } = map.getBoundingClientRect();
        return [...map.querySelectorAll('text')].filter((one) => { const box = one.getBoundingClientRect();
          return box.left < left - 1 || box.right > right + 1; }).map((one) => one.textContent); })""")
    assert outside == []


def test_what_a_person_does_reaches_the_receivers_and_is_shown(shared: Busy, tmp_path: Path) -> None:
    complaints: list[str] = []
    with in_background(busy_gateway(tmp_path)) as (one, side), watched(shared[0], complaints, viewport=WIDE) as context:
        ids = side.run(fill(one))
        page = sign_in(context, one)
        _pauses_and_resumes(page, one)
        _tests(page, one)
        _replays_dead_letters(page, one)
        _retries_cancels_and_replays_one_event(page, one, ids)
        page.click("text=Sign out")
        page.wait_for_url(one.url + "/login")
        page.goto(one.url + "/events")
        assert "/login" in page.url
    assert complaints == []


def _pauses_and_resumes(page: Page, one: BusyGateway) -> None:
    """The backlog of a paused destination goes out; the toast takes it back."""
    page.goto(one.url + "/destinations/ledger")
    waiting = int(page.inner_text(".tile:first-child dd:not(.s)"))
    assert waiting > 3 and one.receivers["ledger"].requests == []
    page.click("main >> text=Resume")
    assert "Resumed" in page.inner_text("[data-toast]") and "done=" not in page.url
    soon(lambda: len(one.receivers["ledger"].requests) == waiting)
    soon(lambda: page.inner_text(".tile:first-child dd:not(.s)") == "0")  # live, without a reload
    page.click("[data-toast] >> text=Pause ledger again")
    assert "Paused" in page.inner_text("[data-toast]")
    assert page.locator("main .meta .sign").inner_text() == "paused"
    page.goto(one.url + "/destinations")
    page.click("[aria-label='Resume ledger']")
    assert page.url.startswith(one.url + "/destinations") and "Resumed" in page.inner_text("[data-toast]")
    assert page.locator("[aria-label='Pause ledger']").count() == 1


def _tests(page: Page, one: BusyGateway) -> None:
    before = len(one.receivers["crm"].requests)
    page.goto(one.url + "/destinations/crm")
    page.click("text=Send test")
    assert "was delivered" in page.inner_text("[data-toast]")
    assert (
        len(one.receivers["crm"].requests) == before + 1
        and "webhook-signature" in one.receivers["crm"].requests[-1].headers
    )
    page.goto(one.url + "/destinations/newsletter")
    page.click("text=Send test")
    assert "Failed" in page.inner_text("[data-toast]")
    shown = page.inner_text("section:has(#test)")
    assert "422" in shown and "unknown customer 7" in shown


def _replays_dead_letters(page: Page, one: BusyGateway) -> None:
    page.goto(one.url + "/destinations/newsletter")
    one.receivers["newsletter"].script = answer(OK)
    before = len(one.receivers["newsletter"].requests)
    page.keyboard.press("r")  # opens the preview, with the focus on its button
    assert page.evaluate("document.activeElement.textContent") == "Replay 2\u202fdeliveries to newsletter"
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-toast]")
    soon(lambda: len(one.receivers["newsletter"].requests) == before + 2)
    soon(lambda: "None." in page.inner_text("section:has(#dead)"))
    assert {r.headers["tidegate-attempt"] for r in one.receivers["newsletter"].requests[before:]} == {"4"}


def _retries_cancels_and_replays_one_event(page: Page, one: BusyGateway, ids: dict[str, str]) -> None:
    page.goto(f"{one.url}/events/{ids['charge']}")
    mail = page.locator("section.dlv", has=page.locator("a[href='/destinations/mail']"))
    assert mail.locator("svg.chart").count() == 1 and "retrying" in mail.inner_text()
    one.receivers["mail"].script = answer(OK)
    mail.locator("text=Retry now").click()
    assert "being retried" in page.inner_text("[data-toast]")
    sent = [r for r in soon(lambda: one.receivers["mail"].requests) if r.headers["webhook-id"] == ids["charge"]]
    soon(lambda: any(r.headers["tidegate-attempt"] == "2" for r in one.receivers["mail"].requests), 20)
    assert {r.headers["webhook-id"] for r in sent} == {ids["charge"]}
    soon(lambda: "Delivered after 2" in mail.inner_text())
    page.goto(f"{one.url}/events/{ids['deal']}")
    page.goto(f"{one.url}/destinations/tax-office")
    page.click("[data-list] a.open")
    tax = page.locator("section.dlv", has=page.locator("a[href='/destinations/tax-office']"))
    tax.locator("text=Cancel").click()
    assert "canceled" in tax.inner_text() and "canceled" in page.inner_text("[data-toast]")
    before = len(one.receivers["crm"].requests)
    page.goto(f"{one.url}/events/{ids['charge']}")
    page.click("summary:has-text('Replay')")
    button = page.locator(".confirm button")
    # Of four, one waits already at the warehouse that is down: only those that ended are sent again.
    assert button.inner_text() == "Replay 3\u202fdeliveries of this event"
    button.click()
    assert "replay has started" in page.inner_text("[data-toast]")
    again = soon(lambda: one.receivers["crm"].requests[before:])
    assert again[0].headers["webhook-id"] == ids["charge"]


def _request_lines(page: Page) -> list[str]:
    return page.inner_text("#request pre").splitlines()


def test_a_request_is_shown_as_sent_and_copied_as_a_command(shared: Busy) -> None:
    complaints: list[str] = []
    browser, one, _, ids = shared
    with watched(browser, complaints, viewport=WIDE, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = sign_in(context, one, f"/events/{ids['charge']}")
        crm = page.locator("section.dlv", has=page.locator("a[href='/destinations/crm']"))
        got = next(r for r in one.receivers["crm"].requests if r.headers["webhook-id"] == ids["charge"])
        assert page.locator("details.try pre.raw").first.text_content().startswith("POST http")
        crm.locator("a[href^='/deliveries/']").first.click()
        lines = _request_lines(page)
        sent = got.head.decode().split("\r\n")[1:-2]
        hidden = ("host:", "content-length:")
        assert [line for line in sent if not line.lower().startswith(hidden)] == lines[1 : lines.index("")]
        picture(page, "dashboard-delivery-light-1280")
        for name, start in (("curl", "curl -i -X POST"), ("Python", "import urllib.request"), ("HTTPie", "printf %s")):
            page.click(f"#request .tabs >> text={name}")
            page.click("#request >> text=Copy")
            page.wait_for_selector(".toast:has-text('Copied')")
            copied = page.evaluate("navigator.clipboard.readText()")
            assert copied.startswith(start) and got.headers["webhook-signature"] in copied, copied
    assert complaints == []


@pytest.mark.parametrize("scripts", [True, False])
def test_an_event_is_edited_reviewed_and_sent_to_a_destination_that_no_route_names(shared: Busy, scripts: bool) -> None:
    complaints: list[str] = []
    browser, one, _, ids = shared
    with watched(browser, complaints, viewport=PHONE, java_script_enabled=scripts) as context:
        page = sign_in(context, one, f"/events/{ids['charge']}")
        page.click("text=Edit and send")
        assert no_wider_than_its_window(page)
        before = len(one.receivers["newsletter"].requests)
        page.fill("[name=destination]", "newsletter")
        assert '"amount"' in page.input_value("[name=body]")
        page.fill("[name=body]", f'{{"edited": "changed-{scripts}"}}')
        page.fill("[name=headers]", "x-note: by hand")
        page.click("text=Continue")
        picture(page, f"dashboard-review-{scripts}")
        assert "Send 1 delivery to newsletter?" in page.inner_text("h1")
        assert "changed-" in page.inner_text(".diff .add")
        assert len(one.receivers["newsletter"].requests) == before, "nothing goes out before the question is answered"
        page.click("text=Send 1 delivery to newsletter >> nth=-1")
        assert "Sent" in page.inner_text("[data-toast]") and ids["charge"] not in page.url
        got = soon(lambda: one.receivers["newsletter"].requests[before:])[0]
        assert f"changed-{scripts}".encode() in got.body and got.headers["webhook-id"] != ids["charge"]
    assert complaints == []


def test_a_replay_is_counted_then_asked_and_can_be_canceled(shared: Busy, tmp_path: Path) -> None:
    complaints: list[str] = []
    with in_background(busy_gateway(tmp_path)) as (one, side), watched(shared[0], complaints, viewport=WIDE) as context:
        side.run(fill(one))
        one.receivers["newsletter"].script = answer(OK)
        before = len(one.receivers["newsletter"].requests)
        page = sign_in(context, one, "/replays")
        page.select_option("[name=destination]", "newsletter")
        page.select_option("[name=state]", "exhausted")
        page.click("button:has-text('Count')")
        assert "Replay 2\u202fdeliveries?" in page.inner_text("form.note")
        picture(page, "dashboard-replays-light-1280")
        assert len(one.receivers["newsletter"].requests) == before
        page.click("form.note button")
        soon(lambda: len(one.receivers["newsletter"].requests) == before + 2)
        soon(lambda: "finished" in page.inner_text("section:has(#jobs) tbody tr"))
        assert "exhausted deliveries to newsletter" in page.inner_text("section:has(#jobs) tbody tr th")
        job = side.run(_a_job_that_waits(one))
        page.reload()
        page.click("section:has(#jobs) >> text=Cancel")
        assert "was canceled" in page.inner_text("[data-toast]")
        assert side.run(one.gate.api.get(f"/replays/{job}"))["cause"] == "canceled"
    assert complaints == []


async def _a_job_that_waits(one: BusyGateway) -> str:
    """A replay that does not end by itself, because its step never returns."""
    replays = one.gate.gateway.deliver.replays

    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(3600)

    replays._step = never  # type: ignore[method-assign]
    return str((await one.gate.api.post("/replays", {"destination": "crm"}))["id"])


def test_what_happens_is_seen_without_a_reload(shared: Busy) -> None:
    complaints: list[str] = []
    browser, one, side, _ = shared
    with watched(browser, complaints, viewport=WIDE) as context:
        page = sign_in(context, one, "/events")
        page.wait_for_selector("[data-live=on]")
        page.evaluate("window.stays = 1")
        made = side.run(one.publish("crm-app", "brand.new", {"a": 1}, key="fresh"))
        page.wait_for_selector(f"tbody tr:first-child a[href='/events/{made}']")
        assert page.locator(f"a[href='/events/{made}']").count() == 1
        over = sign_in_again(context, one)
        over.wait_for_selector("[data-live=on]")
        over.evaluate("window.stays = 1")
        over.click("details.twin summary")
        before = over.inner_text(".tiles .tile:first-child dd:not(.s)")
        side.run(one.publish("crm-app", "brand.new", {"a": 2}))
        over.keyboard.press("Escape")
        over.evaluate("document.activeElement.blur()")
        soon(lambda: over.inner_text(".tiles .tile:first-child dd:not(.s)") != before)
        assert over.evaluate("window.stays") == 1 and page.evaluate("window.stays") == 1
        assert over.evaluate("document.querySelector('details.twin').open"), "what was opened stays open"
    assert complaints == []


def sign_in_again(context: BrowserContext, one: BusyGateway) -> Page:
    page = context.new_page()
    page.goto(one.url + "/")
    return page


def test_keys_move_open_search_and_go_and_the_theme_is_remembered(shared: Busy) -> None:
    complaints: list[str] = []
    browser, one, _, ids = shared
    with watched(browser, complaints, viewport=WIDE, color_scheme="light", timezone_id="Asia/Tokyo") as context:
        page = sign_in(context, one, "/events")
        links = page.eval_on_selector_all("[data-list] a.open", "all => all.map(a => a.getAttribute('href'))")
        for key in "jjk":
            page.keyboard.press(key)
        assert page.evaluate("document.activeElement.getAttribute('href')") == links[0]
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(one.url + links[1])
        assert re.search(r"\d\d:\d\d:\d\d\.\d{3} UTC", page.get_attribute("time", "title") or "")
        assert page.inner_text("[data-zone]") == "Asia/Tokyo, with UTC on hover"
        page.keyboard.press("g")
        page.keyboard.press("d")
        page.wait_for_url(one.url + "/destinations")
        page.keyboard.press("/")
        page.wait_for_url(one.url + "/events#search")
        assert page.evaluate("document.activeElement.name") == "q"
        page.keyboard.type("Lovelace")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"q=Lovelace"))
        assert page.locator("[data-list] a.open").all_inner_texts() == ["charges.created", "charge.succeeded"]
        page.keyboard.press("?")
        assert page.locator("dialog[open]").count() == 1
        page.keyboard.press("Escape")
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        light = page.evaluate(ground)
        page.click("[data-theme-switch]")
        dark = page.evaluate(ground)
        page.goto(f"{one.url}/events/{ids['charge']}")
        assert page.evaluate(ground) == dark != light
        _reads_a_payload(page)
    assert complaints == []


def _reads_a_payload(page: Page) -> None:
    """Found, folded, its paths shown."""
    page.fill("[data-tree-search] input", "lovelace")
    assert page.locator(".tree .hit").count() == 1
    assert page.locator(".tree b", has_text="email").get_attribute("title") == "copy data.object.customer.email"
    page.click(".tree summary >> nth=0")
    assert page.locator(".tree .hit").is_hidden()


def test_pages_read_and_actions_work_without_scripts(shared: Busy) -> None:
    complaints: list[str] = []
    browser, one, _, ids = shared
    with watched(browser, complaints, viewport=PHONE, java_script_enabled=False) as context:
        page = sign_in(context, one)
        for path in addresses(ids, iter(("crm", "warehouse"))):
            page.goto(one.url + path)
            assert page.locator("h1").is_visible(), path
            assert page.locator("[data-help]").is_hidden(), "what needs scripts is not offered"
        page.goto(one.url + "/destinations/crm")
        page.click("main >> text=Pause")
        assert page.locator("[data-toast]").is_visible()
        page.click("text=Resume crm")
        assert page.locator("text=Pause crm again").is_visible()
        page.click("[data-theme-switch]")
        assert page.locator("html[data-theme=dark]").count() == 1
        assert re.search(r"ago|UTC|now", page.inner_text("footer") + page.inner_text("main"))
    assert complaints == []
