"""Pulls and deliveries use credentials of every kind, share one token, and send it to its own origin alone."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from support.gateway.running import publish, running, until
from support.receiver.scripted import Request, ScriptedServer, answer
from support.upstream.authorization_server import AuthorizationServer
from tidegate.core.errors import CredentialDead, TidegateError
from tidegate.process.gateway import Gateway

EMPTY = answer(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]")


def shared(url: str, **more: str) -> str:
    keys = {"type": "oauth2_refresh_token", "access_token_url": f"{url}/token", "client_id": "app",
            "client_secret": "s3cret", "refresh_token": "refresh-0", **more}  # fmt: skip
    table = ", ".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return f"[credentials.crm]\nauth = {{ {table} }}\n"


async def pull(gateway: Gateway, source: str = "crm", resource: str = "contacts") -> Any:
    return await gateway.pull.pull(source, resource, None, [], max_age=None, no_cache=True, if_none_match=None)


def both_sides(server: AuthorizationServer) -> str:
    return (
        shared(server.url)
        + f"""
[sources.app.publish]
[sources.crm.api]
base_url = "{server.url}"
auth = {{ credential = "crm" }}
[sources.crm.resources.contacts]
path = "/contacts"
[destinations.crm]
url = "{server.url}/hook"
auth = {{ credential = "crm" }}
[routes.r]
from = "app"
to = "crm"
"""
    )


async def test_pulls_and_deliveries_share_one_token_and_one_refresh(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, running(tmp_path, both_sides(server)) as gateway:
        await asyncio.gather(*(publish(gateway, source="app") for _ in range(20)), *(pull(gateway) for _ in range(5)))
        await until(lambda: server.api_status[200] >= 21)
        assert server.refreshes == 1 and server.api_status[401] == 0


async def test_a_401_refreshes_once_and_repeats_the_delivery_with_the_same_id(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, running(tmp_path, both_sides(server)) as gateway:
        await publish(gateway, source="app")
        await until(lambda: server.api_status[200] == 1)
        server.access_token = "revoked by somebody"
        await publish(gateway, source="app")
        await until(lambda: server.api_status[200] == 2)
        hooks = [one for one in server.requests if "/hook" in one.line]
        assert hooks[1].headers["webhook-id"] == hooks[2].headers["webhook-id"]
        assert hooks[1].headers["tidegate-attempt"] == hooks[2].headers["tidegate-attempt"] == "1"
        assert server.refreshes == 2


async def test_a_401_in_the_middle_of_a_walk_repeats_the_same_page(tmp_path: Path) -> None:
    pages: list[str] = []

    async with AuthorizationServer() as server:

        async def api(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
            if len(pages) == 1:
                server.access_token = "revoked"  # between the first page and the second one
            right = request.headers.get("authorization") == f"Bearer {server.access_token}"
            page = request.line.split(" ")[1]
            pages.append(page)
            body = json.dumps([{"id": f"{page}{n}"} for n in range(2)]).encode() if right else b"{}"
            next_page = {"/list": "/list?page=2", "/list?page=2": "/list?page=3"}.get(page)
            link = f'link: <{next_page}>; rel="next"\r\n' if next_page and right else ""
            status = "200 OK" if right else "401 No"
            head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{link}content-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)

        async with ScriptedServer(api) as far:
            toml = (
                shared(server.url)
                + f"""
