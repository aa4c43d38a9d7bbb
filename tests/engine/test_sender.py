"""What a sender sends next, case by case, on ports of memory. Each test makes two cases apply, and one must win."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from support.gateway.running import run, until
from support.gateway.sender import NUMBER, MemorySender
from tidegate.core.model import Deferred, DeferredState
from tidegate.deliver.lane import WINDOW


def on_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run an async test on the event loop of the server."""

    def run_it() -> None:
        run(test)  # type: ignore[arg-type]

    run_it.__name__ = test.__name__
    run_it.__doc__ = test.__doc__
    return run_it


def retry(setup: MemorySender, offset: int, due_in_seconds: float, attempts: int = 1, key: str = "") -> Deferred:
    due_at_us = setup.clock.now_us() + int(due_in_seconds * 1e6)
    return Deferred(NUMBER, offset, DeferredState.PENDING, due_at_us, attempts, key=key)


@on_loop
async def test_a_due_retry_goes_before_first_tries() -> None:
    setup = MemorySender("concurrency = 1")
    old = setup.log.append()
    setup.sender.backlog.deferred.add(retry(setup, old, 0))
    setup.publish(None)
    assert setup.sent() == [old]
    setup.requests[0].answer(200)
    assert setup.sent() == [old, old + 1]


@on_loop
async def test_a_due_retry_that_cannot_start_does_not_hold_first_tries() -> None:
    setup = MemorySender()
    old = setup.log.append()
    setup.sender.backlog.deferred.add(retry(setup, old, 0))
    setup.sender.backlog.reserved = (old,)
    (new,) = setup.publish(None)
    assert setup.sent() == [new]
    setup.sender.backlog.reserved = ()
    setup.sender.pump()
    assert setup.sent() == [new, old]


@on_loop
async def test_due_retries_hold_at_most_half_of_the_slots() -> None:
    setup = MemorySender("concurrency = 4")
    old = [setup.log.append() for _ in range(6)]
    for offset in old:
        setup.sender.backlog.deferred.add(retry(setup, offset, 0))
    new = setup.publish(None, None, None)
    assert sorted(setup.sent()) == [*old[:2], *new[:2]]


@on_loop
async def test_a_deferred_delivery_without_an_attempt_is_a_first_try() -> None:
    setup = MemorySender("concurrency = 4")
    old = [setup.log.append() for _ in range(4)]
    for offset in old:
        setup.sender.backlog.deferred.add(retry(setup, offset, 0, attempts=0))
    setup.sender.pump()
    assert setup.sent() == old, "retries would have taken half of the slots"


@on_loop
async def test_first_tries_go_while_a_retry_is_due_later() -> None:
    setup = MemorySender()
    old = setup.log.append()
    setup.sender.backlog.deferred.add(retry(setup, old, 60))
    (new,) = setup.publish(None)
    assert setup.sent() == [new]
    setup.clock.advance(60)
    setup.sender.pump()
    assert setup.sent() == [new, old]


@on_loop
async def test_retries_that_only_the_table_has_are_loaded() -> None:
    setup = MemorySender()
    old = setup.log.append()
    setup.deliveries.rows[old] = retry(setup, old, 0)
    setup.sender.backlog.deferred.require_reload()
    (new,) = setup.publish(None)
    assert setup.sent() == [new], "first tries do not wait for the load"
    await until(lambda: setup.sent() == [new, old])


@on_loop
async def test_a_key_whose_delivery_is_settled_goes_before_newer_events() -> None:
    setup = MemorySender('ordered_by = "key"\nconcurrency = 2')
    first, second, other, newer = setup.publish("a", "a", "b", "c")
    assert setup.sent() == [first, other], "one behind its key is queued, and does not stop others"
    setup.requests[0].answer(200)
    assert setup.sent()[2:] == [second]
    setup.requests[1].answer(200)
    assert setup.sent()[3:] == [newer]


@on_loop
async def test_of_one_key_one_delivery_is_in_flight() -> None:
    setup = MemorySender('ordered_by = "key"')
    offsets = setup.publish("a", "a", "a", "b")
    assert setup.sent() == [offsets[0], offsets[3]]
    for n in range(3):
        setup.in_flight()[0].answer(200)
        assert len(setup.in_flight()) <= 2, n


@on_loop
async def test_an_event_that_fell_out_of_the_cache_is_read_and_keeps_its_place() -> None:
    setup = MemorySender("concurrency = 1")
    setup.log.uncached = {1}
    offsets = setup.publish(None, None)
    assert setup.sent() == []
    await until(lambda: setup.sent() == offsets[:1])
    setup.requests[0].answer(200)
    assert setup.sent() == offsets


@on_loop
async def test_a_canceled_delivery_is_skipped() -> None:
    setup = MemorySender("concurrency = 1")
    first, second, third = setup.publish(None, None, None)
    setup.sender.lane.finish(second)
    setup.requests[0].answer(200)
    assert setup.sent() == [first, third]


