"""Who may call what: every row of the table against every scope, and what a browser's session must carry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.gateway.api import Api, served
from tidegate.api import sessions
from tidegate.api.endpoint import Entry
from tidegate.api.keys import SCOPES
from tidegate.api.routes import PREFIX, TABLE
from tidegate.core.errors import Unauthorized

TOML = """
[sources.crm.publish]
[sources.shop.publish]
"""


def path_of(entry: Entry) -> str:
    """A path that names nothing that is there, so that a call that is let in changes nothing."""
    return PREFIX + re.sub(r"\{\w+\}", "missing", entry.path)


async def status_of(api: Api, entry: Entry) -> tuple[int, str]:
    """(status, code). A stream is left as soon as it has answered."""
    if entry.path == "/events/stream":
        headers = {"Authorization": f"Bearer {api.key}"} if api.key else {}
        async with api.http.get(api.url + path_of(entry), headers=headers) as answer:
            return answer.status, "" if answer.status == 200 else (await answer.json(content_type=None))["code"]
    answer = await api(entry.method, path_of(entry), {} if entry.request is not None else None)
    ours = answer.headers.get("content-type") == "application/problem+json"
    return answer.status, answer.json()["code"] if ours else ""


async def test_every_call_needs_a_key_and_exactly_its_scope_or_admin(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        callers = {scope: await gate.key(scope) for scope in SCOPES}
        for entry in TABLE:
            name = f"{entry.method} {entry.path}"
            assert await status_of(gate.api.with_key(None), entry) == (401, "unauthorized"), name
            assert await status_of(gate.api.with_key("tg_" + "x" * 43), entry) == (401, "unauthorized"), name
            for scope, caller in callers.items():
                status, code = await status_of(caller, entry)
                if scope in (entry.scope, "admin"):
                    assert status not in (401, 403) and status < 500, (name, scope, status, code)
                else:
                    assert (status, code) == (403, "forbidden"), (name, scope)


async def test_a_key_bound_to_sources_calls_only_what_is_about_sources(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        scopes = tuple(scope for scope in SCOPES if scope != "admin")
        bound = await gate.key(*scopes, sources=("crm",))
        for entry in TABLE:
            status, code = await status_of(bound, entry)
            if entry.scope == "admin" or not entry.bound:
                assert (status, code) == (403, "forbidden"), entry.path
            elif entry.path.startswith(("/pull/", "/call/")) or entry.path.endswith("/poll"):
                assert status == 403, entry.path  # "missing" is not its source
            else:
                assert status not in (401, 403) and status < 500, entry.path


async def test_a_bound_key_sees_only_events_deliveries_and_sources_of_its_own(tmp_path: Path) -> None:
    toml = TOML + '[destinations.d]\nurl = "http://127.0.0.1:9/"\n[routes.r]\nfrom = "*"\nto = "d"\n'
    async with served(tmp_path, toml) as gate:
        crm = await gate.key("read", "publish", sources=("crm",))
        both = await gate.key("read", sources=("crm", "shop"))
        mine = (await crm.post("/events", {"source": "crm", "type": "a", "data": 1}))["id"]
        theirs = (await gate.api.post("/events", {"source": "shop", "type": "a", "data": 1}))["id"]
        refused = await crm("POST", "/api/v1/events", {"source": "shop", "type": "a", "data": 1})
        assert (refused.status, refused.json()["code"]) == (403, "forbidden")
        assert [one["id"] for one in (await crm.get("/events"))["data"]] == [mine]
        assert [one["id"] for one in (await crm.get("/feeds/f"))["data"]] == [mine]
        assert [one["id"] for one in (await both.get("/events"))["data"]] == [theirs, mine]
        assert (await crm.get(f"/events/{mine}"))["id"] == mine
        assert (await crm("GET", f"/api/v1/events/{theirs}")).status == 404
        assert (await crm("GET", f"/api/v1/explain/{theirs}")).status == 404
        assert (await crm.get("/events?source=shop"))["data"] == []
        assert [one["name"] for one in (await crm.get("/sources"))["data"]] == ["crm"]
        assert (await crm("GET", "/api/v1/sources/shop")).status == 404
        assert {one["event"] for one in (await crm.get("/deliveries"))["data"]} == {mine}
        foreign = next(one for one in (await gate.api.get("/deliveries"))["data"] if one["event"] == theirs)
        assert (await crm("GET", f"/api/v1/deliveries/{foreign['id']}")).status == 404


async def test_without_a_key_only_health_login_and_the_receive_door_answer(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        nobody = gate.api.with_key(None)
        for path in ("/openapi.json", "/metrics", "/api/v1/nothing", "/api/v2", "/api/v1/pull", "/api/v1/pull/a"):
            answer = await nobody("GET", path)
            assert (answer.status, answer.json()["code"]) == (401, "unauthorized"), path
            assert answer.headers["www-authenticate"].startswith("Bearer"), path
        assert (await nobody("GET", "/livez")).json() == {"status": "live"}
        assert (await nobody("GET", "/readyz")).json() == {"status": "ready"}
        assert (await nobody("POST", "/in/nothing", b"{}")).status == 404
        for path, to in (
            ("/", "/login"),
            ("/events", "/login?to=/events"),
            ("/destinations/a%20b", "/login?to=/destinations/a%20b"),
        ):
            answer = await nobody("GET", path)
            assert (answer.status, answer.headers["location"]) == (303, to), path
        assert (await nobody("GET", "/login")).status == 200
        assert (await gate.api("GET", "/api/v1/nothing")).status == 404


async def test_a_key_works_until_it_is_revoked_or_expires(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        made = await gate.api.post("/keys", {"name": "ci", "scopes": ["read"], "sources": ["crm"]})
        caller = gate.api.with_key(made["key"])
        assert re.fullmatch(r"tg_[A-Za-z0-9_-]{43}", made["key"])
        assert (await caller("GET", "/api/v1/events")).status == 200
        assert made["key"] not in (await gate.api("GET", "/api/v1/keys")).body.decode()
        again = await gate.api("POST", "/api/v1/keys", {"name": "ci", "scopes": ["admin"]})
        assert (again.status, again.json()["code"]) == (409, "key_exists")
        assert (await gate.api("DELETE", "/api/v1/keys/ci")).status == 204
        assert (await caller("GET", "/api/v1/events")).status == 401
        short = await gate.api.post("/keys", {"name": "short", "scopes": ["read"], "expires_in": "0s"})
        assert (await gate.api.with_key(short["key"])("GET", "/api/v1/events")).status == 401
        for body, code in (
            ({"name": "n", "scopes": []}, "bad_request"),
            ({"name": "n", "scopes": ["root"]}, "bad_request"),
            ({"name": "n", "scopes": ["admin"], "sources": ["crm"]}, "bad_request"),
            ({"name": "n", "scopes": ["read"], "sources": ["nope"]}, "bad_request"),
            ({"name": "n", "scopes": ["read"], "more": 1}, "bad_request"),
        ):
            answer = await gate.api("POST", "/api/v1/keys", body)
            assert (answer.status, answer.json()["code"]) == (400, code), body


async def test_keys_are_kept_as_hashes_and_outlive_a_restart(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        token = (await gate.api.post("/keys", {"name": "ci", "scopes": ["read"]}))["key"]
    for file in (tmp_path / "data").iterdir():
        assert token.encode() not in file.read_bytes()
    async with served(tmp_path, TOML) as gate:
        assert (await gate.api.with_key(token)("GET", "/api/v1/events")).status == 200


async def _browser(gate: Any) -> tuple[dict[str, str], str]:
    """Headers of a browser with a session, and its CSRF token."""
    cookie = await gate.context.sessions.by_link(gate.context.sessions.new_link())
    grant = await gate.context.sessions.of_cookie(cookie)
    return {"Cookie": f"{sessions.COOKIE}={cookie}"}, grant.csrf


async def test_a_session_may_read_and_needs_its_csrf_token_to_change(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        headers, csrf = await _browser(gate)
        browser = gate.api.with_key(None)
        assert (await browser("GET", "/api/v1/events", headers=headers)).status == 200
        body = {"url": "http://127.0.0.1:9/"}
        answer = await browser("PUT", "/api/v1/destinations/d", body, headers=headers)
        assert (answer.status, answer.json()["code"]) == (403, "csrf_failed")
        _, other = await _browser(gate)
        answer = await browser("PUT", "/api/v1/destinations/d", body, headers={**headers, "X-CSRF-Token": other})
        assert answer.status == 403
        answer = await browser("PUT", "/api/v1/destinations/d", body, headers={**headers, "X-CSRF-Token": csrf})
        assert answer.status == 201


async def test_a_session_is_refused_under_a_host_name_that_is_not_ours(tmp_path: Path) -> None:
    toml = '[gateway]\npublic_url = "https://gate.example.com/x"\nallowed_hosts = ["tide.local"]\n' + TOML
    async with served(tmp_path, toml) as gate:
        headers, _ = await _browser(gate)
        browser = gate.api.with_key(None)
        for host in ("127.0.0.1:1", "localhost", "[::1]:80", "gate.example.com", "Tide.Local:8420"):
            answer = await browser("GET", "/api/v1/events", headers={**headers, "Host": host})
            assert answer.status == 200, host
        for host in (
            "evil.example",
            "gate.example.com.evil.example",
            "127.0.0.1.evil.example",
            "evilgate.example.com",
            "[",
        ):
            answer = await browser("GET", "/api/v1/events", headers={**headers, "Host": host})
            assert (answer.status, answer.json()["code"]) == (421, "host_not_allowed"), host


async def test_a_login_link_works_once_and_a_session_ends_at_logout(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        kept = gate.context.sessions
        link = kept.new_link()
        cookie = await kept.by_link(link)
        for token in (link, "x", ""):
            with pytest.raises(Unauthorized):
                await kept.by_link(token)
        headers = {"Cookie": f"a=b; {sessions.COOKIE}={cookie}"}
        nobody = gate.api.with_key(None)
        assert (await nobody("GET", "/api/v1/events", headers=headers)).status == 200
    for file in (tmp_path / "data").iterdir():
        assert cookie.encode() not in file.read_bytes()
    async with served(tmp_path, TOML) as gate:  # a session outlives a restart
        nobody = gate.api.with_key(None)
        assert (await nobody("GET", "/api/v1/events", headers=headers)).status == 200
        await gate.context.sessions.end(cookie)
        assert (await nobody("GET", "/api/v1/events", headers=headers)).status == 401
