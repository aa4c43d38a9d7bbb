"""What one destination could be sent now: the next first try, the next retry, the retry of a person, and the probe.

Owns the look into the backlog before each send. It removes canceled deliveries and queues deliveries behind their key
while it looks, so a look may change the backlog, but never what is owed. May not know limits, requests or the
transport. Invariants: a candidate has its event (or None when retention deleted it), its key is free, and no command
reserves it; nothing that is not due is a candidate. Lives in memory only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from tidegate.core.model import Deferred, Event
from tidegate.deliver.backlog import Backlog
from tidegate.deliver.deferred import MEMORY_LIMIT
from tidegate.deliver.key_queues import ordering_key
from tidegate.deliver.prefetch import UNREAD, Read
from tidegate.rules.outbound.next_send import ProbeCandidate, choose_probe


class Candidate(msgspec.Struct, gc=False):
    """`place`: where it is taken from. `deferred`: None for a delivery of the lane."""

    offset: int
    event: Event | None
    place: Literal["deferred", "unblocked", "ready"]
    key: str = ""
    deferred: Deferred | None = None


class Candidates:
    """`event_of` gives an event, None when it is deleted, or UNREAD and reads it."""

    def __init__(self, backlog: Backlog, event_of: Callable[[int], Read]) -> None:
        self._backlog = backlog
        self._event_of = event_of
        self.ordered_by = ""

    def first_try(self, now_us: int) -> Candidate | None:
        """The oldest delivery without an attempt that could be sent."""
        backlog = self._backlog
        due = backlog.deferred.next_first_try()
        if due is not None and due[0] <= now_us:
            return self._deferred(due[1])
        if backlog.key_queues.unblocked:
            unblocked = self._unblocked()
            if unblocked is not None:
                return unblocked
        return self._ready()

    def retry(self, now_us: int) -> Candidate | None:
        """The retry that is due for the longest time."""
        due = self._backlog.deferred.next_retry()
        return self._deferred(due[1]) if due is not None and due[0] <= now_us else None

    def manual(self) -> Candidate | None:
        """The delivery that a person retries now."""
        offset = self._backlog.deferred.next_manual()
        return None if offset is None else self._deferred(offset)

    def probe(self, first_try: Candidate | None, now_us: int, last_probe: int) -> Candidate | None:
        """What a probe sends: see `choose_probe`. `first_try`: what `first_try` gave at this moment."""
        backlog = self._backlog
        if first_try is not None and first_try.offset != last_probe:
            return first_try
        due = [one for one in backlog.deferred.due(now_us, MEMORY_LIMIT) if one.offset not in backlog.reserved]
        candidates = [ProbeCandidate(one.offset, one.attempts) for one in due]
        if first_try is not None:
            candidates.append(ProbeCandidate(first_try.offset, 0))
        chosen = choose_probe(candidates, last_probe)
        if chosen is None or (first_try is not None and chosen.offset == first_try.offset):
            return first_try
        backlog.probe_offset = chosen.offset  # read with the next ones if it is not in the cache
        return self._deferred(chosen.offset)

    def take(self, one: Candidate) -> None:
        """It is sent now: take it out of the place where it was found, at the head of which it still is."""
        backlog = self._backlog
        if one.place == "ready":
            backlog.ready.popleft()
        elif one.place == "unblocked":
            backlog.key_queues.unblocked.popleft()
        else:
            backlog.deferred.take(one.offset)

    def _deferred(self, offset: int) -> Candidate | None:
        event = self._event_of(offset)
        if event is UNREAD or offset in self._backlog.reserved:
            return None
        one = self._backlog.deferred.known[offset]
        return Candidate(offset, event, "deferred", one.key, one)

    def _unblocked(self) -> Candidate | None:
        """A first try that waited behind an earlier delivery of its key, which is settled now."""
        backlog = self._backlog
        queue = backlog.key_queues.unblocked
        while queue:
            offset, key = queue[0]
            if offset in backlog.lane.open:
                event = self._event_of(offset)
                return None if event is UNREAD or offset in backlog.reserved else Candidate(
                    offset, event, "unblocked", key
                )  # fmt: skip
            queue.popleft()  # canceled meanwhile: the next of its key may go
            backlog.key_settled(key)
        return None

    def _ready(self) -> Candidate | None:
        """The oldest of the lane whose key is free."""
        backlog = self._backlog
        ready, lane = backlog.ready, backlog.lane
        while ready:
            offset = ready[0]
            if offset not in lane.open:  # canceled meanwhile
                ready.popleft()
                continue
            event = self._event_of(offset)
            if event is UNREAD or offset in backlog.reserved:
                return None
            key = ordering_key(event, self.ordered_by) if self.ordered_by and event is not None else ""
            if key and backlog.enqueue_behind_key(key, offset):
                ready.popleft()
                continue
            return Candidate(offset, event, "ready", key)
        return None
