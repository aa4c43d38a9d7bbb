"""`/in/SOURCE`: a bare ASGI application that answers 202 only when the event is on disk.

Owns the order of the checks: source, method, capacity, size, body, signature, handshake, hops, reading, routing,
append. This is the hottest path of the gateway, so it creates no task and no timer per request and reads the headers
once. It gets sources from a function; `accepting.py` stores what passed. It does not know which configuration, store or
server is in use.

Invariants: no 2xx answer before `append` returns (a handshake and a dropped form store nothing); a rejected caller
learns the status but not which check failed; a failure of the gateway is answered 503 with `Retry-After`, never 4xx;
every rejection is recorded with its reason. Crash: if an event was appended but not answered, the provider sends it
again, and its delivery id identifies it.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.findings import Findings
from tidegate.core.ids import event_id
from tidegate.core.model import NewEvent, Origin
from tidegate.receive import answers
from tidegate.receive.accepting import Accepted, Accepter, Router
from tidegate.receive.answers import Send, problem, send_reply
from tidegate.receive.bodies import BODY_SECONDS, Bodies, Gone, Receive, Rejected
from tidegate.receive.body_budget import BodyBudget, Lease
from tidegate.receive.diagnosis import Request, handshake_of, why_unknown, why_unverified
from tidegate.receive.forms import form_answer, read_form
from tidegate.receive.handshakes import HandshakeRequest, Reply, handshake_request
from tidegate.receive.inputs import Input
from tidegate.receive.reading import MAX_HOPS, hops_of
from tidegate.receive.remote_keys import RemoteKeys
from tidegate.receive.splitting import MAX_ITEMS
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.signatures import Checked, Verification, Verifier
from tidegate.store import Log, Rejection

__all__ = ["BODY_SECONDS", "Ingress", "Router"]

log = logging.getLogger("tidegate.receive")

PREFIX = "/in/"
SHOWN_PATH = 100  # characters of an unknown path in the list of rejected requests
SOURCE_CHARACTERS = 63
DIAGNOSES_PER_SECOND = 20  # more rejections get their reason without a diagnosis
_HANDSHAKE_BYTES = 2048  # a request that verifies an address is short

Scope = MutableMapping[str, Any]


class _NeedsKey(Exception):
    """A signature needs the content of a URL that is not here."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class Ingress:
    """ASGI application for `/in/SOURCE`.

    `sources` returns the input of a name, `names` all names, `keys` fetches what providers publish, `reject` keeps a
    rejection for the operator, and `busy` returns whether the gateway is at its capacity. None of them may block, but
    for a fetch of keys, which only the request that needs them waits for.
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
        names: Callable[[], Iterable[str]] = tuple,
        keys: RemoteKeys | None = None,
        over_share: Callable[[str], bool] = lambda _source: False,
    ) -> None:
        self._log = log
        self._sources = sources
        self._names = names
        self._keys = keys
        self._clock = clock
        self._findings = findings or Findings(clock)
        self._accepter = Accepter(log, router, self._findings)
        self._reject = reject
        self._busy = busy
        self._over_share = over_share
        self._bodies = Bodies(clock, self._findings)
        self.sweep = self._bodies.sweep
        self._diagnosed = (0, 0)  # (second, diagnoses in it)

    @property
    def budget(self) -> BodyBudget:
        """The bytes of bodies that are held at once."""
        return self._bodies.budget

    @budget.setter
    def budget(self, budget: BodyBudget) -> None:
        self._bodies.budget = budget

    def for_one(self, input: Input) -> Ingress:
        """The same ingress, with the same bounds and counts, that knows only this input."""
        one = copy.copy(self)
        one._sources = lambda name: input if name == input.source else None
        one._names = tuple
        one._keys = None
        return one

    def drafts(
        self, input: Input, raw_headers: list[tuple[bytes, bytes]], query: bytes, body: bytes, now_us: int
    ) -> list[NewEvent]:
        """The events that a request would become, without a check, a routing decision or storing."""
        headers = _joined(raw_headers)
        request = Accepted(raw_headers, headers, query, body, now_us, hops_of(headers))
        items = input.split(headers, body) if input.split is not None else None
        return self._accepter.drafts(input, request, items)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        source = path[len(PREFIX) :] if path.startswith(PREFIX) else ""
        if source.endswith("/"):  # many forms for webhook addresses add one
            source = source[:-1]
        try:
            await self._handle(source, scope, receive, send)
        except Rejected as rejected:
            if rejected.reason:
                self._record(source, scope, rejected.reason, rejected.detail)
            await send_reply(send, rejected.reply)
        except Gone:
            return
        except TidegateError as error:
            # The store failed, or an input does not compile. The provider cannot fix either, so it should try again.
            self._record(source, scope, error.code, error.message)
            await send_reply(send, answers.unavailable(error.retry_after_seconds))

    async def _handle(self, source: str, scope: Scope, receive: Receive, send: Send) -> None:
        input = self._sources(source) if source else None
        if input is None:
            detail = (
                why_unknown(scope["method"], scope["path"][:SHOWN_PATH], self._names()) if self._may_diagnose() else ""
            )
            raise Rejected(answers.NOT_FOUND, "source_unknown", detail)
        headers = _joined(scope["headers"])
        if scope["method"] != "POST":
            reply = self._other_method(input, scope, headers)
            if reply is not None:
                await send_reply(send, reply)
                return
        if self._busy():
            raise Rejected(answers.BUSY)
        if self._over_share(input.source):
            raise Rejected(answers.OVER_SHARE, "over_share", "the log is full of events that are owed")
        with Lease(self.budget, input.source) as lease:
            body = await self._bodies.read(input.max_body, headers, receive, lease)
            await self._take(input, scope, headers, body, send)

    async def _take(self, input: Input, scope: Scope, headers: Headers, body: bytes, send: Send) -> None:
        request = handshake_request(headers, scope["query_string"], body) if input.post_handshakes else None
        reply = self._handshake(input, request, signed=False)
        if reply is None:
            now_us = self._clock.now_us()
            proof = ""
            if input.verify is not None:
                try:
                    proof = self._verify(input, scope, headers, body, now_us / 1_000_000)
                except _NeedsKey as needed:
                    await self._fetch(needed.url)
                    proof = self._verify(input, scope, headers, body, now_us / 1_000_000, final=True)
            reply = self._handshake(input, request, signed=True)
            if reply is None:
                await self._accept(input, scope, headers, body, now_us, proof, send)
                return
        await send_reply(send, reply)

    async def _accept(
        self, input: Input, scope: Scope, headers: Headers, body: bytes, now_us: int, proof: str, send: Send
    ) -> None:
        hops = hops_of(headers)
        if hops > MAX_HOPS + 1:
            raise Rejected(answers.HOPS, "hops_exceeded", f"tidegate-hops says {hops - 1}")
        request = Accepted(scope["headers"], headers, scope["query_string"], body, now_us, hops, proof)
        if input.form is not None:
            await self._accept_form(input, scope, request, send)
            return
        if input.split is not None:
            items = input.split(headers, body)
            if items is not None:
                if len(items) > MAX_ITEMS:
                    raise Rejected(answers.MANY_ITEMS, "too_many_items", f"{len(items)} items, {MAX_ITEMS} are allowed")
                stored = await self._accepter.items(input, request, items)
                await send_reply(send, input.answer or answers.ids_reply(self._log.instance, stored))
                return
            self._findings.report("split_not_a_list", f"source:{input.source}", f"{len(body)} bytes")
        assert input.read is not None
        if input.verify is None and len(body) <= _HANDSHAKE_BYTES:
            self._look_for_handshake(input, headers, scope["query_string"], body)
        reading = input.read(headers, body, scope["query_string"])
        offset, duplicate = await self._accepter.one(input, Origin.WEBHOOK, reading, request)
        if input.answer is not None:
            await send_reply(send, input.answer)
            return
        await answers.send_id(send, self._log.instance, offset, duplicate=duplicate)

    async def _accept_form(self, input: Input, scope: Scope, request: Accepted, send: Send) -> None:
        assert input.form is not None
        form = read_form(input.form, request.headers, request.body)
        if form.rejected:
            seen = request.headers.get(b"content-type", b"").decode("latin-1")
            reply = answers.NO_FORM if form.rejected == "content_type" else answers.MANY_FIELDS
            raise Rejected(reply, form.rejected, seen[:100])
        if form.reading is None:
            self._record(input.source, scope, "honeypot", f"the field {input.form.honeypot!r} was filled")
            await send_reply(send, form_answer(input.form, request.headers, None))
            return
        offset, duplicate = await self._accepter.one(input, Origin.FORM, form.reading, request)
        id_ = event_id(self._log.instance, offset)
        await send_reply(send, form_answer(input.form, request.headers, id_, duplicate=duplicate))

    # -- checks ------------------------------------------------------------------------------------------

    def _verify(
        self, input: Input, scope: Scope, headers: Headers, body: bytes, now_s: float, *, final: bool = False
    ) -> str:
        """What verified the request: the name of the provider, the numbers of scheme and secret.

        `final`: a key that is missing was fetched, as far as it can be.
        """
        verify = input.verify
        assert verify is not None
        url = f"{input.url}/" if input.url and scope["path"].endswith("/") else input.url
        if query := scope["query_string"]:
            url = f"{url}?{query.decode('latin-1')}"
        checked = verify.check(headers, body, url, now_s, scope["method"])
        if checked.result is Verification.OK:
            return f"{input.provider} {checked.scheme} {checked.secret}"
        if checked.needs and self._keys is not None and not final:
            raise _NeedsKey(checked.needs)
        request = Request(headers, body, url, scope["method"], now_s)
        detail = (
            self._diagnose(input, checked, verify, request, query) if self._may_diagnose() else f"{len(body)} bytes"
        )
        raise Rejected(answers.UNAUTHORIZED, checked.result.value, detail)

    async def _fetch(self, url: str) -> None:
        """Fetch a provider's key. Without it nothing can be said about a signature, so the provider tries again."""
        if self._keys is None or not await self._keys.fetch(url):
            raise Rejected(answers.unavailable(60), "key_unknown", url)

    def _diagnose(self, input: Input, checked: Checked, verify: Verifier, request: Request, query: bytes) -> str:
        """Why, in words. A diagnosis that fails is a defect here and changes nothing for the sender."""
        try:
            words = why_unverified(checked, input.schemes, verify, request, self._others(input))
            path = handshake_request(request.headers, query, request.body).path
            named = handshake_of(request.method, request.headers, query, path)
        except Exception:
            log.exception("a rejection could not be explained")
            return f"{len(request.body)} bytes"
        return f"it looks like the handshake of {named}; {words}" if named else words

    def _others(self, input: Input) -> Iterator[tuple[str, Verifier]]:
        """Verifiers of other sources; a source that does not compile has none."""
        for name in self._names():
            with contextlib.suppress(TidegateError):
                other = self._sources(name) if name != input.source else None
                if other is not None and other.verify is not None:
                    yield name, other.verify

    def _may_diagnose(self) -> bool:
        """A diagnosis can cost as much as many verifications, so their number a second is bounded."""
        second = self._clock.now_us() // 1_000_000
        count = self._diagnosed[1] + 1 if self._diagnosed[0] == second else 1
        self._diagnosed = (second, count)
        return count <= DIAGNOSES_PER_SECOND

    def _other_method(self, input: Input, scope: Scope, headers: Headers) -> Reply | None:
        """A handshake by GET, HEAD or OPTIONS; None for a method that the source accepts; else 405."""
        request = handshake_request(headers, scope["query_string"], b"")
        for rule in input.handshakes:
            if rule.method == scope["method"] and not rule.signed:
                reply = rule.answer(request)
                if reply is not None:
                    return reply
        if scope["method"] in input.methods:
            return None
        detail = f"this address accepts {input.allow.decode()}"
        words = f"{scope['method']}; {detail}"
        if self._may_diagnose() and (
            named := handshake_of(scope["method"], headers, scope["query_string"], request.path)
        ):
            words = f"{words}; it looks like the handshake of {named}: {_remedy(input, named)}"
        self._record(input.source, scope, "method_not_allowed", words)
        return problem(405, "method_not_allowed", "Method Not Allowed", detail, (b"allow", input.allow))

    def _handshake(self, input: Input, request: HandshakeRequest | None, *, signed: bool) -> Reply | None:
        """The answer to a handshake by POST, None for any other request."""
        if request is None:
            return None
        for rule in input.handshakes:
            if rule.method == "POST" and rule.signed is signed:
                reply = rule.answer(request)
                if reply is not None:
                    if value := rule.shown(request):
                        self._findings.report("handshake_value", f"source:{input.source}", f"the value is {value}")
                    return reply
        return None

    def _look_for_handshake(self, input: Input, headers: Headers, query_string: bytes, body: bytes) -> None:
        """An unsigned source stores everything, so a handshake that nobody answered is at least reported."""
        if (
            b"hallenge" not in body
            and b"alidation" not in body
            and b"erification" not in body
            and b"plainToken" not in body
        ):
            return
        named = handshake_of("POST", headers, query_string, handshake_request(headers, query_string, body).path)
        if named:
            self._findings.report(
                "handshake_stored", f"source:{input.source}", f"looks like {named}: {_remedy(input, named)}"
            )

    def _record(self, source: str, scope: Scope, reason: str, detail: str) -> None:
        client = scope.get("client")
        remote = str(client[0]) if client else ""
        shown = source if len(source) <= SOURCE_CHARACTERS and source.isprintable() else f"{source[:20]!r}..."
        self._reject(Rejection(self._clock.now_us(), shown, reason, detail, remote))


def _joined(headers: list[tuple[bytes, bytes]]) -> Headers:
    """Headers by name; a repeated one is joined by a comma (RFC 9110 section 5.3), so that no signature is lost."""
    found = dict(headers)
    if len(found) != len(headers):
        found = {}
        for name, value in headers:
            found[name] = b"%b, %b" % (found[name], value) if name in found else value
    return found


def _remedy(input: Input, named: str) -> str:
    if input.provider == named:
        return "set handshake_token to the token that you entered at the provider"
    return f'set handshake = "{named}" or verify = "{named}"'
