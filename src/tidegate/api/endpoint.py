"""Serves one path of the table: rights, parameters, body, handler, response. ASGI without a framework.

The order is fixed: authentication, rights, then the request itself, so an unknown caller learns nothing and costs
little. Bodies are bounded in bytes and time. Every response has the request ID; every error is a problem document.
Responses are harmless in a browser (`nosniff`, sandbox), because they can hold foreign payloads. Crash: nothing here is
durable.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.types import Message, Receive, Scope, Send

from tidegate.api import parameters as query
from tidegate.api import problems, sessions
from tidegate.api.calls import Call, Context, RawResponse, StreamResponse
from tidegate.api.keys import Grant
from tidegate.api.parameters import Parameter
from tidegate.core.errors import BadRequest, Forbidden, NotFound, StoreBusy, TidegateError, Unauthorized
from tidegate.receive.body_budget import Lease
from tidegate.rules.language.numbers import encode_hook, read_float

log = logging.getLogger("tidegate.api")

MAX_BODY_BYTES = 1 << 20
DROPPED_BYTES = 8 << 20
BODY_SECONDS = 20.0
SEND_SECONDS = 30.0  # a client that reads nothing for this long is disconnected
RECHECK_SECONDS = 10.0  # how often the key of an open stream is checked again
API = "(api)"  # what the bodies of API calls count for, beside the sources
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=encode_hook)
_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox; default-src 'none'; frame-ancestors 'none'"),
]
SAFE_HEADERS = [*_SAFE, (b"cache-control", b"no-store")]  # of every response
_JSON = (b"content-type", b"application/json")

Handler = Callable[[Call], Awaitable[Any]]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    `request` None: no body; `bytes`: the handler reads it. `response` None: 204; several: one of them. `bound`: a key
    that is limited to sources may call it, and the handler respects the limit. `statuses`: successes besides `status`.
    """

    method: str
    path: str  # below /api/v1, with {names}
    scope: str
    handler: Handler
    summary: str
    response: Any
    request: Any = None
    documented: Any = None  # the type of the body in the OpenAPI document, where `request` is bytes
    query: tuple[Parameter, ...] = ()
    status: int = 200
    statuses: tuple[int, ...] = ()
    tag: str = ""
    bound: bool = False
    max_body: Callable[[Context], int] | None = None
    free_query: bool = False  # parameters are forwarded (those of a pull go to the source)
    media: str = "application/json"
    other_media: str = ""  # of another format of the same response


class TooLarge(BadRequest):
    code = "body_too_large"
    status = 413


class TooSlow(BadRequest):
    code = "body_too_slow"
    status = 408


class MethodNotAllowed(BadRequest):
    code = "method_not_allowed"
    status = 405


class Disconnected(Exception):
    """The client disconnected before the response."""


