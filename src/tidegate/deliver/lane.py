"""A lane: one destination's cursor in the log, as a plain data structure without I/O.

Owns the committed offset and what lies beyond it: `open` are offsets that were handed out and are not settled,
ascending; `settled_ahead` are offsets settled beyond the oldest open one. May not know events, senders or the settler.

A *following* lane takes offsets as the log publishes them. One that ran out of window is *lagging*: it reads the log
from `read_to` on until it has caught up. A following lane with nothing open stores no offset: it is at the shared
high-water mark, so idle destinations cost nothing.

Invariants: everything up to the committed offset is settled (delivered, not wanted, or moved to the deferred
deliveries); the window bounds what is open or settled ahead, so memory is bounded whatever the backlog. Crash: the
lane continues from its row, and what was open is handed out again.
"""

from __future__ import annotations

from tidegate.core.model import Lane

WINDOW = 256  # offsets beyond the committed offset that are open or settled ahead; 64 to 1024 measured the same


class LaneCursor:
    """The cursor of one destination and its counters. `row`: what the store has of it."""

    __slots__ = (
        "adopted",
        "adopted_filtered",
        "breaker",
        "canceled",
        "delivered",
        "destination",
        "exhausted",
        "finished",
        "following",
        "open",
        "read_to",
        "settled_ahead",
        "stored_offset",
        "touched",
        "unsettled",
    )

    def __init__(self, destination: int, high_water_mark: int, row: Lane | None = None) -> None:
        self.destination = destination
        self.open: dict[int, None] = {}
        self.finished: list[int] = []  # left `open` since the last row was made
        self.unsettled = 0  # finished and not durable yet: they count against the window
        self.touched = False
        self.delivered = self.exhausted = self.canceled = self.adopted = self.adopted_filtered = 0
        self.settled_ahead: set[int] = set()
        self.stored_offset: int | None = None
        self.breaker = b""  # what the sender stores with the lane
        self.following = True
        self.read_to = high_water_mark
        if row is not None:
            self.delivered, self.exhausted, self.canceled = row.delivered, row.exhausted, row.canceled
            self.adopted, self.adopted_filtered = row.adopted, row.adopted_filtered
            self.stored_offset = row.committed_offset
            self.breaker = row.breaker
            if row.committed_offset is not None:
                self.following = False
                self.read_to = row.committed_offset
                self.settled_ahead = set(row.settled_ahead)

    def __repr__(self) -> str:
        kind = "following" if self.following else f"lagging at {self.read_to}"
        return f"<LaneCursor {self.destination} {kind}, {len(self.open)} open, {len(self.settled_ahead)} ahead>"

    @property
    def room(self) -> int:
        """How many more offsets may be handed out now."""
        return WINDOW - len(self.open) - len(self.settled_ahead) - self.unsettled

    def offer(self, offset: int) -> bool:
        """The log published a wanted offset. False: the lane lags (now, or already) and reads the offset later."""
        if not self.following:
            return False
        self.touched = True
        if self.room <= 0:
            self.following = False
            self.read_to = offset - 1
            return False
        self.open[offset] = None
        return True

    def lag_from(self, offset: int) -> bool:
        """Nothing can send this wanted offset now, so the lane lags from it on. False when it lags already."""
        if not self.following:
            return False
        self.following = False
        self.read_to = offset - 1
        self.touched = True
        return True

    def read(self, offsets: list[int], upto: int, published: int) -> list[int]:
        """Take the wanted offsets of (read_to, upto] that a lagging lane read; returns those to send.

        The lane follows again when `upto` has reached the published offset.
        """
        fresh = [offset for offset in offsets if offset not in self.settled_ahead]
        for offset in fresh:
            self.open[offset] = None
        self.read_to = upto
        self.touched = True
        if upto >= published:
            self.following = True
        return fresh

    def finish(self, offset: int) -> None:
        """An open offset is settled or moved to the deferred deliveries; durable with the next settle."""
        del self.open[offset]
        self.finished.append(offset)
        self.unsettled += 1
        self.touched = True

    def settle_unread(self, offset: int) -> None:
        """Settle an offset that was not handed out yet; `read` skips it."""
        self.settled_ahead.add(offset)
        self.touched = True

    def is_open(self, offset: int) -> bool:
        """Whether a wanted offset is still owed by the lane (deferred deliveries are not the lane's)."""
        if offset in self.open:
            return True
        return not self.following and offset > self.read_to and offset not in self.settled_ahead

    def committed_offset(self) -> int | None:
        """Everything up to here is settled; None: nothing is open and the lane follows."""
        oldest = next(iter(self.open), None)
        if oldest is not None:
            return oldest - 1
        return None if self.following else self.read_to

    def make_row(self) -> tuple[Lane, int]:
        """The row for the next settle, and how many finished offsets it makes durable."""
        count = len(self.finished)
        committed_offset = self.committed_offset()
        self.settled_ahead.update(self.finished)
        self.finished = []
        if committed_offset is None:
            self.settled_ahead.clear()
        elif self.settled_ahead:
            self.settled_ahead = {offset for offset in self.settled_ahead if offset > committed_offset}
        self.touched = False
        self.stored_offset = committed_offset
        row = Lane(
            self.destination,
            committed_offset,
            tuple(sorted(self.settled_ahead)),
            self.delivered,
            self.exhausted,
            self.canceled,
            self.adopted,
            self.adopted_filtered,
            1,
            self.breaker,
        )
        return row, count
