"""Alerts for people: the API, the command line and the page show the same, and what people decide is durable."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from support.cli.command import tidegate
from support.gateway.alerting import types
from support.gateway.api import ADMIN, Reply, Served, served
from tidegate.dashboard.render import navigation_keys

TOML = """
[alerts]
repeat_every = "1h"
[sources.shop.publish]
[destinations.crm]
url = "http://127.0.0.1:9/crm"
[routes.events]
from = "shop"
to = "crm"
"""
PAUSED = {"type": "destination.paused", "subject": "destination:crm"}


async def paused(gate: Served) -> None:
    await gate.api.post("/destinations/crm/pause")
    await gate.gateway.alerts.run_once()


async def test_an_alert_is_listed_acknowledged_and_still_acknowledged_after_a_restart(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        await paused(gate)
        (one,) = (await gate.api.get("/alerts"))["data"]
        assert (one["type"], one["subject"], one["state"]) == (*PAUSED.values(), "firing")
        assert one["next_step"] == "tidegate resume crm"
        assert one["page"] == "/destinations/crm"
        assert (await gate.api.get(f"/events/{one['event']}"))["type"] == "destination.paused"
        (after,) = (await gate.api.post("/alerts/acknowledge", PAUSED | {"note": "a planned move"}))["data"]
        assert (after["state"], after["by"], after["note"]) == ("acknowledged", "TIDEGATE_ADMIN_KEY", "a planned move")
    async with served(tmp_path, TOML) as gate:
        await gate.gateway.alerts.run_once()
        (one,) = (await gate.api.get("/alerts"))["data"]
        assert one["state"] == "acknowledged"
        found = (await gate.api.get("/doctor"))["findings"]
        (finding,) = [one for one in found if one["code"] == "destination_paused"]
        assert finding["acknowledged_at"] == one["acknowledged_at"]


async def test_a_mute_before_an_alert_holds_it_back_over_a_restart_and_unmute_lets_it_out(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        answer = await gate.api.post("/alerts/mute", {"type": "*", "subject": "destination:crm", "for": "1d"})
        assert [one["subject"] for one in answer["mutes"]] == ["destination:crm"]
        await paused(gate)
        assert await types(gate.gateway) == []
    async with served(tmp_path, TOML) as gate:
        await gate.gateway.alerts.run_once()
        (one,) = (await gate.api.get("/alerts"))["data"]
        assert one["state"] == "muted"
        assert await types(gate.gateway) == []
        await gate.api.post("/alerts/unmute", {"type": "*", "subject": "destination:crm"})
        await gate.gateway.alerts.run_once()
        assert await types(gate.gateway) == ["destination.paused"]


@pytest.mark.parametrize(
    ("call", "body", "status", "code"),
    [
        ("acknowledge", PAUSED, 404, "alert_unknown"),
        ("acknowledge", PAUSED | {"type": "destination.sad"}, 400, "alert_type_unknown"),
        ("mute", PAUSED | {"subject": "crm"}, 400, "alert_subject_invalid"),
        ("mute", PAUSED | {"for": "soon"}, 400, "duration_invalid"),
        ("mute", PAUSED | {"for": "0s"}, 400, "duration_invalid"),
        ("mute", PAUSED | {"note": "a\nb"}, 400, "note_invalid"),
        ("unmute", PAUSED, 404, "not_muted"),
    ],
)
async def test_a_wrong_call_is_refused_with_its_reason_and_changes_nothing(
    tmp_path: Path, call: str, body: dict[str, str], status: int, code: str
) -> None:
    async with served(tmp_path, TOML) as gate:
        reply: Reply = await gate.api("POST", f"/api/v1/alerts/{call}", body)
        assert (reply.status, reply.json()["code"]) == (status, code)
        assert (await gate.api.get("/alerts"))["mutes"] == []


async def test_reading_alerts_needs_read_and_deciding_needs_write(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        reader = await gate.key("read")
        assert (await reader("GET", "/api/v1/alerts")).status == 200
        assert (await reader("POST", "/api/v1/alerts/mute", PAUSED)).status == 403


async def test_mutes_of_many_at_once_are_all_kept(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        await asyncio.gather(
            *(gate.api.post("/alerts/mute", {"type": "*", "subject": f"source:s{n}", "for": "1d"}) for n in range(4))
        )
        assert len((await gate.api.get("/alerts"))["mutes"]) == 4


async def test_the_command_line_lists_mutes_and_acknowledges(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        await paused(gate)
        env = {"TIDEGATE_URL": gate.url, "TIDEGATE_KEY": ADMIN}

        async def run(*words: str) -> Any:
            return await asyncio.to_thread(tidegate, tmp_path, "alerts", *words, env=env)

        listed = await run()
        assert listed.code == 0
        assert "destination.paused destination:crm" in listed.out
        assert "tidegate resume crm" in listed.out
        assert "acknowledged by" in (await run("acknowledge", *PAUSED.values(), "--note", "known")).out
        assert "muted by" in (await run("mute", *PAUSED.values(), "--for", "2h")).out
        assert (await run("unmute", *PAUSED.values(), "--json")).json["mutes"] == []
        refused = await run("mute", "destination.sad", "destination:crm")
        assert refused.errors[0]["code"] == "alert_type_unknown"


# -- the page --------------------------------------------------------------------------------------------


class Browser:
    """A signed-in browser without scripts: it loads pages and sends their forms."""

    def __init__(self, gate: Served, cookie: str) -> None:
        self.gate = gate
        self.headers = {"cookie": cookie, "host": gate.url.removeprefix("http://")}

    async def page(self, path: str) -> str:
        reply = await self.gate.api.with_key(None)("GET", path, headers=self.headers)
        assert reply.status == 200, reply
        return reply.body.decode()

    async def press(self, path: str, **fields: str) -> Reply:
        from urllib.parse import urlencode

        token = re.search(r'name="csrf" value="([^"]+)"', await self.page("/alerts"))
        assert token is not None
        body = urlencode({"csrf": token[1], **fields}).encode()
        headers = {**self.headers, "content-type": "application/x-www-form-urlencoded"}
        return await self.gate.api.with_key(None)("POST", path, body, headers=headers)


async def signed_in(gate: Served) -> Browser:
    link = (await gate.api.post("/keys/login"))["path"]
    reply = await gate.api.with_key(None)("GET", link, headers={"sec-fetch-site": "none"})
    if "set-cookie" not in reply.headers:
        token = re.search(r'name="token" value="([^"]+)"', reply.body.decode())
        assert token is not None
        form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        reply = await gate.api.with_key(None)("POST", "/login", f"token={token[1]}".encode(), headers=form)
    return Browser(gate, reply.headers["set-cookie"].partition(";")[0])


async def test_the_page_acknowledges_mutes_and_unmutes(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        await paused(gate)
        browser = await signed_in(gate)
        page = await browser.page("/alerts")
        assert "crm: Paused by an operator" in page
        assert "No route sends alerts anywhere." in page
        reply = await browser.press("/alerts/acknowledge", **PAUSED)
        assert (reply.status, reply.headers["location"]) == (303, "/alerts?done=acknowledged")
        assert "acknowledged by dashboard" in await browser.page("/alerts")
        assert "(acknowledged)" in await browser.page("/")
        assert "All systems healthy" in await browser.page("/") or "Ready for the first event" in await browser.page(
            "/"
        )
        await browser.press("/alerts/mute", **PAUSED, **{"for": "1d"})
        assert "muted by dashboard" in await browser.page("/alerts")
        assert '<h2 id="mutes">' in await browser.page("/alerts")
        await browser.press("/alerts/unmute", **PAUSED)
        assert '<h2 id="mutes">' not in await browser.page("/alerts")


async def test_a_form_without_its_token_decides_nothing(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        await paused(gate)
        browser = await signed_in(gate)
        headers = {**browser.headers, "content-type": "application/x-www-form-urlencoded"}
        body = b"type=destination.paused&subject=destination:crm"
        reply = await gate.api.with_key(None)("POST", "/alerts/mute", body, headers=headers)
        assert reply.status == 403
        assert (await gate.api.get("/alerts"))["mutes"] == []


def test_each_page_has_a_key_of_its_own() -> None:
    keys = navigation_keys()
    assert len(set(keys.values())) == len(keys)
    assert (keys["alerts"], keys["compare"]) == ("a", "p")


async def test_the_name_of_the_source_of_system_events_is_reserved_in_the_api_too(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        refused = await gate.api("PUT", "/api/v1/sources/tidegate", {"publish": {}})
        assert refused.status == 422
        assert "reserved for system events" in refused.json()["detail"]
        published = await gate.api("POST", "/api/v1/events", {"source": "tidegate", "type": "disk.low", "data": {}})
        assert published.status == 404
        route = {"from": "tidegate", "to": "crm", "types": ["destination.*"]}
        assert (await gate.api("PUT", "/api/v1/routes/alerts", route)).status == 201
        await paused(gate)
        (event,) = (await gate.api.get("/events?source=tidegate"))["data"]
        assert event["origin"] == "system"
        assert (await gate.api.get("/feeds/all"))["data"] == []
        assert len((await gate.api.get("/feeds/all?source=tidegate"))["data"]) == 1
        totals = (await gate.api.get("/stats"))["totals"]
        assert (totals["accepted"], totals["unrouted"]) == (0, 0), "system events are not among what was received"
