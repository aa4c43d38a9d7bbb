"""Runs operations: calls of a source's API that change something there, for deliveries and on demand.

Owns the order of a call: remembered ids, look-up, request, answer, what to remember. The source's client adds the
credential and the rate that polls use too, so there is one budget. Knows no lanes and no retries. Invariants: an id is
remembered before the call counts as done; a look-up that fails sends nothing; the request that is kept has no
credential in it.

Crash: a call whose answer was lost is made again with the same delivery id. Where the API takes an idempotency key it
knows the repeat; else the look-up finds what the first one created; without either, a create is at least once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.config.spec import Source
from tidegate.core.clock import Clock
from tidegate.core.errors import Blocked, CredentialDead, CredentialFailed, NotFound, TidegateError, UpstreamTimeout
from tidegate.core.model import JsonObject, Outcome
from tidegate.kinds.operation import ChangeCause, OperationInput, names_of
from tidegate.outbound.dial_failed import DialFailed
from tidegate.outbound.post import PostResult, SentRequest
from tidegate.pull.conflicts import ConflictDecider, Decision, Write
from tidegate.pull.pending_writes import PendingWrites, Writing
from tidegate.pull.sources import PullResponse, SourceClient
from tidegate.rules.inbound.redaction import REDACTED, is_credential
from tidegate.rules.language.numbers import encode_json, read_float
from tidegate.rules.language.templates import RenderFailed
from tidegate.rules.outbound.addresses import Target
from tidegate.rules.outbound.operations import ApiCall, CompiledOperation, json_body
from tidegate.rules.sync.conflicts import changed, scalars, with_values
from tidegate.store import SENT, Operations, PendingWrite

log = logging.getLogger("tidegate.pull")
KEPT_ANSWER_BYTES = 4096
KEPT_HEADER_BYTES = 4096
PATIENCE_SECONDS = 30.0  # for the rate of the source
NOTHING_NEW = Decision("incoming", frozenset(), {}, "what changed is not in this call, or came from there")

Done = Callable[[PostResult], None]


class OperationResult(msgspec.Struct, frozen=True):
    """How a call ended. `outcome` and `error` read the answer as the operation says."""

    outcome: Outcome
    status: int | None
    error: str
    headers: list[tuple[str, str]]
    body: bytes
    sent: SentRequest | None
    duration_us: int
    remembered: dict[str, str] = {}
    code: str = ""  # of the error, when there was no answer
    retry_after_seconds: float | None = None


class _Place(msgspec.Struct, frozen=True):
    """An operation with the client of its source."""

    source: str
    client: SourceClient
    compiled: CompiledOperation


class _Decided(msgspec.Struct, frozen=True):
    """`call`: as it is to be made. `stops`: it is not made."""

    decision: Decision
    call: ApiCall
    stops: bool


class OperationRunner:
    """The operations of this node. `client_of`: the client of a source as configured now, None without an API."""

    def __init__(
        self,
        store: Operations,
        client_of: Callable[[str], SourceClient | None],
        clock: Clock,
        conflicts: ConflictDecider | None = None,
        merge: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        """`merge(source, resource)` brings stored answers into the records."""
        self._store = store
        self._client_of = client_of
        self._clock = clock
        self._conflicts = conflicts
        self._merge = merge
        self._writes = PendingWrites(store, clock)
        self._sources: dict[str, Source] = {}
        self._compiled: dict[tuple[str, str], CompiledOperation] = {}

    def configure(self, sources: Mapping[str, Source]) -> None:
        self._sources = dict(sources)
        self._compiled = {}

    def _place(self, source: str, name: str) -> _Place:
        """NotFound for an operation that is not configured."""
        spec = self._sources.get(source)
        operation = spec.operations.get(name) if spec is not None else None
        client = self._client_of(source)
        if operation is None or client is None:
            raise NotFound(
                f"there is no operation {source[:60]}/{name[:60]}", hint="list them: tidegate config show",
                code="operation_unknown",
            )  # fmt: skip
        compiled = self._compiled.get((source, name))
        if compiled is None:
            compiled = self._compiled[source, name] = CompiledOperation(operation)
        return _Place(source, client, compiled)

    async def run(
        self,
        source: str,
        name: str,
        view: JsonObject,
        chain: Sequence[str] = (),
        cause: ChangeCause | None = None,
        attempt: int = 0,
    ) -> OperationResult:
        """Make the call. NotFound, RenderFailed and StoreBusy are raised; everything else is in the result.

        `view`: the parts of the event, and `delivery_id`. `chain`: the sources that led to it.
        `cause`: the change of a record that is written on, if it is one. `attempt`: that of the delivery.
        """
        place = self._place(source, name)
        started = self._clock.monotonic()
        key = place.compiled.key(view)
        try:
            prepared = await self._prepared(place, key, view, started)
            if isinstance(prepared, OperationResult):
                return prepared
            call, whole = prepared
            decided = await self._conflict(place, name, call, whole, cause)
            call = call if decided is None else decided.call
            sent = _sent(place.client, call)
        except RenderFailed:
            raise
        except TidegateError as error:
            return self._failed(error, None, started)
        if decided is not None and decided.stops:
            return await self._not_written(place, decided.decision, cause, started)
        if cause is not None and _is_same_call(place, call, whole, cause):
            return await self._not_written(place, NOTHING_NEW, cause, started)
        write = await self._begin(place, name, call, whole, (chain, attempt))
        if write is not None and write.state != SENT:
            return self._answered_before(write, started)
        try:
            response = await _request(place.client, call)
        except TidegateError as error:
            if write is not None and _outcome(error) not in (Outcome.TIMEOUT, Outcome.RESET):
                await self._writes.not_carried_out(write)
            return self._failed(error, sent, started)
        result = await self._answered(place, key, response, sent, started)
        shown = write is not None and await self._note_answer(place, write, response, result)
        await self._carried(cause if result.outcome is Outcome.OK else None, source)
        if result.remembered and key and chain and chain[0] != source:
            await self._remember_back(chain[0], key, result.remembered)
        if shown and self._merge is not None:
            await self._merge(source, place.compiled.operation.resource)
        return result

    async def _prepared(
        self, place: _Place, key: str, view: JsonObject, started: float
    ) -> tuple[ApiCall, JsonObject] | OperationResult:
        """The call, and the view with what is remembered and captured; a result when it need not be made."""
        if place.compiled.names_captured or place.client.place.names_captured:
            await place.client.credential.get(None)
            view = {**view, "credential": dict(place.client.credential.captured)}
        known, found = await self._ids(place, key, view)
        if place.compiled.creates_once and place.compiled.has_ids(known):
            return self._exists(place, known, found, started)
        if place.compiled.names_remembered and not known:
            raise TidegateError(
                f"nothing is remembered of {place.source} for the key {key!r}; the call that creates it comes first",
                code="not_remembered", status=409, retryable=True,
            )  # fmt: skip
        whole = {**view, "remembered": known}
        return place.compiled.request(whole), whole

    async def _conflict(
        self, place: _Place, name: str, call: ApiCall, view: JsonObject, cause: ChangeCause | None
    ) -> _Decided | None:
        """What is decided about changes by somebody else of the same fields; None when the write meets none."""
        operation = place.compiled.operation
        if self._conflicts is None or cause is None or not operation.resource:
            return None
        body = json_body(call.body or b"")
        changes, sent = _changes(place, body, view, cause), scalars(body)
        key, event = place.compiled.record_key(view), str(view.get("delivery_id", ""))
        found = await self._conflicts.decide(Write(place.source, name, operation, key, changes, sent, event, cause))
        if found is None:
            return None
        stops = not found.use or (found.use == "current" and not changes.keys() - found.conflict)
        if found.values and not stops:
            call = call._replace(body=encode_json(with_values(body, found.values)))
        return _Decided(found, call, stops)

    async def _not_written(
        self, place: _Place, decided: Decision, cause: ChangeCause | None, started: float
    ) -> OperationResult:
        """The result of a write that is not made: the other change stays, or a person has to decide."""
        await self._carried(cause if decided.use else None, place.source)
        outcome = Outcome.OK if decided.use else Outcome.CONFLICT
        return OperationResult(outcome, None, f"not written: {decided.said}", [], b"", None, self._since(started))

    async def _carried(self, cause: ChangeCause | None, target: str) -> None:
        """A change reached another system, or it was decided that it does not."""
        if cause is not None and self._conflicts is not None:
            await self._conflicts.carried(cause, target)

    async def _begin(
        self, place: _Place, name: str, call: ApiCall, view: JsonObject, why: tuple[Sequence[str], int]
    ) -> PendingWrite | None:
        """Store what the call will change, before it is sent. None for an operation that names no resource.

        `why`: the chain, and the attempt of the delivery.
        """
        operation = place.compiled.operation
        if not operation.resource:
            return None
        key, event = place.compiled.record_key(view), str(view.get("delivery_id", ""))
        return await self._writes.begin(Writing(place.source, name, operation.resource, key, event, *why), call)

    async def _note_answer(
        self, place: _Place, write: PendingWrite, response: PullResponse, result: OperationResult
    ) -> bool:
        """Whether the answer has the record; then it is stored."""
        if result.outcome is not Outcome.OK:
            await self._writes.not_carried_out(write)
            return False
        operation = place.compiled.operation
        resource = self._sources[place.source].resources.get(operation.resource)
        times = response.sent_at_us, response.received_at_us
        return await self._writes.answered(write, operation, resource, response.body, times)

    def _answered_before(self, write: PendingWrite, started: float) -> OperationResult:
        """The gateway stopped between the answer and the record of the attempt: the write is not sent again."""
        said = "the answer is stored: it came before the gateway stopped, and the call is not made again"
        return OperationResult(Outcome.OK, None, said, [], write.answer, None, self._since(started))

    async def _remember_back(self, source: str, key: str, ids: Mapping[str, str]) -> None:
        """The ids the other way round, so that a change there finds our record."""
        for name, value in ids.items():
            await self._store.remember(source, value, {name: key}, self._clock.now_us())

    async def _ids(self, place: _Place, key: str, view: JsonObject) -> tuple[dict[str, str], PullResponse | None]:
        """What is remembered for our key; else what the look-up finds, which is remembered then, and its answer."""
        known = await self._store.remembered(place.source, key) if key else {}
        look_up = place.compiled.look_up
        if look_up is None or place.compiled.has_ids(known):
            return known, None
        response = await _request(place.client, look_up.request({**view, "remembered": known}))
        if response.status == 404:
            return known, response
        reading = place.compiled.read(response.status, response.body)
        if not 200 <= response.status < 300:
            raise TidegateError(f"the look-up {reading.problem}", code="look_up_failed", status=502, retryable=True)
        found = look_up.found(response.body)
        if found and key:
            await self._store.remember(place.source, key, found, self._clock.now_us())
        return {**known, **found}, response

    def _exists(
        self, place: _Place, known: dict[str, str], found: PullResponse | None, started: float
    ) -> OperationResult:
        """What the call would create exists: it succeeds without being made.

        The answer is that of the look-up, or 200 without a body where the ids were remembered.
        """
        look_up = place.compiled.look_up
        ids = {name: known[name] for name in (look_up.spec.result if look_up is not None else ())}
        status, headers, body = (200, [], b"") if found is None else (found.status, found.headers, found.body)
        return OperationResult(Outcome.OK, status, "", headers, body, None, self._since(started), ids)

    async def _answered(
        self, place: _Place, key: str, response: PullResponse, sent: SentRequest, started: float
    ) -> OperationResult:
        reading = place.compiled.read(response.status, response.body)
        error, ids = reading.problem, {}
        if reading.ok and place.compiled.operation.remember:
            try:
                ids = place.compiled.remembered(reading.value)
            except RenderFailed as missing:
                error = missing.message
            if ids and key:
                await self._store.remember(place.source, key, ids, self._clock.now_us())
        held = place.client.rate_limit.held_seconds(self._clock.monotonic())
        return OperationResult(
            Outcome.HTTP_ERROR if error else Outcome.OK,
            response.status,
            error,
            response.headers,
            response.body,
            sent,
            self._since(started),
            ids,
            "operation_failed" if error else "",
            held if error and held > 0 else None,
        )

    def _failed(self, error: TidegateError, sent: SentRequest | None, started: float) -> OperationResult:
        """A call without an answer. `sent` is None when nothing can have left."""
        return OperationResult(
            _outcome(error), 429 if error.code == "upstream_rate_limited" else None, f"{error.message} ({error.code})",
            [], b"", sent, self._since(started), {}, error.code, error.retry_after_seconds,
        )  # fmt: skip

    def _since(self, started: float) -> int:
        return int((self._clock.monotonic() - started) * 1e6)


class OperationTransport:
    """The transport of destinations of type operation."""

    def __init__(self, runner: OperationRunner) -> None:
        self._runner = runner

    def send(self, target: Target, head: bytes, body: bytes, timeout_seconds: float, done: Done) -> _Running:
        """`body` is the JSON of an `OperationInput`; the address comes from the source."""
        return _Running(_deliver(self._runner, body, timeout_seconds, done))


class _Running:
    """One call under way."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)

    def abort(self) -> None:
        self._task.cancel()


