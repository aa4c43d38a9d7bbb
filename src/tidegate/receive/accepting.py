"""Stores what was verified: one event of a request, or all of its items, or none.

Owns the step from a request that passed its checks to events in the log, and what happens when a delivery id is known
already. Gets routing from `Router` and the log from its protocol; knows no HTTP beyond the bytes of headers and query.

Invariants: nothing is answered before `append` returned; the items of a request are appended together; an event whose
delivery id came before with other content is stored as an event of its own and reported, never dropped. Crash: what was
appended and not answered is sent again by the provider, and its delivery id identifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from tidegate.core.findings import Findings
from tidegate.core.model import Appended, NewEvent, Origin
from tidegate.receive import answers
from tidegate.receive.bodies import Rejected
from tidegate.receive.inputs import Input
from tidegate.receive.reading import FALLBACK_TYPE, Reading, content_hash
from tidegate.rules.inbound.cloudevents import why_not_valid
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.redaction import keep_query, kept_headers
from tidegate.rules.inbound.repeats import is_repeat
from tidegate.rules.language.repeated_members import repeated_members
from tidegate.rules.language.view import MISFIT, QUERY, TEST, VERIFIED, event_view
from tidegate.store import Log

LOOKS_PER_SECOND = 20  # for what costs too much for each request; `explain` always looks
LOOKED_BYTES = 64 * 1024  # of one body, and of all in a second

CLOUDEVENTS = "cloudevents"  # the provider

Stored = tuple[int, bool]
"""(offset, whether it was stored before)"""


class Router(Protocol):
    """Decides which destinations want an event. `decide` returns None when the decision has no number yet."""

    def decide(
        self, source: str, type: str, view: Callable[[], dict[str, Any]], resource: str | None = None
    ) -> int | None: ...

    async def decide_slow(
        self, source: str, type: str, view: Callable[[], dict[str, Any]], resource: str | None = None
    ) -> int: ...


class Accepted(msgspec.Struct, gc=False):
    """One request that passed its checks. `proof`: what verified it, "" when nothing did."""

    raw_headers: list[tuple[bytes, bytes]]
    headers: Headers
    query_string: bytes
    body: bytes
    now_us: int
    hops: int
    proof: str = ""


class Accepter:
    """Makes events and appends them."""

    def __init__(self, log: Log, router: Router, findings: Findings) -> None:
        self._log = log
        self._router = router
        self._findings = findings
        self._looked = (0, 0, 0)  # second, bodies and their bytes

    def make(self, input: Input, origin: Origin, reading: Reading, request: Accepted) -> NewEvent:
        """The event of a request. Its audience is 0 when the routing decision has no number yet."""
        self._look_closer(input, request)
        event = self._event(input, origin, reading, request)
        event.audience = self._router.decide(input.source, reading.type, partial(event_view, event)) or 0
        return event

    async def one(self, input: Input, origin: Origin, reading: Reading, request: Accepted) -> Stored:
        """Store a request as one event."""
        event = self.make(input, origin, reading, request)
        if not event.audience:
            event.audience = await self._router.decide_slow(input.source, reading.type, partial(event_view, event))
        appended = (await self._log.append((event,)))[0]
        if appended.differs:
            appended = await self._known_id(input, event, appended)
        return appended.offset, appended.duplicate

    async def items(self, input: Input, request: Accepted, items: Sequence[bytes]) -> list[Stored]:
        """Store each item as an event of its own, all or none; the result is in their order."""
        self._look_closer(input, request)
        if not items:
            self._findings.report("batch_empty", f"source:{input.source}", f"{len(request.body)} bytes")
            return []
        events = self._events_of(input, request, items)
        for event in events:
            view = partial(event_view, event)
            audience = self._router.decide(event.source, event.type, view)
            event.audience = (
                await self._router.decide_slow(event.source, event.type, view) if audience is None else audience
            )
        stored: list[Stored] = []
        for event, appended in zip(events, await self._log.append(events), strict=True):
            if appended.differs:
                appended = await self._known_id(input, event, appended)
            stored.append((appended.offset, appended.duplicate))
        return stored

    def drafts(self, input: Input, request: Accepted, items: Sequence[bytes] | None) -> list[NewEvent]:
        """The events of a request as they would be stored."""
        input = msgspec.structs.replace(input, schemas=None)  # where it would go does not depend on them
        if items is not None:
            return self._events_of(input, request, items)
        assert input.read is not None
        reading = input.read(request.headers, request.body, request.query_string)
        return [self._event(input, Origin.WEBHOOK, reading, request)]

    def _events_of(self, input: Input, request: Accepted, items: Sequence[bytes]) -> list[NewEvent]:
        """Places are read from the item first, then from the request, whose id is completed by the item's number."""
        assert input.read is not None and input.read_item is not None
        whole = input.read(request.headers, request.body, request.query_string)
        headers = {name: value for name, value in request.headers.items() if name != b"content-encoding"}
        headers[b"content-type"] = input.item_type
        kept = [
            (name, value) for name, value in request.raw_headers if name not in (b"content-encoding", b"content-type")
        ]
        events = []
        for number, item in enumerate(items):
            reading = input.read_item(headers, item, request.query_string)
            if reading.type == FALLBACK_TYPE:
                reading.type = whole.type
            if reading.delivery_id is None and whole.delivery_id is not None:
                reading.delivery_id = f"{whole.delivery_id}\0#{number}"
            part = Accepted(kept, headers, request.query_string, item, request.now_us, request.hops, request.proof)
            events.append(self._event(input, Origin.WEBHOOK, reading, part))
        return events

    def _event(self, input: Input, origin: Origin, reading: Reading, request: Accepted) -> NewEvent:
        if reading.unreadable or reading.guess or reading.unusable:
            self._report(input, reading, request)
        notes = []
        if request.query_string:
            notes.append((QUERY, keep_query(request.query_string)))
        if request.proof:
            notes.append((VERIFIED, request.proof))
        if input.schemas is not None and (why := _misfit(input, reading, request)):
            if input.refuses_invalid:
                raise Rejected(answers.SCHEMA, "schema_invalid", f"{reading.type}: {why}")
            self._findings.report("schema_invalid", f"source:{input.source}", f"{reading.type}: {why}")
            notes.append((MISFIT, why))
        if input.test:
            notes.append((TEST, "1"))
        kept, left_out = kept_headers(request.raw_headers, notes)
        if left_out:
            self._findings.report("headers_left_out", f"source:{input.source}", ", ".join(left_out))
        delivery_id = reading.delivery_id
        return NewEvent(
            input.source,
            reading.type,
            origin,
            request.now_us,
            0,
            request.body,
            request.headers.get(b"content-type", b"").decode("latin-1"),
            kept,
            reading.key,
            reading.occurred_at_us,
            reading.data_path,
            delivery_id,
            content_hash(reading.type, request.body, request.query_string) if delivery_id is not None else b"",
            b"",
            request.hops,
        )

    def _report(self, input: Input, reading: Reading, request: Accepted) -> None:
        """What could not be read of a request, or was guessed."""
        subject = f"source:{input.source}"
        if reading.unreadable and request.body:
            self._findings.report("body_unreadable", subject, reading.unreadable)
        if reading.guess:
            self._findings.report("charset_guessed", subject, reading.guess)
        if reading.unusable:
            self._findings.report("value_unusable", subject, reading.unusable)

    def _look_closer(self, input: Input, request: Accepted) -> None:
        """Report members that come twice in an object of the body, and what a CloudEvent lacks: in as many bodies a
        second as cost nothing.
        """
        second, size = request.now_us // 1_000_000, len(request.body)
        at, count, looked = self._looked
        if at != second:
            count = looked = 0
        if count >= LOOKS_PER_SECOND or looked + size > LOOKED_BYTES:
            return
        self._looked = (second, count + 1, looked + size)
        kind, encoding = request.headers.get(b"content-type", b""), request.headers.get(b"content-encoding", b"")
        names = repeated_members(request.body, kind.decode("latin-1"), encoding.decode("latin-1"), LOOKED_BYTES)
        if names:
            self._findings.report("members_repeated", f"source:{input.source}", ", ".join(names))
        if input.provider == CLOUDEVENTS and (why := why_not_valid(request.headers, request.body)):
            self._findings.report("cloudevent_invalid", f"source:{input.source}", why)

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


def _misfit(input: Input, reading: Reading, request: Accepted) -> str:
    """What does not fit the schema of the event's type."""
    assert input.schemas is not None
    kind, encoding = request.headers.get(b"content-type", b""), request.headers.get(b"content-encoding", b"")
    return input.schemas.why_not(reading.type, request.body, kind.decode("latin-1"), encoding.decode("latin-1"))
