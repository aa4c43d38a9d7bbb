"""The seven stories, played in a real browser by clicks, and checked by what the receivers really got."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser.chromium import chromium, no_wider_than_its_window, picture, watched
from support.cli.demo import Demo, free_ports
from support.cli.subprocesses import call, wait_until

SCENES = (
    "heal",
    "mail",
    "customer",
    "lead",
    "payment",
    "deal",
    "order",
)  # the slow ones first, so that they go on meanwhile
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def demo(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo(tmp_path_factory.mktemp("company") / "data", free_ports()) as company:
        yield company.started()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What pages complain of. There is none at the end of a test."""
    found: list[str] = []
    yield found
    assert found == []


def places(page: Page) -> dict[str, str]:
    """The address of each system, from the links that a reader has."""
    links = page.locator(".bar nav a")
    return {one.inner_text().lower(): (one.get_attribute("href") or "").rstrip("/") for one in links.all()}


def steps(page: Page, scene: str) -> str:
    return page.locator(f'[data-scene="{scene}"] .steps').inner_text()


def figure(page: Page, name: str) -> str:
    return page.locator(f'[data-figure="{name}"]').inner_text()


def test_the_seven_stories_happen_in_the_real_systems(browser: Browser, demo: Demo, complaints: list[str]) -> None:
    with watched(browser, complaints, viewport={"width": 1280, "height": 900}, color_scheme="light") as context:
        page = context.new_page()
        page.goto(demo.story)
        at = places(page)
        assert set(at) == {"website", "payments", "crm", "chat", "accounting", "shop", "mailbox"}
        assert demo.state(at["shop"])["counts"].get("api_requests", 0) == 0, "the shop is pulled only on demand"
        before = int(figure(page, "pull_requests"))
        assert figure(page, "push_requests") == "0"

        for scene in SCENES:
            page.click(f'[data-scene="{scene}"] button')
        for scene in SCENES:
            expect(page.locator(f'[data-scene="{scene}"] .sign')).to_have_text("arrived", timeout=PATIENCE_MS)
        expect(page.locator('[data-figure="pull_changes"]')).to_have_text("2")
        expect(page.locator('[data-figure="push_changes"]')).to_have_text("4")
        picture(page, "story-light-1280")

        shown = {scene: steps(page, scene) for scene in SCENES}
        check_the_systems(demo, at, shown)

        assert int(figure(page, "pull_requests")) > before
        assert figure(page, "push_requests") == "4"
        for way in ("pull", "push"):
            assert re.fullmatch(r"\d+\.\d{2,3} s|\d+ s", figure(page, f"{way}_late"))
        costs = {scene: page.locator(f'[data-scene="{scene}"] .cost').inner_text() for scene in SCENES}
        assert "2 pushed" in costs["payment"] and "pulled" not in costs["payment"]
        assert "pulled" in costs["order"] and "pushed" not in costs["order"]
        assert "pulled" in costs["heal"] and "1 pushed" in costs["heal"]
        assert "IDLE" in costs["mail"] and "poll" in costs["mail"]
        assert page.locator('[data-lane="pull"] .found').get_attribute("d")


def check_the_systems(demo: Demo, at: dict[str, str], shown: dict[str, str]) -> None:
    """What the systems themselves say, and the gateway's log, against what the page shows."""
    crm, chat, payments = (demo.state(at[name]) for name in ("crm", "chat", "payments"))
    arrived = {entry["key"]: entry for entry in crm["arrivals"]}
    assert len(crm["arrivals"]) == len(arrived) == 5, "each once"
    assert (crm["counts"].get("hooks_rejected", 0), crm["counts"].get("hooks_again", 0)) == (0, 0)

    (mail,) = demo.state(at["mailbox"])["mails"]
    assert arrived[mail["key"]]["type"] == "mail.received", "read twice, and sent to the CRM once"
    assert origin(demo, "inbox", mail["key"], "mail.") == origin(demo, "inbox-polled", mail["key"], "mail.") == "imap"

    email = found(r"\S+@example\.com", shown["lead"])
    assert arrived[email]["type"] == "lead.contact" and arrived[email]["event"].startswith("evt_")
    assert crm["counts"]["token_requests"] == 1, "one token for all calls"

    (lost,) = payments["lost"]
    (paid,) = (one for one in payments["charges"] if one != lost)
    assert (payments["counts"]["webhooks_sent"], payments["counts"]["webhooks_accepted"]) == (1, 1)
    assert origin(demo, "payments", paid, "charges.") == "webhook", "nobody polled for it"
    assert origin(demo, "payments", lost, "charges.") == "reconcile", "it was found by asking"
    assert {arrived[paid]["type"], arrived[lost]["type"]} == {"charges.created"}
    forged = json.dumps({"id": "evt_forged", "type": "charge.succeeded", "data": {"object": {"id": "ch_forged"}}})
    for headers in ({}, {"Stripe-Signature": "t=1,v1=00"}):
        refused = call(f"{demo.gateway}/in/payments", data=forged.encode(), headers=headers)
        assert refused.status == 401, "the webhook is really checked"

    deal = next(one for one in crm["deals"].values() if one["stage"] == "won")
    assert [deal["id"] in message["text"] for message in chat["messages"]] == [True]
    assert deal["name"] in shown["deal"]

    assert demo.state(at["shop"])["counts"]["api_requests"] == 1, "one click, one request"
    assert crm["order"]["order"]["status"] in shown["order"]

    customer = demo.state(at["accounting"])["customers"]["C-12"]
    assert (customer["revision"], arrived["C-12"]["revision"]) == (2, 2)
    assert customer["city"] in shown["customer"]
    assert customer["city"] in call(at["crm"] + "/").body.decode()
    assert origin(demo, "accounting", "C-12", "customers.") == "poll"


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[0]


