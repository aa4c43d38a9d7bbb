"""The structs of the configuration: one struct for TOML, API schema, export, JSON Schema and pages.

Owns the keys of `tidegate.toml`, which are the field names. Durations, rates and sizes are strings here (`"5m"`,
`"50/s"`, `"1MiB"`), so that an export gives back what the user wrote; `tidegate.core.units` converts them to numbers.
`Destination` and `Auth` have the keys that all their kinds share; each kind has its own struct in `tidegate.kinds` and
`tidegate.auth`, and `tidegate.config.spec` puts the whole file together. May not know references between items, which
`config/checks.py` checks. Invariant: an unknown key is rejected. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Duration = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$", examples=["5s", "5m", "2h"])]
Rate = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?/(s|m|h|d)$", examples=["50/s", "1000/h"])]
Concurrency = Annotated[int, Meta(ge=1, le=1024)]
Size = Annotated[str, Meta(pattern=r"^[0-9]+(B|KiB|MiB|GiB)$", examples=["1MiB"])]


class Strict(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, frozen=True):
    """Rejects unknown keys and leaves defaults out of exports. `frozen` is repeated below for the type checker."""


class GatewaySettings(Strict, frozen=True):
    public_url: str = ""  # required by providers that sign the URL
    allowed_hosts: list[str] = []  # more host names that the dashboard accepts
    max_waiting: Annotated[int, Meta(ge=1)] = 5000  # events waiting for the disk before 503


class Egress(Strict, frozen=True):
    allow: list[str] = []  # "127.0.0.1/32", "10.0.0.0/8:443"


class Retention(Strict, frozen=True):
    events: Duration = "30d"
    size: Size = "10GiB"
    dedupe: Duration = "7d"


Count = Annotated[int, Meta(ge=1)]


class Alerts(Strict, frozen=True):
    """When a state of the gateway is a system event."""

    enabled: bool = True
    destination_failing_after: Duration = "1m"
    delivery_exhausted: Count = 1  # dead letters since the last event
    backlog: Count = 1000  # pending deliveries
    backlog_growing_for: Duration = "10m"
    source_quiet_after: Annotated[str, Meta(pattern=r"^(auto|off|[0-9]+(\.[0-9]+)?(ms|s|m|h|d))$")] = "auto"
    quiet: dict[Name, Duration] = {}  # of single sources
    poll_failing_after: Duration = "5m"
    rows_skipped: Count = 1
    webhooks_missed: Count = 1
    requests_rejected: Count = 20  # within an hour
    disk_free: Size = "512MiB"
    repeat_every: Duration = "1d"  # of what lasts
    max_per_hour: Count = 60


# -- sources ---------------------------------------------------------------------------------------------


class CustomScheme(Strict, frozen=True):
    """A signature scheme of your own, with the keys of the provider files (`rules/inbound/signatures/scheme.py`)."""

    type: Literal["hmac", "hash", "token", "basic", "bearer", "ed25519", "ecdsa", "rsa", "jwt", "message"] = "hmac"
    header: str = ""  # where the signature is: one of header, query and path
    query: str = ""
    path: str = ""
    items: str = ""
    prefix: str = ""
    list_separator: str = ""
    digest: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    signed: str = "{body}"
    timestamp_header: str = ""
    timestamp_prefix: str = ""
    timestamp_path: str = ""
    timestamp_unit: Literal["auto", "s", "ms", "us", "ns", "iso"] = "auto"
    tolerance: Duration = "5m"
    id_header: str = ""
    secret_encoding: Literal["text", "base64", "hex"] = "text"  # noqa: S105 - a word, not a secret
    secret_prefix: str = ""
    secret_digest: Literal["", "sha1", "sha256"] = ""
    url_port: bool = False
    body_hash_query: str = ""
    claims: dict[str, str] = {}
    max_age: Duration = "0s"


class AnswerTable(Strict, frozen=True):
    """The answer to an accepted request, instead of 202 with the id."""

    status: Annotated[int, Meta(ge=200, le=299)] = 200
    content_type: str = "text/plain; charset=utf-8"
    body: str = ""


class Dedupe(Strict, frozen=True):
    """What makes two requests the same event. Keys that are not given come from the provider file."""

    enabled: bool = True  # false: every request is an event of its own
    scope: list[str] | UnsetType = UNSET  # an id is unique together with: type, key, header:NAME, query:NAME, a path
    volatile: list[str] | UnsetType = UNSET  # paths of the body that may differ between repeats (attempt counters)


class WebhookInput(Strict, frozen=True):
    """A `*_path` is a path of the body (JSON, form, multipart or XML), `header:NAME` or `query:NAME`."""

    verify: str | CustomScheme
    secret: str | list[str] = ""
    event_type: str = ""  # fixed type; "" reads the places of the provider, then "type" in the body
    type_header: str = ""
    type_path: str = ""
    id_header: str = ""  # delivery id; without a provider's own, webhook-id and Idempotency-Key are understood
    id_path: str = ""
    key_path: str = ""
    time_path: str = ""  # when it happened
    dedupe: Dedupe = field(default_factory=Dedupe)
    forward_headers: list[str] = []  # request headers that go on to receivers, beside the provider's; "x-foo-*" too
    handshake: str = ""  # the provider whose handshake is answered; only for a scheme of your own and for "none"
    answer: AnswerTable | None = None
    methods: list[Literal["POST", "GET", "PUT", "PATCH", "DELETE"]] = []  # by default those of the provider, else POST
    handshake_token: str = ""  # the verify token of a handshake (Meta)
    split: str = ""  # path of a list in the body of which each item is an event; "$" is the body, "auto" the provider's
    max_body: Size | None = None  # by default what the provider sends at most, else 1 MiB


class FormInput(Strict, frozen=True):
    event_type: str = "form.submitted"
    redirect: str = ""
    honeypot: str = ""  # a field that people leave empty; a form that fills it is dropped
    key_field: str = ""
    max_body: Size = "64KiB"


class PublishInput(Strict, frozen=True):
    max_body: Size = "1MiB"


class Auth(Strict, frozen=True, tag_field="type"):
    """A credential. The structs of its kinds are in `tidegate.auth`; the tag is the kind."""


# Kinds of credential that are planned. One without a file in `tidegate.auth` is rejected by name.
AUTH_PLANNED: tuple[str, ...] = ()


class Proxy(Strict, frozen=True):
    """An outbound HTTP proxy, for keys beyond its URL."""

    url: str
    username: str = ""
    password: str = ""
    ca: str = ""  # authorities in PEM of an https proxy
    resolve: Literal["here", "proxy"] = "here"  # who looks up the name of the target


class Paginator(Strict, frozen=True, tag_field="type"):
    """How the next page of a list is found. The structs of the kinds are in `tidegate.rules.sync.paginators`."""


# -- destinations ----------------------------------------------------------------------------------------

DEFAULT_RETRY_ON = ("connection", "tls", "timeout", "3xx", "4xx", "5xx")
DEFAULT_RETRY = ("5s", "5m", "30m", "2h", "5h", "10h", "10h")


class Destination(Strict, frozen=True, tag_field="type"):
    """One receiver: the keys that every kind has. The structs of the kinds are in `tidegate.kinds`."""

    default_tag: ClassVar[str] = "webhook"  # the kind when `type` is left out

    description: str = ""
    timeout: Duration = "15s"
    concurrency: Concurrency = 8
    rate: Rate | None = None
    retry: list[Duration] = field(default_factory=lambda: list(DEFAULT_RETRY))
    retry_on: list[str | int] = field(default_factory=lambda: list(DEFAULT_RETRY_ON))
    ordered_by: str = ""
    start: str = "end"
    retry_after_cap: Duration = "1h"
    give_up_after: Duration = "5d"
    ca: str = ""  # authorities in PEM, in place of the system's
    proxy: str | Proxy = ""


# Kinds of destination that are planned. One without a file in `tidegate.kinds` is rejected by name.
DESTINATION_PLANNED = (
    "api",
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
    pick: list[str] = []  # dotted paths that stay; paths start at the event ("data.object.id")
    rename: dict[str, str] = {}  # from path -> to path
    set: dict[str, Any] = {}  # path -> a constant, or "{{ path }}" of the event as it came


class Route(Strict, frozen=True):
    from_: str | list[str] = field(name="from")
    to: str | list[str]
    types: list[str] | UnsetType = UNSET
    changes: list[str] | UnsetType = UNSET
    filter: dict[str, Any] = {}
    transform: Transform | None = None
    enabled: bool = True
