"""The whole file as structs: sources with their API, every kind of destination, routes and settings.

Owns only the structs that need the registries: the unions are built from the structs of `tidegate.auth` and
`tidegate.kinds`, so the loader, the API, the export, the JSON Schema and the reference know a new kind without a change
here. Everything else that a user writes is in `tidegate.core.spec`. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from tidegate.auth import AnyAuth
from tidegate.core.spec import (
    Alerts,
    Duration,
    Egress,
    FormInput,
    GatewaySettings,
    Name,
    Proxy,
    PublishInput,
    Rate,
    Retention,
    Route,
    Size,
    Strict,
    WebhookInput,
)
from tidegate.kinds import AnyDestination
from tidegate.rules.sync.spec import Resource


class ApiInput(Strict, frozen=True):
    base_url: str
    auth: AnyAuth | None = None
    headers: dict[str, str] = {}
    timeout: Duration = "30s"
    rate: Rate | None = None
    ca: str = ""  # authorities in PEM, in place of the system's
    proxy: str | Proxy = ""


class Credential(Strict, frozen=True, kw_only=True):
    """A credential that several sources and destinations share: one token, one refresh, one budget."""

    description: str = ""
    auth: AnyAuth
    rate: Rate | None = None
    origins: list[str] = []


class ImapInput(Strict, frozen=True):
    """A mailbox that is read by IMAP."""

    host: str
    auth: AnyAuth
    port: int = 0  # 0: 993, or 143 without TLS at once
    tls: Literal["implicit", "starttls", "none"] = "implicit"
    ca: str = ""
    username: str = ""  # for kinds of auth that have none of their own (XOAUTH2)
    folder: str | list[str] = "INBOX"
    mode: Literal["auto", "idle", "poll"] = "auto"
    poll: Duration = "5m"
    max_message: Size = "10MiB"
    attachments: Literal["none", "meta", "keep"] = "meta"
    mark_seen: bool = False
    move_to: str = ""
    trusted_host: str = ""

    @property
    def login_name(self) -> str:
        return str(getattr(self.auth, "username", "") or self.username)


class Source(Strict, frozen=True):
    """One outside system, with one or more inputs."""

    description: str = ""
    webhook: WebhookInput | None = None
    form: FormInput | None = None
    publish: PublishInput | None = None
    api: ApiInput | None = None
    imap: ImapInput | None = None
    resources: dict[Name, Resource] = {}


SETTINGS = ("gateway", "egress", "retention", "alerts")  # the tables of `Config` that are not items


class Config(Strict, frozen=True):
    """The whole file."""

    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    egress: Egress = field(default_factory=Egress)
    retention: Retention = field(default_factory=Retention)
    alerts: Alerts = field(default_factory=Alerts)
    credentials: dict[Name, Credential] = {}
    sources: dict[Name, Source] = {}
    destinations: dict[Name, AnyDestination] = {}
    routes: dict[Name, Route] = {}
