"""`?as_of=` on records: through the API and the command line, with its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from support.gateway.api import served
from support.gateway.running import until
from tidegate.cli import pull

TOML = """[sources.shop.webhook]
verify = "none"
[sources.shop.api]
base_url = "http://127.0.0.1:9"
[sources.shop.resources.orders]
path = "/orders"
version = "v"
webhook = { types = ["orders/*"], deleted_types = ["orders/deleted"] }
"""


async def test_a_record_and_the_list_are_what_they_were(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        times: list[str] = []

        async def send(type_: str, number: int, **more: Any) -> None:
            """A webhook, until its change is in the log; then note the time of that event."""
            await gate.api("POST", "/in/shop", {"type": type_, "id": "a/1", **more})

            async def changed() -> bool:
                found = (await gate.api.get("/events?key=a/1"))["data"]
                changes = [one for one in found if one["change"] is not None]
                times[number - 1 :] = [changes[0]["received_at"]] if len(changes) == number else []
                return len(changes) == number

            await until(changed)

        await send("orders/new", 1, v=1, n=1)
        await send("orders/new", 2, v=2, n=2)
        await send("orders/deleted", 3, v=3)
        path = "/records/shop/orders"
        for at, n in zip(times, (1, 2), strict=False):
            one = await gate.api.get(f"{path}/a%2F1?as_of={at}")
            assert (one["data"]["n"], one["version"], one["number"], one["as_of"]) == (n, str(n), n, at)
            assert (one["changed_at"], one["origin"], one["deleted"]) == (at, "webhook", False)
            page = await gate.api.get(f"{path}?as_of={at}")
            assert page["data"] == [one]
        assert (await gate.api.get(f"{path}?as_of={times[2]}"))["data"] == []
        assert (await gate.api.get(f"{path}?as_of={times[2]}&deleted=true"))["data"][0]["deleted"]
        for query, status, code in (
            (f"/a%2F1?as_of={times[2]}", 404, "record_deleted"),
            ("/other?as_of=0s", 404, "not_found"),
            ("?as_of=30d", 410, "history_gone"),
            ("/a%2F1?as_of=30d", 410, "history_gone"),
            ("?as_of=2999-01-01T00:00:00Z", 400, "bad_request"),
            ("?as_of=soon", 400, "bad_request"),
            ("?as_of=0s&updated_since=1h", 400, "bad_request"),
            ("?as_of=0s&cursor=YTA", 400, "bad_cursor"),
        ):
            refused = await gate.api("GET", f"/api/v1{path}{query}")
            assert (refused.status, refused.json()["code"]) == (status, code), query
        gone = (await gate.api("GET", f"/api/v1{path}?as_of=30d")).json()
        assert "the oldest time possible is 2" in gone["hint"] and "were first taken" in gone["detail"]


def test_the_command_asks_for_the_time_and_keeps_it_for_the_next_page(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    class Gateway:
        def get_page(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
            asked.append((path, query))
            record = dict.fromkeys(("version", "changed_at", "origin", "age_seconds")) | {"key": "7", "number": 1}
            return {"data": [record], "next_cursor": "more"}

    monkeypatch.setattr(pull, "find_gateway", lambda _data: Gateway())
    done = CliRunner().invoke(pull.records, ["shop/orders", "--as-of", "2026-11-24T12:00:00Z"])
    assert done.exit_code == 0, done.output
    assert asked[0][1]["as_of"] == "2026-11-24T12:00:00.000000Z"
    assert "--as-of 2026-11-24T12:00:00.000000Z --cursor more" in done.output