class Endpoint:
    """All methods of one path, as an ASGI app for Starlette's router."""

    def __init__(self, context: Context, entries: Sequence[Entry]) -> None:
        self._context = context
        self._entries = {entry.method: entry for entry in entries}
        self.allow = ", ".join(sorted({*self._entries, *(["HEAD"] if "GET" in self._entries else [])}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = self._context.next_request_id()
        try:
            with Lease(self._context.gateway.ingress.budget, API) as lease:
                await self._serve(scope, receive, send, request_id, lease)
        except Disconnected:
            return
        except TidegateError as error:
            if error.status >= 500:
                log.warning("%s: %s", error.code, error.message, extra={"request_id": request_id})
            await send_problem(send, error, request_id, self.allow if error.status == 405 else None)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str, lease: Lease) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        headers = header_map(scope)
        grant = await authenticate(self._context, headers, scope["method"], address_of(scope))
        entry = self._entries.get(method)
        if entry is None:
            raise MethodNotAllowed(f"this path does not support {method[:20]}", hint=f"use {self.allow}")
        if entry.scope:  # "": any key
            grant.need(entry.scope)
        if grant.sources is not None and not entry.bound:
            raise Forbidden(
                f"key {grant.name!r} is limited to sources, and this call is not",
                hint="use a key that is not limited to sources",
            )
        call = Call(
            context=self._context,
            grant=grant,
            path=path_values(scope),
            query={} if entry.free_query else self._query(scope, entry),
            body=await self._body(entry, headers, receive, lease),
            query_string=scope["query_string"],
            headers=headers,
            request_id=request_id,
        )
        try:
            result = await entry.handler(call)
        except TidegateError:
            raise
        except Exception:  # the last resort: reported as `internal`, the log has the rest
            log.exception("%s %s failed", entry.method, entry.path, extra={"request_id": request_id})
            raise TidegateError("internal error", hint=f"see the gateway's log for {request_id}") from None
        if method != "GET" and entry.scope in ("write", "admin"):
            log.info("%s %s", method, scope["path"], extra={"request_id": request_id, "key": grant.name})
        if isinstance(result, StreamResponse):

            async def still_there() -> None:
                await authenticate(self._context, headers, scope["method"], address_of(scope))

            await send_chunks(send, receive, result, request_id, still_there)
        else:
            await send_result(send, entry, result, request_id)

    def _query(self, scope: Scope, entry: Entry) -> dict[str, Any]:
        return query.parse_values(scope["query_string"], entry.query, self._context.gateway.clock.now_us())

    async def _body(self, entry: Entry, headers: Mapping[str, str], receive: Receive, lease: Lease) -> Any:
        if entry.request is None:
            return None
        bound = entry.max_body(self._context) if entry.max_body is not None else MAX_BODY_BYTES
        raw = await read_body(receive, headers, bound, lease)
        if entry.request is bytes:
            return raw
        try:
            return _decoder(entry.request).decode(raw or b"{}")
        except RecursionError:
            raise BadRequest("the body is nested too deeply") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"the body does not match the schema of this call: {error}"[:500]) from None


@functools.cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    """Of the body of a call; there are as many as calls of the API with a body."""
    return msgspec.json.Decoder(shape, float_hook=read_float)


# -- the caller -------------------------------------------------------------------------------------------


