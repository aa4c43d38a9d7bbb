"""The circuit breaker inside a sender: what it holds, what its probes send, and what survives a restart."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from engine.test_sender import on_loop, retry
from support.gateway.running import until
from support.gateway.sender import NUMBER, MemorySender
from tidegate.core.model import DeferredState, Lane
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.sender import Sender

DEAD = 10  # events that must fail before anything has succeeded and nothing answers


def opened(setup: MemorySender) -> list[int]:
    """Fail first tries until the breaker opens; returns their offsets."""
    offsets = setup.publish(*[None] * DEAD)
    for _ in range(DEAD):
        setup.in_flight()[0].break_connection()
    assert setup.sender.limits.breaker.state == "open"
    return offsets


@on_loop
async def test_an_open_breaker_holds_first_tries_and_retries() -> None:
    setup = MemorySender()
    opened(setup)
    before = len(setup.requests)
    setup.publish(None, None)
    setup.sender.pump()
    assert len(setup.requests) == before


@on_loop
async def test_a_probe_is_one_delivery_without_an_attempt_and_spends_no_try() -> None:
    setup = MemorySender('retry = ["1h"]')
    opened(setup)
    new, _ = setup.publish(None, None)
    setup.clock.advance(1.3)
    setup.sender.pump()
    (probe,) = setup.in_flight()
    assert probe.offset == new
    probe.break_connection()
    one = setup.sender.backlog.deferred.known[new]
    assert (one.attempts, one.tries_left_from, one.state) == (1, 1, DeferredState.PENDING)


@on_loop
async def test_two_probes_in_a_row_use_different_events() -> None:
    setup = MemorySender('retry = ["1ms"]')
    opened(setup)
    probes = []
    for _ in range(4):
        setup.clock.advance(40)
        setup.sender.pump()
        (probe,) = setup.in_flight()
        probes.append(probe.offset)
        probe.break_connection()
    assert all(one != next_one for one, next_one in itertools.pairwise(probes))


@on_loop
async def test_no_retry_is_probed_before_it_is_due() -> None:
    setup = MemorySender('retry = ["1h"]')
    opened(setup)
    before = len(setup.requests)
    setup.clock.advance(600)
    setup.sender.pump()
    assert len(setup.requests) == before
    setup.clock.advance(3600)
    setup.sender.pump()
    assert len(setup.requests) == before + 1


@on_loop
async def test_a_backlog_of_retries_alone_opens_the_breaker_and_keeps_its_schedules() -> None:
    setup = MemorySender('retry = ["1ms", "1h", "1h"]\nconcurrency = 1')
    offsets = [setup.log.append() for _ in range(30)]
    for offset in offsets:
        setup.sender.backlog.deferred.add(retry(setup, offset, 0))
    setup.sender.pump()
    while setup.in_flight():
        setup.in_flight()[0].break_connection()
    assert setup.sender.limits.breaker.state == "open"
    tried = {one.offset for one in setup.requests}
    assert len(tried) == DEAD
    untouched = [setup.sender.backlog.deferred.known[offset] for offset in offsets if offset not in tried]
    assert {one.attempts for one in untouched} == {1}


@on_loop
async def test_after_a_successful_probe_a_few_go_through_and_then_more() -> None:
    setup = MemorySender('retry = ["1ms"]\nconcurrency = 8')
    opened(setup)
    setup.publish(*[None] * 30)
    setup.clock.advance(2)
    setup.sender.pump()
    setup.in_flight()[0].answer(200)
    assert setup.sender.limits.breaker.state == "half_open"
    assert len(setup.in_flight()) == 2
    for _ in range(2):
        setup.in_flight()[0].answer(200)
    assert 2 < len(setup.in_flight()) <= 5


@on_loop
async def test_retry_now_passes_an_open_breaker_and_a_hold_as_one_delivery() -> None:
    setup = MemorySender('retry = ["1h"]')
    offsets = opened(setup)
    before = len(setup.requests)
    one = setup.sender.backlog.deferred.known[offsets[3]]
    setup.sender.backlog.retry_now(msgspec.structs.replace(one, replay="manual", due_at_us=setup.clock.now_us()))
    setup.sender.pump()
    assert [one.offset for one in setup.requests[before:]] == [offsets[3]]
    setup.in_flight()[0].break_connection()
    assert len(setup.requests) == before + 1, "a failed one waits again"


@on_loop
async def test_a_successful_test_send_lets_a_few_through() -> None:
    setup = MemorySender('retry = ["1h"]')
    opened(setup)
    setup.publish(None, None, None)
    assert setup.in_flight() == []
    setup.sender.test_sent(success=False)
    assert setup.in_flight() == []
    setup.sender.test_sent(success=True)
    assert len(setup.in_flight()) == 2


@on_loop
async def test_the_age_of_an_outage_survives_a_restart_and_the_first_probe_goes_at_once() -> None:
    setup = MemorySender('retry = ["1ms"]')
    opened(setup)
    await setup.settler.flush()
    (row,) = [lane for lane in setup.deliveries.settled[-1].lanes if lane.destination == NUMBER]
    setup.clock.advance(300)
    row = Lane(NUMBER, None, breaker=row.breaker)
    again = Sender(setup.ports, setup.destination, LaneCursor(NUMBER, setup.log.published_offset, row))
    health = again.health()
    assert (health.circuit, health.failing) == ("open", True)
    assert health.opened_at_us is not None
    assert setup.clock.now_us() - health.opened_at_us >= 300_000_000
    before = len(setup.requests)
    again.backlog.offer(setup.log.append())
    again.backlog.offer(setup.log.append())
    again.pump()
    assert len(setup.requests) == before + 1


@on_loop
async def test_one_event_that_always_fails_opens_nothing_and_delays_nothing() -> None:
    setup = MemorySender('retry = ["1ms"]' + "\nconcurrency = 1")
    (poison,) = setup.publish(None)
    for _ in range(100):
        setup.in_flight()[0].answer(500 if setup.in_flight()[0].offset == poison else 200)
        setup.clock.advance(1)
        setup.publish(None)
    assert setup.sender.limits.breaker.state == "closed"
    assert setup.sender.lane.exhausted == 1
    assert setup.sender.lane.delivered >= 90


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_an_answer_about_one_delivery_never_opens_the_breaker(status: int) -> None:
    @on_loop
    async def main() -> None:
        setup = MemorySender('retry = ["1h"]')
        setup.publish(*[None] * 100)
        while setup.in_flight():
            setup.in_flight()[0].answer(status)
        assert setup.sender.limits.breaker.state == "closed"
        assert len(setup.requests) == 100

    main()


@on_loop
async def test_what_retry_on_leaves_out_is_exhausted_at_once() -> None:
    setup = MemorySender('retry_on = ["5xx", 404]')
    kept, other, gone = setup.publish(None, None, None)
    for request, status in zip(setup.in_flight(), (500, 404, 422), strict=True):
        request.answer(status)
    assert {kept, other} == set(setup.sender.backlog.deferred.known)
    await setup.settler.flush()
    assert setup.deliveries.rows[gone].state is DeferredState.EXHAUSTED


@on_loop
async def test_a_429_without_retry_after_holds_and_spends_no_try() -> None:
    setup = MemorySender('retry = ["1h"]\nconcurrency = 1')
    first, second = setup.publish(None, None)
    setup.requests[0].answer(429)
    assert setup.sent() == [first]
    assert setup.sender.backlog.deferred.known[first].tries_left_from == 1
    setup.clock.advance(3)
    setup.sender.pump()
    assert len(setup.sent()) == 2
    await until(lambda: second in setup.sent() or setup.in_flight()[0].offset == first)


@on_loop
async def test_a_body_that_cannot_be_rendered_is_exhausted_at_once_and_counted_with_its_reason() -> None:
    setup = MemorySender()

    def broken(*_: object) -> None:
        raise ValueError("data.object.amount is missing")

    setup.sender._request_builder.request = broken  # type: ignore[method-assign, assignment]
    setup.publish(*[None] * 40)
    await until(lambda: setup.sender.lane.exhausted == 40)
    assert setup.requests == []
    assert setup.sender.limits.breaker.state == "closed"
    (finding,) = setup.ports.findings.listed()
    assert (finding.code, finding.subject, finding.count) == ("cannot_render", "destination:crm", 40)
    assert finding.samples == ["ValueError: data.object.amount is missing"]
    assert "replay --destination crm" in finding.remedy