[sources.crm.api]
base_url = "{far.url}"
auth = {{ credential = "crm" }}
[sources.crm.resources.contacts]
path = "/list"
poll = "1h"
paginator = {{ type = "header_link" }}
"""
            )
            async with running(tmp_path, toml):
                await until(lambda: len(pages) >= 4)
        assert pages[:4] == ["/list", "/list?page=2", "/list?page=2", "/list?page=3"]
        assert server.refreshes == 2


async def test_without_a_token_nothing_is_sent_and_deliveries_wait(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, running(tmp_path, both_sides(server)) as gateway:
        server.hostile = "503"
        await publish(gateway, source="app")
        with pytest.raises(TidegateError, match="gave no token"):
            await pull(gateway)
        number = gateway.active.destinations["crm"].number
        await until(lambda: gateway.deliver.health(number).last_error != "")
        assert "credential_failed" in gateway.deliver.health(number).last_error
        assert server.api_status.total() == 0
        assert "credential_failing" in [one.code for one in gateway.findings.listed()]


async def test_a_dead_credential_is_named_with_the_way_to_sign_in_again(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, running(tmp_path, both_sides(server)) as gateway:
        server.revoked = True
        with pytest.raises(CredentialDead) as caught:
            await pull(gateway)
        assert caught.value.cause == "invalid_grant"
        assert "credential_dead" in [one.code for one in gateway.findings.listed()]


async def test_no_credential_reaches_a_listener_on_another_port(tmp_path: Path) -> None:
    """By redirect, by next link, and by a link to an origin that is allowed without `share_credential`."""
    async with AuthorizationServer() as server, ScriptedServer(EMPTY) as elsewhere:
        for name, share in (("plain", False), ("shared", True)):

            async def api(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
                path = request.line.split(" ")[1]
                if path == "/redirects":
                    writer.write(f"HTTP/1.1 302 F\r\nlocation: {elsewhere.url}/x\r\ncontent-length: 0\r\n\r\n".encode())
                    return
                body = b'[{"id": 1}]'
                link = f'link: <{elsewhere.url}/next>; rel="next"\r\n'
                head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{link}content-length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)

            async with ScriptedServer(api) as far:
                resources = "".join(
                    f'[sources.crm.resources.{key}]\npath = "/{key}"\npaginator = {{ type = "header_link" }}\n'
                    f'origins = ["{elsewhere.url}"]\npoll = "1h"\nshare_credential = {str(share).lower()}\n'
                    for key in ("redirects", "links")
                )
                toml = shared(server.url) + (
                    f'[sources.crm.api]\nbase_url = "{far.url}"\nauth = {{ credential = "crm" }}\n'
                    f'headers = {{ "X-Api-Key" = "k3y", "X-Plain" = "p" }}\n{resources}'
                )
                seen = len(elsewhere.requests)
                async with running(tmp_path / name, toml):
                    await until(lambda wanted=seen + 2: len(elsewhere.requests) >= wanted)
                for one in elsewhere.requests[seen:]:
                    if not share or one.line.startswith("GET /x"):
                        assert "authorization" not in one.headers and "x-api-key" not in one.headers
                if share:
                    assert any("authorization" in one.headers for one in elsewhere.requests[seen:])
            server.refresh_token, server._previous = "refresh-0", ""


async def test_a_token_is_not_used_at_another_origin_after_the_address_was_changed(tmp_path: Path) -> None:
    """A token of a source belongs to the origin of the source: a person who changes `base_url` does not get it."""
    async with AuthorizationServer() as server, ScriptedServer(EMPTY) as elsewhere:

        def toml(url: str) -> str:
            auth = shared(server.url).partition("auth = ")[2]
            return (
                f'[sources.crm.api]\nbase_url = "{url}"\nauth = {auth}\n[sources.crm.resources.contacts]\npath = "/c"\n'
            )

        async with running(tmp_path, toml(server.url)) as gateway:
            await pull(gateway)
        assert server.issued == 1
        async with running(tmp_path, toml(elsewhere.url)) as gateway:
            with pytest.raises(CredentialDead):  # the first refresh token is used up, and the stored one stays
                await pull(gateway)
        assert elsewhere.requests == []


async def test_requests_are_signed_one_by_one_on_both_sides(tmp_path: Path) -> None:
    auth = '{ type = "aws_sigv4", access_key_id = "AKID", secret_access_key = "s3cret", region = "r", service = "s" }'
    async with ScriptedServer(EMPTY) as far:
        toml = f"""
