"""Timers of a loop that go on when the test says so."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from tidegate.receive.turns import Turns


class Handle:
    def __init__(self) -> None:
        self.canceled = False

    def cancel(self) -> None:
        self.canceled = True


class Timers:
    """A clock that goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._later: list[tuple[float, int, Handle, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any) -> Handle:
        handle = Handle()
        heapq.heappush(self._later, (self.now + delay, next(self._numbers), handle, lambda: callback(*args)))
        return handle

    def go_on(self, seconds: float) -> None:
        end = self.now + seconds
        while self._later and self._later[0][0] <= end:
            self.now, _, handle, call = heapq.heappop(self._later)
            if not handle.canceled:
                call()
        self.now = end


def held(door: Any) -> Timers:
    """Nothing that waits runs on until the test says so."""
    timers = Timers()
    door._capacity.turns = Turns(timers, door._capacity.turns._flooded)
    return timers
