"""Whether the filter of a source understands the cursor: the row that the cursor comes from must be in the answer.

A poll asks for rows from its cursor on, so its answer has at least the row with that cursor, unless it was deleted. An
empty answer means one of three things: the row is gone, the source leaves out equal rows (`exclusive`), or it reads the
value in another time zone or format. The last two lose changes without an error. So the row is asked for by its key,
once for each cursor, and only after an empty answer.

Owns that question and the note `cursor_row_left_out`. Invariant: nothing is noted unless the source itself still has
the row with the same cursor. Crash: the next empty answer asks again.
"""

from __future__ import annotations

from tidegate.core.errors import TidegateError
from tidegate.pull.fetch import Fetcher
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.run import Run
from tidegate.rules.sync.items import cursor_value
from tidegate.rules.sync.page_end import End
from tidegate.rules.sync.spec import Resource

CODE = "cursor_row_left_out"


class CursorRow:
    """Of one resource with a cursor and an address for one item."""

    def __init__(self, resource: Resource, writer: RecordWriter, fetcher: Fetcher) -> None:
        rule = resource.incremental
        self._paths = rule.cursor_path if rule is not None and resource.item_path and resource.parent is None else ""
        self._writer = writer
        self._fetcher = fetcher

    async def check(self, run: Run) -> None:
        """After the walk of a run that began at the cursor."""
        state = self._writer.engine_state
        at = state.cursor_at
        if not self._paths or not run.from_cursor or run.full or not state.cursor_key:
            return
        if run.records_seen + run.records_before:
            return
        if not run.complete or run.walk.ended_by is End.NOT_MODIFIED or state.cursor_checked == at:
            return
        run.requests += 1
        try:
            copy = await self._fetcher.fetch(state.cursor_key, run.origin)
        except TidegateError:
            return  # it proves nothing; the next empty answer asks again
        state.cursor_checked = at
        if not copy.deleted and cursor_value(copy.value, self._paths) == at:
            asked = f"asked from {run.start}" if run.start is not None else "asked from the cursor"
            self._writer.health.note(CODE, f"{asked}, got nothing; row {state.cursor_key!r} has {at}")
