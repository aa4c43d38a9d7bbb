"""One API call as handlers see it: the caller, the request, and the response. Knows no HTTP library.

`Context` is what all calls of one app share. `Call` is one request after its rights, parameters and body were checked.
`RawResponse` and `StreamResponse` are for responses that are not plain JSON. Crash: nothing here is durable.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from tidegate.api.keys import Grant, Keyring
from tidegate.api.sessions import Sessions, host_name
from tidegate.query import cursors
from tidegate.query.schemas import Page
from tidegate.query.stream import Hub

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

T = TypeVar("T")


class Context:
    """The keys, sessions and streams of one app. Made with the gateway, on its event loop."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.keyring = Keyring(gateway.store.settings, gateway.clock)
        self.sessions = Sessions(gateway.store.settings, self.keyring, gateway.clock)
        self.hub = Hub(gateway.store.log)
        self._boot = secrets.token_hex(4)
        self._count = itertools.count(1)
        if gateway.options.admin_key:
            self.keyring.fix(gateway.options.admin_key, "TIDEGATE_ADMIN_KEY")

    def next_request_id(self) -> str:
        return f"req_{self._boot}{next(self._count):08x}"

    def host_names(self) -> list[str]:
        """Host names that a browser may use, besides addresses and localhost."""
        settings = self.gateway.active.settings.gateway
        names = [self.gateway.options.host, *settings.allowed_hosts]
        if settings.public_url:
            names.append(self._public_name())
        return names

    def _public_name(self) -> str:
        return host_name(self.gateway.active.settings.gateway.public_url.partition("://")[2].partition("/")[0])

    def over_tls(self, scheme: str, host: str) -> bool:
        """Whether the browser uses TLS, with this gateway or with the proxy that `public_url` names.

        X-Forwarded-Proto is ignored, because any client can send it.
        """
        public = self.gateway.active.settings.gateway.public_url
        return scheme == "https" or (public.lower().startswith("https://") and host_name(host) == self._public_name())


_contexts: WeakKeyDictionary[Gateway, Context] = WeakKeyDictionary()


def context_of(gateway: Gateway) -> Context:
    """The one context of a gateway, made at the first call on its event loop."""
    context = _contexts.get(gateway)
    if context is None:
        context = _contexts[gateway] = Context(gateway)
    return context


class Call(msgspec.Struct, kw_only=True):
    """One request whose rights, parameters and body were checked."""

    context: Context
    grant: Grant
    path: dict[str, str]
    query: dict[str, Any]  # parsed by the table: absent ones are missing, or have their default
    body: Any  # of the type that the table names, or bytes
    query_string: bytes  # as sent, for calls that forward it
    headers: Mapping[str, str]  # lower-case names
    request_id: str

    @property
    def gateway(self) -> Gateway:
        return self.context.gateway

    def page_of(self, items: Sequence[T], name: Callable[[T], str]) -> Page[T]:
        """The page of a list in memory that `?limit=` and `?cursor=` select."""
        return cursors.page_of(items, name, self.query.get("limit"), self.query.get("cursor"))

    @property
    def allowed(self) -> frozenset[str] | None:
        """The sources that the caller may see; None: all."""
        return self.grant.sources


class RawResponse(msgspec.Struct, kw_only=True):
    """A response with its own status, headers or bytes. `body` is encoded as JSON unless it is bytes."""

    status: int = 200
    body: Any = b""
    headers: list[tuple[str, str]] = []


class StreamResponse(msgspec.Struct, kw_only=True):
    """A response without an end. `close` is called when the client disconnects."""

    chunks: AsyncIterator[bytes]
    close: Callable[[], None]
    headers: list[tuple[str, str]] = []
