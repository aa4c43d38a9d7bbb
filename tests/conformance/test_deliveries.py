"""What every store promises about positions, deferred deliveries and attempts (store.Deliveries)."""

from __future__ import annotations

import pytest

from support.stores import STORES, audience, event, with_store
from tidegate.core.model import Attempt, Deferred, DeferredState, DeliveryState, Lane, Outcome, RangeSettlement
from tidegate.store import Replay, Settlement

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())


def attempt(offset: int, destination: int = 1, number: int = 1, **more) -> Attempt:
    return Attempt(offset, destination, number, more.pop("outcome", Outcome.OK), 10, 20, **more)


def waits(offset: int, due: int = 0, destination: int = 1, state=DeferredState.PENDING, **more) -> Deferred:
    return Deferred(destination, offset, state, due, **more)


def test_a_settle_is_whole_and_survives_a_restart(opener, tmp_path):
    async def write(store):
        await store.deliveries.settle(
            Settlement(
                9,
                [
                    Lane(1, 4, (6, 7), delivered=5, exhausted=1, fence=1, breaker=b'{"at_us":1}'),
                    Lane(2, None, delivered=9, fence=1),
                ],
                [attempt(5, status=200, answer_body=b"ok", answer_bytes=2)],
                [waits(5, 99, cause="timeout", key="k", attempts=3)],
                [],
                [RangeSettlement(1, 0, 3, DeliveryState.EXHAUSTED, "expired", 8)],
            )
        )

    async def read(store):
        standing = await store.deliveries.load()
        assert set(standing.high_water_marks.values()) == {9}
        assert {
            lane.destination: (lane.committed_offset, lane.settled_ahead, lane.delivered, lane.breaker)
            for lane in standing.lanes
        } == {
            1: (4, (6, 7), 5, b'{"at_us":1}'),
            2: (None, (), 9, b""),
        }
        assert (await store.deliveries.attempts([(5, 1)]))[(5, 1)] == [
            attempt(5, status=200, answer_body=b"ok", answer_bytes=2)
        ]
        assert await store.deliveries.deferred(destination=1) == [waits(5, 99, cause="timeout", key="k", attempts=3)]
        assert (await store.deliveries.ranges())[0].cause == "expired"

    with_store(opener, tmp_path, write)
    with_store(opener, tmp_path, read)


def test_settling_the_same_again_changes_nothing(opener, tmp_path):
    async def work(store):
        one = Settlement(3, [Lane(1, None, delivered=1, fence=1)], [attempt(3, error="first")])
        await store.deliveries.settle(one)
        again = Settlement(3, [Lane(1, None, delivered=1, fence=1)], [attempt(3, error="second")])
        await store.deliveries.settle(again)
        assert [a.error for a in (await store.deliveries.attempts([(3, 1)]))[(3, 1)]] == ["first"]
        assert (await store.deliveries.counters()).lanes[0].delivered == 1

    with_store(opener, tmp_path, work)


def test_the_mark_never_goes_back(opener, tmp_path):
    async def work(store):
        await store.deliveries.settle(Settlement(9, []))
        await store.deliveries.settle(Settlement(4, []))
        assert (await store.deliveries.load()).high_water_mark_of(1) == 9

    with_store(opener, tmp_path, work)


def test_exceptions_are_found_by_due_time_by_state_and_by_event(opener, tmp_path):
    async def work(store):
        rows = [
            waits(1, 50), waits(2, 20), waits(3, state=DeferredState.EXHAUSTED),
            waits(4, state=DeferredState.BLOCKED), waits(1, 5, destination=2),
        ]  # fmt: skip
        await store.deliveries.settle(Settlement(5, [], [], rows))
        due = await store.deliveries.deferred(destination=1, due_before_us=60)
        assert [one.offset for one in due] == [2, 1]
        assert [one.offset for one in await store.deliveries.deferred(destination=1, due_before_us=30)] == [2]
        dead = await store.deliveries.deferred(states=[DeferredState.EXHAUSTED])
        assert [one.offset for one in dead] == [3]
        assert [one.destination for one in await store.deliveries.deferred(offsets=[1])] == [1, 2]
        assert [one.offset for one in await store.deliveries.deferred(destination=1, after=2, limit=1)] == [3]

    with_store(opener, tmp_path, work)


