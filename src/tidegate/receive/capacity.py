"""Whether a request of a source comes in now: what the store takes, what retention leaves it, and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.receive.turns import Turns


class Capacity:
    """`busy(source)`: the store cannot take more of it; `over_share(source)`: the log is full of its events that are
    owed. `turns`: those of sources that flood."""

    def __init__(
        self, turns: Turns, busy: Callable[[str], bool], over_share: Callable[[str], bool] = lambda _source: False
    ) -> None:
        self.turns = turns
        self.over_share = over_share
        self._busy = busy

    def is_over(self, source: str) -> bool:
        """Whether more comes of a source than can be taken in time: the next request is answered 503."""
        return self._busy(source) or self.turns.is_full(source)
