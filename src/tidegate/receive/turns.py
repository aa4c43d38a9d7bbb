"""Requests of a source that floods wait for their turn, so that others are answered nearly as fast as without it.

One loop reads all requests and one writer stores all events, so what one source sends in a burst is ahead of everybody
who comes in the middle of it. While others send too, a source that sends more than `PER_SECOND` gets a part of the
time: a few of its requests run, and when they are answered the gateway rests from this source for `REST` times as long
as they took. Then the next few run. The rest waits, read but not checked. A source that sends alone never waits.

The longer a line is, the more of it runs at once and the shorter the rest, so a source with many connections gets what
the gateway can do. Where a turn takes long, it is the store that is slow. Larger groups are what helps then: turns are
so large that `LEAST_PER_SECOND` come through, and double where that is not enough. What the store cannot write is
rejected as always (`store/waiting.py`).

Owns which sources wait and when their next requests run. The time and the timers are the caller's; may not know HTTP,
events or the store. Invariant: each waiting request runs once, in its order within the source, also when a request of
the turn before is never answered. Crash: what waited was not acknowledged, and its sender sends it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

PER_SECOND = 500  # requests of a source; more are a flood
BURST = 16  # so many may come at once
MOST_OVER = 100.0  # what a flood has to make up for, in requests, before its source is one like others again
OTHERS_SECONDS = 60.0  # who sent something since then is one of the others
AT_ONCE = 4  # requests of a turn, at least; of a long line one in PART
PART = 32
LEAST_PER_SECOND = 500  # of a source that floods: turns are so large that it gets this
REST = 2.0
SHORT_LINE = 128  # from here on the rest becomes shorter
MOST_REST_SECONDS = 0.01
SLOW_SECONDS = 0.01  # a turn that takes longer waits for the store, and the next one is twice as large
MOST_SECONDS = 0.1  # for one turn
LINE_LIMIT = 2000  # what runs in about half a second

Done = Callable[[], None]
"""To be called once a request was answered."""


class Timers(Protocol):
    """The loop, or a clock of a test."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any) -> Any:
        """Returns something that can be canceled."""
        ...


class Turns:
    """Called for each request of a known source. `flooded`: called with a source whose requests begin to wait."""

    def __init__(self, timers: Timers, flooded: Callable[[str], None] = lambda _source: None) -> None:
        self._timers = timers
        self._flooded = flooded
        self._lines: dict[str, _Line] = {}
        self._last = ""  # the source of the last request
        self._last_at = self._other_at = float("-inf")  # of the last request of another source

    def must_wait(self, source: str) -> bool:
        """Count a request. True: it must `wait`."""
        now = self._timers.time()
        if source != self._last:
            self._other_at = self._last_at
            self._last = source
        self._last_at = now
        if not self._lines and now - self._other_at >= OTHERS_SECONDS:
            return False
        line = self._lines.get(source)
        if line is None:
            line = self._lines[source] = _Line(self._timers)
        if line.floods(now) and now - self._other_at < OTHERS_SECONDS:
            if not line.is_known:
                line.is_known = True
                self._flooded(source)
            return True
        line.is_known = False
        return bool(line.requests)

    def is_full(self, source: str) -> bool:
        """Whether the next request of a source would wait too long."""
        line = self._lines.get(source)
        return line is not None and len(line.requests) >= LINE_LIMIT

    def wait(self, source: str, run: Callable[[Done], None]) -> None:
        """Call `run` when it is the turn of this request, perhaps at once."""
        self._lines[source].add(run)


class _Line:
    """The requests of one source: how many came lately, and those that wait."""

    def __init__(self, timers: Timers) -> None:
        self.requests: deque[Callable[[Done], None]] = deque()
        self.is_known = False  # as a flood
        self._timers = timers
        self._over = 0.0  # requests above PER_SECOND
        self._at = 0.0
        self._turn: _Turn | None = None
        self._rests = False
        self._at_once = AT_ONCE
        self._owed = 0  # requests that keep LEAST_PER_SECOND

    def floods(self, now: float) -> bool:
        """Count a request. True while more came than PER_SECOND and BURST allow."""
        over = self._over - (now - self._at) * PER_SECOND
        self._at = now
        self._over = over = min(over, MOST_OVER) + 1.0 if over > 0.0 else 1.0
        return over > BURST

    def add(self, run: Callable[[Done], None]) -> None:
        self.requests.append(run)
        if self._turn is None and not self._rests:
            self._next()

    def _next(self) -> None:
        self._rests = False
        requests = self.requests
        count = min(len(requests), max(self._at_once, self._owed, len(requests) // PART))
        if not count:
            return
        self._turn = _Turn(count, self._ended, self._timers)
        done = self._turn.done
        for _ in range(count):  # one by one: what is still in the line when one of them fails runs in the next turn
            requests.popleft()(done)

    def _ended(self, seconds: float) -> None:
        self._turn = None
        self._at_once = self._at_once * 2 if seconds > SLOW_SECONDS else max(AT_ONCE, self._at_once // 2)
        self._at_once = min(self._at_once, LINE_LIMIT)
        self._rests = True
        rest = rest_seconds(seconds, len(self.requests))
        self._owed = int(LEAST_PER_SECOND * (seconds + rest))
        self._timers.call_later(rest, self._next)


def rest_seconds(turn_seconds: float, waiting: int) -> float:
    """How long a source rests after a turn, with so many requests left in its line."""
    part = REST * min(1.0, SHORT_LINE / waiting) if waiting else REST
    return min(turn_seconds * part, MOST_REST_SECONDS)


class _Turn:
    """Requests that run together. `ended`: called once, with the seconds they took, at most MOST_SECONDS."""

    def __init__(self, left: int, ended: Callable[[float], None], timers: Timers) -> None:
        self._left = left
        self._ended: Callable[[float], None] | None = ended
        self._timers = timers
        self._began = timers.time()
        self._timer = timers.call_later(MOST_SECONDS, self._end)

    def done(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._end()

    def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            self._timer.cancel()
            ended(min(MOST_SECONDS, self._timers.time() - self._began))