def test_a_closed_exception_is_gone_and_its_attempts_stay(opener, tmp_path):
    async def work(store):
        await store.deliveries.settle(Settlement(1, [], [attempt(1, outcome=Outcome.TIMEOUT)], [waits(1)]))
        await store.deliveries.settle(Settlement(1, [], [attempt(1, number=2)], [], [(1, 1)]))
        assert await store.deliveries.deferred(destination=1) == []
        assert [a.outcome for a in (await store.deliveries.attempts([(1, 1)]))[(1, 1)]] == [Outcome.TIMEOUT, Outcome.OK]

    with_store(opener, tmp_path, work)


def test_trim_keeps_what_is_still_open(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        await store.log.append([event(number) for _ in range(3)])
        rows = [waits(1), waits(2, state=DeferredState.EXHAUSTED)]
        await store.deliveries.settle(Settlement(3, [], [attempt(1), attempt(2)], rows))
        await store.log.trim(2, 100)
        assert [one.offset for one in await store.deliveries.deferred(destination=1)] == [1]
        assert (await store.deliveries.attempts([(2, 1)]))[(2, 1)] == []

    with_store(opener, tmp_path, work)


def expired(after: int, upto: int, destination: int = 1, cause: str = "expired") -> RangeSettlement:
    return RangeSettlement(destination, after, upto, DeliveryState.EXHAUSTED, cause, upto)


def test_the_last_range_of_a_destination_grows_while_it_says_the_same(opener, tmp_path):
    async def work(store):
        async def put(*ranges):
            await store.deliveries.settle(Settlement(20, [], ranges=list(ranges)))
            return [(one.destination, one.after, one.upto) for one in await store.deliveries.ranges()]

        assert await put(expired(0, 3)) == [(1, 0, 3)]
        assert await put(expired(3, 5), expired(4, 5, 2)) == [(1, 0, 5), (2, 4, 5)]
        assert await put(expired(7, 9)) == [(1, 0, 9), (2, 4, 5)]  # what lies between tells of itself
        assert await put(expired(7, 9)) == [(1, 0, 9), (2, 4, 5)]  # settled again, for its outcome was not known
        assert await put(expired(9, 10, cause="deleted")) == [(1, 0, 9), (1, 9, 10), (2, 4, 5)]
        assert await put(expired(10, 12)) == [(1, 0, 9), (1, 9, 10), (1, 10, 12), (2, 4, 5)]
        assert [one.at_us for one in await store.deliveries.ranges()] == [9, 10, 12, 5]
        both = await put(expired(12, 13), expired(13, 14, cause="deleted"))
        assert both == [(1, 0, 9), (1, 9, 10), (1, 10, 13), (1, 13, 14), (2, 4, 5)]

    with_store(opener, tmp_path, work)


def test_trim_takes_the_ranges_that_lie_wholly_below(opener, tmp_path):
    async def work(store):
        number = await audience(store)
        await store.log.append([event(number) for _ in range(9)])
        await store.deliveries.settle(Settlement(9, [], ranges=[expired(0, 3), expired(2, 6, 2)]))
        await store.log.trim(4, 10)
        assert [(one.destination, one.upto) for one in await store.deliveries.ranges()] == [(2, 6)]

    with_store(opener, tmp_path, work)


def test_a_replay_job_is_remembered_with_its_progress(opener, tmp_path):
    async def work(store):
        job = Replay("rpl_1", 5, b"{}", 0, 10)
        await store.deliveries.put_replay(job)
        await store.deliveries.put_replay(Replay("rpl_1", 5, b"{}", 4, 10, 3, 2))
        (found,) = await store.deliveries.replays()
        assert (found.committed_offset, found.matched, found.reopened) == (4, 3, 2)
        assert await store.deliveries.replay("rpl_1") == found
        assert await store.deliveries.replay("rpl_2") is None

    with_store(opener, tmp_path, work)


def test_a_replay_job_that_is_not_finished_is_found_behind_any_number_of_newer_ones(opener, tmp_path):
    async def work(store):
        for number in range(203):
            finished = None if number == 1 else 9
            await store.deliveries.put_replay(Replay(f"rpl_{number}", number, b"{}", 0, 10, finished_at_us=finished))
        found = await store.deliveries.replays()
        assert [one.created_at_us for one in found] == [*range(202, 2, -1), 1]
        old = await store.deliveries.replay("rpl_0")
        assert old is not None and old.finished_at_us == 9

    with_store(opener, tmp_path, work)
