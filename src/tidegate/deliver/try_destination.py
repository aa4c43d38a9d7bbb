"""The test send: one signed event to a destination, to see how it responds.

Owns the test event and the record of its result; the destination's kind makes the request and reads the answer. May
not know senders or lanes. Invariant: it is not in the log and changes no counter. A crash leaves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from tidegate.core import ids
from tidegate.core.errors import NotFound
from tidegate.core.model import SYSTEM_SOURCE, Attempt, Event, Origin, Outcome
from tidegate.deliver.authenticated import AuthenticatedSend
from tidegate.deliver.ports import Ports
from tidegate.deliver.request_builder import RequestBuilder
from tidegate.outbound.post import PostResult

TEST_SECONDS = 15.0
_ERROR_CHARACTERS = 300


async def send_test(ports: Ports, name: str) -> Attempt:
    """Send a test event to the destination `name`. Raises NotFound."""
    destination = ports.active.destinations.get(name)
    if destination is None:
        raise NotFound(f"there is no destination {name!r}", hint="list them: tidegate config show")
    now_us = ports.clock.now_us()
    builder = RequestBuilder(destination, ports.active, ports.credentials)
    event_id = ids.new_id("tst", now_us)
    event = _test_event(name, now_us)
    try:
        request = builder.test_request(event, event_id, now_us // 1_000_000)
    except Exception as error:  # noqa: BLE001 - a user's text may raise anything: shown as the outcome
        text = str(error)[:_ERROR_CHARACTERS]
        return Attempt(0, destination.number, 1, Outcome.RENDER, now_us, 0, error=text)
    ended: asyncio.Future[PostResult] = asyncio.get_running_loop().create_future()
    transport = ports.transports[builder.kind.transport]
    if builder.credential is None:
        transport.send(builder.target_of(request), request.head, request.body, TEST_SECONDS, _set_once(ended))
    else:
        outgoing = builder.outgoing(request, TEST_SECONDS)
        AuthenticatedSend(transport, ports.clock, builder.credential, outgoing, _set_once(ended)).start()
    result = await ended
    read = builder.read(result, ports.clock.now_us())
    kept = builder.recorder.whole(result.sent or builder.recorded(request))
    return Attempt(
        0, destination.number, 1, read.outcome, now_us, result.duration_us, result.status, read.detail, result.headers,
        result.body, result.body_bytes, builder.shown_url, True, 0, kept,
    )  # fmt: skip


def _test_event(name: str, now_us: int) -> Event:
    body = msgspec.json.encode({"note": "a test sent from Tidegate", "destination": name})
    return Event(0, SYSTEM_SOURCE, "tidegate.test", Origin.PUBLISH, now_us, 0, body, "application/json")


def _set_once(future: asyncio.Future[PostResult]) -> Callable[[PostResult], None]:
    def done(result: PostResult) -> None:
        if not future.done():
            future.set_result(result)

    return done
