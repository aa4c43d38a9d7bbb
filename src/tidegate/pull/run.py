"""One run over the list of a resource: what it is, what it has seen so far, and its report.

Owns the state of a run in memory, and what of it is stored as the place of an unfinished walk. Knows no I/O.
Crash: the place in the engine state is all that remains of a run.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.core.finding_codes import CODES, UNKNOWN
from tidegate.core.model import Origin
from tidegate.pull.engine_state import Place
from tidegate.pull.resource_health import Note
from tidegate.rules.sync.changes import Copy
from tidegate.rules.sync.incremental import after, sort_key
from tidegate.rules.sync.page_end import MAX_KEYS, PageWalk
from tidegate.rules.sync.paginators import PageRequest
from tidegate.rules.sync.placeholders import Scalar


class Applied(msgspec.Struct):
    """Counts of the decisions for a slice of copies."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    same: int = 0
    older: int = 0
    to_fetch: int = 0
    held: int = 0
    left: int = 0  # answers to writes that show too little of the record

    @property
    def changes(self) -> int:
        return self.created + self.updated + self.deleted

    def add(self, other: Applied) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class PollOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a person asks for a run. `accept_deletes`: delete what `max_ratio` kept. `baseline`: make no events."""

    accept_deletes: bool = False
    baseline: bool = False


SCHEDULED = PollOptions()


class ParentRow(msgspec.Struct, frozen=True):
    """One record of the parent resource: its key, its fields for placeholders, and the fields that rows get."""

    key: str
    values: dict[str, Scalar | None]
    fields: dict[str, str]


_CURSOR_FIELDS = (
    "highest", "highest_key", "lowest", "lowest_key", "first_highest", "ascending", "descending", "window_end_us",
)  # fmt: skip
_COUNTED_FIELDS = (
    "requests", "retries", "pages", "records_seen", "unreadable", "without_version", "without_cursor",
    "missed_by_filter",
)  # fmt: skip


class Run(msgspec.Struct):
    """What one run is and what it has seen so far."""

    origin: Origin
    full: bool  # without the incremental start: every record is shown
    find_deletes: bool
    silent: bool
    started_us: int
    accepted_missing: int = 0  # a person accepts so many missing records as deleted
    resumed: bool = False  # goes on at the place of an earlier run
    requests: int = 0
    retries: int = 0
    pages: int = 0
    records_seen: int = 0
    records_before: int = 0  # seen by the runs that this one goes on from
    unreadable: int = 0
    without_version: int = 0  # rows that have nothing at `version`
    without_cursor: int = 0  # rows that have nothing at `cursor_path`
    not_modified: bool = False
    server_at_us: int | None = None  # the source's clock at the first page
    highest: str | None = None
    lowest: str | None = None
    first_highest: str | None = None  # on the first of several pages: no row of it can have been passed over
    window_end_us: int = 0  # of the window that is walked, when others follow
    windows: int = 0  # that were walked to their end
    ascending: bool = True  # the cursors of the rows never went down
    descending: bool = True  # they never went up
    last_cursor: str | None = None
    last_key: Any = None  # sort keys of the three cursors
    highest_key: Any = None
    highest_row: str = ""  # the record with the highest cursor
    lowest_key: Any = None
    waited_seconds: float = 0.0
    from_cursor: bool = False  # its first request had the cursor of an earlier run
    start: str | None = None  # the value that it asks from
    headers: dict[str, str] = {}  # of its requests, with placeholders filled
    parent: ParentRow | None = None  # whose list this is, for a resource with a parent
    token: str = ""  # of the last page: a sync token or a delta link
    poll_interval_seconds: float = 0.0  # the shortest time to the next poll that the source asks for
    walk: PageWalk = msgspec.field(default_factory=PageWalk)
    applied: Applied = msgspec.field(default_factory=Applied)
    seen: set[str] = msgspec.field(default_factory=set)  # keys, only when the run looks for deletes
    hashes: dict[int, bytes] = msgspec.field(default_factory=dict)  # content and version by key: a key of two rows
    duplicates: dict[str, list[Copy]] = msgspec.field(default_factory=dict)  # rows of keys that earlier runs found
    came_twice: int = 0  # rows of an earlier page that came again
    missed_by_filter: int = 0  # changes that a complete run found and polls with the cursor had not shown
    rows_lost: bool = False  # goes on after a restart: what its first pages showed is not known
    not_unique: set[str] = msgspec.field(default_factory=set)  # keys of more than one row, found by this run
    ignores_unused: set[str] = msgspec.field(default_factory=set)  # paths of `ignore` that no row had so far
    twice_on_page: set[str] = msgspec.field(default_factory=set)  # those of two rows on one page

    @property
    def moved(self) -> bool:
        """Whether rows may have moved between pages: one came twice, or what earlier pages had is not known."""
        return self.came_twice > 0 or self.rows_lost or len(self.hashes) >= MAX_KEYS

    @property
    def complete(self) -> bool:
        """Whether a record that the run did not show is missing at the source."""
        return self.unreadable == 0 and self.walk.complete

    def see_cursor(self, at: str, row: str) -> None:
        """The cursor of a row, and the key of the row."""
        if at == self.last_cursor:
            return
        key = sort_key(at)
        if self.last_key is not None:
            self.ascending = self.ascending and not after(self.last_key, key)
            self.descending = self.descending and not after(key, self.last_key)
        self.last_cursor, self.last_key = at, key
        if self.highest_key is None or after(key, self.highest_key):
            self.highest, self.highest_key, self.highest_row = at, key, row
        if self.lowest_key is None or after(self.lowest_key, key):
            self.lowest, self.lowest_key = at, key

    def pass_window(self, end: str) -> None:
        """A window was walked to its end, an instant in the notation of the cursor: nothing before it is missing."""
        key = sort_key(end)
        if self.highest_key is None or after(key, self.highest_key):
            self.highest, self.highest_key, self.highest_row = end, key, ""
        self.first_highest = self.highest
        self.windows += 1
        self.walk = PageWalk(found=self.walk.found)

    def part(self, parent: ParentRow, *, resumed: bool) -> Run:
        """The run over the list of one parent. Keys that were seen are shared with this run.

        `resumed`: it goes on where this run was in the list of the parent.
        """
        part = Run(
            self.origin, self.full, self.find_deletes, self.silent, self.started_us, parent=parent, resumed=resumed,
            server_at_us=self.server_at_us, waited_seconds=self.waited_seconds, seen=self.seen, hashes=self.hashes,
            duplicates=self.duplicates, not_unique=self.not_unique, ignores_unused=self.ignores_unused,
        )  # fmt: skip
        if resumed:
            part.walk, self.walk = self.walk, PageWalk()
            for name in _CURSOR_FIELDS:
                setattr(part, name, getattr(self, name))
        return part

    def add_part(self, part: Run) -> None:
        """Add up what the run over one parent has done."""
        for name in _COUNTED_FIELDS:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        self.applied.add(part.applied)
        self.waited_seconds = part.waited_seconds
        self.poll_interval_seconds = max(self.poll_interval_seconds, part.poll_interval_seconds)
        self.server_at_us = self.server_at_us or part.server_at_us
        self.walk.complete = self.walk.complete and part.walk.complete
        self.walk.ended_by = part.walk.ended_by
        self.walk.found = self.walk.found or part.walk.found

    def place(self, request: PageRequest, tag: str) -> Place:
        """Where the walk goes on."""
        return Place(
            tag=tag,
            url=request.url,
            params=list(request.params),
            body=request.body,
            started_us=self.started_us,
            full=self.full,
            find_deletes=self.find_deletes,
            server_at_us=self.server_at_us,
            highest=self.highest,
            lowest=self.lowest,
            ascending=self.ascending,
            descending=self.descending,
            pages=self.walk.pages,
            base=self.walk.base,
            largest=self.walk.largest,
            found=self.walk.found,
            unreadable=self.unreadable,
            first_highest=self.first_highest,
            records=self.records_seen + self.records_before,
            silent=self.silent,
            parent=self.parent.key if self.parent is not None else "",
            window_end_us=self.window_end_us,
        )

    @classmethod
    def at_place(cls, place: Place, origin: Origin, silent: bool) -> Run:
        return cls(
            origin=origin,
            full=place.full,
            find_deletes=place.find_deletes,
            silent=silent or place.silent,
            started_us=place.started_us,
            resumed=True,
            server_at_us=place.server_at_us,
            highest=place.highest,
            highest_key=None if place.highest is None else sort_key(place.highest),
            lowest=place.lowest,
            lowest_key=None if place.lowest is None else sort_key(place.lowest),
            first_highest=place.first_highest,
            records_before=place.records,
            ascending=place.ascending,
            descending=place.descending,
            unreadable=place.unreadable,
            walk=place.walk(),
            window_end_us=place.window_end_us,
        )


class RunFinding(msgspec.Struct, frozen=True):
    """What one run ignored, skipped, clamped, guessed or contradicted. `code` is a row of `finding_codes.CODES`."""

    code: str
    title: str
    count: int
    samples: list[str]
    remedy: str


def findings_of(notes: dict[str, Note], place: str) -> list[RunFinding]:
    """The notes of a run, with what the table of codes says of them. `place` is SOURCE/RESOURCE."""
    found = []
    for code, note in notes.items():
        row = CODES.get(code, UNKNOWN)
        remedy = row.remedy.replace("{name}", place)
        found.append(RunFinding(code, row.title, note.count, list(note.samples), remedy))
    return found


class PollReport(msgspec.Struct, frozen=True):
    """One finished run. `error` is "" when it succeeded; what the other fields count is committed in both cases.

    `ended_by` says what ended the walk, "" when it did not end. `resumed`: it went on at the page where an earlier run
    stopped. `held_seconds` and `held_reason`: how long the source may not be asked now, and why.
    """

    id: str
    source: str
    resource: str
    origin: str
    requests: int
    pages: int
    records_seen: int
    created: int
    updated: int
    deleted: int
    not_modified: bool
    duration_us: int
    error: str = ""
    error_code: str = ""
    error_hint: str = ""
    unreadable: int = 0
    retries: int = 0
    ended_by: str = ""
    resumed: bool = False
    snapshot: bool = False  # made records and no events
    waited_seconds: float = 0.0
    held_seconds: float = 0.0
    held_reason: str = ""
    findings: list[RunFinding] = []
