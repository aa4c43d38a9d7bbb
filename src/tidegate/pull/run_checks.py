"""What a run shows about its configuration: fields that no row has, pages that overlap, and changes that were left out.

Owns the notes at the end of a walk that are not about pages. Knows no requests. Invariants: only a run that began at
the first row says that a path selects nothing; a change counts as left out only when a poll asked for its instant after
it happened. Crash: the notes of a run that did not end are made by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.resource_cursor import ResourceCursor
from tidegate.pull.run import Run
from tidegate.rules.sync.changes import Copy
from tidegate.rules.sync.items import cursor_value
from tidegate.rules.sync.spec import Resource


class RunChecks:
    """Of one resource."""

    def __init__(self, resource: Resource, writer: RecordWriter, cursor: ResourceCursor) -> None:
        self._resource = resource
        self._writer = writer
        self._cursor = cursor

    def see_slice(self, run: Run, copies: Sequence[Copy]) -> None:
        """Count what a complete run found changed, although a poll after the change did not show it."""
        rule = self._resource.incremental
        if rule is None or not rule.cursor_path or not run.full or not self._writer.changed:
            return
        for copy in copies:
            at = cursor_value(copy.value, rule.cursor_path) if copy.key in self._writer.changed else None
            if at is not None and self._cursor.was_asked_for(run, at):
                run.missed_by_filter += 1
                sample = f"{copy.key!r} changed at {at}, and a poll after that did not show it"
                self._writer.health.note("filter_missed_changes", sample)

    def at_end(self, run: Run) -> None:
        """The notes of a walk that reached its end."""
        health, resource = self._writer.health, self._resource
        if run.without_version:
            health.note("version_missing", f"nothing at {resource.version!r}", count=run.without_version)
        if run.without_cursor and resource.incremental is not None:
            place = resource.incremental.cursor_path
            health.note("cursor_missing", f"nothing at {place!r}", count=run.without_cursor)
        self._see_overlap(run)
        if not resource.ignore or not run.records_seen or run.from_cursor or run.resumed:
            return
        if not run.ignores_unused:
            health.resolve("ignore_unused")
        for path in sorted(run.ignores_unused):
            health.note("ignore_unused", f"no row has {path!r}")

    def _see_overlap(self, run: Run) -> None:
        """Rows came on two pages, run after run: others are on no page, because rows of equal rank change places.

        A row that is created in front of a list that is being read moves one row to the next page; the next run finds
        as many new rows. Only what that does not explain is noted.
        """
        if run.parent is not None or run.resumed or run.walk.in_circle:
            return
        state = self._writer.engine_state
        if run.came_twice and state.came_twice > run.applied.created:
            sample = f"{run.came_twice:,} of {run.records_seen:,} rows came on two pages"
            self._writer.health.note("pages_overlap", sample)
        elif not run.came_twice and run.walk.pages > 1:
            self._writer.health.resolve("pages_overlap")
        state.came_twice = run.came_twice
