"""What a policy would cost on a trace: requests, delay of each change, and changes that nobody could see. Pure.

Owns the policies `poll`, `adaptive` and `webhook` and how they are written: `poll:5m`, `adaptive:1m..1h`,
`webhook:loss=1%,reconcile=1h`. A poll sees every record as it is then, so of several changes of one record between two
polls only the last one is seen; the others are missed, whatever the policy. A webhook reports each change at once, but
loses some; a reconciling poll finds the lost ones later. Errors: ValueError for a policy that makes no sense.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from random import Random

import msgspec

from tidegate.core import units
from tidegate.core.quantiles import quantile
from tidegate.rules.measure.traces import Change, Trace

MAX_REQUESTS = 10_000_000
_FASTER, _SLOWER = 0.5, 1.25  # of the interval, after a poll that found something or nothing


class Policy(msgspec.Struct, frozen=True):
    """`kind` is poll, adaptive or webhook; seconds are 0 where they mean nothing."""

    text: str
    kind: str
    every: float = 0.0  # poll: the interval; adaptive: the shortest
    longest: float = 0.0  # adaptive
    loss: float = 0.0  # webhook: the share that never arrives
    reconcile: float = 0.0  # webhook: the interval of polls for what was lost


class Outcome(msgspec.Struct, frozen=True):
    """What a policy did on a trace. Delays are those of the changes that were seen; None without any."""

    policy: str
    requests: int
    webhooks: int
    empty: int  # requests that found nothing
    changes: int
    seen: int
    missed: int
    delay_p50_seconds: float | None
    delay_p95_seconds: float | None
    delay_p99_seconds: float | None
    requests_per_day: float
    cost: float | None = None


def parse_policy(text: str) -> Policy:
    kind, _, rest = text.partition(":")
    try:
        if kind == "poll":
            return _checked(Policy(text, kind, every=units.seconds(rest)))
        if kind == "adaptive":
            shortest, _, longest = rest.partition("..")
            return _checked(Policy(text, kind, units.seconds(shortest), units.seconds(longest)))
        if kind == "webhook":
            options = dict(one.split("=", 1) for one in rest.split(",") if one)
            loss = _share(options.pop("loss", "0%"))
            every = units.seconds(options.pop("reconcile")) if "reconcile" in options else 0.0
            if not options:
                return Policy(text, kind, loss=loss, reconcile=every)
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is not a policy: {error}") from None
    raise ValueError(
        f"{text[:80]!r} is not a policy (examples: poll:5m, adaptive:1m..1h, webhook, webhook:loss=1%,reconcile=1h)"
    )


def run(policy: Policy, trace: Trace, chance: Random, price: float | None = None) -> Outcome:
    """`price`: of one request, for `cost`."""
    if policy.kind == "webhook":
        return _webhook(policy, trace, chance, price)
    looks = _looks(policy, trace)
    delays, empty = _polled(trace.changes, looks)
    pending = sum(one.at > (looks[-1] if looks else 0.0) for one in trace.changes)
    return _outcome(policy, trace, (len(looks), 0, empty, pending), delays, price)


def _looks(policy: Policy, trace: Trace) -> list[float]:
    """When the policy asks."""
    shortest = policy.every
    if trace.seconds / shortest > MAX_REQUESTS:
        raise ValueError(f"{policy.text} makes more than {MAX_REQUESTS:,} requests on this trace")
    if policy.kind == "poll":
        return [shortest * number for number in range(1, int(trace.seconds / shortest) + 1)]
    looks: list[float] = []
    ats = [one.at for one in trace.changes]
    at = every = shortest
    while at <= trace.seconds:
        found = bisect.bisect_right(ats, at) > bisect.bisect_right(ats, looks[-1] if looks else 0.0)
        looks.append(at)
        every = max(shortest, every * _FASTER) if found else min(policy.longest, every * _SLOWER)
        at += every
    return looks


def _polled(changes: Sequence[Change], looks: Sequence[float]) -> tuple[list[float], int]:
    """(delay of each change that a look saw, number of looks that saw none)."""
    delays: list[float] = []
    empty, next_change = 0, 0
    for at in looks:
        latest: dict[str, float] = {}
        while next_change < len(changes) and changes[next_change].at <= at:
            one = changes[next_change]
            latest[one.record or str(next_change)] = one.at
            next_change += 1
        delays += [at - changed for changed in latest.values()]
        empty += not latest
    return delays, empty


def _webhook(policy: Policy, trace: Trace, chance: Random, price: float | None) -> Outcome:
    lost = [one for one in trace.changes if chance.random() < policy.loss]
    sent = len(trace.changes) - len(lost)
    delays, empty, looks = [0.0] * sent, 0, 0
    if policy.reconcile:
        ats = _looks(Policy("", "poll", every=policy.reconcile), trace)
        healed, empty = _polled(lost, ats)
        delays, looks = delays + healed, len(ats)
        pending = sum(one.at > (ats[-1] if ats else 0.0) for one in lost)
        return _outcome(policy, trace, (looks, sent, empty, pending), delays, price)
    return _outcome(policy, trace, (looks, sent, empty, 0), delays, price)


def _outcome(
    policy: Policy, trace: Trace, counted: tuple[int, int, int, int], delays: list[float], price: float | None
) -> Outcome:
    """`counted`: requests, webhooks, empty requests, and changes after the last request, which are not missed yet."""
    requests, webhooks, empty, pending = counted
    delays.sort()
    return Outcome(
        policy=policy.text,
        requests=requests,
        webhooks=webhooks,
        empty=empty,
        changes=len(trace.changes) - pending,
        seen=len(delays),
        missed=len(trace.changes) - pending - len(delays),
        delay_p50_seconds=quantile(delays, 0.5),
        delay_p95_seconds=quantile(delays, 0.95),
        delay_p99_seconds=quantile(delays, 0.99),
        requests_per_day=round(requests * 86_400 / trace.seconds, 3),
        cost=None if price is None else round(requests * price, 6),
    )


def _checked(policy: Policy) -> Policy:
    if policy.every <= 0 or (policy.kind == "adaptive" and policy.longest < policy.every):
        raise ValueError("an interval must be above 0, and the longest one not below the shortest")
    return policy


def _share(text: str) -> float:
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is not a share from 0% to 100%")
    return value