@on_loop
async def test_a_delivery_whose_event_was_deleted_is_exhausted_and_the_next_goes() -> None:
    setup = MemorySender()
    gone, kept = setup.log.append(), setup.log.append()
    del setup.log.events[gone]
    for offset in (gone, kept):
        setup.sender.backlog.offer(offset)
    setup.sender.pump()
    await until(lambda: setup.sent() == [kept])
    await setup.settler.flush()
    assert (setup.deliveries.rows[gone].state, setup.deliveries.rows[gone].cause) == (
        DeferredState.EXHAUSTED,
        "expired",
    )


@pytest.mark.parametrize("reason", ["paused", "stopping", "suspended"])
async def test_nothing_is_sent_while(reason: str) -> None:
    setup = MemorySender()
    owner = setup.sender.backlog if reason == "suspended" else setup.sender
    setattr(owner, reason, True)
    (offset,) = setup.publish(None)
    assert setup.sent() == []
    setattr(owner, reason, False)
    setup.sender.pump()
    assert setup.sent() == [offset]


@on_loop
async def test_a_hold_of_the_destination_stops_everything_until_it_is_over() -> None:
    setup = MemorySender('concurrency = 1\nretry = ["1s"]')
    first, second = setup.publish(None, None)
    setup.requests[0].answer(429, retry_after="30")
    assert setup.sent() == [first]
    setup.clock.advance(29)
    setup.sender.pump()
    assert setup.sent() == [first]
    setup.clock.advance(1.1)
    setup.sender.pump()
    assert setup.sent() == [first, second]
    setup.requests[1].answer(200)
    setup.clock.advance(6)
    setup.sender.pump()
    assert setup.sent() == [first, second, first], "its own wait has up to 20% more"


@on_loop
async def test_the_rate_limits_what_is_started() -> None:
    setup = MemorySender('rate = "1/s"')
    setup.publish(None, None, None)
    assert len(setup.sent()) == 1
    setup.clock.advance(1)
    setup.sender.pump()
    assert len(setup.sent()) == 2


@on_loop
async def test_410_pauses_the_destination_and_defers_the_delivery() -> None:
    setup = MemorySender()
    (offset,) = setup.publish(None)
    setup.requests[0].answer(410)
    setup.publish(None)
    assert setup.sent() == [offset]
    await until(lambda: setup.paused == [("crm", "gone")])


@on_loop
async def test_an_attempt_and_the_row_it_leaves_are_in_one_settle() -> None:
    setup = MemorySender()
    (offset,) = setup.publish(None)
    setup.requests[0].answer(500)
    await setup.settler.flush()
    (settlement,) = [one for one in setup.deliveries.settled if one.attempts]
    assert [one.offset for one in settlement.deferred] == [offset]
    assert [lane.destination for lane in settlement.lanes] == [NUMBER]


@on_loop
async def test_a_request_that_was_cut_off_is_sent_again_with_the_same_number() -> None:
    setup = MemorySender()
    (offset,) = setup.publish(None)
    cut = setup.sender.cut()
    assert setup.requests[0].aborted
    setup.requests[0].answer(200)
    assert setup.sender.lane.delivered == 0, "a late answer of a request that was cut off counts nothing"
    setup.sender.backlog.put_back(cut)
    setup.sender.pump()
    assert setup.sent() == [offset, offset]
    assert setup.sender.flights[offset].number == 1


@on_loop
async def test_a_backlog_beyond_the_window_is_read_from_the_log_in_order() -> None:
    setup = MemorySender("concurrency = 1")
    offsets = setup.publish(*[None] * (WINDOW + 50))
    assert not setup.sender.lane.following
    while len(setup.requests) < len(offsets) or setup.in_flight():
        setup.in_flight()[0].answer(200)
        await until(lambda: setup.in_flight() or setup.sender.lane.delivered == len(offsets))
    assert setup.sent() == offsets
    await until(lambda: setup.sender.lane.following)


@on_loop
async def test_a_retry_at_the_end_of_its_schedule_is_exhausted() -> None:
    setup = MemorySender('retry = ["1s"]')
    (offset,) = setup.publish(None)
    setup.requests[0].answer(500)
    setup.clock.advance(2)
    setup.sender.pump()
    setup.requests[1].answer(500)
    assert (setup.sender.lane.exhausted, len(setup.sender.backlog.deferred)) == (1, 0)
    await setup.settler.flush()
    assert setup.deliveries.rows[offset].attempts == 2
    await asyncio.sleep(0)


@on_loop
async def test_a_finished_delivery_leaves_nothing_for_the_collector() -> None:
    setup = MemorySender()
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):  # what other tests left is gone after the first round
            for _ in range(200):
                setup.publish(None)
                setup.requests.pop().answer(200)
                await setup.settler.flush()
            left = gc.collect()
        assert left < 400, "a cycle for each delivery would be 1,200"
    finally:
        gc.enable()