_input = msgspec.json.Decoder(OperationInput, float_hook=read_float).decode


async def _deliver(runner: OperationRunner, body: bytes, timeout_seconds: float, done: Done) -> None:
    given = _input(body)
    source, name = names_of(given.operation)
    try:
        async with asyncio.timeout(timeout_seconds):
            result = await runner.run(
                source, name, {**given.view, "delivery_id": given.event_id}, given.chain, given.change, given.attempt
            )
    except TimeoutError:
        done(PostResult(Outcome.TIMEOUT, None, f"no answer within {timeout_seconds:g} s", b"", "", b"", 0, 0, False))
    except TidegateError as error:
        outcome = Outcome.RENDER if isinstance(error, RenderFailed) else Outcome.RESET
        done(PostResult(outcome, None, f"{error.message} ({error.code})", b"", "", b"", 0, 0, False))
    except Exception as error:  # the last resort of a task that nothing awaits: a failed attempt that is retried
        log.exception("the operation %s/%s failed", source, name)
        done(PostResult(Outcome.RESET, None, f"internal error: {type(error).__name__}", b"", "", b"", 0, 0, False))
    else:
        done(_post_result(result))


def _post_result(result: OperationResult) -> PostResult:
    wait = "" if result.retry_after_seconds is None else str(int(result.retry_after_seconds) + 1)
    kept: list[tuple[str, str]] = []
    for name, value in result.headers:
        kept.append((name, REDACTED if name == "set-cookie" else value))
        if len(msgspec.json.encode(kept)) > KEPT_HEADER_BYTES:
            kept.pop()
    headers = msgspec.json.encode(kept) if kept else b""
    return PostResult(
        result.outcome, result.status, result.error, headers, wait, result.body[:KEPT_ANSWER_BYTES], len(result.body),
        result.duration_us, False, result.sent,
    )  # fmt: skip


