"""Webhooks and polls feed the same records: what a webhook missed heals, no change comes twice, nothing goes back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from support.gateway.running import until
from support.upstream.pull import ORDER_WEBHOOKS, PullSetup, with_webhooks


async def webhook(one: PullSetup, record: Any, type_: str = "orders/updated", **more: Any) -> None:
    await one.webhook(record, type_, **more)
    await one.settle()


def test_a_webhook_becomes_a_record_and_a_change_at_once(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await webhook(one, one.shop.put("1", amount=1))
        await webhook(one, one.shop.put("1", amount=2))
        assert await one.kinds() == [("created", "1", "webhook"), ("updated", "1", "webhook")]
        assert (await one.records())["1"]["amount"] == 2
        await one.poll()
        assert len(await one.changes()) == 2, "a reconcile does not repeat the change of a webhook"

    with_webhooks(tmp_path, work)


def test_a_lost_webhook_of_a_new_record_heals(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", amount=1)
        report = await one.poll()
        assert report.origin == "reconcile"
        assert await one.kinds() == [("created", "1", "reconcile")]

    with_webhooks(tmp_path, work)


def test_a_lost_webhook_of_an_update_heals(tmp_path: Path) -> None:
    """The case that healing by "created at" gets wrong: the record was touched by a webhook before."""

    async def work(one: PullSetup) -> None:
        await webhook(one, one.shop.put("1", amount=1))
        one.shop.put("1", amount=2)  # its webhook never comes
        await one.poll()
        assert await one.kinds() == [("created", "1", "webhook"), ("updated", "1", "reconcile")]
        healed = (await one.changes())[-1]
        assert (healed["before"]["amount"], healed["data"]["amount"], healed["number"]) == (1, 2, 2)
        assert one.engine.statistics()["shop/orders"].by_origin == {"webhook": 1, "reconcile": 1}

    with_webhooks(tmp_path, work)


def test_a_lost_webhook_of_an_update_heals_without_versions_too(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await webhook(one, one.shop.put("1", amount=1))
        one.shop.put("1", amount=2)
        await one.poll()
        assert (await one.records())["1"]["amount"] == 2
        assert (await one.kinds())[-1] == ("updated", "1", "reconcile")

    with_webhooks(tmp_path, work, versions=False, item_path=None, validators=True)


def test_a_lost_webhook_of_a_delete_heals_by_the_scan(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for key in "ab":
            await webhook(one, one.shop.put(key))
        one.shop.remove("a")
        await one.poll()
        assert (await one.kinds())[-1] == ("deleted", "a", "reconcile")

    with_webhooks(tmp_path, work, deletes={"mode": "scan", "every": "1ms", "max_ratio": 0.5})


def test_webhooks_out_of_order_end_at_the_newest_version(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        first = one.shop.put("1", amount=1)
        second = one.shop.put("1", amount=2)
        await webhook(one, second)
        await webhook(one, first)
        assert (await one.records())["1"]["amount"] == 2
        assert len(await one.changes()) == 1

    with_webhooks(tmp_path, work)


def test_a_poll_answer_older_than_a_webhook_does_not_undo_it(tmp_path: Path) -> None:
    """The answer is made, then the record changes and its webhook arrives, then the answer arrives."""

    async def work(one: PullSetup) -> None:
        await webhook(one, one.shop.put("1", amount=1))

        async def change(target: str) -> None:
            one.shop.on_answer = None
            await one.webhook(one.shop.put("1", amount=2))

        one.shop.on_answer = change
        await one.poll()
        await one.settle()
        assert (await one.records())["1"]["amount"] == 2
        assert [data["data"]["amount"] for data in await one.changes()] == [1, 2]

    with_webhooks(tmp_path, work)


def test_the_same_holds_without_versions_by_the_instants_of_question_and_answer(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await webhook(one, one.shop.put("1", amount=1))

        async def change(target: str) -> None:
            one.shop.on_answer = None
            await one.webhook(one.shop.put("1", amount=2))

        one.shop.on_answer = change
        await one.poll()
        assert (await one.records())["1"]["amount"] == 2
        assert [data["data"]["amount"] for data in await one.changes()] == [1, 2]
        one.shop.put("1", amount=3)
        await one.poll()
        assert (await one.records())["1"]["amount"] == 3, "and the next poll is believed again"

    with_webhooks(tmp_path, work, versions=False, item_path=None, validators=True)


def test_a_webhook_without_a_version_is_a_hint_and_the_item_is_asked_for_once(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", amount=9)
        asked = len(one.shop.asked)
        arrived = asyncio.Event()

        async def hold(target: str) -> None:
            await arrived.wait()

        one.shop.on_answer = hold
        for _ in range(5):
            await one.webhook({"id": "1", "amount": "whatever"})
        writer = one.engine._engines[("shop", "orders")].writer
        await until(lambda: writer.state.committed_offset >= one._last_webhook)
        arrived.set()
        await one.settle()
        assert (await one.records())["1"]["amount"] == 9
        assert await one.kinds() == [("created", "1", "webhook")]
        assert 1 <= len(one.shop.asked) - asked <= 2, "hints that wait for the same record are one question"

    with_webhooks(tmp_path, work, versions=False)


def test_a_hint_survives_a_source_that_fails_and_a_restart(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", amount=9)
        one.shop.break_next = [500]
        await one.webhook({"id": "1"})
        await until(lambda: not one.shop.break_next)
        await one.restart()
        await one.settle()
        assert (await one.records())["1"]["amount"] == 9

    with_webhooks(tmp_path, work, versions=False)


def test_equal_versions_with_other_content_are_settled_by_asking(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        truth = one.shop.put("1", amount=2)
        await webhook(one, {**truth, "amount": 1})  # the same second, an earlier state
        report = await one.poll()
        assert report.updated == 0
        await one.settle()
        assert (await one.records())["1"]["amount"] == 2
        assert one.shop.asked[-1] == "/orders/1"
        before = one.engine.statistics()["shop/orders"]
        assert before.changes == 2 and before.empty_polls == before.polls - 1, "an unsure answer is not an empty one"
        await one.poll()
        after = one.engine.statistics()["shop/orders"]
        assert after.empty_polls == before.empty_polls + 1

    with_webhooks(tmp_path, work)


def test_a_delete_webhook_makes_a_tombstone_that_older_data_cannot_raise(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        alive = one.shop.put("1", amount=1)
        await webhook(one, alive)
        gone = one.shop.remove("1")
        await webhook(one, {"id": "1", "updated_at": gone["updated_at"]}, "orders/deleted")
        await webhook(one, alive, at_us=1)
        deleted = (await one.changes())[-1]
        assert (deleted["kind"], deleted["data"]["amount"]) == ("deleted", 1)
        assert await one.records() == {}
        await one.poll()
        assert len(await one.changes()) == 2

    with_webhooks(tmp_path, work)


def test_a_delete_webhook_during_a_poll_is_not_undone_by_its_answer(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await webhook(one, one.shop.put("1"))

        async def delete(target: str) -> None:
            one.shop.on_answer = None
            one.shop.remove("1")
            await one.webhook({"id": "1"}, "orders/deleted")

        one.shop.on_answer = delete
        await one.poll()
        await one.settle()
        assert await one.records() == {}
        assert (await one.kinds())[-1][0] == "deleted"

    with_webhooks(tmp_path, work)


def test_a_delete_that_comes_before_its_create_leaves_no_ghost(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        alive = one.shop.put("1")
        one.shop.remove("1")
        await webhook(one, {"id": "1", "updated_at": one.shop.now()}, "orders/deleted")
        await webhook(one, alive)
        assert await one.changes() == []
        assert await one.records() == {}

    with_webhooks(tmp_path, work)


def test_webhooks_of_other_types_and_changes_are_no_input(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await webhook(one, {"id": "x", "updated_at": "2027-01-01T00:00:00Z"}, "customers/updated")
        await webhook(one, one.shop.put("1"))
        await one.poll()
        assert set(await one.records()) == {"1"}
        assert len(await one.changes()) == 1

    with_webhooks(tmp_path, work, webhook={**ORDER_WEBHOOKS, "types": ["orders*"]})


def test_webhooks_that_came_while_we_were_down_are_applied_at_the_start(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await webhook(one, one.shop.put("1", amount=1))
        await one.engine.stop()
        await one.webhook(one.shop.put("1", amount=2))
        await one.webhook(one.shop.put("2", amount=1))
        await one.restart()
        await one.settle()
        kinds = await one.kinds()
        assert kinds == [("created", "1", "webhook"), ("updated", "1", "webhook"), ("created", "2", "webhook")]
        await one.restart()
        await one.settle()
        assert await one.kinds() == kinds, "and once only"

    with_webhooks(tmp_path, work, reconcile=None)


def test_an_unreadable_webhook_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await one.webhook({"no": "key"})
        await one.webhook([[[]]])
        await webhook(one, one.shop.put("1"))
        assert set(await one.records()) == {"1"}
        assert one.engine.statistics()["shop/orders"].unreadable == 2

    with_webhooks(tmp_path, work)


def test_a_record_inside_the_payload_is_found_by_its_path(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        item = one.shop.put("1", amount=3)
        await webhook(one, {"event": "x", "order": {"body": item}})
        await one.poll()
        assert await one.kinds() == [("created", "1", "webhook")]

    with_webhooks(tmp_path, work, webhook={**ORDER_WEBHOOKS, "record": "order.body"})


def test_statistics_tell_requests_changes_and_seconds_late(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await webhook(one, one.shop.put("1"))
        one.shop.put("1", amount=2)
        await one.poll()
        await one.poll()
        figures = one.engine.statistics()["shop/orders"]
        assert figures.changes == 2
        assert figures.requests >= 3
        assert figures.requests_per_change == figures.requests / 2
        assert 0 < figures.empty_share < 1
        assert figures.next_poll_at.endswith("Z")
        again = await one.store.records.state("shop", "orders")
        await one.restart()
        await until(lambda: one.engine.statistics()["shop/orders"].changes == 2)
        assert again.statistics != b"{}"

    with_webhooks(tmp_path, work)


def test_a_new_configuration_goes_on_where_the_old_one_stood(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await webhook(one, one.shop.put("1", amount=1))
        one.configure(webhook=ORDER_WEBHOOKS, reconcile="2d", initial="events", ignore=["note"])
        one.shop.put("1", note="x")
        await one.poll()
        assert (await one.changes())[-1]["fields"] == ["updated_at"]
        assert len(await one.changes()) == 2

    with_webhooks(tmp_path, work)


def test_a_record_that_a_webhook_missed_heals_after_an_empty_first_poll(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", amount=1)  # its webhook is lost
        await one.poll()
        assert await one.kinds() == [("created", "1", "reconcile")]

    with_webhooks(tmp_path, work, initial="snapshot")
