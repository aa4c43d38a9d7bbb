"""Order by key: the deliveries of one destination that are queued behind an earlier delivery of their key. No I/O.

Owns the queues in memory and the key of an event. May not know the lane or the table. Invariant: of each key, one
delivery is unsettled and the others are queued behind it in the order of the log. `blocked` says where those are: after
the first one failed, each is a BLOCKED row of the table; before, it is open in the lane. Crash: queues are built again
from BLOCKED rows and from the lane.
"""

from __future__ import annotations

from collections import deque

from tidegate.core.model import Event
from tidegate.rules.language.view import dig, event_view

KEY_QUEUE_LIMIT = 10_000  # queued offsets in memory at which a lagging lane stops reading


def ordering_key(event: Event, ordered_by: str) -> str:
    """The value of `ordered_by` (`key`, or a path into the event); "" when the event has none and needs no order."""
    if ordered_by == "key":
        return event.key or ""
    value = dig(event_view(event), ordered_by)
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""


class KeyQueue:
    """The offsets behind the unsettled delivery of one key, ascending. `blocked`: that delivery failed."""

    __slots__ = ("behind", "blocked")

    def __init__(self, blocked: bool = False) -> None:
        self.blocked = blocked
        self.behind: deque[int] = deque()


class KeyQueues:
    """One queue for each key that has an unsettled delivery; `len` counts the queued offsets."""

    def __init__(self) -> None:
        self._queues: dict[str, KeyQueue] = {}
        self.unblocked: deque[tuple[int, str]] = deque()  # (offset, key) of the lane that may be sent now

    def __len__(self) -> int:
        return sum(len(queue.behind) for queue in self._queues.values()) if self._queues else 0

    def __contains__(self, key: str) -> bool:
        return key in self._queues

    def open(self, key: str, blocked: bool = False) -> KeyQueue:
        """The queue of a key, made when there is none: a delivery of this key is now unsettled."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = KeyQueue(blocked)
        queue.blocked = queue.blocked or blocked
        return queue

    def enqueue(self, key: str, offset: int) -> KeyQueue | None:
        """Queue an offset behind its key's unsettled delivery; None when there is none and it may be sent."""
        queue = self._queues.get(key)
        if queue is not None:
            queue.behind.append(offset)
        return queue

    def block(self, key: str) -> list[int]:
        """The key's delivery failed. Returns the queued offsets, which need BLOCKED rows now; later ones follow."""
        queue = self.open(key)
        if queue.blocked:
            return []
        queue.blocked = True
        return list(queue.behind)

    def settle(self, key: str) -> int | None:
        """The key's delivery is settled and the next may be sent.

        Returns its offset when it has a BLOCKED row; an offset of the lane goes to `unblocked` instead.
        """
        queue = self._queues.get(key)
        if queue is None:
            return None
        if not queue.behind:
            del self._queues[key]
            return None
        offset = queue.behind.popleft()
        if queue.blocked:
            return offset
        self.unblocked.append((offset, key))
        return None

    def remove(self, key: str, offset: int) -> bool:
        """Take a canceled offset out of its queue; False when it was not queued behind another."""
        queue = self._queues.get(key)
        if queue is None or offset not in queue.behind:
            return False
        queue.behind.remove(offset)
        return True
