"""Sources, destinations and routes through the API: what a PUT keeps, what it refuses, and what is kept afterwards."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

from support.gateway.api import Api, Reply, served
from support.gateway.running import until
from support.receiver.scripted import OK, ScriptedServer, answer

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()


async def put(api: Api, path: str, /, **body: Any) -> Reply:
    return await api("PUT", "/api/v1" + path, body)


def signature(secret: str, name: str, at: str, body: bytes) -> str:
    mac = hmac.digest(base64.b64decode(secret[6:]), f"{name}.{at}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac).decode()


async def deliver(api: Api, source: str, secret: str) -> int:
    """Sends a signed webhook; its status."""
    now, body = str(int(time.time())), b"{}"
    headers = {"webhook-id": "m", "webhook-timestamp": now, "webhook-signature": signature(secret, "m", now, body)}
    return (await api.with_key(None)("POST", f"/in/{source}", body, headers=headers)).status


async def test_a_route_names_only_what_is_there(tmp_path: Path) -> None:
    toml = '[sources.app.publish]\n[sources.shop.api]\nbase_url = "http://127.0.0.1:9"\n'
    toml += '[sources.shop.resources.orders]\npath = "/orders"\n[destinations.crm]\nurl = "http://127.0.0.1:9/"\n'
    async with served(tmp_path, toml) as gate:
        for route in (
            {"from": "ap", "to": "crm"},
            {"from": "app", "to": "crn"},
            {"from": "app", "to": "crm", "changes": ["orders"]},
            {"from": ["app", "shop"], "to": "crm", "changes": ["order"]},
            {"from": "*", "to": "crm", "changes": ["order"]},
        ):
            refused = await put(gate.api, "/routes/r", **route)
            assert (refused.status, refused.json()["code"]) == (422, "unknown_name"), route
        assert (await gate.api.get("/routes"))["data"] == []
        for number, source in enumerate(("shop", ["app", "shop"], "*")):
            made = await put(gate.api, f"/routes/r{number}", **{"from": source, "to": "crm", "changes": ["orders"]})
            assert made.status == 201
        assert (await put(gate.api, "/routes/all", **{"from": "app", "to": "crm", "changes": ["*"]})).status == 201


async def test_a_source_keeps_the_resources_that_a_route_names(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:

        async def shop(*names: str) -> Reply:
            resources = {name: {"path": f"/{name}"} for name in names}
            return await put(gate.api, "/sources/shop", api={"base_url": "http://127.0.0.1:9"}, resources=resources)

        await shop("orders", "customers")
        await put(gate.api, "/destinations/crm", url="http://127.0.0.1:9/")
        for changes in (["orders"], ["orders", "*"]):
            await put(gate.api, "/routes/r", **{"from": "shop", "to": "crm", "changes": changes})
            before = await gate.api.get("/sources/shop")
            refused = await shop("customers")
            assert (refused.status, refused.json()["code"]) == (409, "in_use")
            assert await gate.api.get("/sources/shop") == before
        assert (await shop("orders")).status == 200
        assert (await gate.api("DELETE", "/api/v1/routes/r")).status == 204
        assert (await shop("customers")).status == 200


async def test_a_source_whose_secret_is_not_there_yet_answers_401_and_says_why_to_the_operator(tmp_path: Path) -> None:
    async with served(tmp_path, '[sources.early.webhook]\nverify = "standard-webhooks"\n') as gate:
        assert (await put(gate.api, "/sources/late", webhook={"verify": "standard-webhooks"})).status == 201
        assert [await deliver(gate.api, name, SECRET) for name in ("early", "late")] == [401, 401]
        assert (await gate.api.get("/events"))["data"] == []

        async def rejected_requests() -> bool:
            answer = (await gate.api.get("/rejections"))["data"]
            return {(one["source"], one["reason"]) for one in answer} == {
                ("early", "secret_unset"),
                ("late", "secret_unset"),
            }

        await until(rejected_requests)
        verified = {"verify": "standard-webhooks", "secret": SECRET}
        assert (await put(gate.api, "/sources/late", webhook=verified)).status == 200
        assert [await deliver(gate.api, "late", secret) for secret in (SECRET, OTHER)] == [202, 401]


async def test_a_kept_secret_does_not_stand_in_the_way_of_what_has_none(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        verified = {"verify": "standard-webhooks", "secret": SECRET}
        assert (await put(gate.api, "/sources/s", webhook=verified)).status == 201
        assert (await put(gate.api, "/sources/s", webhook={"verify": "none"})).status == 200
        assert (await gate.api.get("/sources/s"))["webhook"] == {"verify": "none"}
        url = "http://127.0.0.1:9/"
        assert (await put(gate.api, "/destinations/d", url=url, secret=SECRET)).status == 201
        assert (await put(gate.api, "/destinations/d", type="slack", url=url, text="new")).status == 200
        assert "secret" not in await gate.api.get("/destinations/d")


async def test_rotate_signs_with_the_new_secret_and_with_the_one_that_was_given(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server:
        toml = f'[destinations.file]\nurl = "{server.url}"\nsecret = "{SECRET}"\n'
        async with served(tmp_path, toml) as gate:
            assert (await put(gate.api, "/destinations/own", url=server.url, secret=[SECRET, OTHER])).status == 201
            rotated = await gate.api.post("/destinations/own/rotate")
            assert rotated["older"] == [SECRET, OTHER] and rotated["secret"] not in rotated["older"]
            assert (await gate.api.post("/destinations/own/test"))["outcome"] == "ok"
            (seen,) = server.requests
            name, at = seen.headers["webhook-id"], seen.headers["webhook-timestamp"]
            assert seen.headers["webhook-signature"].split() == [
                signature(secret, name, at, seen.body) for secret in (rotated["secret"], SECRET, OTHER)
            ]
            assert (await put(gate.api, "/destinations/own", url=server.url, timeout="3s")).status == 200
            assert await gate.api.get("/destinations/own/secret") == rotated
            refused = await gate.api("POST", "/api/v1/destinations/file/rotate")
            assert (refused.status, refused.json()["code"]) == (409, "secret_in_configuration")


async def names_of(api: Api, path: str, limit: int) -> list[list[str]]:
    """The names on each page."""
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await api.get(f"{path}?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        pages.append([one.get("name", one.get("id")) for one in page["data"]])
        cursor = page["next_cursor"]
    return pages


async def test_every_list_has_pages_and_is_whole_without_a_limit(tmp_path: Path) -> None:
    toml = "".join(
        f'[sources.s{n}.publish]\n[destinations.d{n}]\nurl = "http://127.0.0.1:9/"\n'
        f'[routes.r{n}]\nfrom = "s{n}"\nto = "d{n}"\n'
        for n in range(5)
    )
    async with served(tmp_path, toml) as gate:
        for n in range(5):
            await gate.api.post("/keys", {"name": f"k{n}", "scopes": ["read"]})
            await gate.api.post("/replays", {"source": f"s{n}"})
        for path in ("/sources", "/destinations", "/routes", "/replays", "/keys"):
            (whole,) = [(await gate.api.get(path))["data"]]
            names = [one["id"] if "id" in one and path == "/replays" else one["name"] for one in whole]
            assert len(names) == 5
            assert await names_of(gate.api, path, 2) == [names[:2], names[2:4], names[4:]], path
            assert await names_of(gate.api, path, 5) == [names]
            refused = await gate.api("GET", f"/api/v1{path}?cursor=YjEw")
            assert (refused.status, refused.json()["code"]) == (400, "bad_cursor")
        assert (await gate.api.get("/advice?limit=1"))["data"] == []


async def test_a_page_goes_on_where_the_last_one_ended_whatever_came_or_went_meanwhile(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        for name in "abcdef":
            assert (await put(gate.api, f"/sources/{name}", publish={})).status == 201
        first = await gate.api.get("/sources?limit=3")
        assert [one["name"] for one in first["data"]] == ["a", "b", "c"]
        cursor = first["next_cursor"]
        for gone, rest in (("a", "def"), ("d", "ef")):
            assert (await gate.api("DELETE", f"/api/v1/sources/{gone}")).status == 204
            page = await gate.api.get(f"/sources?limit=500&cursor={cursor}")
            assert ("".join(one["name"] for one in page["data"]), page["next_cursor"]) == (rest, None)
        assert (await gate.api("DELETE", "/api/v1/sources/c")).status == 204
        lost = await gate.api("GET", f"/api/v1/sources?cursor={cursor}")
        assert (lost.status, lost.json()["code"]) == (400, "bad_cursor")