def origin(demo: Demo, source: str, key: str, kind: str) -> str:
    """How the one change of this key came to the gateway."""
    events: list[dict[str, Any]] = demo.ask(f"/events?source={source}&key={key}")["data"]
    (change,) = (one for one in events if one["type"].startswith(kind))
    return str(change["origin"])


def test_get_order_info_on_the_page_of_the_crm_asks_the_shop_at_the_click(
    browser: Browser, demo: Demo, complaints: list[str]
) -> None:
    with watched(browser, complaints) as context:
        page = context.new_page()
        page.goto(demo.story)
        at = places(page)
        json_please = {"Accept": "application/json"}
        changed = call(f"{at['shop']}/orders/A1003/advance", data={}, headers=json_please).json
        before = demo.state(at["shop"])["counts"].get("api_requests", 0)
        page.click(".bar nav a >> text=CRM")
        page.fill('input[name="order"]', "A1003")
        page.click("text=Get order info")
        expect(page.locator("pre")).to_contain_text(changed["updated_at"])
        assert demo.state(at["shop"])["counts"]["api_requests"] == before + 1


def test_a_form_sent_by_hand_reaches_the_crm(browser: Browser, demo: Demo, complaints: list[str]) -> None:
    with watched(browser, complaints) as context:
        page = context.new_page()
        page.goto(demo.story)
        crm = places(page)["crm"]
        page.click(".bar nav a >> text=Website")
        page.fill('input[name="name"]', "Grace <b>H.</b>")
        page.fill('input[name="email"]', "grace@example.com")
        page.click("text=Ask us")
        expect(page.locator("main")).to_contain_text("Thank you")
        wait_until(lambda: "grace@example.com" in call(crm + "/").body.decode(), "the lead")
        page.goto(crm)
        expect(page.locator("main")).to_contain_text("Grace <b>H.</b>")


