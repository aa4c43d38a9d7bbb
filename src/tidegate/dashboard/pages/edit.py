"""Send one event to a destination of choice, as it is or edited: a form, a question, and then the send.

Owns `/events/ID/edit` and its two steps. Nothing goes out before the question is answered; the review changes nothing.
The steps carry what was typed in the form itself, so nothing is kept between them and a crash loses nothing.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.core import ids
from tidegate.core.errors import BadRequest, NotFound
from tidegate.core.model import Event
from tidegate.dashboard import badges, payload
from tidegate.dashboard.page_context import PageContext, field, see_other
from tidegate.deliver import Edit, ReplayQuery
from tidegate.query import events
from tidegate.rules.language.numbers import decode_json
from tidegate.rules.language.view import media_type
from tidegate.runtime import ActiveDestination

MAX_BODY_BYTES = 12_000  # of a body that is edited in the browser, as it weighs on the page
MAX_HEADERS_TEXT = 4_000
NAMES = 100  # destinations that are suggested


class EditForm(Struct, kw_only=True):
    """`body` is None when it cannot be edited here; `why_not` says why."""

    event: str
    type: str
    destination: str
    names: list[str]
    body: str | None
    why_not: str
    headers: str = ""


class Review(Struct, kw_only=True):
    """What goes out when the question is answered with yes."""

    event: str
    type: str
    destination: str
    address: str
    paused: bool
    edited: bool
    differences: list[tuple[str, str, str]]
    headers: list[tuple[str, str]]
    body_text: str  # as typed, for the next step
    headers_text: str
    changed_body: bool


class Typed(Struct, kw_only=True):
    """What a person typed: the destination, the body when it differs from the event's, the headers."""

    destination: str
    body: bytes | None
    headers: dict[str, str]


async def show(context: PageContext, request: Request) -> Response:
    """`/events/ID/edit?destination=NAME`."""
    event = await events.event_by_id(context.gateway, request.path_params["id"])
    body, why_not = editable(event)
    form = EditForm(
        event=request.path_params["id"],
        type=event.type,
        destination=request.query_params.get("destination", "")[:80],
        names=sorted(context.gateway.active.destinations)[:NAMES],
        body=body,
        why_not=why_not,
    )
    return context.templates.response(request, "edit.html", section="events", view=form)


async def review(context: PageContext, request: Request) -> Response:
    """The question, with the address and what is different. Changes nothing."""
    gateway = context.gateway
    event = await events.event_by_id(gateway, request.path_params["id"])
    typed = read_typed(event, request)
    destination = _destination(context, typed)
    before, after = _decoded(event.body), _decoded(typed.body) if typed.body is not None else None
    shown = Review(
        event=request.path_params["id"],
        type=event.type,
        destination=destination.name,
        address=badges.shown_address(destination.spec)[1],
        paused=destination.paused_at_us is not None,
        edited=typed.body is not None or bool(typed.headers),
        differences=payload.differences(before, after, payload.Space(6_000)) if isinstance(after, dict) else [],
        headers=list(typed.headers.items())[:40],
        body_text=field(request, "body") if typed.body is not None else "",
        headers_text=field(request, "headers"),
        changed_body=typed.body is not None,
    )
    return context.templates.response(request, "review.html", section="events", view=shown)


async def send(context: PageContext, request: Request) -> Response:
    """Send it: the event itself, or an edited copy, which is an event of its own."""
    gateway, event_id = context.gateway, request.path_params["id"]
    event = await events.event_by_id(gateway, event_id)
    typed = read_typed(event, request)
    offset, number = event.offset, _destination(context, typed).number
    if typed.body is not None or typed.headers:
        edit = Edit(_as_api(event, typed.body), typed.headers)
        offset, number = await gateway.deliver.send_edited(event_id, typed.destination, edit)
    else:
        await gateway.deliver.replay(ReplayQuery(event=event_id, destination=typed.destination, direct=True))
    instance = gateway.store.log.instance
    delivery = ids.delivery_id(instance, offset, number)
    return see_other(f"/events/{ids.event_id(instance, offset)}?delivery={delivery}", "sent")


def _destination(context: PageContext, typed: Typed) -> ActiveDestination:
    found = context.gateway.active.destinations.get(typed.destination)
    if found is None:
        raise NotFound(f"there is no destination {typed.destination[:80]!r}", hint="go back and choose another one")
    return found


# -- what was typed --------------------------------------------------------------------------------------


def editable(event: Event) -> tuple[str | None, str]:
    """(the body as text for a form, "") or (None, why it cannot be edited in the browser)."""
    try:
        text = event.body.decode("utf-8")
        if _is_json(event):
            text = msgspec.json.format(event.body, indent=2).decode("utf-8")
    except (UnicodeDecodeError, msgspec.DecodeError):
        return None, "The body is not text, so it cannot be edited here."
    if payload.weight(text) > MAX_BODY_BYTES:
        command = "tidegate replay EVENT --to DESTINATION --body FILE"
        return None, f"The body is too large to edit in the browser. Use `{command}`."
    return text, ""


def read_typed(event: Event, request: Request) -> Typed:
    """Raises BadRequest for a body that is not JSON where it must be, and for lines that are not headers."""
    destination = field(request, "destination").strip()
    if not destination:
        raise BadRequest("no destination is chosen", hint="go back and choose one")
    text, before = _lines(field(request, "body")), editable(event)[0]
    body = None if before is None or not text or text == _lines(before) else text.encode()
    if body is not None and _is_json(event):
        try:
            msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"the body is not JSON: {error}", hint="go back and correct it") from None
    return Typed(destination=destination, body=body, headers=read_headers(field(request, "headers")))


def read_headers(text: str) -> dict[str, str]:
    """`Name: value` lines. Raises BadRequest."""
    if len(text) > MAX_HEADERS_TEXT:
        raise BadRequest(f"the headers have more than {MAX_HEADERS_TEXT} characters", hint="go back and remove some")
    headers = {}
    for line in _lines(text).split("\n"):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip():
            raise BadRequest(f"{line[:60]!r} is not a header", hint="write a header in each line: Name: value")
        headers[name.strip()] = value.strip()
    return headers


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip()  # a form sends line ends as CRLF


def _as_api(event: Event, body: bytes | None) -> bytes | None:
    """The body as `POST /events/ID/replay` takes it: JSON, or a JSON string for other content types."""
    return body if body is None or _is_json(event) else msgspec.json.encode(body.decode("utf-8"))


def _is_json(event: Event) -> bool:
    return media_type(event.content_type).endswith("json")


def _decoded(body: bytes) -> object:
    try:
        return decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
