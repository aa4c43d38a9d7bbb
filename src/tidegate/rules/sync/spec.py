"""What the user writes about a resource: its request, its records, its place in time.

Owns the structs below `[sources.NAME.resources.NAME]`. They are here and not in `tidegate.core.spec`, because the union
of paginators is built from the registry of `tidegate.rules.sync.paginators`. Field names are the keys of
`tidegate.toml`. What must hold between keys is checked in `config/checks_resource.py`. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from tidegate.core.model import JsonObject
from tidegate.core.spec import Duration, Strict
from tidegate.rules.sync.paginators import AnyPaginator
from tidegate.rules.sync.paginators.single_page import SinglePage


class Incremental(Strict, frozen=True):
    cursor_path: str | list[str] = ""  # a list: the first that has a value
    param: str = ""
    value: str = ""  # of param, with {cursor}: ">={cursor}"
    end_param: str = ""
    format: str = "auto"  # iso8601, date, http_date, epoch_s, epoch_ms, epoch_us, epoch_ns, text, or a strftime pattern
    lag: Duration = "0s"
    initial_value: str = ""
    exclusive: bool = False  # the source leaves out rows whose cursor equals the value
    row_order: Literal["", "asc", "desc"] = ""
    token_path: str = ""  # of the last page, in place of cursor_path: a sync token
    link_path: str = ""  # of the last page, in place of cursor_path: a delta link


class Deletes(Strict, frozen=True):
    mode: Literal["none", "scan", "flag", "feed", "in_band"] = "none"
    every: Duration = "1d"
    confirm: Literal["get", "second_scan"] = "get"
    max_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.2  # a scan that would delete a larger share deletes nothing
    path: str = ""  # flag: the field of a row that says so; in_band: the field that only a tombstone has
    values: list[str | int | bool] = []  # flag: the values that mean deleted; none given: every true value
    resource: str = ""  # feed: the resource of the same source that lists deletes
    id_path: str = "id"  # feed: the key of the deleted record in its rows


class Parent(Strict, frozen=True):
    """The resource whose records each have a list of this one."""

    resource: str
    with_: list[str] = field(name="with", default_factory=lambda: ["id"])  # fields that requests and rows get


class WebhookFeed(Strict, frozen=True):
    """Updates the records from webhooks of the source."""

    types: list[str]
    record: str = ""  # path of the record in `data`; "" is all of it
    key: str = "id"  # path inside the record
    version: str = ""  # path inside the record; "" takes that of the resource
    deleted_types: list[str] = []  # which of the types report a delete


ParamValue = str | int | float | bool


class Resource(Strict, frozen=True):
    path: str
    item_path: str = ""
    method: Literal["GET", "POST"] = "GET"  # of list requests
    headers: dict[str, str] = {}
    json: JsonObject | list[Any] | None = None  # the body of list requests
    with_: dict[str, ParamValue] = field(name="with", default_factory=dict)  # values of {with.NAME}
    format: str = "auto"  # a format of tidegate.rules.sync.formats
    data_selector: str = ""
    key_field: str = ""  # of a keyed object: the field that gets the name of each member
    item_selector: str = ""  # path of the record in the answer for one item
    primary_key: str | list[str] = "id"
    version: str = ""
    version_kind: Literal["auto", "number", "instant", "text", "semver", "opaque"] = "auto"
    paginator: AnyPaginator = field(default_factory=SinglePage)
    params: dict[str, ParamValue | list[ParamValue]] = {}
    empty: list[Annotated[int, Meta(ge=100, le=599)]] = []  # statuses of a first page that mean an empty list
    gone: list[Annotated[int, Meta(ge=400, le=599)]] = field(default_factory=lambda: [404, 410])
    gone_path: str = ""  # a field of an item that says it was deleted
    origins: list[str] = []
    share_credential: bool = False  # more origins that next links may name
    error_path: str = ""  # a field that makes an answer with status 200 an error
    ok_path: str = ""  # a field that must be true
    on_bad_row: Literal["report", "fail"] = "report"
    incremental: Incremental | None = None
    parent: Parent | None = None
    poll: Duration | None = None
    schedule: str = ""  # cron, in place of poll
    timezone: str = "UTC"
    initial: Literal["snapshot", "events"] = "snapshot"
    deletes: Deletes = field(default_factory=Deletes)
    ignore: list[str] = []
    cache: Duration = "0s"
    stale_if_error: Duration = "0s"
    webhook: WebhookFeed | None = None
    reconcile: Duration | None = None

    @property
    def polls(self) -> bool:
        """Whether it is polled by a schedule of its own."""
        return self.poll is not None or bool(self.schedule)
