"""One delivery: an attempt with its request as it was sent and the response, and the same as a command to copy.

Owns the layout of `/deliveries/ID` and the plain text behind its copy buttons. What is shown was sent: credentials were
masked before it was stored, and what was not kept says so. A page stays under 60 KB; the plain text has the whole
request. `view` is pure.
"""

from __future__ import annotations

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tidegate.core.errors import BadRequest, NotFound
from tidegate.dashboard import badges, payload
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages.event import timeline_of
from tidegate.dashboard.render import SECURITY_HEADERS
from tidegate.query import deliveries, explain
from tidegate.query.schemas import AttemptSchema, EventSchema, ExplainedDelivery, RequestSchema
from tidegate.query.sent_requests import FORMATS, copied

LABELS = {"http": "HTTP", "curl": "curl", "python": "Python", "httpie": "HTTPie"}
REQUEST_BYTES, RESPONSE_BYTES = 9_000, 5_000
ATTEMPTS = 30  # listed on the page; the API has all


class AttemptLine(Struct, kw_only=True):
    """One attempt in the list; `href` shows it."""

    number: int
    icon: str
    label: str
    started_at: str
    duration_ms: float
    manual: bool
    href: str
    shown: bool


class DeliveryPage(Struct, kw_only=True):
    """Everything that the template shows. `text` is the request in the format `shown`; None when it was not kept."""

    event: EventSchema
    delivery: ExplainedDelivery
    icon: str
    label: str
    timeline: Markup
    attempts: list[AttemptLine]
    earlier: int
    attempt: AttemptSchema | None
    shown: str
    tabs: list[tuple[str, str, str]]  # (format, its label, its address)
    plain: str  # address of the whole request as plain text
    text: str | None
    text_cut: bool
    body_note: str
    response_headers: list[tuple[str, str]]
    response_body: str
    response_cut: bool
    can_retry: bool
    can_cancel: bool


async def show(context: PageContext, request: Request) -> Response:
    """`/deliveries/ID?attempt=N&as=http|curl|python|httpie`."""
    gateway, delivery_id = context.gateway, request.path_params["id"]
    explained = await explain.explain(gateway, delivery_id)
    (delivery,) = explained.deliveries
    attempt = await _attempt(context, request)
    shown = view(explained.event, delivery, attempt, _format(request), gateway.clock.now_us())
    return context.templates.response(request, "delivery.html", section="events", view=shown)


async def plain(context: PageContext, request: Request) -> Response:
    """`/deliveries/ID/request?attempt=N&as=...`: the whole request as text."""
    attempt = await _attempt(context, request)
    if attempt is None or not isinstance(attempt.request, RequestSchema):
        raise NotFound("the request of this attempt was not kept", hint="only requests that were sent are kept")
    return PlainTextResponse(copied(attempt.request, _format(request)), headers=SECURITY_HEADERS)


def _format(request: Request) -> str:
    asked = request.query_params.get("as", "http")
    return asked if asked in FORMATS else "http"


async def _attempt(context: PageContext, request: Request) -> AttemptSchema | None:
    """The attempt that is asked for, the latest by default; None before the first one."""
    found = await deliveries.delivery_by_id(context.gateway, request.path_params["id"])
    asked = request.query_params.get("attempt", "")
    if not asked:
        return found.attempts[-1] if found.attempts else None
    if not asked.isascii() or not asked.isdecimal() or len(asked) > 9:
        raise BadRequest(f"{asked[:20]!r} is not the number of an attempt", hint="the first attempt is number 1")
    for one in found.attempts:
        if one.number == int(asked):
            return one
    raise NotFound(f"there is no attempt {asked}", hint=f"open /deliveries/{found.id} for the latest one")


def view(
    event: EventSchema, delivery: ExplainedDelivery, attempt: AttemptSchema | None, shown: str, now_us: int
) -> DeliveryPage:
    """The page of one delivery with one attempt in full. Pure."""
    badge = badges.of_delivery(delivery.state, len(delivery.attempts))
    request = attempt.request if attempt is not None and isinstance(attempt.request, RequestSchema) else None
    space, number = payload.Space(REQUEST_BYTES), attempt.number if attempt is not None else 0
    whole = copied(request, shown) if request is not None else ""
    text = space.take(whole, REQUEST_BYTES)
    foreign = payload.Space(RESPONSE_BYTES)
    response = _response(attempt, foreign)
    address = f"/deliveries/{delivery.id}"
    return DeliveryPage(
        event=event,
        delivery=delivery,
        icon=badge.icon,
        label=badge.label,
        timeline=timeline_of(delivery, now_us),
        attempts=[_line(one, f"{address}?attempt={one.number}", number) for one in reversed(delivery.attempts)][
            :ATTEMPTS
        ],
        earlier=max(0, len(delivery.attempts) - ATTEMPTS),
        attempt=attempt,
        shown=shown,
        tabs=[(one, LABELS[one], f"{address}?attempt={number}&as={one}#request") for one in FORMATS],
        plain=f"{address}/request?attempt={number}&as={shown}",
        text=text if request is not None else None,
        text_cut=text.endswith("…") and text != whole,
        body_note=_body_note(request),
        response_headers=response[0],
        response_body=response[1],
        response_cut=attempt is not None and attempt.answer_bytes > len(response[1].encode()),
        can_retry=delivery.state in ("exhausted", "canceled", "delivered")
        or (delivery.state == "pending" and delivery.held != "paused"),
        can_cancel=delivery.state == "pending",
    )


def _line(one: AttemptSchema, href: str, shown: int) -> AttemptLine:
    return AttemptLine(
        number=one.number,
        icon="delivered" if one.outcome == "ok" else "exhausted",
        label=badges.attempt_label(one),
        started_at=one.started_at,
        duration_ms=one.duration_ms,
        manual=one.manual,
        href=href,
        shown=one.number == shown,
    )


def _response(attempt: AttemptSchema | None, space: payload.Space) -> tuple[list[tuple[str, str]], str]:
    if attempt is None:
        return [], ""
    headers = [(space.take(name, 80), space.take(value, 200)) for name, value in attempt.answer_headers[:24]]
    return headers, space.take(attempt.answer_body, RESPONSE_BYTES)


def _body_note(request: RequestSchema | None) -> str:
    """What a person must know about the body of the request."""
    if request is None:
        return ""
    if request.body is None:
        return "The body was not kept."
    if request.body_cut:
        return "Only the first 64 KiB of the body were kept, so a copied command does not send the same request."
    return "The body is not text; it is shown in base64." if request.body_encoding == "base64" else ""
