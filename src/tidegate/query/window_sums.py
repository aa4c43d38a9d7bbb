"""The sums of the rollups over a window, kept between reads: a window that moves on is corrected at its ends.

Owns one set of sums for each gateway and window. Counts only add up, and minutes become hours with the same sums, so
what left the window is subtracted and what came is added, exactly; only the last minutes, which still grow, are read
each time. A month of counts is so scanned once, after a start. Reads only; knows no metric. Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from weakref import WeakKeyDictionary

from msgspec import Struct

from tidegate.core.rollups import RollupRow
from tidegate.query.context import ReadContext

GROWING_MINUTES = 5  # a commit that takes long, on any node, writes into a minute that is over
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


class _Windows:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.kept: dict[str, _Kept] = {}


_windows: WeakKeyDictionary[ReadContext, _Windows] = WeakKeyDictionary()


async def window_sums(
    gateway: ReadContext, window: str, since: int, until: int, prefix: str | None = None
) -> list[RollupRow]:
    """One row for each metric of each subject in [since, until); `minute` of the rows is 0.

    `prefix`: only metrics that begin with it. A window is one length: the name of it is what sums are kept by.
    """
    windows = _windows.get(gateway)
    if windows is None:
        windows = _windows[gateway] = _Windows()
    settled = max(since, until - GROWING_MINUTES)
    read = partial(gateway.store.rollups.read, prefix=prefix)
    name = f"{window} {prefix or ''}"
    async with windows.lock:
        kept = windows.kept.get(name)
        if kept is None or not (kept.since <= since < kept.until <= settled <= kept.until + IDLE_MINUTES):
            kept = _Kept(since, settled, {})
            kept.add(await read(since, settled))
        else:
            gone = await read(kept.since, since) if since > kept.since else []
            came = await read(kept.until, settled) if settled > kept.until else []
            kept.add(gone, -1)
            kept.add(came)
            kept.since, kept.until = since, settled
        windows.kept[name] = kept
        rows = [RollupRow(0, *key, *counted) for key, counted in kept.sums.items()]
    return rows + await read(settled, until)
