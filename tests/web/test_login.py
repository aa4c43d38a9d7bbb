"""Signing in: the one-time link, where it leads, when a click is enough, and two gateways in one browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from support.gateway.api import Reply, Served, served
from support.gateway.cluster import MASTER
from support.gateway.running import until
from support.postgres.server import server
from tidegate.api import keys, sessions
from tidegate.core.clock import ManualClock

CLICK = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-User": "?1", "Sec-Fetch-Mode": "navigate"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_link_made_by_the_api_signs_in_at_its_button_and_goes_where_the_way_went(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        nobody = gate.api.with_key(None)
        made = await gate.api("POST", "/api/v1/keys/login")
        assert made.status == 201
        path = made.json()["path"]
        for _ in range(2):  # a preview that follows the link uses nothing up
            shown = await nobody("GET", f"{path}&to=/events/evt_1")
            assert shown.status == 200 and "set-cookie" not in shown.headers
        assert 'name="to" value="/events/evt_1"' in shown.body.decode()
        fields = {"token": path.partition("token=")[2], "to": "/events/evt_1"}
        entered = await nobody("POST", "/login", urlencode(fields).encode(), headers=FORM)
        assert (entered.status, entered.headers["location"]) == (303, "/events/evt_1")
        cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
        assert (await nobody("GET", "/events", headers=cookie)).status == 200
        again = await nobody("POST", "/login", urlencode(fields).encode(), headers=FORM)
        assert again.status == 401 and "set-cookie" not in again.headers


async def test_a_click_on_a_page_of_this_machine_needs_no_second_one(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        nobody = gate.api.with_key(None)
        path = (await gate.api.post("/keys/login"))["path"]
        for headers in (
            {**CLICK, "Sec-Fetch-Site": "cross-site"},
            {**CLICK, "Sec-Fetch-Site": "none"},
            {**CLICK, "Sec-Purpose": "prefetch;prerender"},
            {**CLICK, "Sec-Fetch-Mode": "no-cors"},
            {**CLICK, "Sec-Fetch-User": ""},
        ):
            shown = await nobody("GET", path, headers=headers)
            assert shown.status == 200 and "set-cookie" not in shown.headers, headers
        entered = await nobody("GET", f"{path}&to=/events", headers=CLICK)
        assert (entered.status, entered.headers["location"]) == (303, "/events")
        assert entered.headers["set-cookie"].startswith(sessions.COOKIE)
        used = await nobody("GET", path, headers=CLICK)
        assert used.status == 401 and "set-cookie" not in used.headers


async def test_who_is_signed_in_goes_on_and_the_link_stays_good(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        nobody, kept = gate.api.with_key(None), gate.context.sessions
        cookie = {"Cookie": f"{sessions.COOKIE}={await kept.by_link(kept.new_link())}"}
        link = kept.new_link()
        answer = await nobody("GET", f"/login?token={link}&to=/events", headers=cookie)
        assert (answer.status, answer.headers["location"]) == (303, "/events")
        assert await kept.by_link(link)


async def test_links_and_sessions_end_with_their_time_and_only_an_admin_gets_one(tmp_path: Path) -> None:
    clock = ManualClock(1_800_000_000_000_000)
    async with served(tmp_path, "", clock) as gate:
        nobody, kept = gate.api.with_key(None), gate.context.sessions

        async def enter(**fields: str) -> Reply:
            return await nobody("POST", "/login", urlencode(fields).encode(), headers=FORM)

        old = kept.new_link()
        clock.advance(3601)
        assert (await enter(token=old)).status == 401
        for scope in keys.SCOPES:
            caller = await gate.key(scope)
            answer = await enter(key=caller.key or "")
            assert ("set-cookie" in answer.headers) is (scope == "admin"), scope
        fixed = {**FORM, "Cookie": f"{sessions.COOKIE}=chosen-by-somebody-else"}
        entered = await nobody("POST", "/login", urlencode({"key": gate.api.key}).encode(), headers=fixed)
        cookie, *rest = entered.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(rest) and "chosen" not in cookie
        headers = {"Cookie": cookie}
        clock.advance(13 * 86400)
        assert (await nobody("GET", "/api/v1/stats", headers=headers)).status == 200
        clock.advance(86400)
        assert (await nobody("GET", "/api/v1/stats", headers=headers)).status == 401
        assert (await nobody("GET", "/api/v1/stats", headers={"Cookie": fixed["Cookie"]})).status == 401


async def test_the_way_never_leads_to_another_host(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        for to in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:1"):
            path = (await gate.api.post("/keys/login"))["path"] + "&" + urlencode({"to": to})
            answer = await gate.api.with_key(None)("GET", path, headers=CLICK)
            assert (answer.status, answer.headers["location"]) == (303, "/"), to


@pytest.mark.parametrize(
    ("header", "host", "found"),
    [
        ("tidegate_session=a", "127.0.0.1:8420", "a"),
        ("tidegate_session_8420=a; tidegate_session_8520=b", "127.0.0.1:8420", "a"),
        ("tidegate_session_8420=a; tidegate_session_8520=b", "127.0.0.1:8520", "b"),
        ("tidegate_session=c; tidegate_session_8420=a", "[::1]:8420", "a"),
        ("tidegate_session_8420=a", "gate.example.com", None),
        ("tidegate_session=c", "gate.example.com", "c"),
        ("tidegate_session=c", "127.0.0.1:99999", "c"),
    ],
)
def test_two_gateways_on_one_host_do_not_take_turns_in_a_browser(header: str, host: str, found: str | None) -> None:
    assert sessions.cookie_of(header, host) == found


async def test_behind_a_proxy_with_tls_the_cookie_is_sent_over_tls_only(tmp_path: Path) -> None:
    """The proxy is known by `public_url`; a header that anybody may send does not change that."""
    async with served(tmp_path, '[gateway]\npublic_url = "https://gate.example.com"\n') as gate:
        nobody = gate.api.with_key(None)
        for host, secure in (("gate.example.com", True), ("127.0.0.1:8420", False)):
            token = (await gate.api.post("/keys/login"))["path"].partition("token=")[2]
            headers = {**FORM, "Host": host, "X-Forwarded-Proto": "https"}
            entered = await nobody("POST", "/login", urlencode({"token": token}).encode(), headers=headers)
            assert entered.status == 303
            assert ("; Secure" in entered.headers["set-cookie"]) is secure, host


async def test_sessions_and_keys_hold_on_every_node_and_end_on_every_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    balanced = {"Host": "localhost:8420"}  # one name for all nodes, as behind a balancer
    for module in (sessions, keys):
        monkeypatch.setattr(module, "REFRESH_SECONDS", 0.2)
        monkeypatch.setattr(module, "MISS_SECONDS", 0.0)

    async def login(gate: Served) -> dict[str, str]:
        token = gate.context.sessions.new_link()
        form = urlencode({"token": token}).encode()
        entered = await gate.api.with_key(None)("POST", "/login", form, headers={**FORM, **balanced})
        assert entered.status == 303
        return {**balanced, "Cookie": entered.headers["set-cookie"].partition(";")[0]}

    async def seen(gate: Served, cookie: dict[str, str]) -> bool:
        return (await gate.api.with_key(None)("GET", "/events", headers=cookie)).status == 200

    where = {"database": server().new_database(), "environ": {"TIDEGATE_SECRET_KEY": MASTER}}
    async with served(tmp_path / "a", "", **where) as a, served(tmp_path / "b", "", **where) as b:
        first = await login(a)
        assert await seen(b, first)
        second = await login(b)
        third = await login(a)  # A may not know yet what B began, and this must not lose it
        assert [await seen(gate, cookie) for gate in (a, b) for cookie in (first, second, third)] == [True] * 6
        await a.context.sessions.end(second["Cookie"].partition("=")[2])
        robot = await a.key("read")
        on_b = b.api.with_key(robot.key)
        assert (await on_b("GET", "/api/v1/stats")).status == 200
        (kept,) = (await a.api.get("/keys"))["data"]
        await a.api("DELETE", f"/api/v1/keys/{kept['id']}")

        async def ended() -> bool:
            return not await seen(b, second) and (await on_b("GET", "/api/v1/stats")).status == 401

        await until(ended, 20)
        assert await seen(b, first) and await seen(b, third)
