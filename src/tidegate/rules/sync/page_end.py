"""When a walk over pages ends: one table of end rules, and what to do when they contradict each other. Pure.

Owns the state of a walk and every reason to end it. Knows no HTTP. The rules, in the order in which they are applied:

| what the page shows | the walk |
|---|---|
| a field that says there are no more (`has_more_path`) | ends |
| no link or token | ends; a contradiction when `has_more_path` says there are more |
| a total that is not reached | goes on, over empty pages too (`stop_on_empty` ends there) |
| a total that is reached | ends; when the first page is full and is all of it, one more page is read to verify |
| more rows than the total | goes on without the total; a contradiction |
| an empty page, without a total | ends |
| a page shorter than the limit, after a full one, without a total | ends |
| a request that was made before | ends, after the rows of the page are taken |
| the rows of a page that was read before | ends; nothing is deleted when it is page 2 that repeats page 1 |
| page 1 repeats page 0 | goes on: the source counts pages from 1; reported |
| one page, and a sign of a next one that the paginator does not follow | ends; reported, and nothing is deleted |
| 404, or 400, 416, 422 of numbered pages, after the first page | ends |
| MAX_EMPTY_PAGES empty pages in a row, or `max_pages` | ends; a contradiction |

Invariant: a walk that ends by a contradiction is not complete: nothing is deleted by it, and the cursor advances only
when the rows came in its order. Every contradiction is reported. Crash: the state of a walk is stored as its place.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

import msgspec

from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.paths import skim

MAX_PAGES = 100_000  # ten million rows at 100 a page
MAX_EMPTY_PAGES = 20
MAX_STALE_PAGES = 3  # pages in a row without a new key
MAX_STALE_NOT_UNIQUE = 7  # the same, where a key has more than one row
MAX_KEYS = 200_000  # remembered of one walk, to see that it goes in circles
MAX_SEEN = 256  # requests that are stored with a place; more are kept in memory
PAST_THE_END = (400, 416, 422)  # what numbered pages are answered beyond the last one, besides 404


class End(StrEnum):
    """What ended a walk, as reports show it."""

    SINGLE_PAGE = "single_page"
    NO_LINK = "no_next_link"
    NO_TOKEN = "no_page_token"  # noqa: S105 - a word, not a secret
    HAS_MORE = "has_more_false"
    TOTAL = "total_reached"
    EMPTY = "empty_page"
    SHORT = "short_page"
    REPEATED_REQUEST = "repeated_request"
    REPEATED_ROWS = "repeated_rows"
    STATUS = "status_past_the_end"
    MAX_PAGES = "max_pages"
    EMPTY_PAGES = "empty_pages_in_a_row"
    NOT_MODIFIED = "not_modified"
    KNOWN = "known_rows"


class PageWalk(msgspec.Struct):
    """One run over the pages of a resource."""

    pages: int = 0
    rows: int = 0
    base: int = 0  # the first offset or page number
    largest: int = 0  # rows of the largest page
    last: int = 0  # rows of the last page
    empty_in_a_row: int = 0
    stale_in_a_row: int = 0
    total: int | None = None  # rows that the source names
    total_wrong: bool = False
    resumed: bool = False  # the first pages were read by an earlier run
    complete: bool = True
    ended_by: End | None = None
    found: str = ""  # the paginator that the first page showed, as JSON; "" when the resource names one
    found_by: str = ""
    from_one: bool = False  # page 1 had the rows of page 0: the source counts pages from 1
    last_signature: int = 0  # of the page before
    in_circle: bool = False  # pages without a new key came in a row, with other rows each time
    contradictions: list[str] = []
    overlooked: str = ""  # the sign of a next page that the paginator of the resource does not follow
    seen: set[bytes] = msgspec.field(default_factory=set)  # fingerprints of the requests made
    keys: set[int] = msgspec.field(default_factory=set)  # hashes of the keys read
    signatures: set[int] = msgspec.field(default_factory=set)  # of the pages read
    key_sets: set[int] = msgspec.field(default_factory=set)  # of the keys of each page

    def count(self, request: bytes, items: int) -> None:
        """A page was read."""
        self.pages += 1
        self.rows += items
        self.last = items
        self.largest = max(self.largest, items)
        self.empty_in_a_row = 0 if items else self.empty_in_a_row + 1
        self.seen.add(request)

    def end(self, why: End) -> None:
        self.ended_by = why

    def contradict(self, what: str) -> None:
        """The end is not to be trusted, and this is why."""
        self.complete = False
        self.contradictions.append(what)

    def note_rows(self, keys: Collection[int], signature: int, *, unique: bool) -> None:
        """The rows of the page that is read now. Ends a walk in a circle.

        `keys`: hashes of the keys that could be read. `signature`: of all rows, unreadable ones too; 0 without rows.
        `unique`: no key has had two different rows. Where keys are not unique, pages without a new key may have new
        rows, so more of them are read, unless all keys of an earlier page come again: rows with a field that changes
        at each request look so.
        """
        if not signature:
            return  # an empty page
        key_set = hash(frozenset(keys))
        fresh = not keys or not self.keys.issuperset(keys)
        repeated = signature in self.signatures
        self.stale_in_a_row = 0 if fresh else self.stale_in_a_row + 1
        alike = unique or (len(keys) > 1 and key_set in self.key_sets)
        most = MAX_STALE_PAGES if alike else MAX_STALE_NOT_UNIQUE
        if repeated or self.stale_in_a_row >= most:
            self.end(End.REPEATED_ROWS)
            if self.pages == 1 or (self.from_one and self.pages == 2):  # the source may not know the parameter
                self.contradict("page 2 has the rows of page 1: does the source know the parameter of the paginator?")
            elif not repeated:
                self.in_circle = True
                self.contradict(
                    f"{most} pages in a row have no new key: does the source know the parameter of the paginator, and "
                    "is primary_key the whole key?"
                )
            elif signature != self.last_signature:
                self.contradictions.append(
                    f"page {self.pages + 1} has the rows of an earlier page, and not of the last one: is it the end?"
                )
        if len(self.keys) < MAX_KEYS:
            self.keys.update(keys)
        self.signatures.add(signature)
        self.last_signature = signature
        self.key_sets.add(key_set)


def counts_from_one(walk: PageWalk, number: int) -> bool:
    """Whether pages were asked for from 0, and page 1 has the rows of page 0. The walk goes on, and this is reported.

    A source that does not know the parameter shows the same rows on page 2 too, which ends the walk.
    """
    if number != 1 or walk.base != 0 or walk.pages != 2 or walk.resumed or walk.ended_by is not End.REPEATED_ROWS:
        return False
    walk.ended_by, walk.complete, walk.from_one = None, True, True
    walk.contradictions[-1:] = ["page 1 has the rows of page 0, so the source counts pages from 1; write base_page = 1"]
    return True


def has_more(path: str, body: bytes, walk: PageWalk) -> bool | None:
    """What the field at `has_more_path` says; None when there is none."""
    if not path:
        return None
    raw = skim(body, path.removeprefix("!"))
    if raw is MISSING:
        walk.contradictions.append(f"page {walk.pages}: there is nothing at has_more_path {path!r}")
        return None
    value = parse_json(raw)
    said = value.strip().lower() in ("true", "1", "yes", "y") if isinstance(value, str) else bool(value)
    return said is not path.startswith("!")


def ends_walk(max_pages: int | None, following: bytes, walk: PageWalk) -> bool:
    """The rules that hold for every paginator, when there is a next request."""
    if walk.ended_by is not None:
        return True
    limit = MAX_PAGES if max_pages is None else max_pages
    if following in walk.seen:
        walk.end(End.REPEATED_REQUEST)
    elif walk.pages >= limit:
        walk.end(End.MAX_PAGES)
        walk.contradict(f"max_pages {limit:,} was reached before the end")
    elif walk.empty_in_a_row >= MAX_EMPTY_PAGES:
        walk.end(End.EMPTY_PAGES)
        walk.contradict(f"{MAX_EMPTY_PAGES} pages in a row are empty, and the source names a next one")
    return walk.ended_by is not None


def usable_total(walk: PageWalk, read: int, total: int | None, what: str) -> int | None:
    """The total, unless more was read than it names."""
    if total is None or walk.total_wrong:
        return None
    if read > total:
        walk.total_wrong = True
        walk.contradictions.append(f"the source names a total of {total:,} {what}, and {read:,} were read")
        return None
    return total


def ends_by_status(counted: bool, status: int, walk: PageWalk) -> bool:
    """Whether a failed request for a page after the first is the end of the list. `counted`: pages have numbers."""
    if walk.pages == 0:
        return False
    if status == 404:
        walk.end(End.STATUS)
        if not counted:
            walk.contradict(f"page {walk.pages + 1} was answered 404, although page {walk.pages} leads there")
        return True
    if not counted or status not in PAST_THE_END:
        return False
    walk.end(End.STATUS)
    if walk.last and walk.last == walk.largest:
        walk.contradict(f"page {walk.pages + 1} was answered {status} after a full page: a limit of the source?")
    return True


def check_total(walk: PageWalk) -> None:
    """After the last page: report a total above the number of different rows. It may count rows that are hidden."""
    if (
        walk.ended_by is End.KNOWN
        or walk.total is None
        or walk.total_wrong
        or walk.resumed
        or len(walk.keys) >= MAX_KEYS
    ):
        return
    if len(walk.keys) < walk.total:
        walk.contradictions.append(
            f"the source names a total of {walk.total:,} rows, and {len(walk.keys):,} different ones came"
        )
