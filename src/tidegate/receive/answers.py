"""The answers of the ingress that do not depend on the request, built once. Pure.

Owns their status, words and headers. Knows no request. Invariant: no answer says which check failed. Crash: nothing is
kept.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from tidegate.core.ids import event_id
from tidegate.receive.handshakes import Reply
from tidegate.receive.reading import MAX_HOPS

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def problem(status: int, code: str, title: str, detail: str, *more: tuple[bytes, bytes]) -> Reply:
    """A problem document (RFC 9457), built once at import."""
    kind = f"urn:tidegate:problem:{code}"
    body = msgspec.json.encode({"type": kind, "title": title, "status": status, "code": code, "detail": detail})
    head = ((b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body)), *more)
    return Reply(status, head, body)


_CLOSE = (b"connection", b"close")  # the rest of the body is not read
NOT_FOUND = problem(404, "source_unknown", "Not Found", "there is no source with this name")
UNAUTHORIZED = problem(
    401,
    "signature_rejected",
    "Unauthorized",
    "the request is not signed as this source expects",
    (b"www-authenticate", b"Signature"),
)
TOO_LARGE = problem(413, "too_large", "Content Too Large", "the body is larger than this source accepts", _CLOSE)
TOO_SLOW = problem(408, "too_slow", "Request Timeout", "the body did not arrive in time", _CLOSE)
HOPS = problem(
    400,
    "hops_exceeded",
    "Bad Request",
    f"the event passed through more than {MAX_HOPS} gateways; this is probably a loop",
)

# `{"id":"evt_..."}`: an id always has 23 characters, so the heads can be built in advance.
_ID_LENGTH = len(b'{"id":""}') + len(event_id("000000", 0))
_ID_HEAD = [(b"content-type", b"application/json"), (b"content-length", b"%d" % _ID_LENGTH)]
ACCEPTED: MutableMapping[str, Any] = {"type": "http.response.start", "status": 202, "headers": _ID_HEAD}
AGAIN: MutableMapping[str, Any] = {"type": "http.response.start", "status": 200, "headers": _ID_HEAD}


_ID_LINES = b"".join([b"%s: %s\r\n" % pair for pair in _ID_HEAD]).decode() + '\r\n{"id":"'


def unavailable(retry_after_seconds: float | None, *more: tuple[bytes, bytes]) -> Reply:
    wait = max(1, round(retry_after_seconds or 1))
    return problem(
        503,
        "over_capacity",
        "Service Unavailable",
        "the event cannot be stored right now; send it again after Retry-After",
        (b"retry-after", b"%d" % wait),
        *more,
    )


OVER_SHARE = problem(
    429,
    "source_over_share",
    "Too Many Requests",
    "this source sent more than its share of what is stored; send it again after Retry-After",
    (b"retry-after", b"60"),
)

MAX_VALUE_BYTES = 4096  # of a query string and of a Content-Type, which are stored whole
QUERY_TOO_LONG = problem(
    414, "query_too_long", "URI Too Long", f"the query string has more than {MAX_VALUE_BYTES} bytes"
)
CONTENT_TYPE_UNUSABLE = problem(
    415,
    "content_type",
    "Unsupported Media Type",
    f"the Content-Type has more than {MAX_VALUE_BYTES} bytes, or bytes that no header can have",
)
SCHEMA = problem(422, "schema_invalid", "Unprocessable Content", "the event does not fit the schema of its type")


def too_often(retry_after_seconds: float) -> Reply:
    wait = max(1, math.ceil(retry_after_seconds))
    return problem(
        429,
        "rate_limited",
        "Too Many Requests",
        "this address sends too many forms; send it again after Retry-After",
        (b"retry-after", b"%d" % wait),
    )


BUSY = unavailable(1)
FULL = unavailable(1, _CLOSE)  # too many bytes of bodies are held; the rest of this one is not read


async def send_reply(send: Send, reply: Reply) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)})
    await send({"type": "http.response.body", "body": reply.body})


async def send_id(send: Send, instance: str, offset: int, *, duplicate: bool) -> None:
    """202 with the id of a new event, 200 with the first id of a repeat."""
    await send(AGAIN if duplicate else ACCEPTED)
    await send({"type": "http.response.body", "body": f'{{"id":"{event_id(instance, offset)}"}}'.encode()})


def id_lines(instance: str, offset: int) -> bytes:
    """What `send_id` sends after the status: header lines, an empty line and the body."""
    return f'{_ID_LINES}{event_id(instance, offset)}"}}'.encode()


def ids_reply(instance: str, stored: list[tuple[int, bool]]) -> Reply:
    """The answer to a request with several events: 200 when all of them came before."""
    body = msgspec.json.encode({"data": [{"id": event_id(instance, offset)} for offset, _ in stored]})
    head = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    repeated = bool(stored) and all(duplicate for _, duplicate in stored)
    return Reply(200 if repeated else 202, head, body)


MANY_ITEMS = problem(413, "too_many_items", "Content Too Large", "the request has too many events")
