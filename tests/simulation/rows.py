"""The rows of the circuit breaker's simulation: destinations, what is sent to them, and the bounds that must hold.

`make simulation` prints the table; `test_breaker_rows.py` checks the bounds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from simulation.destinations import (
    Destination,
    FailsByEvent,
    FailsByRequest,
    Outages,
    RateLimited,
    Reply,
    flapping,
    share_of_events,
)
from simulation.sender import Delivery, SimulatedSender
from tidegate.core.model import Outcome
from tidegate.rules.outbound.circuit_breaker import BreakerState

HORIZON = 2400.0  # virtual seconds: four tries of the default schedule
UNAVAILABLE = Reply(Outcome.HTTP_ERROR, 503, 0.005)
NOT_FOUND = Reply(Outcome.HTTP_ERROR, 404, 0.005)
INVALID = Reply(Outcome.HTTP_ERROR, 422, 0.01)
RENDER = Reply(Outcome.RENDER, None, 0.0)
HANGS = Reply(Outcome.TIMEOUT, None, 3600.0)
BACKLOG = 1_000_000  # offsets of deliveries stored before a restart start here


@dataclass
class Measures:
    """Delays in seconds, of good deliveries: those that the destination takes when it works."""

    deliveries: int
    p50: float  # from arrival, or from the end of the outage it arrived in, until it was delivered
    p99: float
    queued_p99: float  # due and not sent, without the outages themselves
    requests: int
    failed: int
    recovery: float  # longest time from the end of an outage to the first success
    tries_lost: int  # tries that good deliveries spent in vain
    most_tries: int
    exhausted: int  # good deliveries that ended in the dead letters
    opened: int
    first_tries_held: int

    def line(self, name: str) -> str:
        return (
            f"{name:<52}{self.deliveries:>7}{self.p50:>9.2f}{self.p99:>9.2f}{self.queued_p99:>9.2f}"
            f"{self.requests:>9}{self.failed:>8}{self.recovery:>10.1f}{self.tries_lost:>7}{self.most_tries:>6}"
            f"{self.exhausted:>6}{self.opened:>8}"
        )


HEADING = (
    f"{'destination':<52}{'events':>7}{'p50 s':>9}{'p99 s':>9}{'queue 99':>9}{'requests':>9}{'failed':>8}"
    f"{'recover s':>10}{'lost':>7}{'tries':>6}{'exh.':>6}{'opened':>8}"
)


@dataclass
class Row:
    """`bounds`: the most that each measure may be."""

    name: str
    destination: Callable[[int], Destination]  # from a seed
    bounds: dict[str, float]
    events: int = 2000
    per_second: float = 20.0
    concurrency: int = 8
    backlog: tuple[int, ...] = ()  # attempts of each delivery that was stored before the restart, due at once
    stored: BreakerState | None = None
    until: float = HORIZON
    outage_ends: tuple[float, ...] = field(default_factory=tuple)


def run(row: Row, seed: int) -> tuple[SimulatedSender, Measures]:
    sender = SimulatedSender(row.destination(seed), seed, row.concurrency)
    if row.stored is not None:
        sender.restore(row.stored, 5.0)
    for number, attempts in enumerate(row.backlog):
        sender.backlog(BACKLOG + number, attempts, 0.0)
    rng, at = random.Random(seed), 0.0
    for offset in range(1, row.events + 1):
        at += rng.expovariate(row.per_second)
        sender.arrive(offset, at)
    sender.run(row.until)
    return sender, measure(row, sender)


def measure(row: Row, sender: SimulatedSender) -> Measures:
    destination, counters = sender.destination, sender.counters
    good = [one for one in sender.deliveries.values() if destination.takes(one.offset)]
    delays = [
        one.delivered_at - max(one.arrived_at, destination.down_until(one.arrived_at))
        for one in good
        if one.delivered_at is not None
    ]
    return Measures(
        len(sender.deliveries),
        percentile(delays, 0.5),
        percentile(delays, 0.99),
        percentile([one.queued for one in good], 0.99),
        counters.requests,
        counters.failed,
        _recovery(row, good),
        sum(_lost(one, row) for one in good),
        max((one.tries for one in good), default=0),
        sum(one.exhausted_at is not None for one in good),
        counters.opened,
        counters.held_first_tries,
    )


def _lost(one: Delivery, row: Row) -> int:
    before = row.backlog[one.offset - BACKLOG] if one.offset >= BACKLOG else 0
    return one.tries - before - (one.delivered_at is not None)


def _recovery(row: Row, good: list[Delivery]) -> float:
    successes = sorted(one.delivered_at for one in good if one.delivered_at is not None)
    return max((next(at for at in successes if at >= end) - end for end in row.outage_ends), default=0.0)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


# No delivery waits for the failure of another, and nothing opens.
FREE_FLOW = {"queued_p99": 0.1, "opened": 0, "exhausted": 0}
PROMPT = {**FREE_FLOW, "p50": 0.05, "p99": 0.1, "tries_lost": 0}
# The wait between probes is 36 s at most.
OUTAGE = {"recovery": 37, "exhausted": 0, "opened": 1, "most_tries": 3}


def _outage(name: str, how: Reply | None, start: float = 10.0, **more: object) -> Row:
    spans = [(start, 250.0)]
    bounds = {**OUTAGE, "tries_lost": 45, "failed": 65}
    make = (lambda _: Outages(spans)) if how is None else (lambda _: Outages(spans, how))
    row = Row(name, make, bounds, events=7000, outage_ends=(250.0,))
    for key, value in more.items():
        setattr(row, key, {**bounds, **value} if key == "bounds" else value)
    return row


ROWS = [
    Row("healthy", lambda _: Destination(), {**PROMPT, "failed": 0}),
    Row("1% fail by request", lambda _: FailsByRequest(0.01), {**FREE_FLOW, "p50": 0.05, "failed": 60}),
    Row("20% fail by request", lambda _: FailsByRequest(0.2), {**FREE_FLOW, "p50": 0.05, "p99": 370, "failed": 600}),
    Row("50% fail by request", lambda _: FailsByRequest(0.5), {**FREE_FLOW, "p50": 6.1, "failed": 2100}),
    Row("80% fail by request", lambda _: FailsByRequest(0.8), {**FREE_FLOW, "p50": 370, "failed": 5000}),
    *(
        Row(
            f"{share:.0%} fail by event",
            lambda seed, share=share: FailsByEvent(share_of_events(share, seed)),
            {**PROMPT, "failed": 2000 * share * 4 * 1.2 + 20},
        )
        for share in (0.01, 0.2, 0.5, 0.8)
    ),
    Row("one poison event", lambda _: FailsByEvent(lambda offset: offset == 100), {**PROMPT, "failed": 4}),
    Row("a type answers 500", lambda _: FailsByEvent(lambda offset: offset % 10 == 0), {**PROMPT, "failed": 800}),
    Row("a type answers 422", lambda _: FailsByEvent(lambda o: o % 10 == 0, INVALID), {**PROMPT, "failed": 800}),
    Row("a type cannot be rendered", lambda _: FailsByEvent(lambda o: o % 10 == 0, RENDER), {**PROMPT, "failed": 200}),
    Row("all answer 422", lambda _: FailsByEvent(lambda _: True, INVALID), {"opened": 0, "failed": 2000}, events=500),
    Row(
        "500 due retries that fail by event, and new events",
        lambda _: FailsByEvent(lambda offset: offset >= BACKLOG),
        {"queued_p99": 0.1, "p99": 0.1, "exhausted": 0, "first_tries_held": 0, "failed": 1600},
        backlog=(3,) * 500,
    ),
    Row(
        "slow (2 s, 75% of capacity)",
        lambda _: Destination(2.0),
        {**FREE_FLOW, "queued_p99": 4, "p50": 3, "p99": 6, "failed": 0},
        events=600,
        per_second=3,
    ),
    Row(
        "1% of events hang until the timeout",
        lambda seed: FailsByEvent(share_of_events(0.01, seed), HANGS),
        {**PROMPT, "failed": 150},
        per_second=10,
    ),
    Row(
        "500 due retries that hang, and new events",
        lambda _: FailsByEvent(lambda offset: offset >= BACKLOG, HANGS),
        {"p50": 0.05, "p99": 0.1, "queued_p99": 0.2, "failed": 120, "tries_lost": 0, "first_tries_held": 0},
        backlog=(3,) * 500,
    ),
    Row(
        "429 above 10/s, Retry-After 1, sent 20/s",
        lambda _: RateLimited(10, 1.0),
        {"p99": 125, "failed": 800, "tries_lost": 0, "exhausted": 0, "opened": 0},
    ),
    Row(
        "429 above 10/s, no Retry-After, sent 20/s",
        lambda _: RateLimited(10, None),
        {"p99": 125, "failed": 800, "tries_lost": 0, "exhausted": 0, "opened": 0},
    ),
    Row(
        "429 above 10/s, no Retry-After, sent 8/s",
        lambda _: RateLimited(10, None),
        {"p50": 0.1, "p99": 6, "failed": 200, "tries_lost": 0, "exhausted": 0, "opened": 0},
        per_second=8,
    ),
    _outage("refuses for 4 minutes", None),
    _outage("refuses from the start", None, start=0.0, bounds={"failed": 35, "tries_lost": 20}),
    _outage("answers 503 for 4 minutes", UNAVAILABLE),
    _outage("answers 404 for 4 minutes", NOT_FOUND),
    _outage("hangs for 4 minutes", HANGS, bounds={"recovery": 52, "most_tries": 3}),
    _outage(
        "answers 503 for 4 minutes, 1 event in 2 s",
        UNAVAILABLE,
        events=200,
        per_second=0.5,
        bounds={"tries_lost": 70, "failed": 85},
    ),
    Row(
        "flapping, 30 s up and 30 s down",
        lambda _: Outages(flapping(30, 30, 600), UNAVAILABLE),
        {"exhausted": 0, "most_tries": 4, "failed": 600, "opened": 12},
        events=10_000,
    ),
    Row(
        "restart, dead, 5,000 due retries, no new event",
        lambda _: Outages([(0, 250)], UNAVAILABLE),
        {**OUTAGE, "tries_lost": 45, "failed": 65, "most_tries": 6, "p99": 200},
        events=0,
        backlog=(1, 2, 3, 4) * 1250,
        outage_ends=(250.0,),
    ),
    Row(
        "restart, dead, breaker stored, 5,000 due retries",
        lambda _: Outages([(0, 250)], UNAVAILABLE),
        {**OUTAGE, "opened": 0, "tries_lost": 0, "failed": 30, "most_tries": 5, "p99": 100},
        events=1000,
        per_second=2,
        backlog=(1, 2, 3, 4) * 1250,
        stored=BreakerState(open_seconds=600.0, wait=16.0, holds_first_tries=True),
        outage_ends=(250.0,),
    ),
]
