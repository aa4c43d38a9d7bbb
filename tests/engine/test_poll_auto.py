"""`poll = "auto"` in the engine: it learns when changes come, keeps what it learned, and names what bounds prevent."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from support.upstream.polled import START_US, polled
from support.upstream.pull import StepClock
from tidegate.config.spec import ApiInput
from tidegate.core.model import Origin
from tidegate.pull.schedule import Schedule, intervals_of
from tidegate.rules.measure.traces import Trace, diurnal, poisson
from tidegate.rules.sync.spec import Resource

DAY = 86_400.0
MONDAY_US = 4 * 86_400_000_000


def scheduled(trace: Trace, poll: str) -> tuple[int, float]:
    """(polls, p95 of the delay) of the schedule of a resource over a trace, with a clock that is moved by each wait."""
    clock = StepClock(MONDAY_US)
    schedule = Schedule(clock, intervals_of(Resource(path="/rows", poll=poll)))
    schedule.begin({Origin.POLL: MONDAY_US})
    delays: list[float] = []
    polls = seen = 0
    while (following := schedule.next()) is not None:
        clock.advance(max(0.0, following[1]))
        at = (clock.now_us() - MONDAY_US) / 1e6
        if at > trace.seconds:
            break
        before = seen
        while seen < len(trace.changes) and trace.changes[seen].at <= at:
            delays.append(at - trace.changes[seen].at)
            seen += 1
        polls += 1
        schedule.see(seen - before, 0.1, 1)
        schedule.ran(Origin.POLL, None, progress=False)
    return polls, sorted(delays)[int(len(delays) * 0.95)]


def test_the_schedule_saves_half_of_the_polls_on_a_day_with_busy_hours() -> None:
    trace = diurnal(4 / 3600, 28 * DAY, Random(3))
    polls, late = scheduled(trace, "auto")
    fixed, same = scheduled(trace, f"{late / 0.95:.0f}s")
    assert same == pytest.approx(late, rel=0.15)
    assert polls <= fixed / 2


def test_the_schedule_costs_at_most_a_tenth_more_where_no_hour_is_special() -> None:
    trace = poisson(4 / 3600, 28 * DAY, Random(3))
    polls, late = scheduled(trace, "auto")
    fixed, _ = scheduled(trace, f"{late / 0.95:.0f}s")
    assert polls <= fixed * 1.1


async def test_what_was_learned_survives_a_restart_and_is_in_the_figures(tmp_path: Path) -> None:
    rows: list[dict[str, int]] = [{"id": 0}]
    async with polled(tmp_path, lambda _: list(rows), poll="auto") as one:
        await one.poll()
        for n in range(1, 6):
            one.clock.advance(3600)
            rows.append({"id": n})
            await one.poll()
        engine = one.engine._engines["s", "r"]
        assert sum(engine.writer.engine_state.looked.changes) == pytest.approx(5, rel=0.3)
        before = engine.figures().poll_every_seconds
        assert before is not None and 60 <= before <= 6 * 3600
        await one.restart()
        await one.poll()
        again = one.engine._engines["s", "r"]
        assert sum(again.writer.engine_state.looked.changes) >= 3
        assert one.clock.now_us() > START_US


def test_the_rate_and_the_prices_of_the_source_are_part_of_the_rule() -> None:
    resource = Resource(path="/rows", poll="auto", poll_min="1s", max_delay="5m", delay_price=3.6)
    rule = intervals_of(resource, ApiInput(base_url="https://x.example", rate="2/m", price_per_call=0.01))[Origin.POLL]
    assert (rule.budget, rule.max_delay, rule.call_price, rule.delay_price) == (30.0, 300.0, 0.01, 0.001)  # type: ignore[union-attr]
