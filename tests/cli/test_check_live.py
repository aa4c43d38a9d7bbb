"""`tidegate check --live` asks each resource once, and a resource that cannot be read is exit code 1."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.upstream.functions import Reply, Script, SentRequest
from support.upstream.pull import StepClock
from tidegate.cli import check_live
from tidegate.cli.check_live import LiveResult, ask_all
from tidegate.config.load import load_text

CONFIG = """
[sources.shop.api]
base_url = "https://shop.example"
[sources.shop.resources.orders]
path = "/orders"
poll = "5m"
data_selector = "orders"
paginator = { type = "auto" }
[sources.shop.resources.rows]
path = "/orders"
data_selector = "orders"
primary_key = "number"
[sources.shop.resources.page]
path = "/login"
[sources.shop.resources.closed]
path = "/closed"
[sources.shop.resources.lines]
path = "/orders/{resources.orders.id}/lines"
parent = { resource = "orders" }
"""


def source(asked: SentRequest) -> Any:
    if asked.url == "/orders":
        return {"orders": [{"id": 1}, {"id": 2}], "next_cursor": "x"}
    return b"<html><title>Sign in</title>" if asked.url == "/login" else Reply({"error": "no access"}, 403)


def results(monkeypatch: pytest.MonkeyPatch) -> dict[str, LiveResult]:
    script = Script(StepClock(), source)

    class Client(Script):
        def __init__(self, *_: Any) -> None:
            self.__dict__ = script.__dict__

        async def close(self) -> None:
            pass

    monkeypatch.setattr("tidegate.outbound.http.PullClient", Client)

    async def main() -> list[LiveResult]:
        return [one async for one in ask_all(load_text(CONFIG, "t.toml", {}).config)]

    found = asyncio.run(main())
    assert len(script.asked) == 4
    return {one.name: one for one in found}


def test_each_resource_is_asked_once_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = results(monkeypatch)
    assert set(found) == {"shop/orders", "shop/rows", "shop/page", "shop/closed", "shop/lines"}
    assert (found["shop/orders"].rows, found["shop/orders"].unreadable) == (2, 0)
    assert 'paginator = { type = "cursor" }' in found["shop/orders"].next_page
    assert found["shop/rows"].unreadable == 2
    assert "none of the 2 rows" in found["shop/rows"].error and "no key at 'number'" in found["shop/rows"].error
    assert "HTML" in found["shop/page"].error and "base_url" in found["shop/page"].hint
    assert "403" in found["shop/closed"].error and found["shop/closed"].status == 403
    assert "auth in [sources.shop.api]" in found["shop/closed"].hint
    assert "no access" in found["shop/closed"].error
    assert "needs a record of orders" in found["shop/lines"].next_page


def test_an_address_that_does_not_answer_has_a_hint_about_the_address() -> None:
    text = '[egress]\nallow = ["127.0.0.1/32"]\n' + CONFIG.replace("https://shop.example", "http://127.0.0.1:1")

    async def main() -> list[LiveResult]:
        return [one async for one in ask_all(load_text(text, "t.toml", {}).config)]

    found = asyncio.run(main())
    assert {one.hint for one in found if one.error} == {"check base_url, and that this machine reaches that address"}


def test_a_result_is_shown_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    check_live.show(LiveResult("shop/orders", 2, 1, "there is a next page", ["no key\x1b[31m"]))
    check_live.show(LiveResult("shop/page", error="HTML", hint="set format"))
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "shop/orders: 2 rows, there is a next page",
        "  1 row cannot be read",
        "  no key\\u001b[31m",
        "shop/page: HTML",
        "  hint: set format",
    ]
