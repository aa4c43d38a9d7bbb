"""Signing in at a provider: from a browser and from a terminal, once, and never with somebody else's answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from support.gateway.api import Api, Reply, Served, served
from support.upstream.authorization_server import AuthorizationServer

SECRETS = ("s3cret", "access-", "refresh-")


def toml(server: AuthorizationServer, more: str = "") -> str:
    return f"""
[credentials.ledger.auth]
type = "oauth2_authorization_code"
authorization_url = "{server.url}/authorize?prompt=consent"
access_token_url = "{server.url}/token"
client_id = "app"
client_secret = "s3cret"
scopes = ["read", "write"]
capture = ["realmId"]
{more}
[sources.ledger.api]
base_url = "{server.url}"
auth = {{ credential = "ledger" }}
[sources.ledger.resources.invoices]
path = "/invoices"
[sources.ledger.operations.book]
path = "/invoices"
"""


async def state(gate: Served) -> dict[str, Any]:
    (one,) = (await gate.api.get("/auth"))["data"]
    found: dict[str, Any] = one
    return found


async def session(gate: Served) -> dict[str, str]:
    """The cookie of a signed-in browser."""
    link = (await gate.api.post("/keys/login"))["path"]
    body = f"token={link.partition('token=')[2]}".encode()
    entered = await gate.api.with_key(None)(
        "POST", "/login", body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    return {"Cookie": entered.headers["set-cookie"].partition(";")[0]}


async def begun(gate: Served, cookie: dict[str, str]) -> tuple[str, str]:
    """(the provider's address, the cookie of the consent) after the button of the page."""
    page = await gate.api.with_key(None)("GET", "/connect/ledger", headers=cookie)
    assert page.status == 200, page
    start = page.body.decode().partition('href="/connect/ledger/start')[2].partition('"')[0]
    gone = await gate.api.with_key(None)("GET", f"/connect/ledger/start{start}", headers=cookie)
    assert gone.status == 303, gone
    lines = gone.headers["set-cookie"]
    assert "HttpOnly" in lines and "SameSite=lax" in lines and "Path=/oauth/callback" in lines
    return gone.headers["location"], lines.partition(";")[0]


async def consented(gate: Served, address: str) -> str:
    """What the provider sends the browser back to, as a path of the gateway."""
    async with gate.api.http.get(address, allow_redirects=False) as answer:
        back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


async def come_back(gate: Served, path: str, cookie: str = "") -> Reply:
    nobody: Api = gate.api.with_key(None)
    return await nobody("GET", path, headers={"Cookie": cookie} if cookie else {})


async def test_a_browser_signs_in_without_its_session_on_the_way_back(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, served(tmp_path, toml(server)) as gate:
        assert (await state(gate))["state"] == "not_connected"
        address, cookie = await begun(gate, await session(gate))
        query = dict(parse_qsl(urlsplit(address).query))
        assert query["scope"] == "read write" and query["code_challenge_method"] == "S256"
        assert query["prompt"] == "consent" and query["redirect_uri"] == f"{gate.api.url}/oauth/callback"
        done = await come_back(gate, await consented(gate, address), cookie)
        assert done.status == 200 and b"Connected" in done.body
        assert not any(secret in done.body.decode() for secret in SECRETS)
        assert (await state(gate))["state"] == "ready"
        assert (await gate.api.get("/pull/ledger/invoices")) == [{"id": "1"}]
        owner, manager = next(iter(gate.gateway.credentials._managers.items()))
        assert (owner, manager.captured) == ("credential/ledger", {"realmId": "4711"})


async def test_an_answer_is_used_once(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, served(tmp_path, toml(server)) as gate:
        address, cookie = await begun(gate, await session(gate))
        path = await consented(gate, address)
        assert (await come_back(gate, path, cookie)).status == 200
        issued = server.issued
        again = await come_back(gate, path, cookie)
        assert again.status == 400 and b"was used already" in again.body and server.issued == issued


async def test_the_answer_of_another_browser_stores_nothing_and_uses_nothing_up(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, served(tmp_path, toml(server)) as gate:
        address, cookie = await begun(gate, await session(gate))
        path = await consented(gate, address)
        for other in ("", "tidegate_oauth=guess", "tidegate_oauth="):
            foreign = await come_back(gate, path, other)
            assert foreign.status == 400 and b"consent_foreign" in foreign.body
        assert server.issued == 0 and (await state(gate))["state"] == "not_connected"
        assert (await come_back(gate, path, cookie)).status == 200


@pytest.mark.parametrize("query", ["", "?state=guess&code=x", "?code=x", "?state=%FF&code=x", "?state=" + "x" * 9000])
async def test_a_foreign_state_is_a_clear_answer(tmp_path: Path, query: str) -> None:
    async with AuthorizationServer() as server, served(tmp_path, toml(server)) as gate:
        answer = await come_back(gate, f"/oauth/callback{query}", "tidegate_oauth=x")
        assert answer.status == 400 and b"Nothing was stored" in answer.body
        assert server.token_requests == []


async def test_the_providers_error_is_shown_in_its_own_words_and_ours(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, served(tmp_path, toml(server)) as gate:
        server.hostile = "denied"
        address, cookie = await begun(gate, await session(gate))
        shown = (await come_back(gate, await consented(gate, address), cookie)).body.decode()
        assert "access_denied: The user said no" in shown and "an administrator said no" in shown


@pytest.mark.parametrize(
    ("hostile", "said"),
    [("html", "with HTML"), ("error_with_200", "no such app"), ("503", "it answered 503"),
     ("redirect http://10.0.0.1/", "redirects")],
)  # fmt: skip
async def test_a_code_that_gives_no_token_stores_nothing(tmp_path: Path, hostile: str, said: str) -> None:
    async with AuthorizationServer() as server, served(tmp_path, toml(server)) as gate:
        address, cookie = await begun(gate, await session(gate))
        path = await consented(gate, address)
        server.hostile = hostile
        shown = await come_back(gate, path, cookie)
        assert shown.status >= 400 and said in shown.body.decode()
        assert not any(secret in shown.body.decode() for secret in SECRETS)
        assert (await state(gate))["state"] == "not_connected"


async def test_a_terminal_begins_and_any_browser_with_the_address_finishes(tmp_path: Path) -> None:
    public = '[gateway]\npublic_url = "https://gate.example.com"\n'
    async with AuthorizationServer() as server, served(tmp_path, public + toml(server)) as gate:
        begin = await gate.api.post("/auth/ledger/connect")
        assert begin["redirect_uri"] == "https://gate.example.com/oauth/callback"
        done = await come_back(gate, await consented(gate, begin["url"]))
        assert done.status == 200 and (await state(gate))["state"] == "ready"


async def test_a_call_before_the_consent_names_the_way_to_sign_in(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, served(tmp_path, toml(server)) as gate:
        reply = await gate.api("POST", "/api/v1/call/ledger/book", {"data": {}})
        assert b"nobody signed in yet" in reply.body and b"tidegate auth status" in reply.body


async def test_consent_needs_a_session_or_an_admin_key(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, served(tmp_path, toml(server)) as gate:
        nobody = gate.api.with_key(None)
        assert (await nobody("GET", "/connect/ledger")).headers["location"].startswith("/login")
        assert (await nobody("GET", "/connect/ledger/start?t=x")).headers["location"].startswith("/login")
        assert (await nobody("POST", "/api/v1/auth/ledger/connect")).status == 401
        write = await gate.key("read", "write")
        assert (await write("POST", "/api/v1/auth/ledger/connect")).status == 403
        cookie = await session(gate)
        assert (await nobody("GET", "/connect/ledger/start?t=guess", headers=cookie)).status == 403
        assert (await nobody("GET", "/connect/other", headers=cookie)).status == 404


async def test_a_new_consent_wakes_a_dead_credential(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, served(tmp_path, toml(server)) as gate:
        await come_back(gate, await consented(gate, (await gate.api.post("/auth/ledger/connect"))["url"]))
        server.revoked, server.access_token = True, "gone"
        assert (await gate.api("GET", "/api/v1/pull/ledger/invoices")).status == 502
        dead = await state(gate)
        assert (dead["state"], dead["cause"]) == ("dead", "invalid_grant")
        assert dead["next"] == "tidegate auth connect ledger"
        await come_back(gate, await consented(gate, (await gate.api.post("/auth/ledger/connect"))["url"]))
        assert (await state(gate))["state"] == "ready"
        assert await gate.api.get("/pull/ledger/invoices") == [{"id": "1"}]
        assert "credential_dead" not in [one.code for one in gate.gateway.findings.listed()]


async def test_a_restart_between_begin_and_answer_does_no_harm(tmp_path: Path) -> None:
    async with AuthorizationServer() as server:
        async with served(tmp_path, toml(server)) as gate:
            begin = await gate.api.post("/auth/ledger/connect")
            path = await consented(gate, begin["url"])
        async with served(tmp_path, toml(server)) as gate:
            assert (await come_back(gate, path)).status == 200


async def test_mailboxes_and_mail_servers_are_listed_too(tmp_path: Path) -> None:
    auth = """
type = "oauth2_authorization_code"
authorization_url = "https://login.example.com/authorize"
access_token_url = "https://login.example.com/token"
client_id = "app"
"""
    file = f"""
[sources.inbox.imap]
host = "imap.example.com"
username = "me@example.com"
[sources.inbox.imap.auth]{auth}
[destinations.mail]
type = "email"
host = "smtp.example.com"
from = "me@example.com"
to = "you@example.com"
subject = "hello"
username = "me@example.com"
[destinations.mail.auth]{auth}
"""
    async with served(tmp_path, file) as gate:
        found = {(one["belongs_to"], one["name"]): one["state"] for one in (await gate.api.get("/auth"))["data"]}
        assert found == {("mailbox", "inbox"): "not_connected", ("destination", "mail"): "not_connected"}
        begun = await gate.api.post("/auth/inbox/connect")
        assert begun["url"].startswith("https://login.example.com/authorize?")