def header_map(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def bearer(headers: Mapping[str, str]) -> str | None:
    """The key of an Authorization header; None when there is none. Unauthorized for another scheme."""
    value = headers.get("authorization")
    if value is None:
        return None
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("the Authorization header is not 'Bearer KEY'")
    return token.strip()


def address_of(scope: Scope) -> str:
    """Where the request came from: of the proxy, when there is one."""
    client = scope.get("client")
    return client[0] if client else ""


async def authenticate(context: Context, headers: Mapping[str, str], method: str, address: str = "") -> Grant:
    """By key, else by the browser's session (then the Host and, for changes, the CSRF token are checked too)."""
    token = bearer(headers)
    if token is not None:
        return context.keyring.known(token) or await context.keyring.check(token, address)
    cookie = sessions.cookie_of(headers.get("cookie", ""), headers.get("host", ""))
    grant = await context.sessions.of_cookie(cookie) if cookie else None
    if grant is None:
        raise Unauthorized("this call requires a key")
    sessions.check_host(headers.get("host", ""), context.host_names())
    if method not in sessions.SAFE_METHODS:
        sessions.check_csrf(grant, headers.get(sessions.CSRF_HEADER))
    return grant


# -- the request ---------------------------------------------------------------------------------------


def path_values(scope: Scope) -> dict[str, str]:
    """The values in the path. `key` is one segment as sent, so it can contain an encoded slash."""
    raw: dict[str, bytes] | None = scope.get("raw_params")
    if raw is not None:
        return {name: decode_segment(segment) for name, segment in raw.items()}
    values: dict[str, str] = dict(scope.get("path_params", {}))
    if "key" in values:
        before = scope["path"][: len(scope["path"]) - len(values["key"])].count("/")
        segments = scope["raw_path"].split(b"/")
        if len(segments) != before + 1:
            raise NotFound("there is no such path", hint="a key is one path segment; encode / in it as %2F")
        values["key"] = decode_segment(segments[-1])
    return values


def decode_segment(segment: bytes) -> str:
    """BadRequest when it is not UTF-8."""
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise BadRequest("the path is not UTF-8") from None


async def read_body(receive: Receive, headers: Mapping[str, str], bound: int, lease: Lease | None = None) -> bytes:
    """The body, counted in `lease`. Raises TooLarge, TooSlow, Disconnected, StoreBusy when too many bytes are held.

    Up to DROPPED_BYTES of a body that is too large are read and dropped, so that the client reads the response; with
    more, the connection is closed.
    """
    parts: list[bytes] = []
    size = 0
    length = headers.get("content-length", "")
    stated = int(length) if length.isdigit() and len(length) < 20 else 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = True
            while more and max(size, stated) <= bound + DROPPED_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
                if max(size, stated) <= bound:
                    parts.append(message.get("body", b""))
                    _hold(lease, len(parts[-1]), whole=not more)
    except TimeoutError:
        raise TooSlow(f"the body did not arrive within {BODY_SECONDS:.0f} s") from None
    if max(size, stated) > bound:
        raise TooLarge(f"the body is larger than {bound} bytes", hint="send less in one request")
    return b"".join(parts)


def _hold(lease: Lease | None, count: int, *, whole: bool) -> None:
    if lease is not None:
        if not lease.fits(count, whole=whole):
            raise StoreBusy("too many requests with large bodies at once", retry_after_seconds=1.0)
        lease.add(count)


# -- the response ------------------------------------------------------------------------------------


async def send_problem(send: Send, error: TidegateError, request_id: str, allow: str | None = None) -> None:
    status, headers, body = problems.make(error, request_id)
    if allow is not None:
        headers.append((b"allow", allow.encode()))
    await send_bytes(send, status, [*headers, *_SAFE], body, request_id)


async def send_result(send: Send, entry: Entry, result: Any, request_id: str) -> None:
    headers = list(SAFE_HEADERS)
    if isinstance(result, RawResponse):
        own = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in result.headers]
        names = {name for name, _ in own}
        headers = [*own, *((name, value) for name, value in headers if name not in names)]
        if isinstance(result.body, bytes):
            await send_bytes(send, result.status, headers, result.body, request_id)
        else:
            await send_bytes(send, result.status, [*headers, _JSON], _ENCODER.encode(result.body), request_id)
    elif entry.response is None:
        await send_bytes(send, 204, headers, b"", request_id)
    else:
        await send_bytes(send, entry.status, [*headers, _JSON], _ENCODER.encode(result), request_id)


async def send_bytes(
    send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, request_id: str
) -> None:
    # 204 and 304 have no body and no length (RFC 9110 sections 8.6, 15.4.5).
    bare = status in (204, 304)
    length = [] if bare else [(b"content-length", str(len(body)).encode())]
    start: Message = {
        "type": "http.response.start",
        "status": status,
        "headers": [*headers, *length, (b"x-request-id", request_id.encode())],
    }
    await send(start)
    await send({"type": "http.response.body", "body": b"" if bare else body})


async def send_chunks(
    send: Send, receive: Receive, answer: StreamResponse, request_id: str, still_there: Callable[[], Awaitable[None]]
) -> None:
    """Send until the chunks end, the client disconnects, or it reads nothing for SEND_SECONDS.

    `still_there` raises Unauthorized when the caller's key or session has ended; then the stream ends too.
    """
    own = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers = [*own, *_SAFE, (b"cache-control", b"no-store"), (b"x-request-id", request_id.encode())]

    async def watch() -> None:
        while not await _left(receive, still_there):
            pass
        answer.close()

    watcher = asyncio.create_task(watch(), name=f"stream {request_id}")
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in answer.chunks:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except TimeoutError:
        log.info(
            "a stream was closed: its client read nothing for %s s", SEND_SECONDS, extra={"request_id": request_id}
        )
    finally:
        answer.close()
        watcher.cancel()


async def _left(receive: Receive, still_there: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(RECHECK_SECONDS):
            return bool((await receive())["type"] == "http.disconnect")
    except TimeoutError:
        pass
    try:
        await still_there()
    except (Unauthorized, Forbidden):
        return True
    except TidegateError:
        return False  # the store does not answer at the moment
    return False
