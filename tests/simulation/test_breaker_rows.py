"""Each failure of a destination keeps its bounds: delay of good deliveries, failed requests, recovery, tries lost."""

from __future__ import annotations

import dataclasses

import pytest

from simulation.destinations import Destination, FailsByEvent, share_of_events
from simulation.rows import ROWS, Row, run
from simulation.sender import SimulatedSender

IN_PART = [row for row in ROWS if "fail by" in row.name and not row.backlog]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_keeps_its_bounds(row: Row) -> None:
    _, measures = run(row, seed=1)
    over = {name: getattr(measures, name) for name, most in row.bounds.items() if getattr(measures, name) > most}
    assert over == {}, f"bounds are {row.bounds}"


@pytest.mark.parametrize("row", IN_PART, ids=lambda row: row.name)
def test_a_destination_that_fails_in_part_never_opens_the_breaker(row: Row) -> None:
    for seed in range(2, 6):
        _, measures = run(dataclasses.replace(row, events=800), seed)
        assert measures.opened == 0, f"seed {seed}"


def test_a_destination_that_begins_to_fail_in_part_does_not_open_the_breaker() -> None:
    """It was healthy for a long time: nothing is known yet about runs of failures."""
    bad = share_of_events(0.8, 7)
    for seed in range(3):
        sender = SimulatedSender(FailsByEvent(lambda offset: offset > 500 and bad(offset)), seed)
        for offset in range(1, 1501):
            sender.arrive(offset, offset * 0.05)
        sender.run(100.0)
        assert sender.counters.opened == 0, f"seed {seed}"


def test_a_bound_can_be_broken() -> None:
    """A destination that is worse than its row says breaks the row's bounds."""
    healthy = next(row for row in ROWS if row.name == "healthy")
    _, measures = run(dataclasses.replace(healthy, destination=lambda _: Destination(3.0)), seed=1)
    assert measures.p99 > healthy.bounds["p99"]
    assert measures.queued_p99 > healthy.bounds["queued_p99"]
