"""Edited copies: an event of the log with another body or other headers, for one destination that a person names.

Owns the copy. May not know senders or HTTP. Invariants: a copy is an event of origin `edit` that names its parent; it
goes to the named destination only, and neither routes, records, dedupe nor the counters of its source see it. Crash:
the copy is in the log, or nothing happened.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tidegate.core import ids
from tidegate.core.errors import BadRequest, NotFound
from tidegate.core.model import Event, NewEvent, Origin
from tidegate.deliver.ports import Ports
from tidegate.rules.inbound.redaction import REDACTED, is_credential
from tidegate.rules.language.stored_headers import read_headers
from tidegate.rules.language.view import ORIGIN, PARENT, event_view, media_type
from tidegate.runtime import ActiveDestination

MAX_HEADERS = 100


class Edit(msgspec.Struct, frozen=True):
    """`body`: JSON that replaces the body, or None. `headers`: added, or replacing those of the same name."""

    body: bytes | None
    headers: Mapping[str, str]


async def send_edited(ports: Ports, event_id: str, destination: str, edit: Edit) -> tuple[int, int]:
    """Append the copy; returns (its offset, the number of the destination). NotFound, BadRequest, StoreBusy."""
    active = named_destination(ports, destination)
    parent = await event_named(ports, event_id)
    copy = NewEvent(
        parent.source, parent.type, Origin.EDIT, ports.clock.now_us(), 0, edited_body(parent, edit.body),
        parent.content_type, edited_headers(parent, event_id, edit.headers), parent.key, parent.occurred_at_us,
        parent.data_path, change=parent.change, hops=parent.hops,
    )  # fmt: skip
    revision = revision_today(ports, parent, active.number)
    audience = await ports.log.audience(parent.source, (), ((active.number, revision),), ())
    copy.audience = audience.number
    appended = await ports.log.append([copy])
    return appended[0].offset, active.number


def named_destination(ports: Ports, name: str) -> ActiveDestination:
    """Raises NotFound."""
    found = ports.active.destinations.get(name)
    if found is None:
        raise NotFound(f"there is no destination {name[:80]!r}", hint="list them: tidegate config show")
    return found


async def event_named(ports: Ports, event_id: str) -> Event:
    """Raises NotFound."""
    offset = ids.event_offset(ports.log.instance, event_id)
    found = await ports.log.read([offset]) if offset is not None else []
    if not found:
        raise NotFound(
            f"there is no event {event_id[:80]!r}",
            hint="retention may have removed it; list the events that are kept: tidegate events",
        )
    return found[0]


def revision_today(ports: Ports, event: Event, destination: int) -> int:
    """The route of today that sends the event to the destination, as its transform applies; 0 when none does."""
    resource = msgspec.json.decode(event.change).get("resource") if event.change else None
    decision = ports.active.decision_today(event.source, event.type, lambda: event_view(event), resource)
    return dict(decision.wanted).get(destination, 0)


def edited_body(parent: Event, body: bytes | None) -> bytes:
    """The bytes of the copy. BadRequest when `body` is not a text and the event is not JSON."""
    if body is None:
        return parent.body
    if media_type(parent.content_type).endswith("json"):
        return body
    text = msgspec.json.decode(body)
    if not isinstance(text, str):
        raise BadRequest(
            f"the event has the content type {parent.content_type[:80]!r}, so `body` is a JSON string with its text"
        )
    return text.encode()


def edited_headers(parent: Event, parent_id: str, changed: Mapping[str, str]) -> bytes:
    """The headers of the copy as they are stored. BadRequest when there are too many."""
    if len(changed) > MAX_HEADERS:
        raise BadRequest(f"{len(changed)} headers are too many (maximum {MAX_HEADERS})")
    lower = {name.lower() for name in changed}
    kept = [
        (name, value)
        for name, value in read_headers(parent.headers)
        if name.lower() not in lower and name not in (PARENT, ORIGIN)
    ]
    added = [(name, REDACTED if is_credential(name.lower()) else value) for name, value in changed.items()]
    return msgspec.json.encode([*kept, *added, (PARENT, parent_id), (ORIGIN, parent.origin.value)])
