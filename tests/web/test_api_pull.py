"""Pulls and records through the API: what decides about the cache, and which keys an address can name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import msgspec

from support.gateway.api import served
from support.gateway.running import until
from support.receiver.scripted import OK, ScriptedServer, answer


async def test_no_cache_asks_the_source_however_it_is_written(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server:
        toml = f'[sources.shop.api]\nbase_url = "{server.url}"\n'
        toml += '[sources.shop.resources.orders]\npath = "/orders"\ncache = "1h"\n'
        async with served(tmp_path, toml) as gate:
            asked = []
            for header in ("", "", "no-cache", "No-Cache", "max-age=60, NO-CACHE"):
                headers = {"Cache-Control": header} if header else {}
                got = await gate.api("GET", "/api/v1/pull/shop/orders", headers=headers)
                assert got.status == 200
                asked.append(len(server.requests))
            assert asked == [1, 1, 2, 3, 4]


async def test_a_record_is_found_by_any_key_as_one_encoded_segment(tmp_path: Path) -> None:
    keys = ["1", "a/b", "a%2Fb", "..", "ü ü", "a?b#c", "%", '"q"', " ", "two\nlines", "end\n", "x" * 400]
    toml = '[sources.shop.webhook]\nverify = "none"\n[sources.shop.api]\nbase_url = "http://127.0.0.1:9"\n'
    toml += '[sources.shop.resources.orders]\npath = "/orders"\nversion = "v"\nwebhook = { types = ["*"] }\n'
    async with served(tmp_path, toml) as gate:
        for key in keys:
            sent = await gate.api("POST", "/in/shop", msgspec.json.encode({"type": "order", "id": key, "v": 1}))
            assert sent.status == 202

        async def known() -> bool:
            return len((await gate.api.get("/records/shop/orders"))["data"]) == len(keys)

        await until(known)
        for key in keys:
            segment = quote(key, safe="").replace(".", "%2E")
            assert (await gate.api.get(f"/records/shop/orders/{segment}"))["key"] == key