def _is_same_call(place: _Place, call: ApiCall, view: JsonObject, cause: ChangeCause) -> bool:
    """Whether a change that is partly our own has nothing for this call: so that it does not circle."""
    if not cause.partly_own or cause.before is None:
        return False
    try:
        return place.compiled.request({**cause.before, **_beside(view)}) == call
    except RenderFailed:
        return False


def _beside(view: JsonObject) -> JsonObject:
    return {name: view[name] for name in ("remembered", "credential", "delivery_id") if name in view}


def _changes(place: _Place, body: Any, view: JsonObject, cause: ChangeCause) -> dict[str, Any]:
    """The members of the body that the change made; all of them when the state before is not known."""
    if cause.before is None:
        return scalars(body)
    try:
        before = place.compiled.request({**cause.before, **_beside(view)})
    except RenderFailed:
        return scalars(body)
    return changed(json_body(before.body or b""), body)


async def _request(client: SourceClient, call: ApiCall) -> PullResponse:
    url, params = client.address(call.path)
    return await client.request(
        url, params, headers=call.headers, patience_seconds=PATIENCE_SECONDS, sent=(call.method, call.body)
    )


def _sent(client: SourceClient, call: ApiCall) -> SentRequest:
    """The request for the record: the names of what the credential adds, without values."""
    url, params = client.address(call.path)
    query = call.path.partition("?")[2]
    shown = f"{call.method} {url}" + (f"?{query}" if params and query else "")
    names = {name.lower() for name in client.credential.header_names}
    head = "".join(
        f"{name}: {REDACTED if is_credential(name.lower()) or name.lower() in names else value}\r\n"
        for name, value in {**client.place.headers(), **call.headers}.items()
    )
    head += "".join(f"{name}: {REDACTED}\r\n" for name in client.credential.header_names)
    return SentRequest(head.encode("latin-1", "replace"), call.body or b"", shown)


def _outcome(error: TidegateError) -> Outcome:
    if isinstance(error, CredentialFailed | CredentialDead):
        return Outcome.CREDENTIAL
    if isinstance(error, Blocked):
        return Outcome.BLOCKED
    if isinstance(error, DialFailed):
        return error.outcome
    if isinstance(error, UpstreamTimeout):
        return Outcome.TIMEOUT
    waits = ("upstream_rate_limited", "look_up_failed", "not_remembered")
    return Outcome.HTTP_ERROR if error.code in waits else Outcome.RESET
