"""Requests of a source that floods wait for their turn on both ways of receiving; others are answered meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from support.gateway.ingress import BODY, IngressSetup, ask_directly, decided, send_directly, with_ingress
from support.gateway.running import until
from support.gateway.timers import Timers, held
from tidegate.receive.turns import BURST, LINE_LIMIT


async def flooding(setup: IngressSetup) -> Timers:
    """The source `open` floods beside another one, and a first turn of it runs that is not over yet."""
    await decided(setup)
    timers = held(setup.door)
    setup.door._capacity.turns.must_wait("shop")
    for _ in range(BURST):
        assert not setup.door._capacity.turns.must_wait("open")
    assert setup.door._capacity.turns.must_wait("open")
    setup.door._capacity.turns.wait("open", lambda done: None)
    return timers


def test_a_request_that_waits_is_stored_and_answered_at_its_turn(tmp_path: Path) -> None:
    async def work(setup: IngressSetup) -> None:
        timers = await flooding(setup)
        taken, connection = send_directly(setup, "open")
        assert taken and connection.answers == [] and await setup.events() == ()
        assert setup.door.budget.held == len(BODY)
        assert (await ask_directly(setup, "shop", BODY, setup.signed()))[0] == 202, "others do not wait"
        timers.go_on(1.0)
        await until(lambda: connection.answers)
        assert connection.answers[0][0] == 202 and setup.door.budget.held == 0
        assert len(await setup.events()) == 2

    with_ingress(tmp_path, work)


def test_the_usual_way_waits_too(tmp_path: Path) -> None:
    async def work(setup: IngressSetup) -> None:
        timers = await flooding(setup)
        asked = asyncio.create_task(setup.call("open"))
        left = asyncio.create_task(setup.call("open"))
        line = setup.door._capacity.turns._lines["open"]
        await until(lambda: len(line.requests) == 2)
        left.cancel()  # its client did not wait
        assert not asked.done() and await setup.events() == ()
        timers.go_on(1.0)
        assert (await asked).status == 202
        assert len(await setup.events()) == 1 and setup.door.budget.held == 0

    with_ingress(tmp_path, work)


def test_a_request_that_waited_and_is_rejected_or_needs_the_usual_way_ends_its_turn(tmp_path: Path) -> None:
    async def work(setup: IngressSetup) -> None:
        timers = await flooding(setup)
        _, forbidden = send_directly(setup, "open", BODY, [("tidegate-hops", "9")])
        setup.router.number = None  # as for an event of a new type
        _, undecided = send_directly(setup, "open")
        timers.go_on(1.0)
        assert forbidden.answers[0][0] == 400 and undecided.runs_again == 1
        assert setup.door.budget.held == 0
        line = setup.door._capacity.turns._lines["open"]
        assert line._turn is None, "it ended with the answers, not by its time limit"

    with_ingress(tmp_path, work)


def test_a_line_that_is_too_long_is_answered_503_at_once(tmp_path: Path) -> None:
    async def work(setup: IngressSetup) -> None:
        await flooding(setup)
        for _ in range(LINE_LIMIT):
            setup.door._capacity.turns.wait("open", lambda done: done())
        assert (await ask_directly(setup, "open"))[0] == (await setup.call("open")).status == 503
        assert (await ask_directly(setup, "shop", BODY, setup.signed()))[0] == 202
        assert "source:open" in [one.subject for one in setup.findings.listed() if one.code == "events_over_capacity"]

    with_ingress(tmp_path, work)


def test_an_error_of_one_request_that_waited_leaves_the_others_answered(tmp_path: Path) -> None:
    async def work(setup: IngressSetup) -> None:
        timers = await flooding(setup)
        waiting = [send_directly(setup, "open", b'{"n": %d}' % number)[1] for number in range(3)]
        check = setup.door._checks.check

        def broken(input: Any, scope: Any, headers: Any, body: bytes, **more: Any) -> Any:
            if body == b'{"n": 0}':
                raise RuntimeError("a defect")
            return check(input, scope, headers, body, **more)

        setup.door._checks.check = broken
        timers.go_on(1.0)
        await until(lambda: waiting[1].answers and waiting[2].answers)
        assert waiting[0].runs_again == 1 and waiting[0].answers == [], "the usual way reports it"
        assert [one.answers[0][0] for one in waiting[1:]] == [202, 202] and setup.door.budget.held == 0

    with_ingress(tmp_path, work)