[sources.app.publish]
[sources.crm.api]
base_url = "{far.url}"
auth = {auth}
[sources.crm.resources.contacts]
path = "/contacts"
[destinations.crm]
url = "{far.url}/hook"
auth = {auth}
[routes.r]
from = "app"
to = "crm"
"""
        async with running(tmp_path, toml) as gateway:
            await pull(gateway)
            await publish(gateway, source="app")
            await until(lambda: len(far.requests) == 2)
        for one in far.requests:
            assert one.headers["x-amz-content-sha256"] == hashlib.sha256(one.body).hexdigest()
            assert one.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")


async def test_digest_answers_the_challenge_and_counts_on(tmp_path: Path) -> None:
    async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        if "authorization" in request.headers:
            await EMPTY(reader, writer, request)
        else:
            challenge = b'www-authenticate: Digest realm="r", nonce="n1", qop="auth", algorithm=SHA-256\r\n'
            writer.write(b"HTTP/1.1 401 No\r\n" + challenge + b"content-length: 0\r\n\r\n")

    async with ScriptedServer(device) as far:
        toml = f"""
[sources.app.publish]
[sources.crm.api]
base_url = "{far.url}"
auth = {{ type = "digest", username = "u", password = "p4ss" }}
[sources.crm.resources.contacts]
path = "/contacts"
[destinations.crm]
url = "{far.url}/hook"
auth = {{ type = "digest", username = "u", password = "p4ss" }}
[routes.r]
from = "app"
to = "crm"
"""
        async with running(tmp_path, toml) as gateway:
            await pull(gateway)
            await pull(gateway)
            await publish(gateway, source="app")
            await until(lambda: len(far.requests) == 5)
        signed = [one.headers["authorization"] for one in far.requests if "authorization" in one.headers]
        assert ["nc=00000001" in one for one in signed] == [True, False, True]
        assert "nc=00000002" in signed[1] and 'uri="/contacts"' in signed[0]


async def test_the_request_as_sent_names_the_header_and_hides_the_token(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, running(tmp_path, both_sides(server)) as gateway:
        attempt = await gateway.deliver.test("crm")
        assert attempt.status == 200
        assert b"Authorization: [redacted]" in attempt.request and b"access-" not in attempt.request


async def test_what_was_captured_with_the_token_is_part_of_paths(tmp_path: Path) -> None:
    async with AuthorizationServer() as server:
        server.more = {"company": {"id": 4711}}
        auth = shared(server.url).replace(" }", ', capture = ["company.id"] }')
        toml = (
            auth
            + f"""
[sources.crm.api]
base_url = "{server.url}"
auth = {{ credential = "crm" }}
[sources.crm.resources.contacts]
path = "/company/{{credential.id}}/contacts"
params = {{ company = "{{credential.id}}" }}
[sources.crm.operations.create]
path = "/company/{{{{ credential.id }}}}/contacts"
"""
        )
        async with running(tmp_path, toml) as gateway:
            await pull(gateway)
            await gateway.operations.run("crm", "create", {"data": {}, "key": None})
        asked = [one.line.split(" ")[1] for one in server.requests if "/company" in one.line]
        assert asked == ["/company/4711/contacts?company=4711", "/company/4711/contacts"]


async def test_sources_of_one_credential_share_its_rate(tmp_path: Path) -> None:
    async with AuthorizationServer() as server:
        toml = shared(server.url) + 'rate = "1/h"\n'
        for name in ("one", "two"):
            toml += (
                f'[sources.{name}.api]\nbase_url = "{server.url}"\nauth = {{ credential = "crm" }}\ntimeout = "1s"\n'
                f'[sources.{name}.resources.contacts]\npath = "/contacts"\n'
            )
        async with running(tmp_path, toml) as gateway:
            await pull(gateway, "one")
            with pytest.raises(TidegateError) as caught:
                await pull(gateway, "two")
            assert caught.value.code == "upstream_rate_limited"


async def test_a_changed_credential_is_used_without_a_restart(tmp_path: Path) -> None:
    async with AuthorizationServer(rotates=False) as server, running(tmp_path, both_sides(server)) as gateway:
        await pull(gateway)
        server.refresh_token = "refresh-other"
        server.access_token = "gone"
        file = gateway.options.config
        assert file is not None
        file.write_text(file.read_text().replace("refresh-0", "refresh-other"))
        await gateway.reload()
        await pull(gateway)
        await publish(gateway, source="app")
        await until(lambda: server.api_status[200] == 3)
        assert server.token_requests[-1]["refresh_token"] == "refresh-other"
