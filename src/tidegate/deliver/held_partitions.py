"""The partitions that this node holds, and the high-water mark of their lanes. No I/O.

Owns both numbers. May not know senders or the store. Invariant: every lane of a held partition was offered every event
up to the high-water mark. Crash: partitions are taken again with the mark that the last settle stored.
"""

from __future__ import annotations

from tidegate.store import partition_of


class HeldPartitions:
    """`offered_to` is the highest offset that was published to this node and offered to its lanes."""

    __slots__ = ("_left_at", "numbers", "offered_to")

    def __init__(self) -> None:
        self.numbers: frozenset[int] = frozenset()
        self.offered_to = 0
        self._left_at: int | None = None  # the mark when the last partition was left

    def has_destination(self, number: int) -> bool:
        """Whether the lane of a destination belongs to this node now."""
        return partition_of(number) in self.numbers

    def high_water_mark(self) -> int:
        """Every lane here was offered everything up to this offset.

        Without partitions it stays where it was: a store with one mark for all of them (SQLite) must not move past
        events that no lane was offered.
        """
        return self.offered_to if self._left_at is None else self._left_at

    def take(self, partitions: frozenset[int]) -> None:
        self.numbers |= partitions
        self._left_at = None

    def leave(self, partitions: frozenset[int]) -> int:
        """Returns the high-water mark at which `partitions` are left."""
        mark = self.high_water_mark()
        self.numbers -= partitions
        if not self.numbers:
            self._left_at = mark
        return mark

    def lose_all(self) -> None:
        """The lease is gone, and with it every partition."""
        self.numbers = frozenset()
