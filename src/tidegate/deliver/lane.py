"""A lane: one destination's cursor in the log, as a plain data structure without I/O.

Everything up to the position is settled: delivered, not wanted, or moved to the deferred deliveries. `open` are the
offsets handed to the sender and not settled, ascending; `settled_ahead` are offsets settled beyond the oldest open
one. A live
lane is fed by what the log tells; one that ran out of window is lagging and reads from `fed_to` on. A lane that is
live with nothing open stores nothing: it stands at the shared mark, so idle destinations are free.

The window bounds the span between the position and what was handed out, so memory is bounded whatever the backlog.
"""

from __future__ import annotations

from tidegate.core.model import Lane

WINDOW = 256  # offsets handed out beyond the oldest open one; 64 to 1024 measured the same


class LaneCursor:
    """The cursor of one destination and its counters."""

    __slots__ = (
        "adopted",
        "adopted_filtered",
        "canceled",
        "delivered",
        "destination",
        "exhausted",
        "fed_to",
        "finished",
        "live",
        "open",
        "settled_ahead",
        "stored_offset",
        "touched",
        "unsettled",
    )

    def __init__(self, destination: int, high_water_mark: int, row: Lane | None = None) -> None:
        self.destination = destination
        self.open: dict[int, None] = {}
        self.finished: list[int] = []  # left `open` since the last settle was made up
        self.unsettled = 0  # finished, and not durable yet: they count against the window
        self.touched = False
        self.delivered = self.exhausted = self.canceled = self.adopted = self.adopted_filtered = 0
        self.settled_ahead: set[int] = set()
        self.stored_offset: int | None = None
        self.live = True
        self.fed_to = high_water_mark
        if row is not None:
            self.delivered, self.exhausted, self.canceled = row.delivered, row.exhausted, row.canceled
            self.adopted, self.adopted_filtered = row.adopted, row.adopted_filtered
            self.stored_offset = row.committed_offset
            if row.committed_offset is not None:
                self.live = False
                self.fed_to = row.committed_offset
                self.settled_ahead = set(row.settled_ahead)

    def __repr__(self) -> str:
        kind = "live" if self.live else f"lagging at {self.fed_to}"
        return f"<LaneCursor {self.destination} {kind}, {len(self.open)} open, {len(self.settled_ahead)} ahead>"

    @property
    def room(self) -> int:
        """How many more offsets may be handed out now."""
        return WINDOW - len(self.open) - len(self.settled_ahead) - self.unsettled

    def offer(self, offset: int) -> bool:
        """A live lane is told a wanted offset. False: no room, it lags from here on and will read it later."""
        if not self.live:
            return False
        self.touched = True
        if self.room <= 0:
            self.live = False
            self.fed_to = offset - 1
            return False
        self.open[offset] = None
        return True

    def lag_from(self, offset: int) -> bool:
        """Nobody can take this wanted offset now: whoever reads on begins with it. False when it lags already."""
        if not self.live:
            return False
        self.live = False
        self.fed_to = offset - 1
        self.touched = True
        return True

    def feed(self, offsets: list[int], upto: int, told: int) -> list[int]:
        """Take what a lagging lane read of (fed_to, upto]; returns those to send.

        Turns live when upto is all there is.
        """
        fresh = [offset for offset in offsets if offset not in self.settled_ahead]
        for offset in fresh:
            self.open[offset] = None
        self.fed_to = upto
        self.touched = True
        if upto >= told:
            self.live = True
        return fresh

    def finish(self, offset: int) -> None:
        """An open offset is settled or moved to the deferred deliveries; durable with the next settle."""
        del self.open[offset]
        self.finished.append(offset)
        self.unsettled += 1
        self.touched = True

    def pass_over(self, offset: int) -> None:
        """Settle an offset that was not handed out yet: reading will skip it."""
        self.settled_ahead.add(offset)
        self.touched = True

    def is_open(self, offset: int) -> bool:
        """Whether a wanted offset is still owed by the lane (deferred deliveries are not the lane's)."""
        if offset in self.open:
            return True
        return not self.live and offset > self.fed_to and offset not in self.settled_ahead

    def committed_offset(self) -> int | None:
        """Everything up to here is settled; None: nothing is open and nothing unread."""
        oldest = next(iter(self.open), None)
        if oldest is not None:
            return oldest - 1
        return None if self.live else self.fed_to

    def make_row(self) -> tuple[Lane, int]:
        """The row for the settle that is made up now, and how many finished offsets it carries."""
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
        )
        return row, count
