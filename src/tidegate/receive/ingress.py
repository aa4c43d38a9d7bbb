"""`/in/SOURCE`: a bare ASGI application that answers 202 only when the event is on disk.

Owns the order of the checks: source, method, capacity, size, body, signature, handshake, hops, reading, routing,
append. This is the hottest path of the gateway, so it creates no task and no timer per request and reads the headers
once; one sweep per second finds bodies that arrive too slowly. It gets sources from a function, routing from `Router`
and the log from its protocol. It does not know which configuration, store or server is in use.

Invariants: no 2xx answer before `append` returns (a handshake and a dropped form store nothing); a rejected caller
learns the status but not which check failed; a failure of the gateway is answered 503 with `Retry-After`, never 4xx.
Crash: if an event was appended but not answered, the provider sends it again, and its delivery id identifies it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Protocol

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.findings import Findings
from tidegate.core.ids import event_id
from tidegate.core.model import Appended, NewEvent, Origin
from tidegate.receive.body_budget import BodyBudget, Lease
from tidegate.receive.forms import form_answer, read_form
from tidegate.receive.handshakes import HandshakeRequest, Reply, handshake_request
from tidegate.receive.inputs import Input
from tidegate.receive.reading import MAX_HOPS, Reading, content_hash, hops_of
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.redaction import keep_headers, keep_query
from tidegate.rules.inbound.repeats import is_repeat
from tidegate.rules.inbound.signatures import Verification
from tidegate.rules.language.view import QUERY, event_view
from tidegate.store import Log, Rejection

BODY_SECONDS = 15.0  # for the whole body, however slowly it arrives
SWEEP_SECONDS = 1.0
CONTENT_TYPE_BYTES = 255
SHOWN_PATH = 100  # characters of an unknown path in the list of rejected requests

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Router(Protocol):
    """Decides which destinations want an event. `decide` returns None when the decision has no number yet."""

    def decide(
        self, source: str, type: str, view: Callable[[], dict[str, Any]], resource: str | None = None
    ) -> int | None: ...

    async def decide_slow(
        self, source: str, type: str, view: Callable[[], dict[str, Any]], resource: str | None = None
    ) -> int: ...


# -- constant answers ------------------------------------------------------------------------------------


def _problem(status: int, code: str, title: str, detail: str, *more: tuple[bytes, bytes]) -> Reply:
    """A problem document (RFC 9457), built once at import."""
    body = msgspec.json.encode(
        {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    )
    head = ((b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body)), *more)
    return Reply(status, head, body)


_CLOSE = (b"connection", b"close")  # the rest of the body is not read
_NOT_FOUND = _problem(404, "source_unknown", "Not Found", "there is no source with this name")
_UNAUTHORIZED = _problem(
    401,
    "signature_refused",
    "Unauthorized",
    "the request is not signed as this source expects",
    (b"www-authenticate", b"Signature"),
)
_TOO_LARGE = _problem(413, "too_large", "Content Too Large", "the body is larger than this source accepts", _CLOSE)
_TOO_SLOW = _problem(408, "too_slow", "Request Timeout", "the body did not arrive in time", _CLOSE)
_HOPS = _problem(
    400,
    "hops_exceeded",
    "Bad Request",
    f"the event passed through more than {MAX_HOPS} gateways; this is probably a loop",
)
_NO_FORM = _problem(415, "content_type", "Unsupported Media Type", "send the form as application/x-www-form-urlencoded")
_MANY_FIELDS = _problem(413, "too_many_fields", "Content Too Large", "the form has too many fields")

# `{"id":"evt_..."}`: an id always has 23 characters, so the heads can be built in advance.
_ID_LENGTH = len(b'{"id":""}') + len(event_id("000000", 0))
_ID_HEAD = [(b"content-type", b"application/json"), (b"content-length", b"%d" % _ID_LENGTH)]
_ACCEPTED: MutableMapping[str, Any] = {"type": "http.response.start", "status": 202, "headers": _ID_HEAD}
_AGAIN: MutableMapping[str, Any] = {"type": "http.response.start", "status": 200, "headers": _ID_HEAD}


def _unavailable(retry_after_seconds: float | None, *more: tuple[bytes, bytes]) -> Reply:
    wait = max(1, round(retry_after_seconds or 1))
    return _problem(
        503,
        "over_capacity",
        "Service Unavailable",
        "the event cannot be stored right now; send it again after Retry-After",
        (b"retry-after", b"%d" % wait),
        *more,
    )


_BUSY = _unavailable(1)
_FULL = _unavailable(1, _CLOSE)  # too many bytes of bodies are held; the rest of this one is not read


async def _send(send: Send, reply: Reply) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)})
    await send({"type": "http.response.body", "body": reply.body})


# -- the application -------------------------------------------------------------------------------------


class _Rejected(Exception):
    """Ends the checks of a request with an answer. `reason` is for the operator; "" keeps no row."""

    def __init__(self, reply: Reply, reason: str = "", detail: str = "") -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason
        self.detail = detail


class _Gone(Exception):
    """The caller closed the connection, so nothing can be answered."""


class Ingress:
    """ASGI application for `/in/SOURCE`.

    `sources` returns the input of a name, `reject` keeps a rejection for the operator, and `busy` returns whether the
    gateway is at its capacity. None of the three may block.
    """

    def __init__(
        self,
        log: Log,
        sources: Callable[[str], Input | None],
        router: Router,
        clock: Clock,
        reject: Callable[[Rejection], None],
        busy: Callable[[], bool],
        *,
        findings: Findings | None = None,
    ) -> None:
        self._log = log
        self._sources = sources
        self._router = router
        self._clock = clock
        self._findings = findings or Findings(clock)
        self._reject = reject
        self._busy = busy
        self.budget = BodyBudget()
        # Tasks that wait for a body: since when, and what they hold. Oldest first.
        self._reading: dict[asyncio.Task[Any], tuple[float, Lease]] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._crowded_out: set[asyncio.Task[Any]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        source = scope["path"][4:]  # after "/in/"
        if source.endswith("/"):  # many forms for webhook addresses add one
            source = source[:-1]
        try:
            await self._handle(source, scope, receive, send)
        except _Rejected as rejected:
            if rejected.reason:
                self._record(source, scope, rejected.reason, rejected.detail)
            await _send(send, rejected.reply)
        except _Gone:
            return
        except TidegateError as error:
            # The store failed, or an input does not compile. The provider cannot fix either, so it should try again.
            self._record(source, scope, error.code, error.message)
            await _send(send, _unavailable(error.retry_after_seconds))

    async def _handle(self, source: str, scope: Scope, receive: Receive, send: Send) -> None:
        input = self._sources(source)
        if input is None:
            raise _Rejected(_NOT_FOUND, "source_unknown", f"{scope['method']} {scope['path'][:SHOWN_PATH]}")
        headers: Headers = dict(scope["headers"])
        if scope["method"] != "POST":
            await _send(send, self._other_method(input, scope, headers))
            return
        if self._busy():
            raise _Rejected(_BUSY)
        with Lease(self.budget, input.source) as lease:
            await self._take(input, scope, headers, await self._body(input, headers, receive, lease), send)

    async def _take(self, input: Input, scope: Scope, headers: Headers, body: bytes, send: Send) -> None:
        request = handshake_request(headers, scope["query_string"], body) if input.post_handshakes else None
        reply = _handshake(input, request, signed=False)
        if reply is None:
            now_us = self._clock.now_us()
            if input.verify is not None:
                self._verify(input, scope, headers, body, now_us // 1_000_000)
                reply = _handshake(input, request, signed=True)
            if reply is None:
                await self._accept(input, scope, headers, body, now_us, send)
                return
        await _send(send, reply)

    async def _accept(self, input: Input, scope: Scope, headers: Headers, body: bytes, now_us: int, send: Send) -> None:
        hops = hops_of(headers)
        if hops > MAX_HOPS + 1:
            raise _Rejected(_HOPS, "hops_exceeded", f"tidegate-hops says {hops - 1}")
        if input.form is not None:
            await self._accept_form(input, scope, headers, body, now_us, hops, send)
            return
        assert input.read is not None
        reading = input.read(headers, body, scope["query_string"])
        if reading.unreadable:
            self._findings.report("body_unreadable", f"source:{input.source}", reading.unreadable)
        offset, duplicate = await self._append(input, Origin.WEBHOOK, reading, scope, headers, body, now_us, hops)
        if input.answer is not None:
            await _send(send, input.answer)
            return
        await send(_AGAIN if duplicate else _ACCEPTED)
        text = f'{{"id":"{event_id(self._log.instance, offset)}"}}'
        await send({"type": "http.response.body", "body": text.encode()})

    async def _accept_form(
        self, input: Input, scope: Scope, headers: Headers, body: bytes, now_us: int, hops: int, send: Send
    ) -> None:
        assert input.form is not None
        form = read_form(input.form, headers, body)
        if form.rejected:
            seen = headers.get(b"content-type", b"").decode("latin-1")
            raise _Rejected(_NO_FORM if form.rejected == "content_type" else _MANY_FIELDS, form.rejected, seen[:100])
        if form.reading is None:
            self._record(input.source, scope, "honeypot", f"the field {input.form.honeypot!r} was filled")
            await _send(send, form_answer(input.form, headers, None))
            return
        offset, duplicate = await self._append(input, Origin.FORM, form.reading, scope, headers, body, now_us, hops)
        id_ = event_id(self._log.instance, offset)
        await _send(send, form_answer(input.form, headers, id_, duplicate=duplicate))

    async def _append(
        self,
        input: Input,
        origin: Origin,
        reading: Reading,
        scope: Scope,
        headers: Headers,
        body: bytes,
        now_us: int,
        hops: int,
    ) -> tuple[int, bool]:
        """Decide which destinations want the event and store it. Returns (offset, whether it was stored before)."""
        delivery_id = reading.delivery_id
        query = scope["query_string"]
        event = NewEvent(
            input.source,
            reading.type,
            origin,
            now_us,
            0,
            body,
            headers.get(b"content-type", b"")[:CONTENT_TYPE_BYTES].decode("latin-1"),
            keep_headers(scope["headers"], ((QUERY, keep_query(query)),) if query else ()),
            reading.key,
            reading.occurred_at_us,
            reading.data_path,
            delivery_id,
            content_hash(reading.type, body) if delivery_id is not None else b"",
            b"",
            hops,
        )
        view = partial(event_view, event)
        audience = self._router.decide(input.source, reading.type, view)
        if audience is None:
            audience = await self._router.decide_slow(input.source, reading.type, view)
        event.audience = audience
        appended = (await self._log.append((event,)))[0]
        if appended.differs:
            appended = await self._known_id(input, event, appended)
        return appended.offset, appended.duplicate

    async def _known_id(self, input: Input, event: NewEvent, known: Appended) -> Appended:
        """The delivery id came before with other content: a repeat that differs in volatile paths only, or an event
        of its own, which is stored under an id that includes its content."""
        first = await self._log.read((known.offset,))
        if first and is_repeat(first[0], event, input.volatile):
            return known
        delivery_id = event.dedupe_id
        event.dedupe_id = f"{delivery_id}\0{event.body_hash.hex()}"
        appended = (await self._log.append((event,)))[0]
        if not appended.duplicate:
            sample = f"{str(delivery_id).partition(chr(0))[0]} came with {event.type}"
            self._findings.report("delivery_id_reused", f"source:{input.source}", sample)
        return appended

    # -- checks ------------------------------------------------------------------------------------------

    def _verify(self, input: Input, scope: Scope, headers: Headers, body: bytes, now_s: int) -> None:
        assert input.verify is not None
        query = scope["query_string"]
        url = f"{input.url}/" if input.url and scope["path"].endswith("/") else input.url
        if query:
            url = f"{url}?{query.decode('latin-1')}"
        verification = input.verify(headers, body, url, now_s)
        if verification is not Verification.OK:
            raise _Rejected(_UNAUTHORIZED, verification.value, f"{len(body)} bytes")

    def _other_method(self, input: Input, scope: Scope, headers: Headers) -> Reply:
        """A handshake by GET, HEAD or OPTIONS, else 405. The body of such a request is not read."""
        request = handshake_request(headers, scope["query_string"], b"")
        for rule in input.handshakes:
            if rule.method == scope["method"] and not rule.signed:
                reply = rule.answer(request)
                if reply is not None:
                    return reply
        detail = f"this address accepts {input.allow.decode()}"
        self._record(input.source, scope, "method_not_allowed", f"{scope['method']}; {detail}")
        return _problem(405, "method_not_allowed", "Method Not Allowed", detail, (b"allow", input.allow))

    def _record(self, source: str, scope: Scope, reason: str, detail: str) -> None:
        client = scope.get("client")
        remote = str(client[0]) if client else ""
        self._reject(Rejection(self._clock.now_us(), source, reason, detail, remote))

    # -- the body ----------------------------------------------------------------------------------------

    async def _body(self, input: Input, headers: Headers, receive: Receive, lease: Lease) -> bytes:
        """The whole body. A declared length over the limit is rejected before reading, any other at the limit."""
        declared = headers.get(b"content-length")
        if declared is not None and declared.isdigit() and int(declared[:20]) > input.max_body:
            raise _Rejected(_TOO_LARGE, "too_large", f"content-length {declared[:20].decode()}")
        task = asyncio.current_task()
        assert task is not None
        self._reading[task] = (self._clock.monotonic(), lease)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._swept)
        try:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            body: bytes = message.get("body", b"")
            more: bool = message.get("more_body", False)
            self._hold(task, lease, len(body), whole=not more)
            if more:
                body = await self._rest(task, body, input.max_body, receive, lease)
        except asyncio.CancelledError:
            raise self._cut_off(task) from None
        finally:
            del self._reading[task]
            self._late.discard(task)
            self._crowded_out.discard(task)
        if len(body) > input.max_body:
            raise _Rejected(_TOO_LARGE, "too_large", f"more than {input.max_body} bytes")
        return body

    async def _rest(self, task: asyncio.Task[Any], first: bytes, limit: int, receive: Receive, lease: Lease) -> bytes:
        parts, size = [first], len(first)
        while size <= limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part = message.get("body", b"")
            more = message.get("more_body", False)
            self._hold(task, lease, len(part), whole=not more)
            parts.append(part)
            size += len(part)
            if not more:
                break
        return b"".join(parts)

    def _hold(self, task: asyncio.Task[Any], lease: Lease, count: int, *, whole: bool) -> None:
        """Count bytes that were read. When there are too many, the body that is read for the longest gives way: of this
        source, or of the source that holds the most. That may be this one.
        """
        crowded = self.budget.crowded(lease.source, count, whole=whole)
        lease.add(count)
        if crowded is None:
            return
        source = crowded or self.budget.largest()
        self._findings.report("bodies_full", f"source:{source}")
        leaving = next((one for one, (_, held) in self._reading.items() if held.source == source and held.held), task)
        if leaving is task:
            raise _Rejected(_FULL)
        self._reading[leaving][1].end()
        self._crowded_out.add(leaving)
        leaving.cancel()

    def _cut_off(self, task: asyncio.Task[Any]) -> BaseException:
        """What a reading that was canceled raises: an answer when this module canceled it."""
        if task in self._crowded_out:
            task.uncancel()
            return _Rejected(_FULL)
        if task in self._late:
            task.uncancel()
            return _Rejected(_TOO_SLOW, "too_slow", f"not complete after {BODY_SECONDS:g} s")
        return asyncio.CancelledError()

    def _swept(self) -> None:
        self._sweeper = None
        self.sweep()
        if self._reading:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._swept)

    def sweep(self) -> None:
        """Cancel the requests whose body takes too long. Each of them then answers 408."""
        oldest = self._clock.monotonic() - BODY_SECONDS
        for task, (since, _) in self._reading.items():
            if since >= oldest:
                break  # tasks are in the order in which they started
            if task not in self._late:
                self._late.add(task)
                task.cancel()


def _handshake(input: Input, request: HandshakeRequest | None, *, signed: bool) -> Reply | None:
    if request is None:
        return None
    for rule in input.handshakes:
        if rule.method == "POST" and rule.signed is signed:
            reply = rule.answer(request)
            if reply is not None:
                return reply
    return None
