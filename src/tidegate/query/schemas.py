"""The JSON schemas of the API's responses: one struct per thing, no logic.

The spellings are a promise to users: times are RFC 3339 UTC text, keys are text, IDs carry their prefix. The API sends
these structs as they are, the OpenAPI document is generated from them, and the dashboard shows them. May not know the
store or HTTP. After 0.2, members are added and none is renamed.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from tidegate.core.figures import MailboxFigures, ResourceFigures, SubscriptionFigures
from tidegate.core.findings import Finding
from tidegate.core.measured import Measured
from tidegate.core.model import Healed
from tidegate.rules.measure.advice import Effect, Evidence, Interval
from tidegate.rules.measure.curve import CurvePoint

T = TypeVar("T")

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Page(Struct, Generic[T]):
    """A list. `next_cursor` is null at the end; a page may be short and still have one."""

    data: list[T]
    next_cursor: str | None


class ItemPage(Struct):
    """All sources, destinations or routes, with the keys of the file and some that are read-only."""

    data: list[dict[str, Any]]
    next_cursor: str | None = None


class ChangeSchema(Struct, omit_defaults=True):
    """How a record changed; `data` of the event is the record after.

    `caused_by` is the event whose operation made the change, and `chain` the sources that led to it.
    """

    resource: str
    before: Any
    fields: list[str]
    version: str | None
    number: int
    healed: Healed | None = None  # what was missed, when a look found it and no webhook had reported it
    caused_by: str | None = None
    chain: list[str] = []


class EventSchema(Struct, kw_only=True):
    """An event of the log. `data` is null when the body is neither JSON nor a form: get `/raw`."""

    id: str
    offset: int
    source: str
    type: str
    key: str | None
    origin: str
    time: Instant
    received_at: Instant
    data: Any
    change: ChangeSchema | None
    content_type: str
    body_bytes: int
    hops: int
    differs: bool  # the same delivery id came again with another body
    test: bool = False  # made by `tidegate trigger`
    schema_error: str | None = None  # what did not fit the JSON Schema of its type
    headers: list[tuple[str, str]] | UnsetType = UNSET  # only in the response for one event; credentials are redacted


class RequestSchema(Struct, kw_only=True):
    """A request as it was sent. Credentials are masked. `body` is text, or base64 where it is not UTF-8."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: str | None  # null: not kept
    body_encoding: str  # "utf-8" or "base64"
    body_bytes: int  # as sent
    body_cut: bool  # only the first 64 KiB are kept


class AttemptSchema(Struct, kw_only=True):
    """One finished attempt, numbered from 1."""

    id: str
    number: int
    outcome: str
    status: int | None
    error: str
    started_at: Instant
    duration_ms: float
    manual: bool
    url: str
    answer_headers: list[tuple[str, str]]
    answer_body: str  # the first bytes of the response, as text
    answer_bytes: int
    request: RequestSchema | UnsetType | None = UNSET  # as sent; only in the response for one delivery


class DeliverySchema(Struct, kw_only=True):
    """One event for one destination."""

    id: str
    event: str
    event_type: str
    source: str
    destination: str
    state: str
    cause: str
    attempts: list[AttemptSchema]
    next_attempt_at: Instant | None
    first_delivered_at: Instant | None
    route: str | None


class RecordSchema(Struct, kw_only=True):
    """The latest known state of one item of a resource; `version` is the source's, `number` counts its changes.

    With `as_of`, the state that it had then. What is null is not known for that time.
    """

    source: str
    resource: str
    key: str
    version: str | None
    number: int
    origin: str | None
    age_seconds: float | None  # since the source last confirmed it
    changed_at: Instant | None
    asked_at: Instant | None
    answered_at: Instant | None
    deleted: bool
    data: Any
    healed: Healed | None = None  # what was missed of its last change, while the event of that change is kept
    as_of: Instant | None = None


class FeedPage(Struct):
    """The next events of a feed. Acknowledge them with `next_cursor` when you have processed them."""

    data: list[EventSchema]
    next_cursor: str
    committed_offset: int
    more: bool


class FeedSchema(Struct):
    """A named cursor over the log. `sources` are those it was made for; null means all."""

    name: str
    committed_offset: int
    updated_at: Instant
    sources: list[str] | None


