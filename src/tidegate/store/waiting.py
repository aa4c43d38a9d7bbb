"""Appends without an answer: how many events of which source, and which of them the next commit takes. Pure.

Owns the counts and the rule of fairness. When more events wait than may, a source with more than its share of the
places is rejected and the others are not; when more wait than one commit takes, sources take turns, so the event of a
quiet source is in the next commit whatever another one sends. The events of one source keep their order. May not know
stores, clocks or answers. Crash: what waited was not acknowledged, and its sender sends it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

R = TypeVar("R")
J = TypeVar("J")


class Waiting(Generic[R]):
    """Calls that wait for an answer, by their future or receipt, in the order they came. `events`: of all of them."""

    def __init__(self) -> None:
        self.events = 0
        self._calls: dict[R, tuple[str, int]] = {}
        self._by_source: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[R]:
        return iter(self._calls)

    def add(self, call: R, source: str, events: int) -> None:
        """`source`: of the first event."""
        events = max(1, events)
        self._calls[call] = (source, events)
        self.events += events
        self._by_source[source] = self._by_source.get(source, 0) + events

    def remove(self, call: R) -> None:
        """It was answered. A call that is not there is fine: it was answered before."""
        found = self._calls.pop(call, None)
        if found is None:
            return
        source, events = found
        self.events -= events
        left = self._by_source[source] - events
        if left:
            self._by_source[source] = left
        else:
            del self._by_source[source]

    def is_full(self, limit: int, most: int, source: str) -> bool:
        """Whether an event of `source` must be rejected.

        Above `limit` only sources that hold more than their share of it are rejected, so that one which sends much
        takes no place from the others; above `most`, all are.
        """
        if self.events <= min(limit, most):
            return False
        own = self._by_source.get(source, 0)
        sources = len(self._by_source) + (own == 0)
        return self.events > most or own * sources >= limit


def take(calls: list[J], limit: int, describe: Callable[[J], tuple[str, int]]) -> tuple[list[J], list[J]]:
    """(calls for the next commit, calls left): together at most `limit` events, and at least one call.

    Sources take turns, one call each. `describe`: (source, events) of a call. Both results keep the order within a
    source.
    """
    queues: dict[str, deque[tuple[J, int]]] = {}
    for call in calls:
        source, events = describe(call)
        queues.setdefault(source, deque()).append((call, events))
    taken: list[J] = []
    room = limit
    turn = list(queues)
    while room > 0 and turn:
        for source in list(turn):
            call, events = queues[source][0]
            if taken and events > room:
                turn.remove(source)
                continue
            taken.append(call)
            room -= events
            queues[source].popleft()
            if not queues[source]:
                turn.remove(source)
    return taken, [call for queue in queues.values() for call, _ in queue]
