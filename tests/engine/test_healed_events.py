"""What a healed event says: which webhook was missed, since when, and for how long, exactly or within bounds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from support.upstream.pull import ORDER_WEBHOOKS, PullSetup, StepClock, pull_setup, with_webhooks
from tidegate.core.clock import parse_instant
from tidegate.store import EventQuery


def later(one: PullSetup, seconds: float) -> None:
    assert isinstance(one.clock, StepClock)
    one.clock.advance(seconds)


async def pushed(one: PullSetup, record: Any, type_: str = "orders/updated") -> None:
    await one.webhook(record, type_)
    await one.settle()


async def last(one: PullSetup) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the last change, what it says of the webhook that was missed)."""
    change = (await one.changes())[-1]
    return change, change["healed"]


def test_a_record_that_says_when_it_changed_makes_the_duration_exact(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await pushed(one, one.shop.put("1", amount=1))
        item = one.shop.put("1", amount=2)  # its webhook never comes
        later(one, 600)
        await one.poll()
        change, healed = await last(one)
        assert (change["kind"], healed["webhooks"]) == ("updated", ["orders/*"])
        assert parse_instant(healed["since"]) == parse_instant(item["updated_at"])
        event = (await one.events())[-1]
        missing = (event.received_at_us - parse_instant(item["updated_at"])) / 1e6
        assert healed["missed_for_seconds"] == healed["missed_for_at_least_seconds"] == round(missing, 3) > 590
        figures = one.engine.statistics()["shop/orders"]
        assert (figures.healed, figures.healed_longest_seconds) == (1, healed["missed_for_seconds"])
        assert figures.healed_samples == ["orders.updated 1"] and figures.last_healed_at is not None

    with_webhooks(tmp_path, work)


def test_without_a_time_of_its_own_the_start_of_the_look_before_is_the_bound(tmp_path: Path) -> None:
    """Also after a restart: the bound is stored with the state."""

    async def work(one: PullSetup) -> None:
        await pushed(one, one.shop.put("1", amount=1))
        later(one, 100)
        began_us = one.clock.now_us()
        answered: list[int] = []

        async def answer(target: str) -> None:
            answered.append(one.clock.now_us())

        one.shop.on_answer = answer
        await one.poll()
        one.shop.on_answer = None
        await one.restart()
        one.shop.put("1", amount=2)
        later(one, 600)
        await one.poll()
        _, healed = await last(one)
        event = (await one.events())[-1]
        assert began_us < parse_instant(healed["since"]) < answered[0], "the change can have come while the look ran"
        assert healed["missed_for_seconds"] == round((event.received_at_us - parse_instant(healed["since"])) / 1e6, 3)
        assert healed["missed_for_seconds"] > 600 and healed["missed_for_at_least_seconds"] == 0

    with_webhooks(tmp_path, work, versions=False, item_path=None)


def test_before_the_first_look_nothing_bounds_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with pull_setup(
            tmp_path, versions=False, item_path=None, webhook=ORDER_WEBHOOKS, reconcile="1d", initial="events"
        ) as one:
            one.shop.put("1")
            await one.poll()
            _, healed = await last(one)
            assert (healed["since"], healed["missed_for_seconds"]) == (None, None)
            assert one.engine.statistics()["shop/orders"].healed_longest_seconds is None

    asyncio.run(main())


def test_a_delete_is_bounded_by_the_scan_before_and_not_by_the_version_of_its_record(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "ab":
            await pushed(one, one.shop.put(key))
        later(one, 1000)
        await one.poll()
        one.shop.remove("a")
        later(one, 500)
        await one.poll()
        change, healed = await last(one)
        assert (change["kind"], healed["webhooks"]) == ("deleted", ["orders/deleted"])
        assert 500 < healed["missed_for_seconds"] < 510 and healed["missed_for_at_least_seconds"] == 0

    with_webhooks(tmp_path, work, deletes={"mode": "scan", "every": "1ms", "max_ratio": 0.5})


def test_a_delete_that_two_scans_confirm_is_bounded_by_the_scan_before_both(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "ab":
            await pushed(one, one.shop.put(key))
        later(one, 1000)
        await one.poll()
        one.shop.remove("a")
        for _ in range(2):
            later(one, 500)
            await one.poll()
        change, healed = await last(one)
        assert change["kind"] == "deleted"
        assert 1000 < healed["missed_for_seconds"] < 1010, "the first of the two scans missed it already"

    with_webhooks(tmp_path, work, deletes={"mode": "scan", "every": "1ms", "max_ratio": 0.5, "confirm": "second_scan"})


def test_scans_that_the_ratio_stops_do_not_tighten_the_bound_of_a_delete(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "ab":
            await pushed(one, one.shop.put(key))
        later(one, 1000)
        await one.poll()
        one.shop.remove("a")
        for _ in range(3):  # a half is more than max_ratio allows
            later(one, 500)
            await one.poll()
        assert (await one.changes())[-1]["kind"] == "created"
        for number in range(9):
            await pushed(one, one.shop.put(f"more-{number}"))
        later(one, 500)
        await one.poll()
        change, healed = await last(one)
        assert change["kind"] == "deleted"
        assert 2000 < healed["missed_for_seconds"] < 2020

    with_webhooks(tmp_path, work, deletes={"mode": "scan", "every": "1ms"})


def test_changes_that_a_webhook_brought_and_those_of_resources_without_webhooks_are_not_healed(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await pushed(one, one.shop.put("1"))
        assert "healed" not in (await one.changes())[-1]
        one.configure(poll="1d", initial="events")
        one.shop.put("2")
        await one.poll()
        change = (await one.changes())[-1]
        assert (change["key"], change["origin"], "healed" in change) == ("2", "poll", False)
        assert one.engine.statistics()["shop/orders"].healed == 0

    with_webhooks(tmp_path, work)


def test_the_filter_finds_healed_events_and_nothing_that_only_looks_like_one(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await pushed(one, one.shop.put("1", healed=1))
        one.shop.put("2", healed=1)
        await one.poll()

        async def found(healed: bool | None, **more: Any) -> list[str]:
            page = await one.store.log.page(EventQuery(healed=healed, ascending=True, **more))
            return [f"{event.type} {event.key}" for event in page.events]

        assert await found(True) == await found(True, key="2") == ["orders.created 2"]
        assert await found(False) == ["orders/updated None", "orders.created 1"]
        assert await found(False, key="1") == ["orders.created 1"] and await found(True, key="1") == []
        assert len(await found(None)) == 3

    with_webhooks(tmp_path, work)
