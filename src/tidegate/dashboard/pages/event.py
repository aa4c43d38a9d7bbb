"""One event: its origin and signature, its deliveries with every attempt, the routes' decisions, and its payload.

Owns the layout of `/events/ID`; the sentences are those of `query/explanation.py`. A page stays under 60 KB: cards of
deliveries, responses of receivers and the payload share a bounded number of bytes. `view` is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.config.checks import names_of
from tidegate.core.clock import parse_instant
from tidegate.core.model import Healed
from tidegate.dashboard import badges, payload
from tidegate.dashboard.charts import Try, attempt_timeline
from tidegate.dashboard.page_context import PageContext
from tidegate.deliver import ReplayQuery
from tidegate.query import deliveries, events, explain, explanation
from tidegate.query.schemas import (
    AttemptSchema,
    EventSchema,
    ExplainedDelivery,
    Explanation,
    RequestSchema,
    RouteDecision,
)
from tidegate.query.sent_requests import copied

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

ATTEMPTS = 2  # of a delivery, shown with their responses; the page of the delivery has all
ROUTES = 10
RESPONSE_TEXT = 600
PAGE_BYTES = 18_000  # shared by deliveries, responses of receivers and the payload
CARDS_BYTES = 8_400  # deliveries are shown in full until this is used, the rest in a line each
CARD_BYTES, ATTEMPT_BYTES, LINE_BYTES = 1_250, 560, 240
LINES = 10
FOREIGN = 2_400
REQUESTS, REQUEST_TEXT = 1_400, 900  # of all cards, of one
MOST_CARDS = 6
LEAST_PAYLOAD = 3_600
FINDABLE = 12  # values from which on a payload has a search field
_ORDER = ("exhausted", "pending", "sending", "canceled", "delivered")  # undelivered first
VIEWS = ("tree", "raw", "headers")


class AttemptView(Struct, kw_only=True):
    """One attempt with its response. `cut`: the response is longer than shown; `open`: shown unfolded."""

    number: int
    outcome: str
    status: int | None
    label: str
    started_at: str
    duration_ms: float
    manual: bool
    request: str | None  # as sent, the beginning; None when it is not shown here
    request_cut: bool
    error: str
    response_headers: list[tuple[str, str]]
    response_body: str
    response_bytes: int
    cut: bool
    open: bool


class DeliveryCard(Struct, kw_only=True):
    """One delivery in full. `earlier`: attempts that are not shown."""

    id: str
    destination: str
    state: str
    icon: str
    label: str
    status: str
    remedy: str
    next_at: str | None
    route: str | None
    timeline: str
    attempts: list[AttemptView]
    earlier: int
    can_retry: bool
    can_cancel: bool


class DeliveryLine(Struct, kw_only=True):
    """One delivery in a line; its address shows it in full."""

    destination: str
    icon: str
    label: str
    href: str


class PayloadView(Struct, kw_only=True):
    """The payload in the one view that is `shown`."""

    shown: str
    tabs: dict[str, str]
    readable: bool
    findable: bool
    tree: payload.Node | None
    raw: str
    raw_cut: bool
    headers: list[tuple[str, str]]


class EventPage(Struct, kw_only=True):
    """Everything that the template shows. `*_more` are counts of what is not shown."""

    explanation: Explanation
    cards: list[DeliveryCard]
    back: str
    lines: list[DeliveryLine]
    lines_more: int
    routes: list[RouteDecision]
    routes_more: int
    routes_elsewhere: int
    changing: bool
    differences: list[tuple[str, str, str]]
    payload: PayloadView
    replayable: int = 0
    healed: tuple[str, str | None] = ("", None)  # the webhook that was missed and for how long, since when


class Wanted(Struct, kw_only=True):
    """What the request asks to see: the view of the payload, and the delivery that comes first."""

    view: str = "tree"
    delivery: str = ""


async def show(context: PageContext, request: Request) -> Response:
    """`/events/ID?view=tree|raw|headers`."""
    gateway, event_id = context.gateway, request.path_params["id"]
    stored = await events.event_by_id(gateway, event_id)
    explained = await explain.explain(gateway, event_id)
    asked = request.query_params.get("view", "tree")
    wanted = Wanted(view=asked if asked in VIEWS else "tree", delivery=request.query_params.get("delivery", ""))
    sent = await _latest_requests(gateway, [one.id for one in _ordered(explained, wanted)[:MOST_CARDS]])
    shown = view(explained, stored.body, wanted, sent, gateway.clock.now_us())
    _leave_out(shown, explained, _elsewhere(gateway, explained.event.source))
    replay = ReplayQuery(event=explained.event.id, dry_run=True)
    shown.replayable = (await gateway.deliver.replay(replay)).matched
    return context.templates.response(request, "event.html", section="events", view=shown)


async def _latest_requests(gateway: Gateway, delivery_ids: list[str]) -> dict[str, RequestSchema]:
    """By delivery, the request of its latest attempt as it was sent, where it was kept."""
    found = [await deliveries.delivery_by_id(gateway, one) for one in delivery_ids]
    latest = {one.id: one.attempts[-1].request for one in found if one.attempts}
    return {one: request for one, request in latest.items() if isinstance(request, RequestSchema)}


def _ordered(explained: Explanation, wanted: Wanted) -> list[ExplainedDelivery]:
    """The delivery that is asked for, then the undelivered ones."""
    return sorted(explained.deliveries, key=lambda one: (one.id != wanted.delivery, _ORDER.index(one.state)))


def _elsewhere(gateway: Gateway, source: str) -> frozenset[str]:
    """Routes of today that name other sources only: they say nothing about an event of this source."""
    return frozenset(
        one.name for one in gateway.active.routes.values() if not {"*", source} & set(names_of(one.spec.from_))
    )


def _leave_out(shown: EventPage, explained: Explanation, elsewhere: frozenset[str]) -> None:
    relevant = [one for one in explained.routes if one.selected or one.route not in elsewhere]
    shown.routes, shown.routes_more = relevant[:ROUTES], len(relevant[ROUTES:])
    shown.routes_elsewhere = len(explained.routes) - len(relevant)


def view(
    explained: Explanation, body: bytes, wanted: Wanted, sent: Mapping[str, RequestSchema], now_us: int
) -> EventPage:
    """The page of an explanation. `body`: the event's bytes; `sent`: by delivery, its latest request as sent. Pure."""
    event = explained.event
    ordered = _ordered(explained, wanted)
    cards, used = _cards(ordered, sent, now_us)
    lines = [_line(one, event.id) for one in ordered[len(cards) :][:LINES]]
    used += LINE_BYTES * len(lines)
    space = payload.Space(min(payload.MAX_PAGE, max(LEAST_PAYLOAD, PAGE_BYTES - used - FOREIGN - REQUESTS)))
    first = ordered[0].id if ordered and ordered[0].id == wanted.delivery else ""
    half = payload.Space(space.left // 2)
    differences = payload.differences(event.change.before, event.data, half) if event.change is not None else []
    space.left -= space.left // 2 - half.left
    return EventPage(
        explanation=explained,
        cards=cards,
        back=f"/events/{event.id}" + (f"?delivery={first}" if first else ""),
        lines=lines,
        lines_more=len(ordered) - len(cards) - len(lines),
        routes=explained.routes[:ROUTES],
        routes_more=len(explained.routes[ROUTES:]),
        routes_elsewhere=0,
        changing=any(one.state in ("pending", "sending") for one in explained.deliveries),
        differences=differences,
        payload=_payload(event, body, wanted.view, space),
        healed=_missed(event.change.healed if event.change is not None else None),
    )


def _missed(healed: Healed | None) -> tuple[str, str | None]:
    """(the webhook that was missed and for how long, since when); "" for an event that was not healed."""
    if healed is None:
        return "", None
    return f"{' or '.join(healed.webhooks[:2]) or 'any'}, {explanation.missing(healed)}", healed.since


def _cards(
    ordered: list[ExplainedDelivery], sent: Mapping[str, RequestSchema], now_us: int
) -> tuple[list[DeliveryCard], int]:
    """(the deliveries that are shown in full, the bytes of the page that they use)."""
    foreign, requests, used = payload.Space(FOREIGN), payload.Space(REQUESTS), 0
    cards: list[DeliveryCard] = []
    for one in ordered[:MOST_CARDS]:
        if used >= CARDS_BYTES:
            break
        card = _card(one, now_us, foreign)
        _show_request(card, sent.get(one.id), requests)
        cards.append(card)
        used += CARD_BYTES + len(card.timeline) + ATTEMPT_BYTES * len(card.attempts)
    return cards, used


def _show_request(card: DeliveryCard, request: RequestSchema | None, space: payload.Space) -> None:
    """Put the beginning of the request into the latest attempt; the page of the delivery has all of it."""
    if request is not None and card.attempts and space.left > 200:
        text = copied(request, "http")
        shown = space.take(text, REQUEST_TEXT)
        card.attempts[0].request, card.attempts[0].request_cut = shown, shown != text


def _card(one: ExplainedDelivery, now_us: int, foreign: payload.Space) -> DeliveryCard:
    badge = badges.of_delivery(one.state, len(one.attempts))
    shown = one.attempts[-ATTEMPTS:]
    return DeliveryCard(
        id=one.id,
        destination=one.destination,
        state=one.state,
        icon=badge.icon,
        label=badge.label,
        status=one.status,
        remedy=one.remedy,
        next_at=one.next_at,
        route=one.route,
        timeline=timeline_of(one, now_us),
        attempts=[_attempt(a, foreign, unfolded=a is shown[-1] and a.outcome != "ok") for a in reversed(shown)],
        earlier=len(one.attempts) - len(shown),
        can_retry=one.state in ("exhausted", "canceled", "delivered")
        or (one.state == "pending" and one.held != "paused"),
        can_cancel=one.state == "pending",
    )


def timeline_of(one: ExplainedDelivery, now_us: int) -> Markup:
    """An axis of time with the attempts; one attempt alone needs none."""
    tries = [
        Try(a.number, parse_instant(a.started_at), a.outcome == "ok", badges.attempt_label(a)) for a in one.attempts
    ]
    due = parse_instant(one.next_attempt_at) if one.next_attempt_at and not one.held else None
    sending = one.state == "sending"
    if len(tries) + (due is not None) + sending <= 1:
        return Markup("")
    chart = attempt_timeline(tries, next_at_us=due, now_us=now_us, sending=sending)
    return Markup(chart)  # noqa: S704 - escaped by the chart


def _line(one: ExplainedDelivery, event_id: str) -> DeliveryLine:
    badge = badges.of_delivery(one.state, len(one.attempts))
    href = f"/events/{event_id}?delivery={one.id}"
    return DeliveryLine(destination=one.destination, icon=badge.icon, label=badge.label, href=href)


def _attempt(one: AttemptSchema, foreign: payload.Space, *, unfolded: bool) -> AttemptView:
    headers = [
        (foreign.take(name, 80), foreign.take(value, 120))
        for name, value in one.answer_headers[:12]
        if foreign.left > 0
    ]
    return AttemptView(
        number=one.number,
        outcome=one.outcome,
        status=one.status,
        label=badges.attempt_label(one),
        started_at=one.started_at,
        duration_ms=one.duration_ms,
        manual=one.manual,
        request=None,
        request_cut=False,
        error=one.error[:200],
        response_headers=headers,
        response_body=foreign.take(one.answer_body, RESPONSE_TEXT),
        response_bytes=one.answer_bytes,
        cut=one.answer_bytes > len(one.answer_body) or len(one.answer_body) > RESPONSE_TEXT or foreign.left <= 0,
        open=unfolded,
    )


def _payload(event: EventSchema, body: bytes, shown: str, space: payload.Space) -> PayloadView:
    raw, cut = payload.raw(body, space) if shown == "raw" else ("", False)
    tree = payload.tree(event.data, space) if shown == "tree" and event.data is not None else None
    return PayloadView(
        shown=shown,
        tabs={name: f"/events/{event.id}?view={name}#payload" for name in VIEWS},
        readable=event.data is not None,
        findable=payload.nodes(tree) >= FINDABLE,
        tree=tree,
        raw=raw,
        raw_cut=cut,
        headers=_headers(event, space) if shown == "headers" else [],
    )


def _headers(event: EventSchema, space: payload.Space) -> list[tuple[str, str]]:
    pairs = [] if event.headers is msgspec.UNSET else event.headers
    shown = []
    for name, value in pairs[:60]:
        if space.left <= 0:
            break
        space.left -= payload.NODE_BYTES
        shown.append((space.take(name, 80), space.take(value, 300)))
    return shown
