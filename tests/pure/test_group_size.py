"""The size of a commit follows what commits cost, on simulated stores; one source cannot keep the others out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidegate.store.group_size import (
    ANSWER_SECONDS,
    LEAST,
    MOST,
    MOST_SECONDS,
    TARGET_SECONDS,
    UNBOUNDED,
    GroupSize,
    patience_seconds,
)
from tidegate.store.waiting import Waiting, take

Cost = Callable[[int, float], float]


class Simulated:
    """A store whose commit of n events at time t takes `cost(n, t)`, with so many new events a second."""

    def __init__(self, cost: Cost, per_second: float, size: GroupSize | None = None) -> None:
        self.size = size or GroupSize()
        self.cost = cost
        self.per_second = per_second
        self.now = 0.0
        self.waits: list[float] = []
        self.rejected = 0
        self.longest = 0.0
        self._queue: list[float] = []
        self._running = 0
        self._due = 0.0

    def _arrive(self, until: float) -> None:
        while self._due <= until:
            if self._running + len(self._queue) > self.size.waiting_limit:
                self.rejected += 1
            else:
                self._queue.append(self._due)
            self._due += 1 / self.per_second

    def run(self, seconds: float) -> int:
        """Returns how many events were written."""
        end, before = self.now + seconds, len(self.waits)
        while self.now < end:
            self._arrive(self.now)
            if not self._queue:
                self.now = self._due
                continue
            group, self._queue = self._queue[: self.size.limit], self._queue[self.size.limit :]
            took = self.cost(len(group), self.now)
            left = len(self._queue)
            self._running = len(group)
            self._arrive(self.now + took)
            self.now += took
            self._running = 0
            self.waits += [self.now - at for at in group]
            self.longest = max(self.longest, took)
            self.size.committed(len(group), took, left)
        return len(self.waits) - before


def each(seconds: float, fixed: float = 0.002) -> Cost:
    return lambda events, now: fixed + seconds * events


@pytest.mark.parametrize("seconds", [0.0002, 0.001, 0.004])
def test_overload_keeps_the_goodput_and_bounds_the_wait(seconds: float) -> None:
    store = Simulated(each(seconds), 3 / seconds)
    store.run(2)
    store.waits.clear()
    store.longest = 0
    written = store.run(5)
    assert written > 0.9 * 5 / seconds, "of what the store can write"
    assert store.longest < TARGET_SECONDS * 1.1
    assert max(store.waits) < ANSWER_SECONDS


def test_a_fixed_cost_does_not_make_groups_small() -> None:
    """Small groups on a disk whose sync takes 0.25 s would write less, and no faster."""
    store = Simulated(each(0.0001, fixed=0.25), 10_000)
    store.run(5)
    store.waits.clear()
    best = (MOST_SECONDS - 0.25) / 0.0001 / MOST_SECONDS
    assert store.run(5) / 5 > 0.9 * best
    assert max(store.waits) < 1.5  # the rest of a commit, and two more


def test_it_follows_a_store_that_gets_slow_and_recovers() -> None:
    store = Simulated(lambda events, now: 0.001 + events * (0.004 if 2 < now < 8 else 0.00005), 700)
    store.run(2)
    assert (store.rejected, store.size.waiting_limit) == (0, UNBOUNDED)
    store.run(2)  # what waited when it got slow
    store.waits.clear()
    store.run(4)
    assert store.rejected > 1000 and max(store.waits) < ANSWER_SECONDS
    store.run(0.5)
    rejected, count = store.rejected, len(store.waits)
    store.run(3)
    assert store.rejected == rejected and max(store.waits[count:]) < 0.01


def test_a_hiccup_of_the_disk_rejects_nothing() -> None:
    store = Simulated(lambda events, now: 0.4 if 1 <= now < 1.01 else 0.002 + events * 0.00005, 2000)
    store.run(3)
    assert store.rejected == 0 and len(store.waits) > 5900


@pytest.mark.parametrize("first", [1, 10, 60])
def test_a_burst_is_never_written_in_one_commit_that_takes_too_long(first: int) -> None:
    """Closed loops show one size only: the cost of more events is not known before they come."""
    size = GroupSize()
    for _ in range(20):
        size.committed(first, 0.004 * first, 0)
    for _ in range(20):
        assert 0.004 * size.limit < ANSWER_SECONDS
        size.committed(size.limit, 0.004 * size.limit, 2000)
    assert 0.1 < 0.004 * size.limit < 0.2


def test_groups_grow_to_the_largest_and_shrink_to_the_least() -> None:
    size = GroupSize()
    for _ in range(10):
        size.committed(size.limit, 0.00001 * size.limit, 5000)
    assert size.limit == MOST
    for _ in range(20):
        size.committed(size.limit, 0.1 * size.limit, 5000)
    assert (size.limit, size.waiting_limit) == (LEAST, 2 * LEAST)


def test_a_single_call_with_many_events_gets_the_time_it_needs() -> None:
    assert patience_seconds(1) == patience_seconds(500) == ANSWER_SECONDS
    assert 4 < patience_seconds(4500) < 5


# -- who waits -------------------------------------------------------------------------------------------


def test_a_source_with_more_than_its_share_of_the_places_is_rejected_and_others_are_not() -> None:
    waiting: Waiting[int] = Waiting()
    for number in range(101):
        assert not waiting.is_full(100, 5000, "flood")
        waiting.add(number, "flood", 1)
    assert waiting.is_full(100, 5000, "flood")
    assert not waiting.is_full(100, 5000, "quiet")
    assert waiting.is_full(100, 100, "quiet"), "more than `most` wait"
    for number in range(101, 201):
        waiting.add(number, "quiet", 1)
    assert waiting.is_full(100, 5000, "quiet")
    assert not waiting.is_full(100, 5000, "third")
    for number in range(200):
        waiting.remove(number)
        waiting.remove(number)
    assert (waiting.events, len(waiting), list(waiting)) == (1, 1, [200])
    assert not waiting.is_full(100, 5000, "flood")


def test_sources_take_turns_and_the_order_within_one_stays() -> None:
    calls = [("flood", n) for n in range(50)] + [("quiet", n) for n in range(3)]
    taken, left = take(calls, 10, lambda call: (call[0], 1))
    assert {("quiet", n) for n in range(3)} <= set(taken) and len(taken) == 10
    for part in (taken, left):
        for source in ("flood", "quiet"):
            numbers = [n for name, n in part if name == source]
            assert numbers == sorted(numbers)
    assert max(n for name, n in taken if name == "flood") < min(n for name, n in left if name == "flood")


def test_a_call_larger_than_a_group_is_taken_alone_and_never_split() -> None:
    calls = [("a", 5000), ("b", 1), ("a", 1)]
    taken, left = take(calls, 100, lambda call: call)
    assert (taken, left) == ([("a", 5000)], [("a", 1), ("b", 1)])
    assert take(left, 100, lambda call: call) == ([("a", 1), ("b", 1)], [])
