"""The sums of the rollups over a window, kept between reads: a window that moves on is corrected at its ends.

Owns one set of sums for each gateway and window. Counts only add up, and minutes become hours with the same sums, so
what left the window is subtracted and what came is added, exactly; only the last minutes, which still grow, are read
each time. A month of counts is so scanned once, after a start (`warm` does it for several windows at once), in slices,
so that other reads get their turn. Reads only; knows no metric. Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import pairwise
from typing import NamedTuple
from weakref import WeakKeyDictionary

from msgspec import Struct

from tidegate.core.rollups import RollupRow
from tidegate.query.context import ReadContext

GROWING_MINUTES = 5  # a commit that takes long, on any node, writes into a minute that is over
SLICE_MINUTES = 360  # of one read, when a window is read from its start
PAUSE_SECONDS = 0.02  # between two slices of `warm`, while nobody waits
IDLE_MINUTES = 720  # older sums are read from the start: minutes at their end may be hours by now

Key = tuple[str, str, str]  # scope, subject, metric


class _Kept(Struct):
    """The sums of [since, until) in minutes."""

    since: int
    until: int
    sums: dict[Key, tuple[int, int]]

    def add(self, rows: Iterable[RollupRow], sign: int = 1) -> None:
        for row in rows:
            key = (row.scope, row.subject, row.metric)
            times, total = self.sums.get(key, (0, 0))
            times, total = times + sign * row.times, total + sign * row.total
            if times or total:
                self.sums[key] = (times, total)
            else:
                self.sums.pop(key, None)


class Span(NamedTuple):
    """[since, until) in minutes, and what the metrics begin with (None: all)."""

    since: int
    until: int
    prefix: str | None = None


class _Windows:
    """`locks`: one for each name, so that a window that is kept is read while another one is summed up."""

    def __init__(self) -> None:
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.waiting = 0
        self.kept: dict[str, _Kept] = {}


_windows: WeakKeyDictionary[ReadContext, _Windows] = WeakKeyDictionary()


async def window_sums(
    gateway: ReadContext, window: str, since: int, until: int, prefix: str | None = None
) -> list[RollupRow]:
    """One row for each metric of each subject in [since, until); `minute` of the rows is 0.

    `prefix`: only metrics that begin with it. A window is one length: the name of it is what sums are kept by.
    """
    windows = _of(gateway)
    settled = max(since, until - GROWING_MINUTES)
    read = partial(gateway.store.rollups.read, prefix=prefix)
    name = _name(window, prefix)
    windows.waiting += 1
    try:
        await windows.locks[name].acquire()
    finally:
        windows.waiting -= 1
    try:
        kept = windows.kept.get(name)
        if kept is None or not (kept.since <= since < kept.until <= settled <= kept.until + IDLE_MINUTES):
            kept = (await _scanned(gateway, windows, {name: Span(since, settled, prefix)}))[name]
        else:
            gone = await read(kept.since, since) if since > kept.since else []
            came = await read(kept.until, settled) if settled > kept.until else []
            kept.add(gone, -1)
            kept.add(came)
            kept.since, kept.until = since, settled
        windows.kept[name] = kept
        rows = [RollupRow(0, *key, *counted) for key, counted in kept.sums.items()]
    finally:
        windows.locks[name].release()
    return rows + await read(settled, until)


async def warm(gateway: ReadContext, wanted: Iterable[tuple[str, Span]]) -> None:
    """Read the windows that are not kept yet, by their name, with one pass over their minutes and hours."""
    windows = _of(gateway)
    spans = {
        _name(window, one.prefix): one._replace(until=max(one.since, one.until - GROWING_MINUTES))
        for window, one in wanted
    }
    async with contextlib.AsyncExitStack() as locked:
        for name in sorted(spans):  # one order for all, so that two of them never wait for each other
            await locked.enter_async_context(windows.locks[name])
        missing = {name: one for name, one in spans.items() if name not in windows.kept}
        windows.kept |= await _scanned(gateway, windows, missing, PAUSE_SECONDS)


async def _scanned(
    gateway: ReadContext, windows: _Windows, spans: Mapping[str, Span], pause_seconds: float = 0.0
) -> dict[str, _Kept]:
    """The sums of all spans, from the oldest minute on. `pause_seconds`: between slices, while nobody waits."""
    made = {name: _Kept(one.since, one.until, {}) for name, one in spans.items()}
    edges = {edge for one in spans.values() for edge in (one.since, one.until)}
    cuts = sorted(edges | set(range(min(edges, default=0), max(edges, default=0), SLICE_MINUTES)))
    for since, until in pairwise(cuts):
        inside = {name: one for name, one in spans.items() if one.since <= since and until <= one.until}
        prefixes = {one.prefix for one in inside.values()}
        if not inside:
            continue
        rows = await gateway.store.rollups.read(since, until, prefix=prefixes.pop() if len(prefixes) == 1 else None)
        for name, one in inside.items():
            made[name].add(row for row in rows if one.prefix is None or row.metric.startswith(one.prefix))
        if pause_seconds and not windows.waiting:
            await asyncio.sleep(pause_seconds)
    return made


def _of(gateway: ReadContext) -> _Windows:
    found = _windows.get(gateway)
    if found is None:
        found = _windows[gateway] = _Windows()
    return found


def _name(window: str, prefix: str | None) -> str:
    return f"{window} {prefix or ''}"
