"""Handlers for development: the request of an event, for `tidegate listen`, and test events, for `tidegate trigger`.

Owns the schemas of these calls, and which destinations are on this machine. May not know the command line. Invariants:
without the admin scope nothing that is signed is shown; a test event reaches a destination on another machine only when
the caller says so. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tidegate.api.calls import Call
from tidegate.core.errors import BadRequest, Conflict, NotFound
from tidegate.core.model import NewEvent
from tidegate.deliver import Edit, local_request
from tidegate.kinds import kind_of
from tidegate.query import events
from tidegate.query.sent_requests import text_of
from tidegate.receive import trigger as triggers
from tidegate.receive.samples import Wanted
from tidegate.rules.language.view import event_view


class LocalEdit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to change in the request. `body` replaces the body, `headers` add to those of the event."""

    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    headers: dict[str, str] = {}


class LocalRequestSchema(msgspec.Struct, kw_only=True):
    """A request to send. `body` is text, or base64. `signed`: signed now as the provider of the source does."""

    method: str
    headers: list[tuple[str, str]]
    body: str
    body_encoding: str  # "utf-8" or "base64"
    signed: bool


async def request_as_it_came(call: Call) -> LocalRequestSchema:
    return await _request(call, None, sign=False)


async def request_signed_now(call: Call) -> LocalRequestSchema:
    asked: LocalEdit = call.body
    body = None if asked.body is msgspec.UNSET else bytes(asked.body)
    edit = Edit(body, asked.headers) if body is not None or asked.headers else None
    return await _request(call, edit, sign=True)


async def _request(call: Call, edit: Edit | None, *, sign: bool) -> LocalRequestSchema:
    event_id = call.path["id"]
    await events.event_by_id(call.gateway, event_id, call.allowed)  # may the caller see it?
    made = await local_request(call.gateway.deliver.ports, event_id, edit, sign=sign)
    text, encoding = text_of(made.body)
    return LocalRequestSchema(
        method="POST", headers=made.headers, body=text, body_encoding=encoding, signed=made.signed
    )


# -- test events -----------------------------------------------------------------------------------------


class TriggerRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A test event. `set`: paths of the body and their values. `body` replaces the body of the sample.

    `elsewhere` lets it reach destinations that are not on the gateway's machine. `dry_run` only says where it would go.
    """

    type: str
    set: dict[str, Any] = {}
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    elsewhere: bool = False
    dry_run: bool = False


class Reached(msgspec.Struct):
    """A destination of the test event. `here`: on the gateway's machine."""

    name: str
    address: str
    here: bool


class TriggeredSchema(msgspec.Struct, kw_only=True):
    """`ids` are empty with `dry_run`, and when the source took the request for a handshake."""

    ids: list[str]
    status: int | None  # of the source's answer; null with `dry_run`
    destinations: list[Reached]
    note: str  # what was done beyond the sample, "" when nothing was
    throwaway_key: bool  # signed with a key made for this request, because only the provider has the real one


class ReachesElsewhere(Conflict):
    """A test event would reach a destination on another machine, and the caller did not allow that."""

    code = "reaches_elsewhere"
    hint = "send it with --yes, or leave test events out of the route: filter = { test = false }"


async def trigger_event(call: Call) -> TriggeredSchema:
    gateway, asked, name = call.gateway, call.body, call.path["name"]
    call.grant.need_source(name)
    source = gateway.active.sources.get(name)
    if source is None:
        raise NotFound(f"there is no source {name[:80]!r}", hint="list them: tidegate config show")
    if source.spec.webhook is None:
        raise NotFound(
            f"source {name!r} has no webhook input", hint="POST /events for a publish input", code="no_webhook_input"
        )
    if not asked.type:
        raise BadRequest("`type` is empty", hint="name an event type of the provider, such as charge.succeeded")
    body = None if asked.body is msgspec.UNSET else bytes(asked.body)
    now_us = gateway.clock.now_us()
    public_url = gateway.active.settings.gateway.public_url
    wanted = Wanted(asked.type, asked.set, body)
    one = triggers.prepare(name, source.spec, public_url, wanted, now_us, source.secrets(now_us))
    reached = _reached(call, triggers.events_of(gateway.ingress, one, now_us))
    elsewhere = [found for found in reached if not found.here]
    if elsewhere and not asked.elsewhere and not asked.dry_run:
        named = ", ".join(f"{found.name} ({found.address})" for found in elsewhere)
        raise ReachesElsewhere(f"the test event would reach {named}"[:500])
    if asked.dry_run:
        return TriggeredSchema(ids=[], status=None, destinations=reached, note=one.note, throwaway_key=one.throwaway)
    answer = await triggers.send(gateway.ingress, one)
    return TriggeredSchema(
        ids=_ids(answer),
        status=answer.status,
        destinations=reached,
        note=one.note,
        throwaway_key=one.throwaway,
    )


def _reached(call: Call, drafts: Sequence[NewEvent]) -> list[Reached]:
    """Where the events would go by the routes of today."""
    active = call.gateway.active
    numbers: dict[int, None] = {}
    for event in drafts:
        decision = active.decision_today(event.source, event.type, lambda event=event: event_view(event), None)  # type: ignore[misc]
        numbers.update(dict.fromkeys(number for number, _ in decision.wanted))
    found = [active.by_number[number] for number in numbers if number in active.by_number]
    return [
        Reached(one.name, kind_of(one.spec).shown_address(one.spec), _is_here(kind_of(one.spec).address(one.spec)))
        for one in found
    ]


def _is_here(address: str) -> bool:
    """Whether an address is on this machine; what cannot be read is not."""
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:
        return False


def _ids(answer: triggers.Answered) -> list[str]:
    """The ids in the answer of the ingress. BadRequest when the source rejected its own test event."""
    if answer.status >= 400:
        raise BadRequest(
            f"the source answered {answer.status}: {answer.body.decode('utf-8', 'replace')[:300]}",
            hint="see why: tidegate doctor",
            code="trigger_rejected",
        )
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    if not isinstance(found, dict):
        return []
    return [one["id"] for one in found["data"]] if "data" in found else [found["id"]] if "id" in found else []
