"""What a policy costs on a trace: requests, delay of each change, changes that nobody could see, money. Pure.

Owns the run of each policy. A poll sees every record as it is then, so of several changes of one record between two
polls only the last one is seen; the others are missed, whatever the policy. A webhook reports each change at once, but
loses some; a reconciling poll finds the lost ones later. A cache asks the source when it is read and its copy is too
old; with several answers, each has its records and is read as often as the others. Changes after the last request are
pending, not missed. The same seed gives the same figures.

Bounds: a poll at a fixed interval costs the time of the changes, not of the polls, so ten million polls are counted
like ten; policies that decide poll by poll make at most MAX_REQUESTS. Errors: ValueError beyond it, and for `cache`
without reads.
"""

from __future__ import annotations

import bisect
import math
import zlib
from collections.abc import Sequence
from random import Random

import msgspec

from tidegate.core.quantiles import quantile
from tidegate.rules.measure.adaptive import AdaptivePolls, AdaptiveRule
from tidegate.rules.measure.policies import Policy
from tidegate.rules.measure.reads import Replayed, at_random, replay
from tidegate.rules.measure.reconciling import (
    SPREAD,
    WINDOWS_SECONDS,
    ReconcileRule,
    Window,
    choose,
    first_interval,
)
from tidegate.rules.measure.traces import Change, Trace

MAX_REQUESTS = 200_000  # of one policy that decides poll by poll
NOT_MODIFIED_BYTES = 300  # of an answer 304: its headers
_MONDAY = 4 * 86_400.0  # 1970-01-05: where a made trace begins


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation takes from the user. `delay_price`: of one change that is one hour late."""

    price_per_call: float | None = None
    delay_price: float | None = None
    body_bytes: int = 20_000  # of an answer with the list
    reads: float | None = None  # per second, for `cache`
    answers: int = 1  # among which the reads are spread

    @property
    def priced(self) -> bool:
        return self.price_per_call is not None or self.delay_price is not None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy did on a trace. Delays are those of the changes that were seen; None without any."""

    policy: str
    requests: int
    webhooks: int
    empty: int  # requests that found nothing
    not_modified: int  # those of them that the source answered 304
    bytes: int  # of the answers
    changes: int
    seen: int
    missed: int
    delay_p50_seconds: float | None
    delay_p95_seconds: float | None
    delay_p99_seconds: float | None
    requests_per_day: float
    cached_share: float | None = None  # of the reads, answered from the cache
    cost: float | None = None  # of the requests and the delays


class _Looked(msgspec.Struct):
    """What was asked and found. `pending`: changes after the last request."""

    requests: int = 0
    webhooks: int = 0
    empty: int = 0
    pending: int = 0
    delays: list[float] = []
    cached_share: float | None = None

    def add(self, other: _Looked) -> None:
        self.requests += other.requests
        self.empty += other.empty
        self.pending += other.pending
        self.delays += other.delays


def run(policy: Policy, trace: Trace, chance: Random, terms: Terms | None = None) -> Outcome:
    """Run one policy over a trace."""
    terms = terms or Terms()
    if policy.kind == "webhook":
        looked = _webhook(policy, trace, chance, terms)
    elif policy.kind == "adaptive":
        looked = _at(_adaptive(policy, trace, chance, terms), trace.changes)
    elif policy.kind == "cache":
        looked = _cached(policy, trace, chance, terms)
    else:
        looked = _every(policy.every, trace, trace.changes)
    return _outcome(policy, trace, looked, terms)


def _every(every: float, trace: Trace, changes: Sequence[Change]) -> _Looked:
    """Polls at a fixed interval, counted without walking over them."""
    count = int(trace.seconds / every)
    latest: dict[tuple[int, str], float] = {}
    pending = 0
    for number, one in enumerate(changes):
        poll = math.ceil(one.at / every)
        if poll > count:
            pending += 1
        else:
            latest[max(1, poll), one.record or str(number)] = one.at
    found = len({poll for poll, _ in latest})
    delays = [max(0.0, poll * every - at) for (poll, _), at in latest.items()]
    return _Looked(requests=count, empty=count - found, pending=pending, delays=delays)


def _at(looks: Sequence[float], changes: Sequence[Change]) -> _Looked:
    """Looks at given times."""
    looked, next_change = _Looked(requests=len(looks)), 0
    for at in looks:
        latest: dict[str, float] = {}
        while next_change < len(changes) and changes[next_change].at <= at:
            one = changes[next_change]
            latest[one.record or str(next_change)] = one.at
            next_change += 1
        looked.delays += [at - changed for changed in latest.values()]
        looked.empty += not latest
    looked.pending = len(changes) - next_change
    return looked


