"""All recommendations at once: shown first, applied with one button to what the API owns, and undone the same way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from support.browser import comparison
from support.browser.page_weight import MOST_BYTES, weight
from support.gateway.api import Reply, Served, served
from tidegate.api import sessions
from tidegate.dashboard.comparison.everything import MOST, everything
from tidegate.query import advice
from tidegate.query.schemas import AdviceSchema, ApplySchema, SettingSchema

ALL = "/api-or-webhook/all"
SHOP = {
    "api": {"base_url": "http://127.0.0.1:9"},
    "resources": {name: {"path": f"/{name}", "poll": "5m"} for name in ("orders", "refunds")},
}
TOML = """[sources.files.api]
base_url = "http://127.0.0.1:9"
[sources.files.resources.orders]
path = "/orders"
poll = "5m"
"""


def advised(name: str, owner: str, poll: str = "15m", needs: str = "") -> AdviceSchema:
    """Poll less often: what the rules say of a resource that nearly never changes."""
    said = comparison.advised("accounting/customers", comparison.CASES["accounting/customers"][1])
    source, _, resource = name.partition("/")
    apply = ApplySchema(
        owner=owner, settings=[SettingSchema(key="poll", before="5m", after=poll)], ready=not needs, needs=needs,
        toml=[f" [sources.{source}.resources.{resource}]", '-poll = "5m"', f'+poll = "{poll}"'],
    )  # fmt: skip
    return msgspec.structs.replace(said, resource=name, apply=apply)


def plain(page: Reply) -> str:
    return page.body.decode().replace("\u202f", " ")


class Person:
    def __init__(self, gate: Served, cookie: str) -> None:
        self.gate, self.headers = gate, {"Cookie": f"{sessions.COOKIE}={cookie}"}

    async def page(self) -> str:
        return plain(await self.gate.api.with_key(None)("GET", ALL, headers=self.headers))

    async def press(self, action: str, page: str) -> Reply:
        form = page.split(f'action="{ALL}/{action}"')[1].split("</form>")[0]
        fields = dict(re.findall(r'name="(\w+)" value="(\w+)"', form))
        headers = {**self.headers, "Content-Type": "application/x-www-form-urlencoded"}
        return await self.gate.api.with_key(None)(
            "POST", f"{ALL}/{action}", urlencode(fields).encode(), headers=headers
        )


async def setting(gate: Served, resource: str) -> Any:
    return (await gate.api.get("/sources/shop"))["resources"][resource]["poll"]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[AdviceSchema]:
    """What is advised, in a list that a test may change; `undo` is what the gateway knows."""
    found = [advised("shop/orders", "api"), advised("shop/refunds", "api", "1h"), advised("files/orders", "file")]

    async def all_resources(gateway: Any, *_: Any, **__: Any) -> list[AdviceSchema]:
        followed = gateway.active.sources["shop"].followed
        return [msgspec.structs.replace(one, undo=one.resource.removeprefix("shop/") in followed) for one in found]

    monkeypatch.setattr(advice, "all_resources", all_resources)
    return found


async def signed_in(gate: Served) -> Person:
    assert (await gate.api("PUT", "/api/v1/sources/shop", SHOP)).status == 201
    kept = gate.context.sessions
    return Person(gate, await kept.by_link(kept.new_link()))


async def test_all_is_shown_then_applied_then_undone(tmp_path: Path, said: list[AdviceSchema]) -> None:
    async with served(tmp_path, TOML) as gate:
        person = await signed_in(gate)
        page = await person.page()
        assert "Apply 2 recommendations" in page and "tidegate advise --apply files/orders" in page
        assert page.count("[sources.") == 3 and '<span class="add">+poll = &#34;1h&#34;' in page
        assert await setting(gate, "orders") == "5m", "nothing is applied before the button"
        done = await person.press("apply", page)
        assert (done.status, done.headers["location"]) == (303, f"{ALL}?done=advice-all-applied")
        assert [await setting(gate, name) for name in ("orders", "refunds")] == ["15m", "1h"]
        undone = await person.press("undo", await person.page())
        assert undone.headers["location"].endswith("advice-all-undone")
        assert [await setting(gate, name) for name in ("orders", "refunds")] == ["5m", "5m"]
        assert "Undo " not in await person.page()
        files = gate.gateway.active.sources["files"].spec.resources["orders"]
        assert files.poll == "5m", "what the file owns is only shown"


async def test_nothing_is_applied_when_any_of_it_is_other_advice_by_now(
    tmp_path: Path, said: list[AdviceSchema]
) -> None:
    async with served(tmp_path, TOML) as gate:
        person = await signed_in(gate)
        page = await person.page()
        said[1] = advised("shop/refunds", "api", "2h")
        changed = await person.press("apply", page)
        assert changed.headers["location"].endswith("advice-changed")
        assert [await setting(gate, name) for name in ("orders", "refunds")] == ["5m", "5m"]


async def test_one_that_fails_is_named_and_stops_no_other(tmp_path: Path, said: list[AdviceSchema]) -> None:
    async with served(tmp_path, TOML) as gate:
        person = await signed_in(gate)
        said[0] = advised("shop/orders", "api", "nonsense")
        failed = await person.press("apply", await person.page())
        text = plain(failed)
        assert failed.status == 409 and "1 resource not changed, 1 changed" in text and "nonsense" in text
        assert [await setting(gate, name) for name in ("orders", "refunds")] == ["5m", "1h"]
        assert "Undo 1 recommendation" in text


def test_what_needs_a_person_has_no_button_and_a_long_list_says_what_is_left() -> None:
    found = [advised(f"shop/r{n}", "api") for n in range(MOST + 7)] + [advised("shop/x", "api", needs="add a secret")]
    view = everything(found)
    assert (len(view.ready), view.left["ready"], view.person[0].needs) == (MOST, 7, "add a secret")
    assert view.digest == everything(found[:MOST]).digest != everything(found[1:]).digest
    nothing = everything([comparison.advised(name, comparison.CASES[name][1]) for name in ("crm/deals",)])
    assert (nothing.ready, nothing.file, nothing.person, nothing.waiting) == ([], [], [], 1)


async def test_a_page_with_all_lists_full_stays_small(tmp_path: Path, said: list[AdviceSchema]) -> None:
    said[:] = [advised(f"shop/a-rather-long-name-of-a-resource-{n}", owner, needs=needs)
               for n in range(200) for owner, needs in (("api", ""), ("file", ""), ("api", "x" * 60))]  # fmt: skip
    async with served(tmp_path, TOML) as gate:
        page = await (await signed_in(gate)).page()
        assert page.count("170 more resources of this list") == 3 and weight(page.encode()) < MOST_BYTES
