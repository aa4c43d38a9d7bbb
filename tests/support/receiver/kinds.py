"""What the tests of destination kinds share: an event, a prepared request, an answer."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tidegate.core.model import Event, Origin, Outcome
from tidegate.kinds import KINDS, Request, Result

EVENT_ID = "evt_7"
NOW_US = 1_800_000_000_000_000


class Answered(msgspec.Struct):
    """An answer as a transport reports it."""

    status: int | None
    body: bytes = b""
    retry_after: str = ""
    outcome: Outcome = Outcome.OK
    error: str = ""


def event(data: Any = None, **parts: Any) -> Event:
    body = json.dumps({} if data is None else data).encode()
    return Event(7, "shop", "order.paid", Origin.PUBLISH, NOW_US, 1, body, "application/json", **parts)


def prepared(name: str, one: Event, transform: Any = None, secrets: tuple[str, ...] = (), **keys: Any) -> Request:
    """The first request of a kind with these keys for an event."""
    kind = KINDS[name]
    spec = kind.spec(**{"url": "https://chat.example.com/services/T0/secret", **keys})
    return kind.prepare(spec, secrets, transform)(one, EVENT_ID, 1, NOW_US // 1_000_000)


def message(name: str, data: Any, text: str, **keys: Any) -> tuple[Any, str]:
    """(the JSON that a chat gets, what was cut)."""
    request = prepared(name, event(data), text=text, **keys)
    return json.loads(request.body), request.detail


def read(name: str, status: int | None, body: bytes = b"", **parts: Any) -> Result:
    return KINDS[name].read(Answered(status, body, **parts), NOW_US)