def _adaptive(policy: Policy, trace: Trace, chance: Random, terms: Terms) -> list[float]:
    """When `poll = "auto"` asks: the policy that the pull engine uses, fed with what each look finds."""
    polls = AdaptivePolls(
        AdaptiveRule(
            shortest=policy.every,
            longest=policy.longest,
            max_delay=policy.max_delay or None,
            call_price=terms.price_per_call,
            delay_price=None if terms.delay_price is None else terms.delay_price / 3600,
        )
    )
    start = trace.starts_at or _MONDAY
    if trace.seconds / policy.longest > MAX_REQUESTS:
        raise _too_many(policy)
    polls.see(start, 0)
    ats = [one.at for one in trace.changes]
    looks: list[float] = []
    at, seen = 0.0, 0
    while (at := at + polls.wait(start + at, chance.random())) <= trace.seconds:
        _bounded(policy, looks)
        looks.append(at)
        found = bisect.bisect_right(ats, at)
        polls.see(start + at, len({one.record or str(number) for number, one in enumerate(trace.changes[seen:found])}))
        seen = found
    return looks


def _cached(policy: Policy, trace: Trace, chance: Random, terms: Terms) -> _Looked:
    """The reads that find no copy, or one that is too old, ask for the records of their answer."""
    if terms.reads is None:
        raise ValueError(f"{policy.text} needs the rate of reads: --reads 60/h")
    reads = at_random(terms.reads, trace.seconds, chance, (1.0,) * terms.answers)
    made: Replayed = replay(reads, policy.every, terms.answers)
    shares: list[list[Change]] = [[] for _ in made.asked]
    for number, one in enumerate(trace.changes):
        shares[_answer_of(one.record or str(number), terms.answers)].append(one)
    looked = _Looked(cached_share=made.hit_share)
    for asked, changes in zip(made.asked, shares, strict=True):
        looked.add(_at(asked, changes))
    return looked


def _answer_of(record: str, answers: int) -> int:
    return zlib.crc32(record.encode()) % answers


def _bounded(policy: Policy, looks: Sequence[float]) -> None:
    if len(looks) >= MAX_REQUESTS:
        raise _too_many(policy)


def _too_many(policy: Policy) -> ValueError:
    return ValueError(f"{policy.text} makes more than {MAX_REQUESTS:,} requests on this trace")


def _reconciled(policy: Policy, trace: Trace, lost: Sequence[Change], chance: Random, terms: Terms) -> list[float]:
    """When `reconcile = "auto"` asks: the choice of the pull engine, fed with what each look finds."""
    rule = ReconcileRule(
        shortest=policy.reconcile,
        longest=policy.longest,
        max_delay=policy.max_delay or None,
        call_price=terms.price_per_call,
        delay_price=None if terms.delay_price is None else terms.delay_price / 3600,
    )
    gone = {id(one) for one in lost}
    pushed = [one.at for one in trace.changes if id(one) not in gone]
    missed = [one.at for one in lost]
    found: list[float] = []  # when a look found each missed change
    looks: list[float] = []
    every, at = first_interval(rule), 0.0
    while (at := at + every * (1 - SPREAD * chance.random())) <= trace.seconds:
        _bounded(policy, looks)
        looks.append(at)
        found += [at] * (bisect.bisect_right(missed, at) - len(found))
        windows = [_window(pushed, found, at, seconds) for seconds in WINDOWS_SECONDS]
        every = choose(rule, windows, every).every
    return looks


def _window(pushed: Sequence[float], found: Sequence[float], at: float, seconds: float) -> Window:
    """What was seen in the last `seconds`."""
    since = at - seconds
    missed = len(found) - bisect.bisect_right(found, since)
    brought = bisect.bisect_right(pushed, at) - bisect.bisect_right(pushed, since)
    return Window(min(seconds, at), brought + missed, missed)


def _webhook(policy: Policy, trace: Trace, chance: Random, terms: Terms) -> _Looked:
    lost = [one for one in trace.changes if chance.random() < policy.loss]
    sent = len(trace.changes) - len(lost)
    if policy.longest:
        looked = _at(_reconciled(policy, trace, lost, chance, terms), lost)
    else:
        looked = _every(policy.reconcile, trace, lost) if policy.reconcile else _Looked()
    looked.webhooks = sent
    looked.delays = [0.0] * sent + looked.delays
    return looked


def _outcome(policy: Policy, trace: Trace, looked: _Looked, terms: Terms) -> Outcome:
    delays, changes = sorted(looked.delays), len(trace.changes) - looked.pending
    not_modified = looked.empty if policy.kind == "conditional" else 0
    return Outcome(
        policy=policy.text,
        requests=looked.requests,
        webhooks=looked.webhooks,
        empty=looked.empty,
        not_modified=not_modified,
        bytes=(looked.requests - not_modified) * terms.body_bytes + not_modified * NOT_MODIFIED_BYTES,
        changes=changes,
        seen=len(delays),
        missed=changes - len(delays),
        delay_p50_seconds=quantile(delays, 0.5),
        delay_p95_seconds=quantile(delays, 0.95),
        delay_p99_seconds=quantile(delays, 0.99),
        requests_per_day=round(looked.requests * 86_400 / trace.seconds, 3),
        cached_share=None if looked.cached_share is None else round(looked.cached_share, 4),
        cost=_cost(policy, looked, not_modified, terms) if terms.priced else None,
    )


def _cost(policy: Policy, looked: _Looked, not_modified: int, terms: Terms) -> float:
    paid = looked.requests - (not_modified if policy.free else 0)
    late = math.fsum(looked.delays) / 3600
    return round(paid * (terms.price_per_call or 0.0) + late * (terms.delay_price or 0.0), 6)
