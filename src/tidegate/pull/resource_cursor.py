"""The cursor of one resource: what the next run asks for, and how far the cursor moves after it.

Owns the start of an incremental run (a value of the records, a sync token, or a delta link) and the decision about the
next one. Knows no requests. Invariants: the cursor moves with the last page only; a walk that may have passed over rows
moves it only over what it cannot have missed; a token comes from the last page of a complete walk. Crash: the cursor in
the store is that of the last complete run.
"""

from __future__ import annotations

from tidegate.core.units import seconds
from tidegate.pull.engine_state import MAX_PARENT_CURSORS
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.run import Run
from tidegate.rules.language.view import MISSING
from tidegate.rules.sync import incremental, instants
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.incremental import higher
from tidegate.rules.sync.links import link_in
from tidegate.rules.sync.page_end import End
from tidegate.rules.sync.paginators import PageRequest, is_steady
from tidegate.rules.sync.paths import skim
from tidegate.rules.sync.placeholders import CURSOR, fill_text
from tidegate.rules.sync.spec import Incremental, Resource

ASKED_AFTER_US = 10_000_000  # a row is not expected in a poll that came sooner after its change
_FAR_US = 7_258_118_400_000_000  # 2200-01-01


class ResourceCursor:
    """Of one resource with or without `incremental`."""

    def __init__(self, resource: Resource, writer: RecordWriter) -> None:
        self._resource = resource
        self._rule: Incremental | None = resource.incremental
        self._writer = writer

    # -- the start of a run ------------------------------------------------------------------------------

    def start(self, run: Run) -> str | None:
        """The value that a run asks from; None when it asks for everything. A delta link is one too."""
        rule = self._rule
        if rule is None:
            return None
        start = self._wanted(run, rule)
        return start if rule.max_age is None else self._not_before(run, rule, start)

    def _wanted(self, run: Run, rule: Incremental) -> str | None:
        """The value that a run would ask from, however old it is."""
        cursor = None if run.full else self.known(run)
        if not cursor:
            return rule.initial_value or None
        if rule.token_path or rule.link_path:
            return cursor
        if run.parent is None and self._writer.engine_state.start_over:
            return self._writer.engine_state.start_over
        lag = seconds(rule.lag)
        form = self._format(cursor, [], run) if lag > 0 or rule.exclusive or rule.format != "auto" else None
        start = incremental.start(cursor, lag, form, exclusive=rule.exclusive)
        if start.lag_ignored:
            self._writer.health.note("lag_ignored", f"lag {rule.lag} cannot be subtracted from the cursor {cursor!r}")
        return incremental.as_sent(start.value, form, rule.format)

    def _not_before(self, run: Run, rule: Incremental, start: str | None) -> str | None:
        """`start`, or the oldest value that the source takes when that is later, which is reported."""
        oldest_us = self._writer.clock.now_us() - int(seconds(rule.max_age or "0s") * 1_000_000)
        oldest, at_us = (
            incremental.as_start(rule, oldest_us),
            None if start is None else incremental.read_start(rule, start),
        )
        if start is not None and (at_us is None or at_us >= oldest_us):
            return start
        if start is not None and not run.full and self.known(run):
            self._writer.health.note("cursor_too_old", f"{start} is before {oldest}, where this poll begins")
        return oldest

    def known(self, run: Run) -> str | None:
        """The cursor that the last run left, of this list."""
        if run.parent is None:
            return self._writer.state.cursor
        return self._writer.engine_state.parents.get(run.parent.key)

    def param(self, start: str | None) -> tuple[str, str] | None:
        """(name, value) of the query parameter for the start; None when there is none."""
        rule = self._rule
        if rule is None or not rule.param or start is None:
            return None
        return rule.param, fill_text(rule.value, {CURSOR: start}) if rule.value else start

    def link(self, run: Run) -> str | None:
        """The delta link that a run begins with; None when it begins with the list."""
        rule = self._rule
        return self.known(run) if rule is not None and rule.link_path and not run.full else None

    def passed(self, run: Run, start: str | None) -> bool:
        """With `row_order = "desc"`, whether all rows from here on are older than the start of the run.

        Not when the rows came in another order, which is reported, and not for a row that equals the start.
        """
        rule = self._rule
        if rule is None or rule.row_order != "desc" or not run.from_cursor or start is None or run.lowest is None:
            return False
        if not run.descending:
            self._writer.health.note(
                "row_order_broken", f"a row has a later cursor than the row before it: {run.highest}"
            )
            return False
        return higher(start, run.lowest, self._format(self.known(run), [run.lowest], run))

    def was_asked_for(self, run: Run, at: str) -> bool:
        """Whether the last poll asked for rows with this cursor, some seconds after the instant that it names."""
        cursor, polled_at_us = self.known(run), self._writer.state.polled_at_us
        if not cursor or polled_at_us is None or not self._writer.state.first_done:
            return False
        form = self._format(cursor, [at], run)
        at_us = instants.read_as(at, form) if form is not None else None
        if at_us is None or not higher(at, cursor, form):
            return False
        ahead_us = 0 if run.server_at_us is None else run.server_at_us - self._writer.clock.now_us()
        return at_us + ASKED_AFTER_US < polled_at_us + ahead_us

    # -- the end of a run --------------------------------------------------------------------------------

    def step_over(self, run: Run, request: PageRequest) -> None:
        """After the only page of a poll: where the next one begins when this one can never show anything new.

        That is when more rows have one cursor than fit on a page, or more rows are within `lag`. What is passed over
        was read, or is on no page that a poll can ask for; the complete runs of `deletes` read it.
        """
        state, rule = self._writer.engine_state, self._rule
        if rule is None or not rule.cursor_path or run.parent is not None or not run.from_cursor or run.full:
            return
        stuck = (
            run.walk.pages == 1
            and run.walk.ended_by in (End.SINGLE_PAGE, End.MAX_PAGES)
            and run.applied.changes == 0
            and run.highest is not None
            and run.start is not None
            and incremental.is_full_page(run.walk.rows, request.params)
            and not higher(run.highest, self.known(run) or "", self._format(self.known(run), [run.highest], run))
        )
        if not stuck or run.highest is None or run.start is None:
            state.start_over = ""
            return
        form = self._format(self.known(run), [run.highest], run)
        goes_on = higher(run.highest, run.start, form)
        state.start_over = run.highest if goes_on else instants.later(run.highest, form)
        self._writer.health.note(
            "cursor_stuck",
            f"{run.walk.rows:,} rows from {run.start} fill the page and are known; the next poll begins at "
            f"{state.start_over}",
        )

    def see_last_page(self, run: Run, body: bytes) -> None:
        """Take the token or the delta link of the page that no other follows."""
        rule = self._rule
        path = rule.token_path or rule.link_path if rule is not None else ""
        if rule is None or not path:
            return
        raw = skim(body, path)
        value = None if raw is MISSING else parse_json(raw)
        if rule.link_path:
            value = link_in(value)
        if value in (None, "", [], {}) or isinstance(value, bool):
            self._writer.health.note("sync_token_missing", f"nothing at {path!r} on the last page")
            return
        run.token = value if isinstance(value, str) else bytes(raw).decode().strip()

    def move(self, run: Run) -> None:
        """Move the cursor after a walk; the next commit writes it."""
        following = self._following(run)
        if run.parent is None:
            if run.highest is not None and following != self.known(run):
                state = self._writer.engine_state
                state.cursor_key, state.cursor_at = run.highest_row, run.highest
            self._writer.move(cursor=following)
            return
        cursors = self._writer.engine_state.parents
        if following is None or cursors.get(run.parent.key) == following:
            return
        if run.parent.key not in cursors and len(cursors) >= MAX_PARENT_CURSORS:
            self._writer.health.note("parents_without_cursor", f"parent {run.parent.key!r}")
            return
        cursors[run.parent.key] = following

    def _following(self, run: Run) -> str | None:
        """The next cursor."""
        known, rule = self.known(run), self._rule
        if rule is None:
            return known
        if rule.token_path or rule.link_path:
            return run.token or known
        form = self._format(known, [run.lowest, run.highest], run)
        highest = run.highest
        shifts = run.walk.pages > 1 and not is_steady(self._resource.paginator, run.walk)
        if shifts and incremental.disturbed(run.highest, run.server_at_us, form, moved=run.moved):
            highest = run.first_highest
        # A single page is all that is ever read, so to wait for the others would only read it again.
        ends_early = not run.walk.complete and run.walk.ended_by is not End.SINGLE_PAGE
        if ends_early and not (run.ascending or rule.row_order == "asc"):
            highest = None
        if form is None and known is None and self._is_unclear(run, highest):
            return None
        self._note_ignored_filter(run, known, form)
        present_us = run.server_at_us
        if present_us is None:
            present_us = incremental.present_without_date(run.highest, form, self._writer.clock.now_us())
        advanced = incremental.advance(known, highest, present_us, form)
        if (clamped := incremental.advance(None, run.highest, present_us, form).clamped) != "":
            self._writer.health.note("cursor_clamped", f"a row has the cursor {clamped}, after the present")
        return advanced.cursor

    def _note_ignored_filter(self, run: Run, known: str | None, form: instants.InstantFormat | None) -> None:
        """Rows that are days older than what was asked for: the source seems to ignore the parameter."""
        rule = self._rule
        assert rule is not None
        asked = known or rule.initial_value
        if not rule.param or run.full or not (run.from_cursor or known is None) or not asked or run.lowest is None:
            return
        if form is not None and incremental.much_earlier(run.lowest, asked, rule.lag, form):
            self._writer.health.note("filter_ignored", f"{rule.param} was {asked}, and a row has {run.lowest}")

    def at_notation(self, run: Run, at_us: int) -> str:
        """An instant as the cursors of this list are written."""
        form = self._format(self.known(run), [run.lowest, run.highest], run) or instants.ISO
        return instants.write(at_us, run.highest or self.known(run) or "", form)

    def _format(self, cursor: str | None, samples: list[str | None], run: Run) -> instants.InstantFormat | None:
        """The format of the cursors of records: declared, found before, or found now."""
        rule, state = self._rule, self._writer.engine_state
        assert rule is not None
        now_us = run.server_at_us or self._writer.clock.now_us()
        found = incremental.format_of(rule.format, [cursor, *samples], now_us)
        if found is not None:
            state.cursor_format = found.kind if rule.format == "auto" else ""
        elif state.cursor_format in instants.SCALES:
            return instants.InstantFormat(state.cursor_format)
        return found

    def _is_unclear(self, run: Run, highest: str | None) -> bool:
        """Whether the one cursor seen is a number in the future: an instant that is wrong, or a counter?"""
        if highest is None or run.lowest != run.highest or instants.read(highest) is not None:
            return False
        if instants.detect([highest], _FAR_US) is None:
            return False
        self._writer.health.note("cursor_unclear", f"the only cursor is {highest}")
        return True
