"""Turns of sources that flood: who waits, in which order it runs, and how long the others have the gateway alone."""

from __future__ import annotations

import random

import pytest

from support.gateway.timers import Timers
from tidegate.receive.turns import (
    AT_ONCE,
    BURST,
    LEAST_PER_SECOND,
    LINE_LIMIT,
    MOST_OVER,
    MOST_REST_SECONDS,
    MOST_SECONDS,
    OTHERS_SECONDS,
    PER_SECOND,
    REST,
    SHORT_LINE,
    SLOW_SECONDS,
    Done,
    Turns,
    rest_seconds,
)


class Source:
    """Sends requests of one source, and answers those that run when the test says so."""

    def __init__(self, turns: Turns, name: str) -> None:
        self._turns = turns
        self._name = name
        self.sent = 0
        self.ran: list[int] = []
        self.open: list[Done] = []

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            number, self.sent = self.sent, self.sent + 1
            if self._turns.must_wait(self._name):
                self._turns.wait(self._name, lambda done, number=number: self._run(number, done))
            else:
                self._run(number, lambda: None)

    def _run(self, number: int, done: Done) -> None:
        self.ran.append(number)
        self.open.append(done)

    def answer(self) -> None:
        answered, self.open = self.open, []
        for done in answered:
            done()


def flooded() -> tuple[Timers, Source, Source]:
    """(timers, a source of which more came than may at once and of which one turn runs, another source)"""
    timers = Timers()
    turns = Turns(timers)
    flood, quiet = Source(turns, "flood"), Source(turns, "quiet")
    quiet.send()
    flood.send(BURST)
    flood.answer()
    flood.send(5 * AT_ONCE)
    return timers, flood, quiet


def test_a_source_alone_never_waits() -> None:
    timers = Timers()
    flood = Source(Turns(timers), "flood")
    flood.send(10_000)
    assert len(flood.ran) == 10_000


def test_a_source_whose_others_are_silent_does_not_wait() -> None:
    timers, flood, _ = flooded()
    timers.go_on(OTHERS_SECONDS + 1)
    flood.answer()
    before = len(flood.ran)
    flood.send(10 * BURST)
    assert len(flood.ran) == before + 10 * BURST


def test_a_flood_runs_a_few_requests_and_others_run_at_once() -> None:
    _, flood, quiet = flooded()
    assert flood.ran == list(range(BURST + 1))  # the first that waits is a turn of its own
    quiet.send(3)
    assert len(quiet.ran) == 4


def test_the_next_turn_comes_after_a_rest_that_is_longer_than_the_turn() -> None:
    timers, flood, _ = flooded()
    timers.go_on(0.002)
    flood.answer()
    timers.go_on(0.002 * REST - 1e-6)
    assert len(flood.ran) == BURST + 1
    timers.go_on(2e-6)
    assert flood.ran == list(range(BURST + 1 + AT_ONCE))
    timers.go_on(0.001)
    flood.answer()
    timers.go_on(0.001 * REST + 1e-5)
    assert flood.ran == list(range(BURST + 1 + 2 * AT_ONCE))


def test_a_turn_that_is_never_answered_does_not_hold_the_line() -> None:
    timers, flood, _ = flooded()
    flood.open.clear()
    timers.go_on(MOST_SECONDS + MOST_REST_SECONDS)
    assert len(flood.ran) > BURST + 1


def test_a_request_that_fails_takes_none_of_its_turn_with_it() -> None:
    timers = Timers()
    turns = Turns(timers)
    flood, quiet = Source(turns, "flood"), Source(turns, "quiet")
    quiet.send()
    flood.send(BURST + 1)

    def fails(_done: Done) -> None:
        raise RuntimeError

    turns.wait("flood", fails)
    flood.send(3)
    flood.answer()
    with pytest.raises(RuntimeError):
        timers.go_on(1.0)
    timers.go_on(1.0)
    assert flood.ran == list(range(flood.sent))


def test_an_answer_of_an_earlier_turn_does_not_end_a_later_one() -> None:
    timers, flood, _ = flooded()
    (late,) = flood.open
    flood.open = []
    timers.go_on(MOST_SECONDS + MOST_REST_SECONDS)
    ran = len(flood.ran)
    for _ in range(AT_ONCE):
        late()
    timers.go_on(MOST_SECONDS / 2)
    assert len(flood.ran) == ran


