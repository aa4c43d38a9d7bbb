"""What the user writes about a resource: its request, its records, its place in time.

Owns the structs below `[sources.NAME.resources.NAME]`. They are here and not in `tidegate.core.spec`, because the union
of paginators is built from the registry of `tidegate.rules.sync.paginators`. Field names are the keys of
`tidegate.toml`. What must hold between keys is checked in `config/checks_resource.py`. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from tidegate.core.model import JsonObject
from tidegate.core.spec import Duration, Price, Strict, doc
from tidegate.rules.sync.paginators import AnyPaginator
from tidegate.rules.sync.paginators.single_page import SinglePage


class Incremental(Strict, frozen=True):
    cursor_path: Annotated[
        str | list[str], doc("The path of the cursor in a record, or a list: the first that has a value.")
    ] = ""
    param: Annotated[
        str, doc("The query parameter that takes it; or use {incremental.start_value} where it belongs.")
    ] = ""
    value: Annotated[str, doc('What the parameter gets, with {cursor}: ">={cursor}". Default: the cursor alone.')] = ""
    end_param: Annotated[str, doc("The query parameter that takes the present time, for sources that need an end.")] = (
        ""
    )
    window: Annotated[
        Duration | None,
        doc(
            "The longest time between start and end that the source takes; a poll asks for one window after the other."
        ),
    ] = None
    max_age: Annotated[
        Duration | None, doc("How far back the source lets itself be asked; an earlier start becomes this one.")
    ] = None
    format: Annotated[
        str, doc("auto, iso8601, date, http_date, epoch_s, epoch_ms, epoch_us, epoch_ns, text, or a strftime pattern.")
    ] = "auto"
    lag: Annotated[Duration, doc("How far back each poll asks again.")] = "0s"
    initial_value: Annotated[str, doc("The first cursor; complete scans begin there too.")] = ""
    exclusive: Annotated[
        bool, doc("The source leaves out rows that are equal to the value, so each poll begins one step earlier.")
    ] = False
    row_order: Annotated[
        Literal["", "asc", "desc"],
        doc("asc or desc: the order of the rows by their cursor, where the source promises one."),
    ] = ""
    pinned_path: Annotated[
        str,
        doc("A field that is true in rows that the source puts first whatever their cursor; they have no part in it."),
    ] = ""
    token_path: Annotated[str, doc("The path of a sync token on the last page, in place of cursor_path.")] = ""
    link_path: Annotated[
        str, doc("The path of a delta link on the last page, in place of cursor_path: the next poll begins there.")
    ] = ""


class Deletes(Strict, frozen=True):
    mode: Annotated[Literal["none", "scan", "flag", "feed", "in_band"], doc("How deletes are detected.")] = "none"
    every: Annotated[Duration, doc("Interval of complete scans for deletes.")] = "1d"
    confirm: Annotated[Literal["get", "second_scan"], doc("How a missing record is confirmed as deleted.")] = "get"
    max_ratio: Annotated[
        float,
        Meta(gt=0, le=1),
        doc("Maximum share of the records that one scan may delete; beyond it the scan deletes nothing."),
    ] = 0.2
    path: Annotated[
        str, doc("flag: the field of a row that says it is deleted. in_band: the field that only a tombstone has.")
    ] = ""
    values: Annotated[
        list[str | int | bool],
        doc("flag: the values that mean deleted. Default: every value but null, false, 0 and empty."),
    ] = []
    resource: Annotated[str, doc("feed: the resource of the same source that lists deletes.")] = ""
    id_path: Annotated[
        str | list[str],
        doc("feed: the path of the deleted record's key in a row of that resource; a list for a composite key."),
    ] = "id"


class Parent(Strict, frozen=True):
    """The resource whose records each have a list of this one."""

    resource: Annotated[str, doc("The name of the parent resource, of the same source.")]
    with_: Annotated[
        list[str], doc("Fields of the parent record for {resources.PARENT.FIELD}; each row gets them as _PARENT_FIELD.")
    ] = field(name="with", default_factory=lambda: ["id"])


class WebhookFeed(Strict, frozen=True):
    """Updates the records from webhooks of the source."""

    types: Annotated[list[str], doc("Event types that have a record.")]
    record: Annotated[str, doc("Path of the record in the payload. Default: the whole payload.")] = ""
    key: Annotated[
        str | list[str], doc("Path of the key in the record; a list of paths for a composite primary key.")
    ] = "id"
    version: Annotated[str, doc("Path of the version in the record. Default: that of the resource.")] = ""
    deleted_types: Annotated[list[str], doc("The types that mean that the record was deleted.")] = []


class Shadow(Strict, frozen=True):
    """Runs the other way too for a time, and compares both. It makes no events and changes no records."""

    way: Annotated[
        Literal["webhook", "poll"],
        doc("The way that only measures. webhook: the resource is polled. poll: webhooks update the resource."),
    ]
    poll: Annotated[Duration, doc("How often it polls, with way = poll.")] = "5m"
    duration: Annotated[Duration, doc("When it ends by itself, 1m to 30d after it began.")] = "7d"
    wait: Annotated[
        Duration,
        doc("How long after one way found a change the other one may still bring it; then it counts as missed."),
    ] = "1h"


ParamValue = str | int | float | bool
AUTO = "auto"  # `poll`: as often as changes are expected
Interval = Annotated[str, Meta(pattern=r"^(auto|[0-9]+(\.[0-9]+)?(ms|s|m|h|d))$", examples=["30s", "5m", "auto"])]


class Resource(Strict, frozen=True):
    path: Annotated[
        str,
        doc("The path of the list. Placeholders: {with.NAME}, {incremental.start_value}, {resources.PARENT.FIELD}."),
    ]
    use: Annotated[
        str, doc("The resource of the provider file that gives every key that is left out; see `provider` of the API.")
    ] = ""
    item_path: Annotated[str, doc("The path of one item, with {id}: for pulls by key and for fetch-backs.")] = ""
    method: Annotated[Literal["GET", "POST"], doc("The method of list requests.")] = "GET"
    headers: Annotated[dict[str, str], doc("Headers of every request of this resource.")] = {}
    json: Annotated[JsonObject | list[Any] | None, doc("The JSON body of list requests.")] = None
    with_: Annotated[
        dict[str, ParamValue],
        doc("Values of the placeholders {with.NAME} in path, item_path, params, headers and json."),
    ] = field(name="with", default_factory=dict)
    format: Annotated[
        str,
        doc(
            "auto, json, ndjson, csv, xml, rss (feeds) or ical (calendars); `auto` goes by the body, then by"
            " its Content-Type."
        ),
    ] = "auto"
    data_selector: Annotated[
        str, doc('The path of the list in the response; "$" makes the whole response one record.')
    ] = ""
    key_field: Annotated[
        str, doc("For an object whose members are the records: the field that gets the name of each member.")
    ] = ""
    header_row: Annotated[
        bool, doc("The rows are lists of cells, and the first row names their fields: the cells of a spreadsheet.")
    ] = False
    item_selector: Annotated[
        str, doc("The path of the record in the response for one item; found by its key by default.")
    ] = ""
    primary_key: Annotated[
        str | list[str], doc("The path of the key in a record, or a list of paths that make the key together.")
    ] = "id"
    version: Annotated[str, doc("The path of what says which of two copies is newer.")] = ""
    version_kind: Annotated[
        Literal["auto", "number", "instant", "text", "semver", "opaque"],
        doc("How versions are ordered; `auto` orders numbers and times, and takes others as opaque."),
    ] = "auto"
    paginator: Annotated[AnyPaginator, doc("How the next page is found.")] = field(default_factory=SinglePage)
    params: Annotated[
        dict[str, ParamValue | list[ParamValue]],
        doc("Query parameters of every request; a list repeats one. A caller of a pull cannot replace them."),
    ] = {}
    empty: Annotated[
        list[Annotated[int, Meta(ge=100, le=599)]],
        doc("Statuses of the first page that mean an empty list, such as 404."),
    ] = []
    gone: Annotated[
        list[Annotated[int, Meta(ge=400, le=599)]], doc("Statuses of one item that mean it was deleted.")
    ] = field(default_factory=lambda: [404, 410])
    gone_path: Annotated[str, doc("A field of an item that is true when it was deleted.")] = ""
    item_params: Annotated[
        dict[str, ParamValue | list[ParamValue]] | None,
        doc("Query parameters of the request for one item, in place of `params`: {} sends none."),
    ] = None
    origins: Annotated[list[str], doc("More origins that links to a next page may name; they get no credential.")] = []
    share_credential: Annotated[bool, doc("Send the credential of the source to those origins too.")] = False
    error_path: Annotated[str, doc("A field that makes a response with status 200 an error.")] = ""
    ok_path: Annotated[str, doc("A field that must be true in a response.")] = ""
    on_bad_row: Annotated[
        Literal["report", "fail"], doc("Whether a row that cannot be read is reported and skipped, or fails the poll.")
    ] = "report"
    incremental: Annotated[Incremental | None, doc("Ask only for what changed.")] = None
    parent: Annotated[Parent | None, doc("The resource whose records each have a list of this one.")] = None
    poll: Annotated[
        Interval | None,
        doc("How often it is polled; turns the API into change events. `auto`: as often as changes are expected."),
    ] = None
    poll_min: Annotated[Duration, doc('With `poll = "auto"`: the shortest interval.')] = "1m"
    poll_max: Annotated[Duration, doc('With `poll = "auto"`: the longest interval.')] = "6h"
    schedule: Annotated[str, doc('When it is polled, as a cron expression, in place of `poll`: "0 6 * * 1-5".')] = ""
    timezone: Annotated[str, doc("The time zone of `schedule`, such as Europe/Berlin.")] = "UTC"
    initial: Annotated[
        Literal["snapshot", "events"], doc("Whether the records of the first poll that finds any make events.")
    ] = "snapshot"
    deletes: Annotated[Deletes, doc("How deletes are noticed.")] = field(default_factory=Deletes)
    ignore: Annotated[list[str], doc("Fields whose changes do not count, in lists too: files.0.url, files.*.url.")] = []
    cache: Annotated[Duration, doc("How old the response to a pull may be.")] = "0s"
    stale_if_error: Annotated[Duration, doc("How old the response may be when the source fails.")] = "0s"
    webhook: Annotated[WebhookFeed | None, doc("The same records, updated by webhooks of the source.")] = None
    shadow: Annotated[
        Shadow | None,
        doc("Runs the other way too for a time, only to measure: which is sooner, cheaper, more complete."),
    ] = None
    reconcile: Annotated[
        Interval | None,
        doc("How often a poll looks for what webhooks missed. `auto`: by how many they were measured to miss."),
    ] = None
    reconcile_min: Annotated[Duration, doc('With `reconcile = "auto"`: the shortest interval.')] = "5m"
    reconcile_max: Annotated[Duration, doc('With `reconcile = "auto"`: the longest interval.')] = "1d"
    max_delay: Annotated[
        Duration | None,
        doc("How late 99 of 100 changes may be at most; for advice, and for `poll` and `reconcile` that are `auto`."),
    ] = None
    delay_price: Annotated[
        Price | None,
        doc("What one change that is an hour late costs, in the currency of `price_per_call`; used as `max_delay` is."),
    ] = None

    @property
    def polls(self) -> bool:
        """Whether it is polled by a schedule of its own."""
        return self.poll is not None or bool(self.schedule)
