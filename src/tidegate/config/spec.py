"""The whole file as structs: sources with their API, every kind of destination, routes and settings.

Owns only the structs that need the registries: the unions are built from the structs of `tidegate.auth` and
`tidegate.kinds`, so the loader, the API, the export, the JSON Schema and the reference know a new kind without a change
here. Everything else that a user writes is in `tidegate.core.spec`. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from tidegate.auth import AnyAuth
from tidegate.core.model import JsonObject
from tidegate.core.spec import (
    CA,
    PROXY,
    Alerts,
    Duration,
    Egress,
    FormInput,
    GatewaySettings,
    Name,
    Operation,
    Price,
    Proxy,
    PublishInput,
    Rate,
    Retention,
    Route,
    Size,
    Strict,
    WebhookInput,
    doc,
)
from tidegate.kinds import AnyDestination
from tidegate.rules.sync.limits import Limits
from tidegate.rules.sync.spec import Resource


class ApiInput(Strict, frozen=True):
    base_url: Annotated[
        str, doc("URL to which the paths of resources are appended; `{credential.NAME}` is what was captured.")
    ]
    provider: Annotated[str, doc("The provider file that describes the API; it gives every key that is left out.")] = ""
    with_: Annotated[dict[str, str], doc("Values that the provider file asks for, such as a subdomain.")] = field(
        name="with", default_factory=dict
    )
    auth: Annotated[AnyAuth | None, doc("How requests are authenticated.")] = None
    headers: Annotated[dict[str, str], doc("Headers of every request; `{credential.NAME}` is what was captured.")] = {}
    timeout: Annotated[Duration, doc("Time limit of one request.")] = "30s"
    rate: Annotated[Rate | None, doc("Maximum rate of requests: polls, pulls and operations, on all nodes.")] = None
    limits: Annotated[
        Limits | None, doc("How the API says that its limit is reached, beyond 429 and the usual headers.")
    ] = None
    price_per_call: Annotated[
        Price | None,
        doc("What one request costs, in any currency; 0 is free. For advice and figures."),
    ] = None
    ca: Annotated[str, doc(CA)] = ""
    proxy: Annotated[str | Proxy, doc(PROXY)] = ""


class Credential(Strict, frozen=True, kw_only=True):
    """A credential that several sources and destinations share: one token, one refresh, one budget."""

    description: Annotated[str, doc("A note for people.")] = ""
    auth: Annotated[AnyAuth, doc("The credential itself.")]
    rate: Annotated[
        Rate | None, doc("Maximum rate of requests of all sources and destinations that use it, on all nodes.")
    ] = None
    ca: Annotated[str, doc("Certificates of an authority of your own, for the token service, in PEM.")] = ""
    proxy: Annotated[str | Proxy, doc("The proxy through which the token service is called.")] = ""
    origins: Annotated[
        list[str],
        doc(
            "Origins it may be sent to, such as https://api.example.com. Items made through the API may use it"
            " only for these; without the list, only items of the file may use it."
        ),
    ] = []


class ImapInput(Strict, frozen=True):
    """A mailbox that is read by IMAP."""

    host: Annotated[str, doc("The mail server.")]
    auth: Annotated[AnyAuth, doc("How it logs in: `password`, or a kind with an access token (XOAUTH2).")]
    port: Annotated[int, doc("The port. Default: 993, or 143 with `starttls` and `none`.")] = 0
    tls: Annotated[
        Literal["implicit", "starttls", "none"],
        doc("`implicit`: TLS from the first byte. `starttls`: TLS after a command. `none`: on your own network."),
    ] = "implicit"
    ca: Annotated[str, doc("Certificates of your own authority, in PEM, in place of the system's.")] = ""
    username: Annotated[str, doc("The user of the mailbox, for kinds of `auth` that have no user name.")] = ""
    folder: Annotated[
        str | list[str],
        doc("The folder, or a list of folders. With several, IDLE waits in the first and the others are polled."),
    ] = "INBOX"
    mode: Annotated[
        Literal["auto", "idle", "poll"],
        doc("`idle`: the server says it at once. `poll`: it is asked every `poll`. `auto`: IDLE where offered."),
    ] = "auto"
    poll: Annotated[
        Duration, doc("How often the server is asked: with `poll`, and for further folders with `idle`.")
    ] = "5m"
    max_message: Annotated[
        Size, doc("Maximum size of a mail; of a larger one only the header is read, and the event says so.")
    ] = "10MiB"
    attachments: Annotated[
        Literal["none", "meta", "keep"],
        doc("`meta`: name, type, size and digest. `keep`: the content too, in Base64. `none`: nothing."),
    ] = "meta"
    mark_seen: Annotated[bool, doc("Mark mails as read after they were stored.")] = False
    move_to: Annotated[str, doc("Move mails to this folder after they were stored.")] = ""
    trusted_host: Annotated[
        str, doc("Whose Authentication-Results are repeated in `sender_checks`. Default: the topmost one.")
    ] = ""

    @property
    def login_name(self) -> str:
        return str(getattr(self.auth, "username", "") or self.username)


class Source(Strict, frozen=True):
    """One outside system, with one or more inputs."""

    description: Annotated[str, doc("A note for people.")] = ""
    webhook: Annotated[WebhookInput | None, doc("Receives webhooks at POST /in/NAME.")] = None
    form: Annotated[FormInput | None, doc("Receives HTML forms at POST /in/NAME.")] = None
    publish: Annotated[
        PublishInput | None, doc("Accepts events at POST /api/v1/events with an API key for this source.")
    ] = None
    api: Annotated[ApiInput | None, doc("How the API of the source is called.")] = None
    imap: Annotated[ImapInput | None, doc("A mailbox: each new mail becomes an event `mail.received`.")] = None
    resources: Annotated[dict[Name, Resource], doc("Lists of records in the API of the source, by name.")] = {}
    operations: Annotated[
        dict[Name, Operation], doc("Calls that change something in the API of the source, by name.")
    ] = {}


class ExpandedSource(Source, frozen=True):
    """A source that takes keys from a provider file, with all of them filled in (`config/expand.py`)."""

    written: JsonObject = {}  # the source as the user wrote it: what exports, the API and pages show


SETTINGS = ("gateway", "egress", "retention", "alerts")  # the tables of `Config` that are not items


class Config(Strict, frozen=True):
    """The whole file."""

    gateway: Annotated[GatewaySettings, doc("Settings of the gateway.")] = field(default_factory=GatewaySettings)
    egress: Annotated[Egress, doc("Private addresses that Tidegate may call.")] = field(default_factory=Egress)
    retention: Annotated[Retention, doc("How long events are kept.")] = field(default_factory=Retention)
    alerts: Annotated[Alerts, doc("When a state of the gateway becomes a system event.")] = field(
        default_factory=Alerts
    )
    credentials: Annotated[
        dict[Name, Credential], doc("Credentials that several sources and destinations share, by name.")
    ] = {}
    sources: Annotated[dict[Name, Source], doc("Outside systems that send events or have data, by name.")] = {}
    destinations: Annotated[dict[Name, AnyDestination], doc("Receivers, by name.")] = {}
    routes: Annotated[
        dict[Name, Route],
        doc("Which events go to which destinations, by name. For each destination the first match counts."),
    ] = {}