@pytest.mark.parametrize("seed", range(20))
def test_each_request_runs_once_and_in_order_whatever_happens(seed: int) -> None:
    chance = random.Random(seed)
    timers = Timers()
    turns = Turns(timers)
    sources = [Source(turns, f"s{number}") for number in range(3)]
    for _ in range(300):
        source = chance.choice(sources)
        match chance.randrange(4):
            case 0 | 1:
                source.send(chance.choice([1, 2, 60]))
            case 2:
                source.answer()
            case 3:
                source.open.clear()
        timers.go_on(chance.choice([0.0, 0.001, 0.02]))
    for _ in range(2 * LINE_LIMIT):
        if all(len(source.ran) == source.sent for source in sources):
            break
        timers.go_on(0.05)
        for source in sources:
            source.answer()
    for source in sources:
        assert source.ran == list(range(source.sent))


def test_after_the_flood_a_source_is_one_like_others_again() -> None:
    timers, flood, quiet = flooded()
    for _ in range(20):
        timers.go_on(0.01)
        flood.answer()
    assert len(flood.ran) == flood.sent
    timers.go_on(MOST_OVER / PER_SECOND)
    quiet.send()
    flood.send(BURST)
    assert len(flood.ran) == flood.sent


def test_a_rate_below_the_limit_never_waits() -> None:
    timers = Timers()
    turns = Turns(timers)
    busy, quiet = Source(turns, "busy"), Source(turns, "quiet")
    for _ in range(3000):
        busy.send()
        quiet.send()
        timers.go_on(1.0 / PER_SECOND)
        assert len(busy.ran) == busy.sent and len(quiet.ran) == quiet.sent


def test_turns_grow_where_the_store_is_slow_and_shrink_again() -> None:
    timers, flood, _ = flooded()
    flood.send(220)
    sizes = []
    for seconds in (2 * SLOW_SECONDS,) * 5 + (0.001,) * 4:
        before = len(flood.ran)
        flood.send(240 - flood.sent + before)  # so many wait
        timers.go_on(seconds)
        flood.answer()
        timers.go_on(MOST_REST_SECONDS)
        sizes.append(len(flood.ran) - before)
    assert sizes[2:5] == [AT_ONCE * 2**n for n in (3, 4, 5)]
    assert sizes[6:8] == [AT_ONCE * 2**n for n in (3, 2)] and sizes[8] < sizes[7]


def test_turns_are_so_large_that_a_flood_gets_its_least_rate() -> None:
    timers, flood, _ = flooded()
    began, ran = timers.now, len(flood.ran)
    for _ in range(100):
        flood.send(100 - flood.sent + len(flood.ran))  # so many wait: too few for a longer turn of their own
        timers.go_on(0.9 * SLOW_SECONDS)
        flood.answer()
        timers.go_on(MOST_REST_SECONDS + 1e-6)
    assert (len(flood.ran) - ran) / (timers.now - began) > 0.9 * LEAST_PER_SECOND


def test_a_long_line_runs_more_at_once_and_rests_less() -> None:
    timers, flood, _ = flooded()
    flood.send(1000)
    timers.go_on(0.001)
    flood.answer()
    before = len(flood.ran)
    timers.go_on(0.001 * REST * SHORT_LINE / 1000 + 1e-4)
    assert len(flood.ran) - before >= 1000 // 32
    assert rest_seconds(0.002, 0) == rest_seconds(0.002, SHORT_LINE) == 0.002 * REST
    assert rest_seconds(0.002, 8 * SHORT_LINE) == pytest.approx(0.002 * REST / 8)
    assert rest_seconds(1.0, 0) == MOST_REST_SECONDS


def test_a_line_that_is_too_long_is_full_and_of_others_it_is_not() -> None:
    timers = Timers()
    turns = Turns(timers)
    flood, quiet = Source(turns, "flood"), Source(turns, "quiet")
    quiet.send()
    flood.send(BURST + LINE_LIMIT)
    assert not turns.is_full("flood")  # the first that had to wait runs
    flood.send()
    assert turns.is_full("flood") and not turns.is_full("quiet") and not turns.is_full("unknown")


def test_a_flood_is_reported_once_until_it_ends() -> None:
    timers, reported = Timers(), []
    turns = Turns(timers, reported.append)
    flood, quiet = Source(turns, "flood"), Source(turns, "quiet")
    quiet.send()
    flood.send(3 * BURST)
    assert reported == ["flood"]
    timers.go_on(10)
    flood.send(1)
    flood.send(3 * BURST)
    assert reported == ["flood", "flood"]
