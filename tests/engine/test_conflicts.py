"""Two systems that change the same fields of a record: one value stays in both, by the setting, and it is reported."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.gateway.api import Served, served
from support.gateway.running import until
from support.upstream.contacts import System, idle, in_step, same, toml
from tidegate.core.model import DeliveryState
from tidegate.process.gateway import Gateway
from tidegate.pull import PollOptions

UPDATES = ("left-update", "right-update")


async def poll(gateway: Gateway, *sources: str) -> None:
    for source in sources:
        await gateway.pull.poll_now(source, "contacts", PollOptions())


@contextlib.asynccontextmanager
async def both_changed(
    folder: Path, setting: str = "", left_puts: dict[str, str] | None = None, right_puts: dict[str, str] | None = None
) -> AsyncIterator[tuple[Served, System, System, str]]:
    """A gateway that knows both changes and has written neither; the left one came first."""
    left, right = System("L"), System("R", upper=True)
    async with left.server, right.server:
        file = toml(left, right).replace('resource = "contacts"\n', f'resource = "contacts"\n{setting}\n')
        async with served(folder, file) as gate:
            gateway = gate.gateway
            await in_step(gateway)
            left.put("l1", name="Ada", phone="1")
            await in_step(gateway)
            (key,) = right.contacts
            for name in UPDATES:
                await gateway.editor.pause(name)
            left.put("l1", **(left_puts or {"name": "Left"}))
            right.put(key, **(right_puts or {"name": "Right"}))
            await poll(gateway, "left", "right")
            yield gate, left, right, key


async def go_on(gateway: Gateway) -> None:
    for name in UPDATES:
        await gateway.editor.resume(name)
    await until(lambda: idle(gateway))
    await in_step(gateway)


def findings(gateway: Gateway, code: str) -> list[str]:
    return [one.subject for one in gateway.findings.listed() if one.code == code]


async def dead_letters(gate: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await gate.api.get("/deliveries?destination=right-update&state=exhausted"))["data"]
    return found


async def listed(gate: Served, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await gate.api.get(f"/conflicts{query}"))["data"]
    return found


async def test_the_later_change_wins_in_both_systems_and_is_reported(tmp_path: Path) -> None:
    async with both_changed(tmp_path) as (gate, left, right, key):
        await go_on(gate.gateway)
        assert left.contacts["l1"]["name"] == right.contacts[key]["name"] == "RIGHT"
        assert (left.writes, right.writes) == (1, 1)  # the creation, and the change that won
        assert set(findings(gate.gateway, "conflict_decided")) == {"resource:right/contacts", "resource:left/contacts"}
        assert await listed(gate) == []
        decided = await listed(gate, "?all=true")
        assert {one["use"] for one in decided} == {"incoming", "current"}
        assert {one["decided_by"] for one in decided} == {"last_writer"}


@pytest.mark.parametrize(("prefer", "name"), [("left", "LEFT"), ("right", "RIGHT")])
async def test_a_preferred_source_wins_also_over_a_later_one(tmp_path: Path, prefer: str, name: str) -> None:
    setting = f'on_conflict = "prefer"\nprefer = "{prefer}"'
    async with both_changed(tmp_path, setting) as (gate, left, right, key):
        await go_on(gate.gateway)
        assert left.contacts["l1"]["name"].upper() == right.contacts[key]["name"] == name


async def test_fields_that_only_one_side_changed_reach_the_other(tmp_path: Path) -> None:
    puts = {"name": "Left", "phone": "7"}
    async with both_changed(tmp_path, left_puts=puts) as (gate, left, right, key):
        await go_on(gate.gateway)
        assert left.contacts["l1"]["name"] == right.contacts[key]["name"] == "RIGHT"
        assert left.contacts["l1"]["phone"] == right.contacts[key]["phone"] == "7"


async def test_changes_of_different_fields_are_no_conflict(tmp_path: Path) -> None:
    async with both_changed(tmp_path, left_puts={"name": "Left"}, right_puts={"phone": "9"}) as (gate, left, right, _):
        await go_on(gate.gateway)
        assert await listed(gate, "?all=true") == []
        assert same(left, right)


async def test_the_same_new_value_on_both_sides_is_no_conflict(tmp_path: Path) -> None:
    async with both_changed(tmp_path, left_puts={"name": "Eve"}, right_puts={"name": "eve"}) as (gate, left, right, _):
        await go_on(gate.gateway)
        assert await listed(gate, "?all=true") == [] and same(left, right)


@pytest.mark.parametrize(("use", "name"), [("incoming", "LEFT"), ("current", "RIGHT")])
async def test_a_held_conflict_waits_for_a_person_and_is_decided_for_both(tmp_path: Path, use: str, name: str) -> None:
    async with both_changed(tmp_path, 'on_conflict = "hold"') as (gate, left, right, key):
        gateway = gate.gateway
        await go_on(gateway)
        assert (left.contacts["l1"]["name"], right.contacts[key]["name"]) == ("Left", "RIGHT")
        held = await listed(gate)
        assert {one["operation"] for one in held} == {"left/update", "right/update"}
        assert set(findings(gateway, "conflict_held")) == {"resource:right/contacts", "resource:left/contacts"}
        one = next(one for one in held if one["operation"] == "right/update")
        assert one["incoming"]["values"] == {"name": "Left"} and one["current"]["values"] == {"name": "RIGHT"}
        await until(lambda: dead_letters(gate))  # settled
        (delivery,) = await dead_letters(gate)
        assert delivery["cause"] == "conflict"
        assert one["id"] in (await gate.api.get(f"/deliveries/{delivery['id']}"))["attempts"][-1]["error"]
        decided = await gate.api.post(f"/conflicts/{one['id']}/resolve", {"use": use})
        assert decided["use"] == use and decided["decided_by"]
        again = await gate.api("POST", f"/api/v1/conflicts/{one['id']}/resolve", {"use": use})
        assert again.status == 409
        await until(lambda: left.contacts["l1"]["name"].upper() == right.contacts[key]["name"] == name)
        await in_step(gateway)
        assert await listed(gate) == [] and findings(gateway, "conflict_held") == []
        await gateway.deliver.settler.flush()
        destinations = gateway.active.destinations
        pairs = [(o, destinations[d].number) for d in UPDATES for o in range(1, gateway.store.log.published_offset + 1)]
        states = (await gateway.deliver.states(pairs)).values()
        assert {view.state for view in states} == {DeliveryState.DELIVERED}


async def test_a_held_conflict_is_reported_again_after_a_restart(tmp_path: Path) -> None:
    async with both_changed(tmp_path, 'on_conflict = "hold"') as (gate, _left, _right, _key):
        await go_on(gate.gateway)
        gate.gateway.findings.resolve("conflict_held", "resource:right/contacts")
        await gate.gateway.conflicts.start()
        assert "resource:right/contacts" in findings(gate.gateway, "conflict_held")


async def test_the_page_shows_a_held_conflict_and_decides_it(tmp_path: Path) -> None:
    async with both_changed(tmp_path, 'on_conflict = "hold"', {"name": "<b>Left</b>"}) as (gate, left, right, key):
        await go_on(gate.gateway)
        link = (await gate.api.post("/keys/login"))["path"]
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        nobody = gate.api.with_key(None)
        body = f"token={link.partition('token=')[2]}".encode()
        entered = await nobody("POST", "/login", body, headers=form)
        cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
        page = (await nobody("GET", "/conflicts", headers=cookie)).body.decode()
        assert page.count(">Use left</button>") == 2 and "&lt;b&gt;Left&lt;/b&gt;" in page and "<b>Left" not in page
        csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
        one = next(one for one in await listed(gate) if one["operation"] == "right/update")
        path = f"/conflicts/{one['id']}/resolve"
        assert (await nobody("POST", path, b"use=incoming", headers={**form, **cookie})).status == 403
        gone = await nobody("POST", path, f"use=current&csrf={csrf}".encode(), headers={**form, **cookie})
        assert gone.status == 303
        await until(lambda: left.contacts["l1"]["name"] == right.contacts[key]["name"] == "RIGHT")
        assert ">Use left</button>" not in (await nobody("GET", "/conflicts", headers=cookie)).body.decode()
