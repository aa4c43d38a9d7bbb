"""The border of every page and action: Host, session, CSRF token, method, headers, and what it answers."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from support.browser.page_weight import MOST_BYTES, weight
from support.gateway.api import Api, Reply, Served, served
from support.gateway.running import until
from support.receiver.scripted import OK, ScriptedServer, answer
from tidegate.api import endpoint, sessions
from tidegate.dashboard import _ACTIONS, _PAGES

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGES = (
    "/",
    "/events",
    "/destinations",
    "/destinations/crm",
    "/sources",
    "/api-or-webhook",
    "/api-or-webhook/all",
    "/?part=live",
    "/nowhere",
)


def config(server: ScriptedServer) -> str:
    return f"""
[sources.app.publish]
[destinations.crm]
url = "{server.url}/hooks"
retry = ["100ms"]
[routes.all]
from = "app"
to = "crm"
"""


class Person:
    """Somebody at a browser, signed in, without the browser."""

    def __init__(self, api: Api, cookie: str) -> None:
        self.api = api.with_key(None)
        self.headers = {"Cookie": f"{sessions.COOKIE}={cookie}"}

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.api("GET", path, headers={**self.headers, **headers})

    async def token(self) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', (await self.get("/")).body.decode())
        assert found is not None
        return found[1]

    async def post(self, path: str, fields: dict[str, Any], **headers: str) -> Reply:
        return await self.api("POST", path, urlencode(fields).encode(), headers={**self.headers, **FORM, **headers})


async def person(gate: Served) -> Person:
    kept = gate.context.sessions
    return Person(gate.api, await kept.by_link(kept.new_link()))


async def test_every_page_carries_the_strict_headers_and_nobody_sees_one_without_a_session(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server, served(tmp_path, config(server)) as gate:
        someone, nobody = await person(gate), gate.api.with_key(None)
        event = (await gate.api.post("/events", {"source": "app", "type": "a.b", "data": {}}))["id"]
        for path in (*PAGES, f"/events/{event}", f"/events/{event}?view=raw", "/login"):
            shown = await (nobody("GET", path) if path == "/login" else someone.get(path))
            assert shown.status == (404 if path == "/nowhere" else 200), path
            policy = shown.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src 'self'" in policy
            assert shown.headers["x-content-type-options"] == "nosniff"
            assert shown.headers["referrer-policy"] == "same-origin"
            assert shown.headers["cache-control"] == "no-store"
            if path != "/login":
                turned = await nobody("GET", path)
                assert turned.status == 303 and turned.headers["location"].startswith("/login"), path
                assert b"crm" not in turned.body


async def test_an_action_needs_the_token_of_its_own_session(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server, served(tmp_path, config(server)) as gate:
        someone, other = await person(gate), await person(gate)
        bad = ("", "x" * 64, await other.token(), "\u00e9")
        for path, _ in _ACTIONS:
            address = path.format(name="crm", id="x", source="shop", resource="orders")
            for token in bad:
                refused = await someone.post(address, {"csrf": token})
                assert refused.status == 403 and b"csrf_failed" in refused.body, (path, token)
                assert "content-security-policy" in refused.headers
            assert (await someone.post(address, {})).status == 403
        assert gate.gateway.active.destinations["crm"].paused_at_us is None
        assert (await someone.get("/")).status == 200, "nobody was signed out"
        await gate.gateway.deliver.settler.flush()
        assert server.requests == []
        done = await someone.post("/destinations/crm/pause", {"csrf": await someone.token()})
        assert done.status == 303 and gate.gateway.active.destinations["crm"].paused_at_us is not None


async def test_an_action_without_a_session_changes_nothing(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server, served(tmp_path, config(server)) as gate:
        nobody = gate.api.with_key(None)
        for path, _ in _ACTIONS:
            answered = await nobody(
                "POST", path.format(name="crm", id="x", source="shop", resource="orders"), b"csrf=x", headers=FORM
            )
            assert answered.status == 303 and answered.headers["location"] == "/login", path
            foreign = {**FORM, "Sec-Fetch-Site": "cross-site"}
            refused = await nobody(
                "POST", path.format(name="crm", id="x", source="shop", resource="orders"), b"csrf=x", headers=foreign
            )
            assert refused.status == 403, path
        assert gate.gateway.active.destinations["crm"].paused_at_us is None and server.requests == []


async def test_actions_are_no_get_and_pages_no_post(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server, served(tmp_path, config(server)) as gate:
        someone = await person(gate)
        for path, _ in _ACTIONS:
            asked = await someone.get(path.format(name="crm", id="x", source="shop", resource="orders"))
            assert asked.status in (404, 405), path
        for path, _ in _PAGES:
            posted = await someone.post(
                path.format(name="crm", id="x", source="shop", resource="orders"), {"csrf": await someone.token()}
            )
            assert posted.status == 405, path
        assert gate.gateway.active.destinations["crm"].paused_at_us is None


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8420", "127.0.0.1.evil.example", "localhost.evil", ""])
async def test_a_foreign_host_name_reaches_no_page_and_no_action(tmp_path: Path, host: str) -> None:
    async with ScriptedServer(answer(OK)) as server, served(tmp_path, config(server)) as gate:
        someone = await person(gate)
        token = await someone.token()
        for path in ("/", "/events", "/login"):
            refused = await someone.get(path, Host=host)
            assert refused.status in (400, 421) and b"crm" not in refused.body, path
        refused = await someone.post("/destinations/crm/pause", {"csrf": token}, Host=host)
        assert refused.status in (400, 421)
        assert gate.gateway.active.destinations["crm"].paused_at_us is None


async def test_the_login_link_works_once_and_its_cookie_is_kept_from_scripts_and_other_sites(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server, served(tmp_path, config(server)) as gate:
        nobody, link = gate.api.with_key(None), gate.context.sessions.new_link()
        first = await nobody("POST", "/login", urlencode({"token": link}).encode(), headers=FORM)
        second = await nobody("POST", "/login", urlencode({"token": link}).encode(), headers=FORM)
        assert (first.status, second.status) == (303, 401) and "set-cookie" not in second.headers
        parts = [part.strip() for part in first.headers["set-cookie"].split(";")]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(parts)
        wrong = await nobody("POST", "/login", urlencode({"key": "tg_wrong"}).encode(), headers=FORM)
        assert wrong.status == 401 and "set-cookie" not in wrong.headers
        cookie = {"Cookie": parts[0]}
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', (await nobody("GET", "/", headers=cookie)).body.decode())
        assert token is not None
        left = await nobody("POST", "/logout", f"csrf={token[1]}".encode(), headers={**FORM, **cookie})
        assert left.status == 303 and "Max-Age=0" in left.headers["set-cookie"]
        assert (await nobody("GET", "/", headers=cookie)).status == 303, "a copied cookie ended too"


async def test_what_an_action_says_is_a_word_of_ours_and_no_text_from_an_address(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server, served(tmp_path, config(server)) as gate:
        someone = await person(gate)
        shown = await someone.get("/destinations/crm?done=Your%20key%20has%20expired")
        assert b"Your key has" not in shown.body and b"data-toast" not in shown.body
        assert b"data-toast" in (await someone.get("/destinations/crm?done=paused")).body
        token = await someone.token()
        for back in ("//evil.example", "https://evil.example", "/\\evil.example", "/x\r\nset-cookie: a=b"):
            gone = await someone.post("/destinations/crm/pause", {"csrf": token, "back": back})
            assert gone.status == 303 and gone.headers["location"].startswith("/destinations/crm"), back
        huge = await someone.post("/destinations/crm/pause", {"csrf": token, "x": "y" * 20_000})
        assert huge.status == 413


async def test_what_went_wrong_is_a_page_with_a_code_and_the_next_step(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server, served(tmp_path, config(server)) as gate:
        someone = await person(gate)
        for path in (
            "/events/evt_nothing",
            "/destinations/none",
            "/nowhere",
            "/events?cursor=zzz",
            "/events?origin=x",
        ):
            shown = await someone.get(path)
            assert shown.status in (400, 404), path
            text = shown.body.decode()
            assert "data-hint" in text and "<h1>" in text and str(shown.status) in text, path
        token = await someone.token()
        gone = await someone.post("/deliveries/dlv_x/retry", {"csrf": token})
        assert gone.status == 404 and b"not_found" in gone.body
        again = await someone.post("/destinations/none/pause", {"csrf": token})
        assert again.status == 404


async def kept(gate: Served) -> bool:
    """All rejections of the next test: they are written behind, a moment later."""
    return len(await gate.gateway.store.settings.rejections()) == 10


async def test_a_list_of_many_names_is_turned_by_page_and_each_page_stays_light(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server:
        many = "".join(
            f'[sources.source-with-a-rather-long-name-{i}.publish]\n'
            f'[destinations.destination-with-a-long-name-{i}]\nurl = "{server.url}/hooks/{i}"\n'
            f'[routes.r{i}]\nfrom = "source-with-a-rather-long-name-{i}"\nto = "destination-with-a-long-name-{i}"\n'
            for i in range(60)
        )  # fmt: skip
        many += "".join(
            f'[sources.signed-source-with-a-long-name-{i}.webhook]\nverify = "github"\nsecret = "a-secret"\n'
            for i in range(10)
        )
        async with served(tmp_path, many) as gate:
            someone = await person(gate)
            for name in list(gate.gateway.active.destinations)[:40]:
                await gate.gateway.editor.pause(name)
            event = {"type": "t", "data": {}}
            batch = [{**event, "source": name} for name in gate.gateway.active.sources if name.startswith("source-")]
            await gate.api.post("/events", batch)
            await until(lambda: len(server.requests) == 20)
            stranger = gate.api.with_key(None)
            for i in range(10):
                rejected_requests = await stranger("POST", f"/in/signed-source-with-a-long-name-{i}", b"{}")
                assert rejected_requests.status == 401
            await until(lambda: kept(gate))
            for path in (
                "/",
                "/destinations",
                "/destinations?page=2",
                "/destinations?page=3",
                "/sources",
                "/events",
            ):
                shown = await someone.get(path)
                assert shown.status == 200 and weight(shown.body) < MOST_BYTES, (path, weight(shown.body))
            assert "signature missing" in (await someone.get("/")).body.decode()
            last = (await someone.get("/destinations?page=3")).body.decode()
            assert "51 to 60 of 60" in last and last.count("data-row") == 10
            for odd in ("0", "-1", "x", "99999999999999999999", "7", "\u0662"):
                assert (await someone.get("/destinations?" + urlencode({"page": odd}))).status == 200, odd


async def test_a_form_that_is_too_large_too_slow_or_cut_off_is_an_answer_and_no_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.3)

    async with served(tmp_path, "") as gate:
        large = await gate.api.with_key(None)("POST", "/login", b"key=" + b"x" * 20_000, headers=FORM)
        assert large.status == 413 and b"too large" in large.body
        host, port = gate.url.removeprefix("http://").split(":")
        head = f"POST /login HTTP/1.1\r\nhost: {host}\r\ncontent-length: 100\r\n\r\nkey=".encode()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head)
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head)
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await asyncio.sleep(0.1)
        assert (await gate.api.with_key(None)("GET", "/login")).status == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
