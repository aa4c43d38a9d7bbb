"""Pulls through the API: which part of a caller's request decides about the cache."""

from __future__ import annotations

import asyncio
from pathlib import Path

from support.farside import OK, FarSide, answer
from support.gateway import served


def test_no_cache_asks_the_source_however_it_is_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with FarSide(answer(OK)) as far:
            toml = f'[sources.shop.api]\nbase_url = "{far.url}"\n'
            toml += '[sources.shop.resources.orders]\npath = "/orders"\ncache = "1h"\n'
            async with served(tmp_path, toml) as gate:
                asked = []
                for header in ("", "", "no-cache", "No-Cache", "max-age=60, NO-CACHE"):
                    headers = {"Cache-Control": header} if header else {}
                    got = await gate.api("GET", "/api/v1/pull/shop/orders", headers=headers)
                    assert got.status == 200
                    asked.append(len(far.requests))
                assert asked == [1, 1, 2, 3, 4]

    asyncio.run(main())
