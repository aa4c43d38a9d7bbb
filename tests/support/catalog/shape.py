"""What a double is made of: requests, answers, rows, tables and the facts about one API.

A row of the outside system is a list of states, the newest last. Each state has a mark, a text that no other state has,
and the function of its table writes it into a field of the row. So a record that Tidegate has names the state it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

if TYPE_CHECKING:
    from support.catalog.auth import Auth
    from support.catalog.calls import Call
    from support.catalog.limits import Quota
    from support.catalog.world import World

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND


class Ask(msgspec.Struct):
    """One request. `get` reads `query:NAME` (or NAME alone), `body:a.b` or `header:NAME`."""

    method: str
    path: str  # below the base of the API
    query: dict[str, str]
    pairs: list[tuple[str, str]]
    headers: dict[str, str]
    body: Any  # JSON or form fields; None without a body
    now_us: int
    url: str = ""  # of the base, for links
    fields: dict[str, str] = {}  # what the placeholders of the path are
    target: str = ""  # path and query as sent
    used: set[str] = msgspec.field(default_factory=set)  # parameters of the query that were looked at

    def get(self, place: str, default: Any = None) -> Any:
        kind, _, name = place.rpartition(":")
        self.used.add(name if kind in ("", "query") else "")
        if kind == "header":
            return self.headers.get(name.lower(), default)
        if kind == "body":
            value: Any = self.body
            for part in name.split("."):
                if isinstance(value, list) and part.isdigit() and int(part) < len(value):
                    value = value[int(part)]
                elif isinstance(value, dict) and part in value:
                    value = value[part]
                else:
                    return default
            return value
        return self.query.get(name, default)


class Reply(msgspec.Struct):
    """An answer: JSON, bytes, or None for an empty body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = {}

    def encoded(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Refused(Exception):
    """Ends a call with an error: `kind` is a key of the statuses of the double."""

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message or kind)
        self.kind, self.message = kind, message or kind


class State(msgspec.Struct, frozen=True):
    """One state of one row. `at_us` is what the API stores as the time of the change, in its resolution."""

    number: int  # of the row, from 1
    n: int  # counts all states of the table
    created_us: int
    at_us: int
    visible_us: int  # when lists with a delay show it
    gone: bool = False
    parent: int = 0  # the row of the parent table that it belongs to
    kind: str = "created"  # created, updated, deleted
    of: State | None = None  # the state of another table that this row reports
    values: dict[str, Any] = {}  # what an operation wrote

    @property
    def mark(self) -> str:
        return f"mark-{self.n}-"


Row = Callable[[State], Any]


class Table(msgspec.Struct, kw_only=True):
    """The rows of one kind.

    `changes`: which of c(reate), u(pdate), d(elete) happen to it. `tombstone`: what a deleted row looks like where the
    API shows it. `lag_seconds`: how late a change may be visible in lists that have a delay. `kept_seconds`: how long a
    deleted row is shown at all. `log_of`: its rows are the changes of that table, whose kinds are in `log_kinds`.
    `fields`: what filters and orders may name, beside updated, created, id and gone.
    """

    name: str
    row: Row
    ident: Callable[[int], Any] = lambda number: number
    tombstone: Row | None = None
    resolution_us: int = SECOND
    changes: str = "cud"
    first: int = 30
    lag_seconds: float = 0.0
    kept_seconds: float = 0.0
    parent: str = ""
    log_of: str = ""
    log_kinds: tuple[str, ...] = ("created", "updated", "deleted")
    fields: dict[str, Callable[[State], Any]] = {}

    def field(self, name: str) -> Callable[[State], Any]:
        if name in self.fields:
            return self.fields[name]
        if name not in _FIELDS:
            raise Refused("bad_request", f"{self.name} has no field {name}")
        return _FIELDS[name]

    def shown(self, state: State) -> Any:
        return self.tombstone(state) if state.gone and self.tombstone is not None else self.row(state)


_FIELDS: dict[str, Callable[[State], Any]] = {
    "updated": lambda state: state.at_us,
    "created": lambda state: state.created_us,
    "id": lambda state: state.number,
    "gone": lambda state: state.gone,
}


class Needed(msgspec.Struct, frozen=True):
    """A header that the API wants. `accepts` says which values are good."""

    name: str
    accepts: Callable[[str], bool] = bool
    kind: str = "bad_request"


class Unseen(msgspec.Struct, frozen=True):
    """What no poll of a resource can see, because the API does not show it: c, u and d, and why."""

    changes: str
    why: str


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation of the provider file is run: the data of the event, and what a repeat does.

    `data` may have `{n}`, another text for each record. `table` is what it writes to; `creates`: it makes a row each
    time. `after`: operations that are called first for the same key. `repeat`: "same" when a second call after a lost
    answer makes nothing more, "again" where the API has nothing against repeats, "rejected" when it answers an error
    and the row exists once. `found_after_seconds`: how long a look-up may take to find what was created.
    """

    __test__ = False

    data: dict[str, Any]
    table: str
    creates: bool = True
    after: tuple[str, ...] = ()
    repeat: str = "same"
    found_after_seconds: float = 0.0


class Double(msgspec.Struct, kw_only=True):
    """The facts about one API. `sources`: where they are from. `resources`: resource of the provider file -> table."""

    name: str
    sources: tuple[str, ...]
    auth: Auth
    tables: tuple[Table, ...]
    calls: tuple[Call, ...]
    resources: dict[str, str]
    base: str = ""  # the path of the base URL
    values: dict[str, str] = {}  # `with` of the resources, and placeholders of the base URL
    needs: tuple[Needed, ...] = ()
    quotas: tuple[Quota, ...] = ()
    statuses: dict[str, int] = {}
    error: Callable[[str, int, str], Any] = lambda kind, status, message: {"message": message}
    error_headers: dict[str, dict[str, str]] = {}  # by kind
    headers: Callable[[Ask, World], dict[str, str]] | None = None  # of each answer
    unseen: dict[str, Unseen] = {}
    operations: dict[str, Test] = {}
    ignored: tuple[str, ...] = ()  # parameters that the API has and the double does nothing with
    settings: dict[str, Any] = {}  # more keys of [sources.X.api], as a user writes them
    unavailable: tuple[int, ...] = (500, 502, 503)  # what it answers when it fails for a reason of its own

    def status(self, kind: str) -> int:
        return self.statuses.get(kind, STATUSES[kind])

    def reply(self, kind: str, message: str = "") -> Reply:
        status = self.status(kind)
        return Reply(status, self.error(kind, status, message or kind), dict(self.error_headers.get(kind, {})))


STATUSES = {
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "gone": 410,
    "bad_request": 400,
    "expired": 410,
    "duplicate": 409,
    "unprocessable": 422,
    "limited": 429,
    "unavailable": 503,
    "method": 405,
}


def query_of(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)
