"""Acknowledge and mute by clicks in a real browser, on a phone and a wide screen, also after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.browser.busy_gateway import in_background
from support.browser.chromium import chromium, no_wider_than_its_window, picture, watched
from support.gateway.api import Served, served

TOML = """
[sources.shop.publish]
[destinations.crm-with-a-name-that-is-as-long-as-names-of-destinations-may]
url = "http://127.0.0.1:9/crm"
[destinations.warehouse]
url = "http://127.0.0.1:9/warehouse"
[routes.events]
from = "shop"
to = ["crm-with-a-name-that-is-as-long-as-names-of-destinations-may", "warehouse"]
"""
LONG = "crm-with-a-name-that-is-as-long-as-names-of-destinations-may"


async def paused(gate: Served) -> None:
    for name in (LONG, "warehouse"):
        await gate.api.post(f"/destinations/{name}/pause")
    await gate.gateway.alerts.run_once()


@pytest.mark.parametrize(
    "viewport", [{"width": 1280, "height": 860}, {"width": 390, "height": 844}], ids=["wide", "phone"]
)
def test_alerts_are_acknowledged_muted_and_unmuted_by_clicks(tmp_path: Path, viewport: dict[str, int]) -> None:
    complaints: list[str] = []
    with chromium() as browser:
        with in_background(served(tmp_path, TOML)) as (gate, side):
            side.run(paused(gate))
            with watched(browser, complaints, viewport=viewport) as context:
                page = context.new_page()
                page.goto(f"{gate.url}/login?token={gate.context.sessions.new_link()}")
                page.click("button:has-text('Open the dashboard')")
                page.wait_for_url(gate.url + "/")
                page.get_by_role("link", name="Alerts").first.click()
                page.wait_for_url(gate.url + "/alerts")
                assert no_wider_than_its_window(page)
                page.get_by_role("button", name=f"Acknowledge destination.paused of destination:{LONG}").click()
                page.get_by_text("acknowledged by dashboard").wait_for()
                page.get_by_label("How long to mute destination.paused of destination:warehouse").select_option("1d")
                page.get_by_role("button", name="Mute destination.paused of destination:warehouse").click()
                page.get_by_text("muted by dashboard").wait_for()
                assert page.get_by_text("0 alerts firing, 2 acknowledged or muted.").count() == 1
                assert no_wider_than_its_window(page)
                picture(page, f"dashboard-alerts-decided-{viewport['width']}")
        with in_background(served(tmp_path, TOML)) as (gate, side):
            side.run(gate.gateway.alerts.run_once())
            with watched(browser, complaints, viewport=viewport) as context:
                page = context.new_page()
                page.goto(f"{gate.url}/login?token={gate.context.sessions.new_link()}")
                page.click("button:has-text('Open the dashboard')")
                page.wait_for_url(gate.url + "/")
                page.goto(gate.url + "/alerts")
                assert page.get_by_text("0 alerts firing, 2 acknowledged or muted.").count() == 1
                page.get_by_role("button", name="Unmute destination.paused of destination:warehouse").click()
                page.get_by_text("1 alert firing, 1 acknowledged or muted.").wait_for()
    assert complaints == []
