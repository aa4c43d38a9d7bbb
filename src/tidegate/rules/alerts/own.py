"""Deliveries of system events, which must not make system events themselves. Pure.

Owns which of them are open and which became dead letters, so that the numbers of a destination can be read without
them. Invariant: a number is never too high for what users' events did: what is not known yet counts as a delivery of a
system event. Crash: the pairs are stored with the event's place in the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tidegate.core.model import DeliveryState
from tidegate.rules.alerts.state import MAX_PAIRS, Pair, State


def open_of(state: State) -> Counter[int]:
    """Open deliveries of system events by destination."""
    return Counter(pair.destination for pair in state.pairs if not pair.dead)


def dead_of(state: State) -> Counter[int]:
    """Dead letters of system events by destination."""
    dead = Counter(pair.destination for pair in state.pairs if pair.dead)
    dead.update(state.lost_dead)
    return dead


def settle(state: State, found: Mapping[tuple[int, int], DeliveryState]) -> None:
    """Take the states of all pairs as they are now; a pair that is missing was deleted with its event."""
    kept = []
    for pair in state.pairs:
        now = found.get((pair.offset, pair.destination))
        if now is None and pair.dead:  # the counter of the destination keeps it
            _lose(state, pair)
        elif now is DeliveryState.EXHAUSTED:
            kept.append(Pair(pair.offset, pair.destination, dead=True))
        elif now in (DeliveryState.PENDING, DeliveryState.SENDING):
            kept.append(Pair(pair.offset, pair.destination))
    for pair in kept[:-MAX_PAIRS]:
        if pair.dead:
            _lose(state, pair)
    state.pairs = kept[-MAX_PAIRS:]


def _lose(state: State, pair: Pair) -> None:
    state.lost_dead[pair.destination] = state.lost_dead.get(pair.destination, 0) + 1