def test_links_of_the_story_open_the_event_in_the_dashboard_without_signing_in(
    browser: Browser, demo: Demo, complaints: list[str]
) -> None:
    with watched(browser, complaints, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(demo.story)
        link = page.locator('[data-scene="lead"] .steps a')
        before = link.get_attribute("title") if link.count() else "none"  # of a test before
        page.click('[data-scene="lead"] button')
        expect(link).not_to_have_attribute("title", before or "")
        title = link.get_attribute("title")
        with context.expect_page() as opened:
            link.click()
        event = opened.value
        event.wait_for_load_state()
        assert event.url == f"{demo.gateway}/events/{title}"
        expect(event.locator("h1")).to_contain_text("lead.submitted")
        event.click("nav >> text=Overview")
        expect(event.locator("h1")).to_be_visible()
        picture(event, "story-overview")


def test_the_printed_link_signs_in_once(browser: Browser, demo: Demo) -> None:
    with watched(browser, []) as context:
        page = context.new_page()
        page.goto(demo.login)
        page.click("button >> text=Open the dashboard")
        expect(page).to_have_url(f"{demo.gateway}/")
    with watched(browser, []) as context:
        page = context.new_page()
        page.goto(demo.login)
        page.click("button >> text=Open the dashboard")
        expect(page.locator("main")).to_contain_text("This sign-in link was used, has expired, or is not valid.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_story_fits_a_phone_in_both_themes(
    browser: Browser, demo: Demo, complaints: list[str], scheme: Any
) -> None:
    with watched(browser, complaints, viewport={"width": 390, "height": 844}, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(demo.story)
        expect(page.locator("[data-scene]")).to_have_count(7)
        assert no_wider_than_its_window(page)
        assert page.evaluate("(nav => nav.scrollWidth <= nav.clientWidth)(document.querySelector('.bar nav'))")
        picture(page, f"story-{scheme}-390")
        for name, address in places(page).items():
            page.goto(address)
            assert no_wider_than_its_window(page), name


def test_the_theme_is_remembered_and_shared_with_the_systems(
    browser: Browser, demo: Demo, complaints: list[str]
) -> None:
    with watched(browser, complaints, viewport={"width": 1280, "height": 900}, color_scheme="light") as context:
        page = context.new_page()
        page.goto(demo.story)
        page.click("[data-theme-switch]")
        for address in (demo.story, places(page)["crm"]):
            page.goto(address)
            assert page.evaluate("getComputedStyle(document.body).color") == "rgb(230, 236, 239)"
        page.goto(demo.story)
        picture(page, "story-dark-1280")


def test_play_all_takes_the_scenes_in_turn(browser: Browser, demo: Demo, complaints: list[str]) -> None:
    with watched(browser, complaints) as context:
        page = context.new_page()
        page.goto(demo.story)
        leads = demo.state(places(page)["crm"])["counts"]["leads"]
        page.click("text=Play all seven")
        expect(page.locator("[data-all]")).to_be_disabled()
        expect(page.locator('[data-scene="payment"]')).to_have_class(re.compile("turn"))
        assert demo.state(places(page)["crm"])["counts"]["leads"] == leads + 1


def test_without_scripts_the_buttons_work_and_the_page_tells(browser: Browser, demo: Demo) -> None:
    with watched(browser, [], java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(demo.story)
        page.click('[data-scene="deal"] button')
        expect(page.locator('[data-scene="deal"] .sign')).to_have_text("arrived", timeout=PATIENCE_MS)
        assert "Deal closed" in steps(page, "deal")


def test_another_site_can_neither_press_a_button_nor_get_a_login_link(demo: Demo) -> None:
    for site in ("cross-site", "same-site", "none"):
        headers = {"Sec-Fetch-Site": site}
        assert call(f"{demo.story}/scenes/lead", data={}, headers=headers).status == 403
        answer = call(f"{demo.story}/dashboard/events/evt_1", headers=headers)
        assert (answer.status, answer.headers["location"]) == (303, f"{demo.gateway}/events/evt_1")
    assert call(f"{demo.story}/", headers={"Host": "evil.example"}).status == 400


def test_the_page_stays_small(demo: Demo) -> None:
    sizes = [len(call(demo.story + path).body) for path in ("/", "/static/sample_pages.css", "/static/story.js")]
    assert sum(sizes) < 60_000, sizes


def test_colors_are_those_of_the_dashboard() -> None:
    package = Path(__file__).parents[2] / "src" / "tidegate"
    pattern = re.compile(r"--([\w-]+):\s*light-dark\((#\w+),\s*(#\w+)\)")
    examples = Path(__file__).parents[2] / "examples"
    sheets = [
        examples / "tidegate_company" / "static" / "sample_pages.css",
        package / "dashboard" / "static" / "tide.css",
    ]
    ours, theirs = ({m[1]: (m[2].lower(), m[3].lower()) for m in pattern.finditer(one.read_text())} for one in sheets)
    assert len(ours) > 10
    assert ours == {name: theirs.get(name) for name in ours}


def test_a_page_whose_company_stopped_says_so_and_goes_on_by_itself(
    browser: Browser, demo: Demo, tmp_path: Path
) -> None:
    """The last of these tests, because it ends the company of all of them."""
    with watched(browser, []) as context:
        page = context.new_page()
        page.goto(demo.story)
        page.click('[data-scene="order"] button')
        expect(page.locator('[data-scene="order"] .sign')).to_have_text("arrived")
        expect(page.locator(".away")).to_be_hidden()
        assert demo.end() == 0
        expect(page.locator(".away")).to_contain_text("make demo")
        with Demo(tmp_path / "data", int(demo.gateway.rpartition(":")[2])).started() as second:
            assert second.story == demo.story
            expect(page.locator(".away")).to_be_hidden()
            expect(page.locator('[data-scene="order"] .sign')).to_have_text("not played")
