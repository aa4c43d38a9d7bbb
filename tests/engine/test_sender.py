"""What a sender sends next, case by case, on ports of memory. Each test makes two cases apply, and one must win."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from support.running import run, until
from support.sending import NUMBER, Bench
from tidegate.core.model import Deferred, DeferredState
from tidegate.deliver.lane import WINDOW


def on_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run an async test on the event loop of the server."""

    def run_it() -> None:
        run(test)  # type: ignore[arg-type]

    run_it.__name__ = test.__name__
    run_it.__doc__ = test.__doc__
    return run_it


def retry(bench: Bench, offset: int, due_in_seconds: float, attempts: int = 1, key: str = "") -> Deferred:
    due_at_us = bench.clock.now_us() + int(due_in_seconds * 1e6)
    return Deferred(NUMBER, offset, DeferredState.PENDING, due_at_us, attempts, key=key)


@on_loop
async def test_1_a_due_retry_goes_before_first_tries() -> None:
    bench = Bench("concurrency = 1")
    old = bench.log.append()
    bench.sender.backlog.deferred.add(retry(bench, old, 0))
    bench.publish(None)
    assert bench.sent() == [old]
    bench.requests[0].answer(200)
    assert bench.sent() == [old, old + 1]


@on_loop
async def test_1_a_due_retry_that_cannot_start_holds_first_tries_too() -> None:
    bench = Bench()
    old = bench.log.append()
    bench.sender.backlog.deferred.add(retry(bench, old, 0))
    bench.sender.backlog.reserved = (old,)
    (new,) = bench.publish(None)
    assert bench.sent() == []
    bench.sender.backlog.reserved = ()
    bench.sender.pump()
    assert bench.sent() == [old, new]


@on_loop
async def test_2_first_tries_go_while_a_retry_is_due_later() -> None:
    bench = Bench()
    old = bench.log.append()
    bench.sender.backlog.deferred.add(retry(bench, old, 60))
    (new,) = bench.publish(None)
    assert bench.sent() == [new]
    bench.clock.advance(60)
    bench.sender.pump()
    assert bench.sent() == [new, old]


@on_loop
async def test_3_retries_that_only_the_table_has_are_loaded() -> None:
    bench = Bench()
    old = bench.log.append()
    bench.deliveries.rows[old] = retry(bench, old, 0)
    bench.sender.backlog.deferred.require_reload()
    (new,) = bench.publish(None)
    assert bench.sent() == [new], "first tries do not wait for the load"
    await until(lambda: bench.sent() == [new, old])


@on_loop
async def test_4_a_key_whose_delivery_is_settled_goes_before_newer_events() -> None:
    bench = Bench('ordered_by = "key"\nconcurrency = 2')
    first, second, other, newer = bench.publish("a", "a", "b", "c")
    assert bench.sent() == [first, other], "one behind its key is queued, and does not stop others"
    bench.requests[0].answer(200)
    assert bench.sent()[2:] == [second]
    bench.requests[1].answer(200)
    assert bench.sent()[3:] == [newer]


@on_loop
async def test_5_of_one_key_one_delivery_is_in_flight() -> None:
    bench = Bench('ordered_by = "key"')
    offsets = bench.publish("a", "a", "a", "b")
    assert bench.sent() == [offsets[0], offsets[3]]
    for n in range(3):
        bench.in_flight()[0].answer(200)
        assert len(bench.in_flight()) <= 2, n


@on_loop
async def test_5_an_event_that_fell_out_of_the_cache_is_read_and_keeps_its_place() -> None:
    bench = Bench("concurrency = 1")
    bench.log.uncached = {1}
    offsets = bench.publish(None, None)
    assert bench.sent() == []
    await until(lambda: bench.sent() == offsets[:1])
    bench.requests[0].answer(200)
    assert bench.sent() == offsets


@on_loop
async def test_5_a_canceled_delivery_is_skipped() -> None:
    bench = Bench("concurrency = 1")
    first, second, third = bench.publish(None, None, None)
    bench.sender.lane.finish(second)
    bench.requests[0].answer(200)
    assert bench.sent() == [first, third]


