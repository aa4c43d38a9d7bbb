"""The ASGI app: ingress, API, OpenAPI document, health, metrics and pages on one address.

Owns which path goes where. Hot paths (`/in/*`, cached pulls, publishing) bypass the router. Without a key or a session,
only `/in/*`, `/livez`, `/readyz` and the sign-in page respond. When the gateway stops, the streams end first, so the
server does not wait for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.api import openapi
from tidegate.api.calls import Call, RawResponse, context_of
from tidegate.api.endpoint import Endpoint, Entry, address_of, authenticate, header_map, send_bytes, send_problem
from tidegate.api.routes import PREFIX, TABLE
from tidegate.core.errors import NotFound, TidegateError

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

Pages = Callable[["Gateway"], Sequence[BaseRoute]]

_PULL = f"{PREFIX}/pull/"
_PUBLISH = f"{PREFIX}/events"


class _Key(Convertor[str]):
    """The key of a record is any text; Starlette's own `path` stops at the end of a line."""

    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("key", _Key())


async def make_app(gateway: Gateway, pages: Pages | None = None) -> App:
    """The app of one gateway. `pages` makes the routes at `/`, when the first page is asked for; without it, only the
    API answers.
    """
    app = App(gateway, pages)
    await app.context.keyring.reload()
    return app


class App:
    """The ASGI app. `context` has the keyring, the sessions and the streams."""

    def __init__(self, gateway: Gateway, pages: Pages | None) -> None:
        self.gateway = gateway
        self.context = context_of(gateway)
        self._ending = asyncio.get_running_loop().create_task(self._end_streams(), name="streams end")
        self._nothing = Endpoint(self.context, ())
        self._documents = {path: Endpoint(self.context, (entry,)) for path, entry in _DOCUMENTS.items()}
        self._health = {"/livez": self._livez, "/readyz": self._readyz}
        by_path: dict[str, list[Entry]] = {}
        for entry in TABLE:
            by_path.setdefault(entry.path, []).append(entry)
        endpoints = {path: Endpoint(self.context, entries) for path, entries in by_path.items()}
        self._publish = endpoints["/events"]
        self._pull_list, self._pull_item = (
            endpoints["/pull/{source}/{resource}"],
            endpoints["/pull/{source}/{resource}/{key}"],
        )
        self._api = Router(
            [Route(PREFIX + path.replace("{key}", "{key:key}"), endpoint) for path, endpoint in endpoints.items()],
            redirect_slashes=False,
            default=self._missing,
        )
        self._make_pages = pages
        self._pages: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._lifespan(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith("/in/"):
            # With a port of its own, ingress is on that port only.
            door = self.gateway.ingress if self.gateway.options.ingest_port is None else self._missing
            await door(scope, receive, send)
        elif path.startswith(_PULL):
            await self._pull(scope, receive, send)
        elif path == _PUBLISH:
            scope["path_params"] = {}
            await self._publish(scope, receive, send)
        elif path.startswith("/api/"):
            await self._api(scope, receive, send)
        elif path in self._health:
            await self._health[path](send)
        elif path in self._documents:
            await self._documents[path](scope, receive, send)
        else:
            await self._page(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _pull(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Routes pulls without the router, because cached pulls are a hot path."""
        segments = scope["raw_path"].split(b"/")  # "", api, v1, pull, SOURCE, RESOURCE[, KEY]
        if len(segments) not in (6, 7) or not all(segments[4:]):
            await self._missing(scope, receive, send)
            return
        names = zip(("source", "resource", "key"), segments[4:], strict=False)
        scope["path_params"] = {}
        scope["raw_params"] = dict(names)
        await (self._pull_item if len(segments) == 7 else self._pull_list)(scope, receive, send)

    async def _missing(self, scope: Scope, receive: Receive, send: Send) -> None:
        """404, but only for callers with a key or a session."""
        request_id = self.context.next_request_id()
        try:
            await authenticate(self.context, header_map(scope), "GET", address_of(scope))
            raise NotFound(f"there is no path {scope['path'][:200]!r}", hint="for all paths: GET /openapi.json")
        except TidegateError as error:
            await send_problem(send, error, request_id)

    # -- health ------------------------------------------------------------------------------------------

    async def _livez(self, send: Send) -> None:
        await self._send_json(send, 200, {"status": "live"})

    async def _readyz(self, send: Send) -> None:
        reason = self.gateway.ready()
        body = {"status": "ready"} if reason is None else {"status": "not ready", "reason": reason}
        await self._send_json(send, 200 if reason is None else 503, body)

    async def _send_json(self, send: Send, status: int, body: dict[str, str]) -> None:
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send_bytes(send, status, headers, msgspec.json.encode(body), self.context.next_request_id())

    # -- pages -------------------------------------------------------------------------------------------

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The pages check the Host, the session and the CSRF token themselves, so that errors are pages too."""
        if self._make_pages is None:
            await self._missing(scope, receive, send)
            return
        if self._pages is None:
            # In a thread, because it loads the dashboard: events and deliveries go on meanwhile.
            made = await asyncio.to_thread(self._make_pages, self.gateway)
            self._pages = self._pages or Router(list(made), redirect_slashes=False)
        scope["tidegate"] = self.context
        await self._pages(scope, receive, send)

    async def _end_streams(self) -> None:
        await self.gateway.stopping.wait()
        self.context.hub.close()


async def _document(_call: Call) -> RawResponse:
    return RawResponse(body=openapi.document(), headers=[("content-type", "application/json")])


async def _metrics(call: Call) -> RawResponse:
    from tidegate.api import metrics  # prometheus_client brings an HTTP server, and many gateways are never scraped

    text, content_type = await metrics.exposition(call.context)
    return RawResponse(body=text, headers=[("content-type", content_type)])


_DOCUMENTS = {
    "/openapi.json": Entry(
        method="GET", path="/openapi.json", scope="", handler=_document, response=bytes, bound=True,
        summary="This document",
    ),
    "/metrics": Entry(
        method="GET", path="/metrics", scope="read", handler=_metrics, response=bytes, summary="Prometheus metrics",
    ),
}  # fmt: skip
