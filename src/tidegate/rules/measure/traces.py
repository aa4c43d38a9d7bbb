"""Changes in time: made by a rule with a seed, or read from lines. Pure.

Owns `Trace` and its makers. A trace is the truth of a simulation: every change, with the record that it belongs to.
Errors: ValueError for a rate, a duration or a line that makes no sense.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random

import msgspec

from tidegate.core.clock import parse_instant
from tidegate.rules.measure import wording

MAX_CHANGES = 2_000_000
BUSY_HOURS = range(8, 17)  # of `diurnal`: nine hours have nearly all changes
BUSY_SHARE = 0.99
DAY_SECONDS = 86_400.0
GAP_SHARE = 0.25  # a gap of this share of a recorded trace is noted


class Change(msgspec.Struct, frozen=True):
    """`at` in seconds from the start of the trace."""

    at: float
    record: str = ""


class Trace(msgspec.Struct, frozen=True):
    """Changes in order, within `seconds`. `notes`: what is odd about it."""

    changes: tuple[Change, ...]
    seconds: float
    name: str = ""
    starts_at: float = 0.0  # seconds since 1970; 0 for a made trace
    notes: tuple[str, ...] = ()


def poisson(rate: float, seconds: float, chance: Random, records: int = 1000) -> Trace:
    """Changes at random at `rate` per second."""
    _sensible(rate, seconds)
    found: list[Change] = []
    at = chance.expovariate(rate)
    while at < seconds:
        found.append(Change(at, str(chance.randrange(records))))
        at += chance.expovariate(rate)
    return Trace(tuple(found), seconds, "poisson")


def bursty(rate: float, seconds: float, chance: Random, size: int = 20, records: int = 1000) -> Trace:
    """The same number of changes in bursts of about `size` within a minute."""
    _sensible(rate, seconds)
    starts = poisson(rate / size, seconds, chance).changes
    ats = (one.at + chance.uniform(0, 60) for one in starts for _ in range(chance.randint(1, 2 * size - 1)))
    return _sorted((Change(at, str(chance.randrange(records))) for at in ats), seconds, "bursty")


def diurnal(rate: float, seconds: float, chance: Random, records: int = 1000) -> Trace:
    """The same number of changes, 99% of them within nine hours of each day."""
    _sensible(rate, seconds)
    busy = BUSY_SHARE * 24 / len(BUSY_HOURS)
    quiet = (1 - BUSY_SHARE) * 24 / (24 - len(BUSY_HOURS))
    most = poisson(rate * busy, seconds, chance, records).changes
    kept = [one for one in most if chance.random() < (1 if _hour(one.at) in BUSY_HOURS else quiet / busy)]
    return Trace(tuple(kept), seconds, "diurnal")


def from_lines(lines: Iterable[str], name: str = "file") -> Trace:
    """A change a line: an RFC 3339 time, and optionally the key of its record. Empty lines and `#` are left out.

    The trace begins at the first change and ends at the last one. Lines may be in any order: those that go back in
    time are sorted and noted. ValueError for fewer than 2 changes, or all at the same time.
    """
    found: list[tuple[float, str]] = []
    back = 0
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        at, _, record = text.partition(" ")
        try:
            found.append((parse_instant(at) / 1_000_000, record.strip()))
        except (ValueError, OverflowError):
            raise ValueError(f"line {number}: {at[:40]!r} is not a time (example: 2026-11-24T17:18:43Z)") from None
        back += len(found) > 1 and found[-1][0] < found[-2][0]
        if len(found) > MAX_CHANGES:
            raise ValueError(f"the trace has more than {MAX_CHANGES:,} changes")
    if len(found) < 2:
        raise ValueError(f"the trace has {wording.count(len(found), 'changes')}; a simulation needs at least 2")
    first = min(at for at, _ in found)
    seconds = max(at for at, _ in found) - first
    if seconds <= 0:
        raise ValueError("all changes of the trace have the same time")
    went_back = (f"{back:,} lines are earlier than the line before; the trace was sorted",) if back else ()
    return recorded(found, first, first + seconds + 1e-6, name, went_back)


def recorded(
    changes: Iterable[tuple[float, str]], start: float, end: float, name: str, notes: tuple[str, ...] = ()
) -> Trace:
    """From (seconds since 1970, record) between two instants; any number of changes, also none.

    ValueError when the end is not after the start.
    """
    if not (math.isfinite(start) and math.isfinite(end) and end > start):
        raise ValueError("a trace must end after it starts")
    trace = _sorted((Change(at - start, record) for at, record in changes), end - start, name)
    gap = _longest_gap(trace)
    if len(trace.changes) >= 10 and gap > GAP_SHARE * trace.seconds:
        days = gap / DAY_SECONDS
        notes += (f"nothing changed for {days:.1f} of {trace.seconds / DAY_SECONDS:.1f} days: was it recorded then?",)
    return Trace(trace.changes, trace.seconds, name, start, notes)


def _longest_gap(trace: Trace) -> float:
    ats = [0.0, *(one.at for one in trace.changes), trace.seconds]
    return max(after - before for before, after in pairwise(ats))


def _sorted(changes: Iterable[Change], seconds: float, name: str) -> Trace:
    kept: Sequence[Change] = sorted((one for one in changes if 0 <= one.at < seconds), key=lambda one: one.at)
    return Trace(tuple(kept), seconds, name)


def _hour(at: float) -> int:
    return int(at % DAY_SECONDS // 3600)


def _sensible(rate: float, seconds: float) -> None:
    if not (rate > 0 and seconds > 0 and math.isfinite(rate) and math.isfinite(seconds)):
        raise ValueError(f"a rate and a duration must be above 0, not {rate!r} and {seconds!r}")
    if rate * seconds > MAX_CHANGES:
        raise ValueError(f"that makes {rate * seconds:,.0f} changes; at most {MAX_CHANGES:,} are simulated")