@on_loop
async def test_a_delivery_whose_event_was_deleted_is_exhausted_and_the_next_goes() -> None:
    bench = Bench()
    gone, kept = bench.log.append(), bench.log.append()
    del bench.log.events[gone]
    for offset in (gone, kept):
        bench.sender.backlog.offer(offset)
    bench.sender.pump()
    await until(lambda: bench.sent() == [kept])
    await bench.settler.flush()
    assert (bench.deliveries.rows[gone].state, bench.deliveries.rows[gone].cause) == (
        DeferredState.EXHAUSTED,
        "expired",
    )


@pytest.mark.parametrize("reason", ["paused", "stopping", "suspended"])
def test_nothing_is_sent_while(reason: str) -> None:
    async def main() -> None:
        bench = Bench()
        owner = bench.sender.backlog if reason == "suspended" else bench.sender
        setattr(owner, reason, True)
        (offset,) = bench.publish(None)
        assert bench.sent() == []
        setattr(owner, reason, False)
        bench.sender.pump()
        assert bench.sent() == [offset]

    run(main)


@on_loop
async def test_a_hold_of_the_destination_stops_everything_until_it_is_over() -> None:
    bench = Bench('concurrency = 1\nretry = ["1s"]')
    first, second = bench.publish(None, None)
    bench.requests[0].answer(429, retry_after="30")
    assert bench.sent() == [first]
    bench.clock.advance(29)
    bench.sender.pump()
    assert bench.sent() == [first]
    bench.clock.advance(1.1)
    bench.sender.pump()
    assert bench.sent() == [first, first], "the retry is due by then"
    bench.requests[1].answer(200)
    assert bench.sent() == [first, first, second]


@on_loop
async def test_the_rate_limits_what_is_started() -> None:
    bench = Bench('rate = "1/s"')
    bench.publish(None, None, None)
    assert len(bench.sent()) == 1
    bench.clock.advance(1)
    bench.sender.pump()
    assert len(bench.sent()) == 2


@on_loop
async def test_410_pauses_the_destination_and_defers_the_delivery() -> None:
    bench = Bench()
    (offset,) = bench.publish(None)
    bench.requests[0].answer(410)
    bench.publish(None)
    assert bench.sent() == [offset]
    await until(lambda: bench.paused == [("crm", "gone")])


@on_loop
async def test_an_attempt_and_the_row_it_leaves_are_in_one_settle() -> None:
    bench = Bench()
    (offset,) = bench.publish(None)
    bench.requests[0].answer(500)
    await bench.settler.flush()
    (settlement,) = [one for one in bench.deliveries.settled if one.attempts]
    assert [one.offset for one in settlement.deferred] == [offset]
    assert [lane.destination for lane in settlement.lanes] == [NUMBER]


@on_loop
async def test_a_request_that_was_cut_off_is_sent_again_with_the_same_number() -> None:
    bench = Bench()
    (offset,) = bench.publish(None)
    cut = bench.sender.cut()
    assert bench.requests[0].aborted
    bench.requests[0].answer(200)
    assert bench.sender.lane.delivered == 0, "a late answer of a request that was cut off counts nothing"
    bench.sender.backlog.put_back(cut)
    bench.sender.pump()
    assert bench.sent() == [offset, offset]
    assert bench.sender.flights[offset].number == 1


@on_loop
async def test_a_backlog_beyond_the_window_is_read_from_the_log_in_order() -> None:
    bench = Bench("concurrency = 1")
    offsets = bench.publish(*[None] * (WINDOW + 50))
    assert not bench.sender.lane.following
    while len(bench.requests) < len(offsets) or bench.in_flight():
        bench.in_flight()[0].answer(200)
        await until(lambda: bench.in_flight() or bench.sender.lane.delivered == len(offsets))
    assert bench.sent() == offsets
    await until(lambda: bench.sender.lane.following)


@on_loop
async def test_a_retry_at_the_end_of_its_schedule_is_exhausted() -> None:
    bench = Bench('retry = ["1s"]')
    (offset,) = bench.publish(None)
    bench.requests[0].answer(500)
    bench.clock.advance(2)
    bench.sender.pump()
    bench.requests[1].answer(500)
    assert (bench.sender.lane.exhausted, len(bench.sender.backlog.deferred)) == (1, 0)
    await bench.settler.flush()
    assert bench.deliveries.rows[offset].attempts == 2
    await asyncio.sleep(0)
