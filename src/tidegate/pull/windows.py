"""The windows of a poll, where a source answers for a limited time at once.

Owns the spans that one run asks for, one after the other, and when the cursor may pass one. Knows no requests.
Invariants: a window begins where the one before it ended; the cursor goes to the end of a window only when its list was
walked to the end. Crash: the place of the run has the end of its window, so the next run goes on there.
"""

from __future__ import annotations

from tidegate.core.clock import Clock
from tidegate.core.units import seconds
from tidegate.pull.resource_cursor import ResourceCursor
from tidegate.pull.run import Run
from tidegate.rules.sync import incremental
from tidegate.rules.sync.spec import Resource


class Windows:
    """Of one resource, with or without `window`."""

    def __init__(self, resource: Resource, cursor: ResourceCursor, clock: Clock) -> None:
        self._rule = resource.incremental
        self._cursor = cursor
        self._clock = clock

    def first(self, run: Run) -> tuple[str, str] | None:
        """(start, end) of the first window of a run, as the source takes them; None without windows."""
        if self._rule is None or self._rule.window is None or run.start is None:
            return None
        begin_us = incremental.read_start(self._rule, run.start)
        return None if begin_us is None else (run.start, self._end(run, begin_us, seconds(self._rule.window)))

    def following(self, run: Run) -> tuple[str, str] | None:
        """The window after the one that was walked to its end; None when it was the last."""
        begin_us = run.window_end_us
        if not begin_us or self._rule is None or self._rule.window is None:
            return None
        run.pass_window(self._cursor.at_notation(run, begin_us))
        begin = incremental.as_start(self._rule, begin_us)
        return begin, self._end(run, begin_us, seconds(self._rule.window))

    def _end(self, run: Run, begin_us: int, span_seconds: float) -> str:
        """The end of the window that begins at `begin_us`. The run notes whether others follow."""
        assert self._rule is not None
        end_us, now_us = begin_us + int(span_seconds * 1_000_000), self._clock.now_us()
        run.window_end_us = end_us if end_us < now_us else 0
        return incremental.as_start(self._rule, min(end_us, now_us))
