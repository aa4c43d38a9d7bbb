"""A pull on demand that shows a newer item is a change of origin pull, and what shows nothing newer is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.upstream.pull import PullSetup, pull_setup, until


def run(path: Path, work: Callable[[PullSetup], Awaitable[None]], **how: Any) -> None:
    async def main() -> None:
        async with pull_setup(path, **{"poll": "1d", "initial": "snapshot", **how}) as one:
            one.shop.put("1", amount=1, customer={"id": 7})
            await one.poll()
            await work(one)

    asyncio.run(main())


async def pull(one: PullSetup, key: str | None, *query: tuple[str, str]) -> Any:
    answer = await one.engine.pull("shop", "orders", key, list(query), max_age=0.0, no_cache=False, if_none_match=None)
    return json.loads(answer.body)


async def changes_after_a_poll(one: PullSetup) -> list[tuple[str, str | None, str]]:
    """The changes after a poll has found what no pull showed."""
    await one.poll()
    return await one.kinds()


@pytest.mark.parametrize("versions", [True, False])
def test_a_pull_that_shows_a_newer_item_is_a_change_and_the_poll_does_not_tell_it_again(
    tmp_path: Path, versions: bool
) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", amount=2)
        assert (await pull(one, "1"))["order"]["amount"] == 2
        records = one.store.records

        async def stored() -> bool:
            return json.loads((await records.known("shop", "orders", ["1"]))["1"].body)["amount"] == 2

        async with asyncio.timeout(10):
            while not await stored():  # noqa: ASYNC110 - the store has no event for it
                await asyncio.sleep(0.002)
        (change,) = await one.changes()
        assert (change["kind"], change["key"], change["origin"], change["number"]) == ("updated", "1", "pull", 2)
        assert change["before"]["amount"] == 1 and change["data"]["amount"] == 2
        assert await changes_after_a_poll(one) == [("updated", "1", "pull")]
        assert one.engine.statistics()["shop/orders"].by_origin == {"pull": 1}

    run(tmp_path, work, versions=versions)


async def drained(one: PullSetup) -> None:
    """Until what pulls have shown was looked at."""
    shown = one.engine._engines[("shop", "orders")]._observer
    await until(lambda: not shown._waiting and not shown._wake.is_set())
    await asyncio.sleep(0.05)


def test_a_pull_of_what_did_not_change_writes_nothing(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        writer = one.engine._engines[("shop", "orders")].writer
        commit, commits = writer._commit, []

        async def counted(*what: Any) -> None:
            commits.append(what)
            await commit(*what)

        writer._commit = counted  # type: ignore[method-assign]
        await pull(one, "1")
        await drained(one)
        assert commits == [] and await one.kinds() == []
        one.shop.put("1", amount=2)
        await pull(one, "1")
        await drained(one)
        await until(lambda: len(commits) == 1)

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("fields", "query"),
    [
        ({"amount": 2}, [("fields", "amount")]),  # asked in the caller's own way
        ({"amount": 2, "lines": []}, []),  # the item's page shows more than the record has
        ({"amount": 2, "customer": {"id": 7, "name": "Ada"}}, []),
        ({"amount": 2, "customer": 7}, []),
    ],
)
def test_what_a_pull_shows_in_another_form_is_left_to_the_next_poll(
    tmp_path: Path, fields: dict[str, Any], query: list[tuple[str, str]]
) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", **fields)
        await pull(one, "1", *query)
        await drained(one)
        assert await one.kinds() == []
        assert await changes_after_a_poll(one) == [("updated", "1", "poll")]

    run(tmp_path, work)


def test_a_pull_makes_no_record_and_takes_none_back(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("2", amount=1, customer={"id": 8})
        one.shop.items["1"] = {**one.shop.items["1"], "amount": 0, "updated_at": "2026-11-24T11:00:00Z"}
        for key in ("1", "2", None):
            await pull(one, key)
        await drained(one)
        assert await one.kinds() == []
        assert await changes_after_a_poll(one) == [("created", "2", "poll")]

    run(tmp_path, work)
