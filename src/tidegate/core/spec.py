"""The structs of the configuration: one struct for TOML, API schema, export, JSON Schema and pages.

Owns the keys of `tidegate.toml`, which are the field names, and their descriptions: a new key is one member. Durations,
rates and sizes are strings here (`"5m"`, `"50/s"`, `"1MiB"`), so that an export gives back what the user wrote;
`tidegate.core.units` converts them to numbers. `Destination` and `Auth` have the keys that all their kinds share; each
kind has its own struct in `tidegate.kinds` or `tidegate.auth`, and `tidegate.config.spec` makes the whole file of them.
May not know references between items, which `config/checks.py` checks. Invariant: an unknown key is rejected. Crash:
nothing is kept.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Duration = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$", examples=["5s", "5m", "2h"])]
Rate = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?/(s|m|h|d)$", examples=["50/s", "1000/h"])]
Concurrency = Annotated[int, Meta(ge=1, le=1024)]
Price = Annotated[float, Meta(ge=0, le=1_000_000)]
Size = Annotated[str, Meta(pattern=r"^[0-9]+(B|KiB|MiB|GiB)$", examples=["1MiB"])]

CA = "The only authorities that the server's certificate may be from, in PEM: `${file:ca.pem}`. Default: the system's."
PROXY = "An HTTP proxy for the connections: its URL, or a table with credentials."


def doc(text: str) -> Meta:
    """The description of a key, for the JSON Schema and the reference: `name: Annotated[type, doc(...)] = default`."""
    return Meta(description=text)


class Strict(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, frozen=True):
    """Rejects unknown keys and leaves defaults out of exports. `frozen` is repeated below for the type checker."""


class GatewaySettings(Strict, frozen=True):
    public_url: Annotated[
        str, doc("The URL at which outside systems reach this gateway. Required by providers that sign the URL.")
    ] = ""
    trusted_proxies: Annotated[
        list[str],
        doc("Networks of the proxies in front of the gateway. Their X-Forwarded-For says who sends a request."),
    ] = []
    allowed_hosts: Annotated[list[str], doc("More host names that the dashboard accepts.")] = []
    providers: Annotated[str, doc("A folder with provider files of your own, relative to this file.")] = ""
    max_waiting: Annotated[
        int, Meta(ge=1), doc("Number of events waiting for the disk at which new ones are answered 503.")
    ] = 5000


class Egress(Strict, frozen=True):
    allow: Annotated[
        list[str],
        doc('Private networks that may be called, such as "127.0.0.1/32" or "10.0.0.0/8:443". Default: none.'),
    ] = []


class Retention(Strict, frozen=True):
    events: Annotated[Duration, doc("Age at which events are deleted.")] = "30d"
    size: Annotated[Size, doc("Size of the log at which the oldest events are deleted.")] = "10GiB"
    backlog: Annotated[
        Size, doc("Size of what is kept besides `size` for destinations that are owed more than their share of it.")
    ] = "10GiB"
    dedupe: Annotated[Duration, doc("How long a delivery id is kept to recognize duplicates.")] = "7d"


Count = Annotated[int, Meta(ge=1)]


class Alerts(Strict, frozen=True):
    """When a state of the gateway is a system event."""

    enabled: Annotated[bool, doc("`false` makes no system events. The findings of `tidegate doctor` stay.")] = True
    destination_failing_after: Annotated[
        Duration, doc("How long the circuit of a destination is open before `destination.failing`.")
    ] = "1m"
    delivery_exhausted: Annotated[
        Count, doc("Dead letters of a destination since the last event that make `delivery.exhausted`.")
    ] = 1
    backlog: Annotated[
        Count, doc("Pending deliveries of a destination from which a growing backlog makes `backlog.growing`.")
    ] = 1000
    backlog_growing_for: Annotated[Duration, doc("How long the backlog grows before `backlog.growing`.")] = "10m"
    source_quiet_after: Annotated[
        str,
        Meta(pattern=r"^(auto|off|[0-9]+(\.[0-9]+)?(ms|s|m|h|d))$"),
        doc(
            "Time without an event that makes `source.quiet`: a duration, `off`, or `auto`, which is"
            " three times the longest gap of the last eight days."
        ),
    ] = "auto"
    quiet: Annotated[dict[Name, Duration], doc("The same for single sources, by name.")] = {}
    poll_failing_after: Annotated[Duration, doc("How long the polls of a resource fail before `poll.failing`.")] = "5m"
    rows_skipped: Annotated[
        Count, doc("Rows that polls of a resource skipped since the last event that make `rows.skipped`.")
    ] = 1
    webhooks_missed: Annotated[
        Count, doc("Changes that only reconciliation found, since the last event, that make `webhooks.missed`.")
    ] = 1
    requests_rejected: Annotated[
        Count, doc("Requests that a source rejected within an hour that make `requests.rejected`.")
    ] = 20
    disk_free: Annotated[Size, doc("Free disk space below which `disk.low` is made (embedded store).")] = "512MiB"
    repeat_every: Annotated[Duration, doc("How often something that lasts is reported again.")] = "1d"
    max_per_hour: Annotated[Count, doc("Maximum number of system events an hour; what is over it waits.")] = 60


# -- sources ---------------------------------------------------------------------------------------------


class CustomScheme(Strict, frozen=True):
    """A signature scheme of your own, with the keys of the provider files (`rules/inbound/signatures/scheme.py`)."""

    type: Annotated[
        Literal["hmac", "hash", "token", "basic", "bearer", "ed25519", "ecdsa", "rsa", "jwt", "message", "mtls"],
        doc("Kind of the scheme. `mtls`: the subject of a client certificate that a trusted proxy puts into `header`."),
    ] = "hmac"
    header: Annotated[str, doc("Header with the signature.")] = ""
    query: Annotated[str, doc("Parameter of the query string with the signature.")] = ""
    path: Annotated[str, doc("Path of the signature in the body.")] = ""
    items: Annotated[str, doc("Path of a list in the body: each item has a signature of its own at `path`.")] = ""
    prefix: Annotated[str, doc("Text before a signature.")] = ""
    list_separator: Annotated[str, doc("What separates several signatures. Default: a comma.")] = ""
    digest: Annotated[Literal["sha1", "sha256", "sha384", "sha512"], doc("Hash function.")] = "sha256"
    encoding: Annotated[Literal["hex", "base64"], doc("Encoding of the signature.")] = "hex"
    signed: Annotated[
        str,
        doc(
            "What is signed: literal text and {body}, {timestamp}, {id}, {method}, {url}, {url_without_query}, {form},"
            " {url_and_form}, {query_and_form}, {path:NAME}, {header:NAME}, and with `hash` {secret}."
        ),
    ] = "{body}"
    timestamp_header: Annotated[str, doc("Header with the time.")] = ""
    timestamp_prefix: Annotated[str, doc("Text before the time in the list of signatures.")] = ""
    timestamp_first: Annotated[bool, doc("Whether the first entry of the list of signatures is the time.")] = False
    timestamp_path: Annotated[str, doc("Path of the time in the body.")] = ""
    timestamp_unit: Annotated[
        Literal["auto", "s", "ms", "us", "ns", "iso"],
        doc("Format of the time; `auto` knows RFC 3339, HTTP dates and each unit by its size."),
    ] = "auto"
    tolerance: Annotated[Duration, doc("Maximum difference between the signed time and the current time.")] = "5m"
    id_header: Annotated[str, doc("Header with the id.")] = ""
    name_separator: Annotated[
        str, doc("What separates a name from the signature in each entry, as in `public_key|signature`.")
    ] = ""
    secret_encoding: Annotated[Literal["text", "base64", "hex"], doc("Encoding of the secret.")] = "text"  # noqa: S105 - a word, not a secret
    secret_prefix: Annotated[str, doc("Text that is removed from the secret.")] = ""
    secret_digest: Annotated[Literal["", "sha1", "sha256"], doc("The key is this digest of the secret.")] = ""
    url_port: Annotated[bool, doc("Whether the URL is also tried with its standard port.")] = False
    body_hash_query: Annotated[
        str, doc("Parameter of the query string with the SHA-256 of the body, as Twilio sends it.")
    ] = ""
    claims: Annotated[
        dict[str, str], doc("Claims of a JWT: text, {body_sha256_hex}, {body_sha256_base64} or {url_sha256_hex}.")
    ] = {}
    keys_url: Annotated[str, doc("URL of the JSON Web Key Set with the keys of a JWT.")] = ""
    max_age: Annotated[Duration, doc("Maximum age of a JWT by its claim iat; `0s` looks at exp and nbf only.")] = "0s"


class AnswerTable(Strict, frozen=True):
    """The answer to an accepted request, instead of 202 with the id."""

    status: Annotated[int, Meta(ge=200, le=299), doc("Status of the answer.")] = 200
    content_type: Annotated[str, doc("Content type of the answer.")] = "text/plain; charset=utf-8"
    body: Annotated[str, doc("Body of the answer.")] = ""


class Dedupe(Strict, frozen=True):
    """What makes two requests the same event. Keys that are not given come from the provider file."""

    enabled: Annotated[bool, doc("`false` makes every request an event of its own.")] = True
    scope: Annotated[
        list[str] | UnsetType,
        doc("What a delivery id is unique by: `type`, `key`, `header:NAME`, `query:NAME` or paths of the body."),
    ] = UNSET
    volatile: Annotated[
        list[str] | UnsetType,
        doc(
            "Paths of the body that may differ between repeats, such as attempt counters; `*` is any item. For requests"
            " without a body, `query:NAME`."
        ),
    ] = UNSET


class WebSub(Strict, frozen=True):
    """A WebSub topic that is subscribed to at its hub."""

    topic: Annotated[str, doc("URL of the feed or page. Where it names its own URL, that one is subscribed to.")]
    hub: Annotated[str, doc("URL of the hub. Default: the one that the topic names.")] = ""
    lease: Annotated[
        Duration,
        doc("For how long a subscription is asked for. It is renewed after two thirds of what the hub grants."),
    ] = "10d"


class WebhookInput(Strict, frozen=True):
    """A `*_path` is a path of the body (JSON, form, multipart or XML), `header:NAME` or `query:NAME`."""

    verify: Annotated[
        str | CustomScheme,
        doc('How requests are verified: a provider such as "stripe", a table with a scheme, or "none".'),
    ]
    secret: Annotated[str | list[str], doc("The signing secret, or a list of secrets during rotation.")] = ""
    allow_from: Annotated[
        list[str], doc("Networks that requests may come from, beside their signature: 192.0.2.0/24. Default: all.")
    ] = []
    event_type: Annotated[
        str, doc("A fixed event type. Default: the rule of the provider, then `type` in the body.")
    ] = ""
    type_header: Annotated[str, doc("Header with the event type.")] = ""
    type_path: Annotated[str, doc("Where the event type is: a path of the body, `header:NAME` or `query:NAME`.")] = ""
    id_header: Annotated[
        str, doc("Header with the delivery id. Unsigned sources also read webhook-id and Idempotency-Key.")
    ] = ""
    id_path: Annotated[str, doc("Where the delivery id is: a path of the body, `header:NAME` or `query:NAME`.")] = ""
    key_path: Annotated[str, doc("Where the event's key is: a path of the body, `header:NAME` or `query:NAME`.")] = ""
    time_path: Annotated[
        str, doc("Where the time of the event is: a path of the body, `header:NAME` or `query:NAME`.")
    ] = ""
    dedupe: Annotated[Dedupe, doc("How repeats are recognized. Default: the rule of the provider.")] = field(
        default_factory=Dedupe
    )
    forward_headers: Annotated[
        list[str], doc("Request headers that receivers get, in addition to the provider's; a name may end in `*`.")
    ] = []
    handshake: Annotated[
        str, doc("The provider whose handshake is answered; for a scheme of your own and for `none`.")
    ] = ""
    answer: Annotated[
        AnswerTable | None,
        doc("The answer to accepted requests. Default: what the provider needs, else 202 with the event's id."),
    ] = None
    methods: Annotated[
        list[Literal["POST", "GET", "PUT", "PATCH", "DELETE"]],
        doc("Accepted methods. Default: those of the provider, else POST."),
    ] = []
    handshake_token: Annotated[
        str,
        doc("What a provider sends to verify the address (Meta's verify token) or asks for (Braintree's public key)."),
    ] = ""
    split: Annotated[
        str,
        doc(
            "Path of a list in the body whose items are events of their own; `$` is the body itself, `feed` the entries"
            " of RSS, Atom or JSON Feed, `auto` takes the provider's path."
        ),
    ] = ""
    websub: Annotated[WebSub | None, doc('The topic to subscribe to, with `verify = "websub"`.')] = None
    schemas: Annotated[
        dict[str, str],
        doc("JSON Schema by event type or pattern, as JSON: `${file:order.json}`. Needs `tidegate[schema]`."),
    ] = {}
    on_invalid: Annotated[
        Literal["mark", "refuse"],
        doc("What happens to an event that does not fit: stored and marked, or answered 422."),
    ] = "mark"
    max_body: Annotated[Size | None, doc("Maximum size of a body; larger ones are answered 413.")] = None


class FormInput(Strict, frozen=True):
    event_type: Annotated[str, doc("Event type of the submitted forms.")] = "form.submitted"
    redirect: Annotated[str, doc("URL to which the browser is redirected afterwards.")] = ""
    honeypot: Annotated[
        str, doc("A field that people leave empty. A form that fills it is answered normally and dropped.")
    ] = ""
    key_field: Annotated[str, doc("Field that is the event's key.")] = ""
    allowed_origins: Annotated[
        list[str], doc("Origins of the pages that may send the form and read the answer. Default: all may send it.")
    ] = []
    rate: Annotated[Rate | None, doc("Maximum number of forms from one address; more are answered 429.")] = None
    max_body: Annotated[Size, doc("Maximum size of a body; larger ones are answered 413.")] = "64KiB"


class PublishInput(Strict, frozen=True):
    max_body: Annotated[Size, doc("Maximum size of a body; larger ones are answered 413.")] = "1MiB"


class Auth(Strict, frozen=True, tag_field="type"):
    """A credential. The structs of its kinds are in `tidegate.auth`; the tag is the kind."""


# Kinds of credential that are planned. One without a file in `tidegate.auth` is rejected by name.
AUTH_PLANNED: tuple[str, ...] = ()


class Proxy(Strict, frozen=True):
    """An outbound HTTP proxy, for keys beyond its URL."""

    url: Annotated[str, doc("http://HOST:PORT or https://HOST:PORT. [egress] must allow its address like any other.")]
    username: Annotated[str, doc("The user name for the proxy.")] = ""
    password: Annotated[str, doc("The password for the proxy.")] = ""
    ca: Annotated[
        str, doc("For an https proxy: the authorities that its certificate may be from, in PEM. Default: the system's.")
    ] = ""
    resolve: Annotated[
        Literal["here", "proxy"],
        doc("Who looks up names: `here` sends the proxy a checked address, `proxy` sends it the name."),
    ] = "here"


class LookUp(Strict, frozen=True, kw_only=True):
    """A GET that finds what an operation would create, by our own fields."""

    path: Annotated[str, doc("The path of the search, with {{ expression }}.")]
    params: Annotated[dict[str, Any], doc("Query parameters of the search.")] = {}
    result: Annotated[dict[str, str], doc("The ids to keep of its answer: name to path.")]


class Operation(Strict, frozen=True, kw_only=True):
    """One call of the API that changes something there. Its values may have {{ expression }} over the event."""

    use: Annotated[
        str, doc("The operation of the provider file that gives every key that is left out; see `provider` of the API.")
    ] = ""
    with_: Annotated[dict[str, str | int | bool], doc("Values of the placeholders {with.NAME}.")] = field(
        name="with", default_factory=dict
    )
    description: Annotated[str, doc("A note for people.")] = ""
    method: Annotated[Literal["POST", "PUT", "PATCH", "DELETE", "GET"], doc("The method of the call.")] = "POST"
    path: Annotated[str, doc("The path below base_url, with {{ expression }}; each value is one encoded segment.")]
    params: Annotated[dict[str, Any], doc("Query parameters; a list repeats one, and a null is left out.")] = {}
    headers: Annotated[dict[str, str], doc("Headers of the call.")] = {}
    json: Annotated[
        dict[str, Any] | list[Any] | None,
        doc("The JSON body. A text that is one {{ expression }} keeps the type of its value."),
    ] = None
    form: Annotated[dict[str, Any], doc("The fields of a form body, in place of json.")] = {}
    nulls: Annotated[Literal["omit", "send"], doc("Whether members of json that are null are left out or sent.")] = (
        "omit"
    )
    idempotency_header: Annotated[
        str, doc("The header in which the API takes an idempotency key; it gets the delivery id.")
    ] = ""
    ok: Annotated[
        list[Annotated[int, Meta(ge=100, le=599)]],
        doc("Statuses that mean success, such as [200, 201, 409]. Default: 200 to 299."),
    ] = []
    ok_path: Annotated[str, doc("A field of the answer that must be true, such as ok.")] = ""
    error_path: Annotated[str, doc("A field of the answer that makes it a failure when it has a value.")] = ""
    items_path: Annotated[
        str, doc("The list of items in a multi-status answer (207); each one must have succeeded.")
    ] = ""
    item_status_path: Annotated[str, doc("The status of one of those items: a number, or a word such as ok.")] = (
        "status"
    )
    remember: Annotated[
        dict[str, str], doc("Ids of the answer to keep beside our key, by name: {{ remembered.NAME }} in later calls.")
    ] = {}
    key: Annotated[str, doc("Our key of what the call creates or changes. Default: the key of the event.")] = (
        "{{ key }}"
    )
    resource: Annotated[
        str, doc("The resource of the same source that the call changes, so that the change is recognized as our own.")
    ] = ""
    on_conflict: Annotated[
        Literal["last_writer", "prefer", "hold"],
        doc(
            "When somebody else changed the same fields meanwhile: the later change wins, the source in `prefer` wins, "
            "or a person decides. For operations with `resource`."
        ),
    ] = "last_writer"
    prefer: Annotated[Name | None, doc("The source that wins, with `on_conflict` `prefer`.")] = None
    record_path: Annotated[str, doc("Where the answer has the record. Default: the whole answer.")] = ""
    record_key: Annotated[str, doc("The key of the record, such as {{ remembered.id }}, where it is known before.")] = (
        ""
    )
    look_up: Annotated[
        LookUp | None, doc("A GET that finds the ids when none are remembered, so that nothing is created twice.")
    ] = None


class Paginator(Strict, frozen=True, tag_field="type"):
    """How the next page of a list is found. The structs of the kinds are in `tidegate.rules.sync.paginators`."""


# -- destinations ----------------------------------------------------------------------------------------

DEFAULT_RETRY_ON = ("connection", "tls", "timeout", "3xx", "4xx", "5xx")
DEFAULT_RETRY = ("5s", "5m", "30m", "2h", "5h", "10h", "10h")


class Destination(Strict, frozen=True, tag_field="type"):
    """One receiver: the keys that every kind has. The structs of the kinds are in `tidegate.kinds`."""

    default_tag: ClassVar[str] = "webhook"  # the kind when `type` is left out

    description: Annotated[str, doc("A note for people.")] = ""
    timeout: Annotated[Duration, doc("Time limit of one attempt.")] = "15s"
    concurrency: Annotated[Concurrency, doc("Maximum number of attempts at the same time.")] = 8
    rate: Annotated[Rate | None, doc("Maximum rate of attempts.")] = None
    retry: Annotated[list[Duration], doc("Retry schedule: n waits give n + 1 tries.")] = field(
        default_factory=lambda: list(DEFAULT_RETRY)
    )
    retry_on: Annotated[
        list[str | int], doc("What is retried: connection, tls, timeout, a status (429), or a class of statuses (5xx).")
    ] = field(default_factory=lambda: list(DEFAULT_RETRY_ON))
    ordered_by: Annotated[str, doc('Delivers in order for each value at this path; "key" is the event\'s key.')] = ""
    start: Annotated[str, doc("Where in the log a new destination starts: end, beginning, or a time.")] = "end"
    retry_after_cap: Annotated[Duration, doc("Maximum Retry-After that is respected.")] = "1h"
    give_up_after: Annotated[
        Duration, doc("How long the circuit breaker may stay open before pending deliveries are exhausted.")
    ] = "5d"
    ca: Annotated[str, doc(CA)] = ""
    proxy: Annotated[str | Proxy, doc(PROXY)] = ""


# Kinds of destination that are planned. One without a file in `tidegate.kinds` is rejected by name.
DESTINATION_PLANNED = (
    "file",
    "nats",
    "rabbitmq",
    "kafka",
    "redis",
    "s3",
    "sqs",
    "pubsub",
    "discord",
    "teams",
)


# -- routes ----------------------------------------------------------------------------------------------


class Transform(Strict, frozen=True):
    pick: Annotated[list[str], doc("Paths that are kept.")] = []
    rename: Annotated[dict[str, str], doc("Old path to new path.")] = {}
    set: Annotated[dict[str, Any], doc("Path to a constant, or to {{ path }} of the original event.")] = {}


class Route(Strict, frozen=True):
    from_: Annotated[str | list[str], doc('A source, a list of sources, or "*".')] = field(name="from")
    to: Annotated[str | list[str], doc("A destination, or a list of them.")]
    types: Annotated[
        list[str] | UnsetType, doc('Event types; "*" and patterns such as "a.*" are allowed. Does not match changes.')
    ] = UNSET
    changes: Annotated[list[str] | UnsetType, doc("Resources whose changes are delivered.")] = UNSET
    filter: Annotated[dict[str, Any], doc("Conditions on the event.")] = {}
    transform: Annotated[Transform | None, doc("What the destination receives of the event.")] = None
    enabled: Annotated[bool, doc("Set to false to turn the route off.")] = True
