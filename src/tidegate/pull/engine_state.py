"""What the engine of a resource stores besides the columns of its state, as JSON.

Owns the shapes of the place of an unfinished walk, of copies that are held, and of keys that need care. Knows no rules.
Invariant: every collection here is bounded, because each commit writes all of it. Crash: a commit writes the engine
state with the records it describes, so the two never disagree.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.rules.measure.hours import Looked
from tidegate.rules.measure.shadow import ShadowFigures, Sightings
from tidegate.rules.sync.page_end import PageWalk
from tidegate.rules.sync.paginators import PageRequest

MAX_DIRTY = 1000  # records that wait to be fetched; beyond, webhooks and polls wait too
MAX_HELD = 200
MAX_DUPLICATES = 1000
MAX_UNLISTED = 1000
MAX_PARENT_CURSORS = 1000
MAX_OF_ANSWERS = 1000

Mark = tuple[int, str]  # since when, origin


class Held(msgspec.Struct, array_like=True):
    """A copy that contradicts its version. `run_us` is the start of the run that showed it last."""

    fingerprint: str
    run_us: int
    runs: int = 1


class Place(msgspec.Struct, omit_defaults=True):
    """Where an unfinished walk goes on: the request of the next page, and what the pages before it showed."""

    tag: str  # of the configuration that made the walk
    url: str
    params: list[tuple[str, str]]
    body: Any = None
    started_us: int = 0
    full: bool = False
    silent: bool = False
    find_deletes: bool = False
    server_at_us: int | None = None
    highest: str | None = None
    lowest: str | None = None
    first_highest: str | None = None
    ascending: bool = True
    descending: bool = True
    pages: int = 0
    base: int = 0
    largest: int = 0
    unreadable: int = 0
    records: int = 0
    found: str = ""  # the paginator that the first page showed
    parent: str = ""  # key of the parent whose list it is; with an empty `url`, its list begins
    window_end_us: int = 0  # of the window that is walked, when others follow

    @property
    def request(self) -> PageRequest:
        return PageRequest(self.url, tuple(self.params), self.body)

    def walk(self) -> PageWalk:
        return PageWalk(pages=self.pages, base=self.base, largest=self.largest, resumed=True, found=self.found)


class ReconcilePlan(msgspec.Struct, omit_defaults=True):
    """The interval that `reconcile = "auto"` chose, and the last ones: (when, before, after, reason) of each change."""

    every: float = 0.0
    since_us: int = 0
    reason: str = ""
    clamped: str = ""
    requests: float = 1.0  # of a reconciliation, on average
    seconds: float = 0.0
    changes: list[tuple[int, float, float, str]] = []


class EngineState(msgspec.Struct, omit_defaults=True):
    """Of one resource."""

    begun: bool = False  # the committed offset was set
    configured: str = ""  # the configuration that the notes of the statistics are about
    dirty: dict[str, Mark] = {}  # to be fetched: key -> since when, origin
    candidates: list[str] = []  # missing in the last scan (confirm = "second_scan")
    unlisted: list[str] = []  # the source has these items and does not list them
    validated: str = ""  # the request that etag and last_modified belong to
    place: Place | None = None
    held: dict[str, Held] = {}
    duplicates: dict[str, int] = {}  # keys of more than one row -> runs in a row that showed only one
    parents: dict[str, str] = {}  # key of the parent -> cursor of its list
    looked: Looked = msgspec.field(default_factory=Looked)  # what polls found by hour of the week, for `poll = "auto"`
    cursor_format: str = ""  # found for a cursor whose format is `auto`
    came_twice: int = 0  # rows that the last run found on two pages
    cursor_key: str = ""  # the record with the highest cursor; the next run asks for it again, at least
    cursor_at: str = ""  # its cursor: that of the resource, or a later one
    cursor_checked: str = ""  # the one for which that record was asked for
    start_over: str = ""  # where the next poll begins, when a page at the cursor shows nothing new and is full
    reconcile: ReconcilePlan | None = None  # with `reconcile = "auto"`
    looked_from_us: int = 0  # when the last complete look began
    scanned_from_us: list[int] = []  # when the last two scans began that decided about deletes
    sightings: Sightings = msgspec.field(default_factory=Sightings)  # with `shadow`: what this way found
    shadow: ShadowFigures = msgspec.field(default_factory=ShadowFigures)  # of the part that measures
    of_answers: set[str] = set()  # records with the fields of an answer or a webhook, until a list shows them
    stopped_missing: int = 0  # how many records the last scan missed, when the ratio stopped it