class Fact(Struct, kw_only=True):
    """One statement about an event: `text` in a few words, `detail` a phrase, `at` an instant that belongs to it."""

    text: str
    detail: str = ""
    at: Instant | None = None


class RouteDecision(Struct, kw_only=True):
    """What one route decided about one event. `selected` is true when it made a delivery."""

    route: str
    revision: int
    selected: bool
    destinations: list[str]
    reason: str


class ExplainedDelivery(DeliverySchema, kw_only=True):
    """A delivery with its status in a sentence and the next step.

    `remedy` is "" when nothing has to be done. `next_at` is when the next attempt or probe is due. `held` is why it is
    not sent by itself: paused, circuit_open, deleted or "".
    """

    status: str
    remedy: str
    next_at: Instant | None
    held: str


class Explanation(Struct, kw_only=True):
    """The origin, signature, deliveries, route decisions and next step of an event."""

    event: EventSchema
    seen: Any  # the event as filters see it
    summary: str
    origin: Fact
    signature: Fact
    delivered_to: Fact
    next: Fact
    routes: list[RouteDecision]
    deliveries: list[ExplainedDelivery]
    notes: list[str] = []  # what could not be read or is not forwarded, with the remedy
    updates: list[str] = []  # resources whose records this webhook updates, by the configuration of today
    findings: list[Finding] = []


class RejectionSchema(Struct):
    at: Instant
    source: str
    reason: str
    detail: str
    remote: str


class Totals(Struct, kw_only=True):
    accepted: int = 0  # events
    unrouted: int = 0
    delivered: int = 0
    pending: int = 0
    exhausted: int = 0
    canceled: int = 0
    filtered: int = 0


class SourceCounters(Struct, kw_only=True):
    accepted: int = 0
    unrouted: int = 0


class DestinationCounters(Struct, kw_only=True):
    """accepted = filtered + delivered + pending + exhausted + canceled, at every instant."""

    accepted: int = 0
    filtered: int = 0
    delivered: int = 0
    pending: int = 0
    exhausted: int = 0
    canceled: int = 0


class Stats(Struct, kw_only=True):
    """One snapshot at one offset. `measured`: the figures of a window, when one is asked for."""

    at_offset: int
    totals: Totals
    sources: dict[str, SourceCounters]
    destinations: dict[str, DestinationCounters]
    resources: dict[str, ResourceFigures]
    mailboxes: dict[str, MailboxFigures] = {}  # by source
    subscriptions: dict[str, SubscriptionFigures] = {}  # WebSub, by source
    measured: Measured | None = None


class SettingSchema(Struct, kw_only=True):
    """One key of a resource that advice changes. A value is null where the key is absent."""

    key: str
    before: Any
    after: Any


class ApplySchema(Struct, kw_only=True):
    """How to follow the advice. `owner`: who may change the source, `file` or `api`.

    `toml` is the change as lines of the file, with `-` and `+`. `ready` is false when a person has to fill in something
    first, which `needs` says.
    """

    owner: str
    settings: list[SettingSchema]
    toml: list[str]
    ready: bool
    needs: str


class AdviceSchema(Struct, kw_only=True):
    """API or webhook, for one resource. `recommendation` is a fixed word, `label` the same for people.

    `sentence` is for a manager, `evidence` for an engineer. `now` is measured, `after` is expected; members that are
    null are not known. `curve` has the trade-off of polling. `undo`: advice was applied to it that can be undone.
    """

    resource: str
    recommendation: str
    label: str
    every_seconds: float | None
    reason: str
    sentence: str
    confidence: str
    confidence_reason: str
    would_change: str
    measured_seconds: float
    evidence: list[Evidence]
    assumptions: list[str]
    interval: Interval | None
    now: Effect
    after: Effect | None
    apply: ApplySchema | None
    undo: bool
    curve: list[CurvePoint]


class EventReplaySchema(Struct, kw_only=True):
    """One event on its way to one destination again. `event` is an edited copy when body or headers were given."""

    event: str
    delivery: str
    replay: str | None  # the job that makes the delivery; null for an edited copy, which has its own


class ReplaySchema(Struct, kw_only=True):
    """A durable job that makes deliveries from the log again, by the routes of today."""

    id: str
    created_at: Instant
    query: dict[str, Any]
    committed_offset: int
    upto: int
    matched: int
    reopened: int
    finished_at: Instant | None
    cause: str
