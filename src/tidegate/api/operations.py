"""Handler of `POST /call/SOURCE/OPERATION`: one operation, now.

Owns repeats: a call with an `Idempotency-Key` is made once within a day, and its answer is given again. The same key
with another body is 422, and a call that is still under way is 409. Crash: a call that began and never ended is 409
until its key is a day old, because nobody knows whether it was carried out; where the API takes an idempotency key
itself, it is made again with the same one.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from tidegate.api.calls import Call
from tidegate.core import ids
from tidegate.core.errors import BadRequest, Conflict, OperationFailed, TidegateError
from tidegate.core.model import Origin, Outcome
from tidegate.pull.operations import OperationResult
from tidegate.rules.language.numbers import encode_json, read_float
from tidegate.rules.outbound.operations import json_body

KEPT_US = 24 * 3600 * 1_000_000
RUNNING_US = 120 * 1_000_000  # a call that began longer ago ended without an answer
MAX_KEY_CHARACTERS = 255


class CallRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`data` is what the operation's expressions read as `data`; `key` is our key of what it creates or changes."""

    data: Any = {}
    key: str | None = None


class CallSchema(msgspec.Struct, kw_only=True):
    """The answer of the API that was called. `body` is its JSON, or its text."""

    status: int | None
    body: Any
    remembered: dict[str, str] = {}
    duration_ms: float
    request: str  # method and address, without credentials
    repeated: bool = False  # the answer of an earlier call with the same Idempotency-Key


_stored = msgspec.json.Decoder(CallSchema, float_hook=read_float).decode


class KeyUsed(TidegateError):
    """The Idempotency-Key was used for another call."""

    code = "idempotency_key_used"
    status = 422
    hint = "use a new Idempotency-Key for another call"


async def call_operation(call: Call) -> CallSchema:
    source, name = call.path["source"], call.path["operation"]
    call.grant.need_source(source)
    key = call.headers.get("idempotency-key", "").strip()
    if len(key) > MAX_KEY_CHARACTERS:
        raise BadRequest(f"the Idempotency-Key is longer than {MAX_KEY_CHARACTERS} characters")
    if not key:
        return _schema(await _run(call, source, name, ids.new_id("call", call.gateway.clock.now_us())))
    digest = hashlib.sha256(encode_json([source, name, call.body.data, call.body.key])).digest()
    stored_as = f"{call.grant.name}/{source}/{name}/{key}"
    earlier = await _begin(call, stored_as, digest, source, name)
    if earlier is not None:
        return earlier
    store = call.gateway.store.operations
    try:
        found = _schema(await _run(call, source, name, key))
    except TidegateError as error:
        if getattr(error, "nothing_sent", False) or isinstance(error, BadRequest):
            await store.end_call(stored_as, None)
        raise
    await store.end_call(stored_as, encode_json(found))
    return found


async def _begin(call: Call, stored_as: str, digest: bytes, source: str, name: str) -> CallSchema | None:
    """The answer of an earlier call; None when this one is to be made. Conflict, KeyUsed."""
    now_us, store = call.gateway.clock.now_us(), call.gateway.store.operations
    earlier = await store.begin_call(stored_as, digest, now_us, now_us - KEPT_US)
    if earlier is None:
        return None
    if earlier.digest != digest:
        raise KeyUsed("this Idempotency-Key was used for a call with another body")
    if earlier.answer:
        found = _stored(earlier.answer)
        found.repeated = True
        return found
    if now_us - earlier.at_us > RUNNING_US and _takes_key(call, source, name):
        return None  # the API knows the repeat by the same key
    raise Conflict(
        "a call with this Idempotency-Key began and has no answer yet",
        hint="wait; if it does not end, look at the other system before you call again with a new key",
        code="call_unfinished",
    )


def _takes_key(call: Call, source: str, name: str) -> bool:
    found = call.gateway.active.sources.get(source)
    operation = found.spec.operations.get(name) if found is not None else None
    return operation is not None and bool(operation.idempotency_header)


async def _run(call: Call, source: str, name: str, delivery_id: str) -> OperationResult:
    """The result of a call that succeeded. UpstreamError otherwise, with the answer's own words."""
    view = {
        "type": "operation.call", "source": source, "origin": Origin.PUBLISH.value, "key": call.body.key,
        "data": call.body.data, "body": call.body.data, "context": {}, "headers": {}, "query": {}, "change": None,
        "test": False, "delivery_id": delivery_id,
    }  # fmt: skip
    result = await call.gateway.operations.run(source, name, view)
    if result.outcome is Outcome.OK:
        return result
    error = OperationFailed(
        f"{source}/{name}: {result.error}",
        upstream_status=result.status,
        code=result.code or None,
        hint="tidegate auth status says what the credential needs" if result.outcome is Outcome.CREDENTIAL else None,
        retry_after_seconds=result.retry_after_seconds,
    )
    error.nothing_sent = result.sent is None or result.status is not None  # type: ignore[attr-defined]
    raise error


def _schema(result: OperationResult) -> CallSchema:
    return CallSchema(
        status=result.status,
        body=json_body(result.body),
        remembered=result.remembered,
        duration_ms=round(result.duration_us / 1000, 1),
        request=result.sent.line if result.sent is not None else "",
    )
