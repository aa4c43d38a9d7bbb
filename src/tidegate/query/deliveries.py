"""Queries of deliveries: pages, newest first, and one delivery with its attempts.

Deliveries that succeed at once have no rows, so a page reads the log backwards in windows, expands each event by its
audience, and takes the states from the deliver engine. A rare state is searched where it can be: exhausted and canceled
deliveries among deferred deliveries and bulk settlements, pending ones after the slowest lane. Windows grow while they
find little, and the scan is bounded, so a page may be short and still have a cursor.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tidegate.core import ids
from tidegate.core.clock import rfc3339
from tidegate.core.errors import BadRequest, NotFound
from tidegate.core.model import Attempt, Audience, DeferredState, DeliveryState, DeliveryView, Event
from tidegate.query import cursors, events
from tidegate.query.context import ReadContext
from tidegate.query.events import Allowed, instant
from tidegate.query.schemas import AttemptSchema, DeliverySchema, Page
from tidegate.query.sent_requests import requests_as_sent
from tidegate.rules.language.stored_headers import read_headers

STATES = tuple(state.value for state in DeliveryState)
FIRST_WINDOW = 500  # offsets
LARGEST_WINDOW = 1 << 22
ROUNDS = 24  # windows a page looks at before it is given short
FULL = 500  # rows a window may hold before it is made smaller
EVERYTHING = 1 << 30  # one event may go to any number of destinations

_EXCEPTIONS = {
    DeliveryState.PENDING: (DeferredState.PENDING, DeferredState.BLOCKED),
    DeliveryState.SENDING: (DeferredState.PENDING, DeferredState.BLOCKED),
    DeliveryState.EXHAUSTED: (DeferredState.EXHAUSTED,),
    DeliveryState.CANCELED: (DeferredState.CANCELED,),
}

Pair = tuple[int, int]  # (offset, destination number)


class _Span(msgspec.Struct, frozen=True):
    """Offsets (after, upto] in which deliveries of these destinations may have the state; None is any."""

    after: int
    upto: int
    destinations: frozenset[int] | None


async def list_deliveries(
    gateway: ReadContext,
    *,
    event: str | None = None,
    destination: str | None = None,
    state: str | None = None,
    limit: int,
    cursor: str | None = None,
    allowed: Allowed = None,
) -> Page[DeliverySchema]:
    """Newest events first. BadRequest for an unknown state, NotFound for an unknown event or destination."""
    if state is not None and state not in STATES:
        raise BadRequest(f"{state[:80]!r} is not a state (allowed: {', '.join(STATES)})")
    wanted = DeliveryState(state) if state is not None else None
    number = destination_number(gateway, destination) if destination is not None else None
    if event is not None:
        return await _of_event(gateway, event, number, wanted, limit, cursors.decode_pair(cursor), allowed)
    before = cursors.decode_pair(cursor)
    if before is None:
        before = (gateway.store.log.published_offset + 1, 0)
    views, following = await _BackwardScan(gateway, number, wanted, allowed).back(before, limit)
    return Page(await schemas_of(gateway, views), cursors.encode_pair(following) if following is not None else None)


def destination_number(gateway: ReadContext, name: str) -> int:
    """The number of the destination with this name today, else the last number it had. NotFound."""
    live = gateway.active.destinations.get(name)
    if live is not None:
        return live.number
    numbers = [number for number, known in gateway.active.destination_names.items() if known == name]
    if not numbers:
        raise NotFound(f"there is no destination {name!r}")
    return max(numbers)


async def _of_event(
    gateway: ReadContext,
    event_id: str,
    number: int | None,
    state: DeliveryState | None,
    limit: int,
    before: Pair | None,
    allowed: Allowed,
) -> Page[DeliverySchema]:
    event = await events.event_by_id(gateway, event_id, allowed)
    views = [
        view
        for view in reversed(await of_event(gateway, event.offset, event.audience))
        if (number is None or view.destination == number)
        and (state is None or view.state is state)
        and (before is None or (view.offset, view.destination) < before)
    ]
    given = views[:limit]
    following = (given[-1].offset, given[-1].destination) if len(views) > limit else None
    return Page(await schemas_of(gateway, given), cursors.encode_pair(following) if following is not None else None)


async def of_event(gateway: ReadContext, offset: int, audience: int) -> list[DeliveryView]:
    """All deliveries of one event, those that a replay made for it too, by destination."""
    decided = {destination for destination, _ in gateway.store.log.audiences()[audience].wanted}
    others = [(offset, number) for number in gateway.active.destination_names if number not in decided]
    made = await gateway.store.deliveries.deferred(offsets=[offset])
    decided.update(one.destination for one in made)
    if others:
        attempts = await gateway.store.deliveries.attempts(others)
        decided.update(destination for (_, destination), tried in attempts.items() if tried)
    pairs = [(offset, destination) for destination in sorted(decided)]
    views = await gateway.deliver.states(pairs)
    return [views[pair] for pair in pairs if pair in views]


class _BackwardScan:
    """One walk backwards through the log for deliveries that fit, newest event first, then by destination downwards."""

    def __init__(
        self, gateway: ReadContext, destination: int | None, state: DeliveryState | None, allowed: Allowed
    ) -> None:
        self._gateway = gateway
        self._store = gateway.store
        self._destination = destination
        self._state = state
        self._allowed = allowed
        self._adopting: list[int] = []  # destinations with deliveries that a replay made beyond the audiences

    async def back(self, before: Pair, limit: int) -> tuple[list[DeliveryView], Pair | None]:
        """At most `limit` deliveries below `before`, and the pair the next page begins below (None: that was all)."""
        spans = await self._spans(before[0])
        found: list[DeliveryView] = []
        upto, window = before[0], FIRST_WINDOW
        for _ in range(ROUNDS):
            if upto <= 0:
                return found, None
            pairs, after = await self._candidates(spans, max(0, upto - window), upto)
            for view in await self._states([pair for pair in pairs if pair < before]):
                if len(found) == limit:
                    return found, (found[-1].offset, found[-1].destination)
                found.append(view)
            window = min(window * 4, LARGEST_WINDOW) if len(pairs) < FULL // 2 else max(upto - after, 1)
            upto = after
        return found, (upto + 1, 0) if upto > 0 else None

    async def _states(self, pairs: list[Pair]) -> list[DeliveryView]:
        views = await self._gateway.deliver.states(pairs) if pairs else {}
        fitting = []
        for pair in pairs:
            view = views.get(pair)
            if view is not None and (self._state is None or view.state is self._state):
                fitting.append(view)
        return fitting

    async def _spans(self, head: int) -> list[_Span]:
        """Where the log must be walked for the state; rows of deferred deliveries are looked at beside it."""
        standing = await self._store.deliveries.load()
        lanes = list(standing.lanes)
        own = None if self._destination is None else frozenset((self._destination,))
        lanes = [lane for lane in lanes if own is None or lane.destination in own]
        if self._state in (DeliveryState.PENDING, DeliveryState.SENDING):
            high_water_mark = min(standing.high_water_marks.values())
            behind = [
                lane for lane in lanes if lane.committed_offset is not None and lane.committed_offset < high_water_mark
            ]
            spans = [
                _Span(lane.committed_offset or 0, high_water_mark, frozenset((lane.destination,))) for lane in behind
            ]
            return [*spans, _Span(high_water_mark, head, own)]
        if self._state in (DeliveryState.EXHAUSTED, DeliveryState.CANCELED):
            return [
                _Span(one.after, one.upto, frozenset((one.destination,)))
                for one in await self._store.deliveries.ranges()
                if one.state is self._state and (own is None or one.destination in own)
            ]
        self._adopting = [lane.destination for lane in lanes if lane.adopted]
        return [_Span(0, head, own)]

    async def _candidates(self, spans: Sequence[_Span], after: int, upto: int) -> tuple[list[Pair], int]:
        """Pairs of (after, upto], newest first, and the `after` they are complete from: nearer where there are many."""
        pairs: set[Pair] = set()
        states = tuple(DeferredState) if self._state is None else _EXCEPTIONS.get(self._state)
        if states is not None:
            rows, after = await self._deferred(states, after, upto)
            pairs.update(rows)
        for span in spans:
            low, high = max(after, span.after), min(upto, span.upto)
            if low < high:
                rows, complete = await self._scan(span, low, high)
                pairs.update(rows)
                after = max(after, complete) if complete > low else after
        seen = [pair for pair in pairs if pair[0] > after]
        if self._allowed is not None:
            seen = await self._visible(seen)
        return sorted(seen, reverse=True), after

    async def _deferred(self, states: Sequence[DeferredState], after: int, upto: int) -> tuple[list[Pair], int]:
        while True:
            cap = FULL if upto - after > 1 else EVERYTHING
            rows = await self._store.deliveries.deferred(
                destination=self._destination, states=states, after=after, limit=cap
            )
            if len(rows) < cap or rows[-1].offset > upto:
                return [(row.offset, row.destination) for row in rows if row.offset <= upto], after
            after = (after + upto + 1) // 2

    async def _scan(self, span: _Span, after: int, upto: int) -> tuple[list[Pair], int]:
        audiences = self._store.log.audiences()
        adopting = [d for d in self._adopting if span.destinations is None or d in span.destinations]
        only = None if adopting else [a.number for a in audiences.values() if self._concerns(a, span)]
        while True:
            cap = FULL if upto - after > 1 else EVERYTHING
            rows = [] if only == [] else await self._store.log.scan(after, upto, cap, only)
            if len(rows) < cap:
                break
            after = (after + upto + 1) // 2
        pairs: list[Pair] = []
        beyond: list[Pair] = []
        for offset, number in rows:
            wanted = {destination for destination, _ in audiences[number].wanted}
            pairs.extend((offset, d) for d in wanted if span.destinations is None or d in span.destinations)
            beyond.extend((offset, d) for d in adopting if d not in wanted)
        if beyond:
            tried = await self._store.deliveries.attempts(beyond)
            pairs.extend(pair for pair, attempts in tried.items() if attempts)
        return pairs, after

    def _concerns(self, audience: Audience, span: _Span) -> bool:
        if self._allowed is not None and audience.source not in self._allowed:
            return False
        if span.destinations is None:
            return bool(audience.wanted)
        return any(destination in span.destinations for destination, _ in audience.wanted)

    async def _visible(self, pairs: list[Pair]) -> list[Pair]:
        """Only pairs of events whose source the caller may see; asked of the log, as rows of deferred deliveries name
        none.
        """
        audiences = self._store.log.audiences()
        wanted = sorted({offset for offset, _ in pairs})
        seen: set[int] = set()
        for start in range(0, len(wanted), events.SLICE):
            for event in await self._store.log.read(wanted[start : start + events.SLICE]):
                if self._allowed is None or audiences[event.audience].source in self._allowed:
                    seen.add(event.offset)
        return [pair for pair in pairs if pair[0] in seen]


async def delivery_by_id(gateway: ReadContext, delivery_id: str, allowed: Allowed = None) -> DeliverySchema:
    """One delivery with every attempt and its request as it was sent. NotFound."""
    view = await view_of(gateway, delivery_id, allowed)
    found, stored = await schemas_of(gateway, [view]), await gateway.store.log.read([view.offset])
    if not found or not stored:
        raise _missing(delivery_id)
    requests = await requests_as_sent(gateway, stored[0], view.attempts)
    for attempt, request in zip(found[0].attempts, requests, strict=True):
        attempt.request = request
    return found[0]


async def view_of(gateway: ReadContext, delivery_id: str, allowed: Allowed = None) -> DeliveryView:
    """NotFound when there is no such delivery, or the caller may not see it."""
    parts = ids.delivery_parts(gateway.store.log.instance, delivery_id)
    if parts is None or parts[0] > events.MAX_OFFSET:
        raise _missing(delivery_id)
    found = await gateway.store.log.read([parts[0]])
    if not found or (allowed is not None and found[0].source not in allowed):
        raise _missing(delivery_id)
    for view in await of_event(gateway, parts[0], found[0].audience):
        if view.destination == parts[1]:
            return view
    raise _missing(delivery_id)


def _missing(delivery_id: str) -> NotFound:
    return NotFound(
        f"there is no delivery {delivery_id[:80]!r}",
        hint="retention may have removed its event; list the events that are kept: tidegate events",
    )


async def schemas_of(gateway: ReadContext, views: Sequence[DeliveryView]) -> list[DeliverySchema]:
    """Schemas, with type and source of their events; those whose event was just trimmed are left out."""
    known: dict[int, Event] = {}
    wanted = sorted({view.offset for view in views})
    for start in range(0, len(wanted), events.SLICE):
        for event in await gateway.store.log.read(wanted[start : start + events.SLICE]):
            known[event.offset] = msgspec.structs.replace(event, body=b"")  # the body is not needed
    instance = gateway.store.log.instance
    names = gateway.active.destination_names
    return [
        schema_of(
            instance, view, known[view.offset], names.get(view.destination, ""), gateway.active.route_name(view.route)
        )
        for view in views
        if view.offset in known
    ]


def schema_of(instance: str, view: DeliveryView, event: Event, destination: str, route: str) -> DeliverySchema:
    return DeliverySchema(
        id=ids.delivery_id(instance, view.offset, view.destination),
        event=ids.event_id(instance, view.offset),
        event_type=event.type,
        source=event.source,
        destination=destination,
        state=view.state.value,
        cause=view.cause,
        attempts=[attempt_schema(instance, attempt) for attempt in view.attempts],
        next_attempt_at=rfc3339(view.next_attempt_at_us),
        first_delivered_at=rfc3339(view.first_delivered_at_us),
        route=route or None,
    )


def attempt_schema(instance: str, attempt: Attempt) -> AttemptSchema:
    return AttemptSchema(
        id=ids.attempt_id(instance, attempt.offset, attempt.destination, attempt.number),
        number=attempt.number,
        outcome=attempt.outcome.name.lower(),
        status=attempt.status,
        error=attempt.error,
        started_at=instant(attempt.started_at_us),
        duration_ms=attempt.duration_us / 1000,
        manual=bool(attempt.manual),
        url=attempt.url,
        answer_headers=read_headers(attempt.answer_headers),
        answer_body=attempt.answer_body.decode("utf-8", "replace"),
        answer_bytes=attempt.answer_bytes,
    )
