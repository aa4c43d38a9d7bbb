"""`/in/SOURCE`: a bare ASGI application that answers 202 only when the event is on disk.

Owns the order of the steps: source, method, capacity, size, body, checks, reading, routing, append. `checks.py` has the
checks of a request whose body is here, `accepting.py` stores what passed, and `direct.py` takes the requests that need
no task. It gets sources from a function. It does not know which configuration, store or server is in use.

Invariants: no 2xx answer before `append` returns (a handshake and a dropped form store nothing); a rejected caller
learns the status but not which check failed; a failure of the gateway is answered 503 with `Retry-After`, never 4xx;
every rejection is recorded with its reason. Crash: if an event was appended but not answered, the provider sends it
again, and its delivery id identifies it.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Iterable

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.findings import Findings
from tidegate.core.ids import event_id
from tidegate.core.model import NewEvent, Origin
from tidegate.receive import answers
from tidegate.receive.accepting import Accepted, Accepter, Router
from tidegate.receive.answers import Send, send_reply
from tidegate.receive.bodies import BODY_SECONDS, Bodies, Gone, Receive, Rejected
from tidegate.receive.body_budget import BodyBudget, Lease
from tidegate.receive.capacity import Capacity
from tidegate.receive.checks import PREFIX, Checks, NeedsKey, NeedsVisit, Scope, joined_headers
from tidegate.receive.direct import DirectIngress
from tidegate.receive.forms import FormReading, form_answer, origin_refused, preflight, read_form, with_origin
from tidegate.receive.handshakes import Reply
from tidegate.receive.hub_callbacks import GONE, HubCallbacks
from tidegate.receive.inputs import Input
from tidegate.receive.reading import hops_of
from tidegate.receive.remote_keys import RemoteKeys
from tidegate.receive.splitting import MAX_ITEMS
from tidegate.receive.turns import Done
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.senders import Networks
from tidegate.store import Log, Rejection

__all__ = ["BODY_SECONDS", "Ingress", "Router"]


class Ingress:
    """ASGI application for `/in/SOURCE`; `direct` is its short way.

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
        capacity: Capacity,
        *,
        findings: Findings | None = None,
        names: Callable[[], Iterable[str]] = tuple,
        keys: RemoteKeys | None = None,
    ) -> None:
        self._log = log
        self._keys = keys
        self._findings = findings or Findings(clock)
        self._checks = Checks(sources, names, clock, self._findings, reject)
        self._accepter = Accepter(log, router, self._findings)
        self._capacity = capacity
        self._bodies = Bodies(clock, self._findings)
        self.sweep = self._bodies.sweep
        self.hubs: HubCallbacks | None = None
        self.visit: Callable[[str], Awaitable[object]] | None = None
        self.direct = DirectIngress(log, self._checks, self._accepter, self._bodies, capacity)

    @property
    def budget(self) -> BodyBudget:
        """The bytes of bodies that are held at once."""
        return self._bodies.budget

    @budget.setter
    def budget(self, budget: BodyBudget) -> None:
        self._bodies.budget = budget

    def trust(self, proxies: Networks) -> None:
        """Believe what these proxies say about who sends a request."""
        self._checks.proxies = proxies

    def for_one(self, input: Input) -> Ingress:
        """The same ingress, with the same bounds and counts, that knows only this input."""
        one = copy.copy(self)
        one._checks = self._checks.for_one(input)
        one._keys = one.visit = None
        return one

    def drafts(
        self, input: Input, raw_headers: list[tuple[bytes, bytes]], query: bytes, body: bytes, now_us: int
    ) -> list[NewEvent]:
        """The events that a request would become, without a check, a routing decision or storing."""
        headers = joined_headers(raw_headers)
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
                self._checks.record(source, scope, rejected.reason, rejected.detail)
            await send_reply(send, rejected.reply)
        except Gone:
            return
        except TidegateError as error:
            # The store failed, or an input does not compile. The provider cannot fix either, so it should try again.
            self._checks.record(source, scope, error.code, error.message)
            await send_reply(send, answers.unavailable(error.retry_after_seconds))

    def _input_of(self, source: str, scope: Scope) -> Input:
        try:
            return self._checks.input_of(source, scope)
        except Rejected as rejected:
            if self.hubs is not None and self.hubs.ended(source):
                raise Rejected(GONE, rejected.reason, "the WebSub subscription of a source that was removed") from None
            raise

    def record_elsewhere(self, scope: Scope) -> None:
        """A request to another path of this process, which is probably meant for a source."""
        detail = self._checks.why_elsewhere(scope)
        if detail:
            self._checks.record("", scope, "source_unknown", detail)

    async def _handle(self, source: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and self.hubs is not None:
            reply = await self.hubs.answer(source, scope["query_string"])
            if reply is not None:
                if reply.status >= 400:
                    self._checks.record(source, scope, "subscription_unknown", "no such request was sent to a hub")
                await send_reply(send, reply)
                return
        input = self._input_of(source, scope)
        headers = joined_headers(scope["headers"])
        if input.form is not None and scope["method"] == "OPTIONS":
            allowed = preflight(input.form, headers)
            if allowed is not None:
                await send_reply(send, allowed)
                return
        if scope["method"] != "POST" or input.no_post:
            reply = self._checks.other_method(input, scope, headers)
            if reply is not None:
                await send_reply(send, reply)
                return
        if self._capacity.is_over(input.source):
            self._checks.over_capacity(input.source)
        if self._capacity.over_share(input.source):
            raise Rejected(answers.OVER_SHARE, "over_share", "the log is full of events that are owed")
        with Lease(self.budget, input.source) as lease:
            body = await self._bodies.read(input.max_body, headers, receive, lease)
            if not self._capacity.turns.must_wait(input.source):
                await self._answer(input, scope, headers, body, send)
                return
            done = await self._turn_of(input.source)
            try:
                await self._answer(input, scope, headers, body, send)
            finally:
                done()

    async def _turn_of(self, source: str) -> Done:
        turn: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._capacity.turns.wait(source, lambda done: done() if turn.done() else turn.set_result(done))
        return await turn

    async def _answer(self, input: Input, scope: Scope, headers: Headers, body: bytes, send: Send) -> None:
        try:
            found = await self._checked(input, scope, headers, body)
        except NeedsVisit as visit:
            found = await self._visited(input, visit)
        if isinstance(found, Reply):
            await send_reply(send, found)
        else:
            await self._accept(input, scope, found, send)

    async def _checked(self, input: Input, scope: Scope, headers: Headers, body: bytes) -> Accepted | Reply:
        try:
            return self._checks.check(input, scope, headers, body)
        except NeedsKey as needed:
            if self._keys is not None:
                await self._fetch(self._keys, needed.url)
            return self._checks.check(input, scope, headers, body, final=True)

    async def _visited(self, input: Input, visit: NeedsVisit) -> Reply:
        """Confirm a subscription. If that fails, the provider sends its request again."""
        if self.visit is None:
            raise Rejected(answers.unavailable(60), "visit_failed", visit.subject)
        try:
            await self.visit(visit.url)
        except TidegateError as error:
            raise Rejected(answers.unavailable(60), "visit_failed", f"{visit.subject}: {error.message}") from error
        self._findings.report("subscription_confirmed", f"source:{input.source}", visit.subject)
        self._findings.resolve("subscription_unconfirmed", f"source:{input.source}")
        return visit.reply

    async def _fetch(self, keys: RemoteKeys, url: str) -> None:
        """Fetch a provider's key. Without it nothing can be said about a signature, so the provider tries again."""
        if not await keys.fetch(url):
            raise Rejected(answers.unavailable(60), "key_unknown", url)

    async def _accept(self, input: Input, scope: Scope, request: Accepted, send: Send) -> None:
        if input.form is not None:
            await self._accept_form(input, scope, request, send)
            return
        if input.split is not None and input.is_batch(request.headers):
            if input.splits_slowly:
                items = await asyncio.to_thread(input.split, request.headers, request.body)
            else:
                items = input.split(request.headers, request.body)
            if items is not None:
                if len(items) > MAX_ITEMS:
                    raise Rejected(answers.MANY_ITEMS, "too_many_items", f"{len(items)} items, {MAX_ITEMS} are allowed")
                stored = await self._accepter.items(input, request, items)
                await send_reply(send, input.answer or answers.ids_reply(self._log.instance, stored))
                return
            self._findings.report("split_not_a_list", f"source:{input.source}", f"{len(request.body)} bytes")
        assert input.read is not None
        self._checks.look_for_handshake(input, request)
        reading = input.read(request.headers, request.body, request.query_string)
        offset, duplicate = await self._accepter.one(input, Origin.WEBHOOK, reading, request)
        if input.answer is not None:
            await send_reply(send, input.answer)
            return
        await answers.send_id(send, self._log.instance, offset, duplicate=duplicate)

    async def _accept_form(self, input: Input, scope: Scope, request: Accepted, send: Send) -> None:
        form, headers = input.form, request.headers
        assert form is not None
        found = origin_refused(form, headers) or read_form(form, headers, request.body)
        wait = 0.0
        if found.refused is None and input.rates is not None:
            wait = input.rates.take(self._checks.sender(scope), request.now_us / 1_000_000)
        if wait:
            found = FormReading(refused=answers.too_often(wait), reason="rate_limited", detail=f"rate is {form.rate}")
        if found.refused is not None:
            raise Rejected(with_origin(form, headers, found.refused), found.reason, found.detail)
        if found.reading is None:
            self._checks.record(input.source, scope, "honeypot", f"the field {form.honeypot!r} was filled")
            await send_reply(send, with_origin(form, headers, form_answer(form, headers, None)))
            return
        offset, duplicate = await self._accepter.one(input, Origin.FORM, found.reading, request)
        id_ = event_id(self._log.instance, offset)
        await send_reply(send, with_origin(form, headers, form_answer(form, headers, id_, duplicate=duplicate)))
