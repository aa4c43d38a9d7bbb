"""`GET /explain/ID`: why an event went where it went, each delivery with its status, and what happens next.

Owns the reading; the sentences are those of `explanation.py`. Routing was decided when the event was appended and is
stored with it, so the decisions are those of the routes as they were then; routes that were added or changed since
follow them, as a replay would use them. Changes nothing.
"""

from __future__ import annotations

from typing import Any

from tidegate.core.clock import rfc3339
from tidegate.core.errors import NotFound
from tidegate.core.findings import Finding
from tidegate.core.model import SYSTEM_SOURCE, Audience, DeliveryState, Event, Origin
from tidegate.query import deliveries, events, explanation, feeding, health, stats
from tidegate.query.all_findings import all_findings
from tidegate.query.context import ReadContext
from tidegate.query.events import Allowed
from tidegate.query.explanation import DestinationState
from tidegate.query.schemas import EventSchema, ExplainedDelivery, Explanation, RouteDecision
from tidegate.rules.inbound.cloudevents import why_not_valid
from tidegate.rules.language.repeated_members import MAX_LOOKED, repeated_members
from tidegate.rules.language.view import VERIFIED, EventView, event_view, header_map, noted
from tidegate.rules.outbound import causes
from tidegate.rules.routing import RouteRule, why_not

_SHOWN_HEADERS = 20


async def explain(gateway: ReadContext, thing_id: str, allowed: Allowed = None) -> Explanation:
    """By the ID of an event, or of a delivery (then only that delivery is explained). NotFound."""
    event, only = await _found(gateway, thing_id, allowed)
    views = [
        view
        for view in await deliveries.of_event(gateway, event.offset, event.audience)
        if only is None or view.destination == only
    ]
    schema = events.schema_of(gateway.store.log.instance, event, headers=True)
    seen = event_view(event)
    audience = gateway.store.log.audiences()[event.audience]
    explained = [
        explanation.explain_delivery(one, destination_state(gateway, one.destination))
        for one in await deliveries.schemas_of(gateway, views)
    ]
    updates = feeding.updated_resources(gateway.active, event)
    routes = _decisions(gateway, event, audience, schema, seen)
    source = gateway.active.sources.get(event.source)
    notes = _notes(gateway, event, seen)
    if seen["body"] is seen["data"]:
        del seen["body"]
    return Explanation(
        event=schema,
        seen=seen,
        summary=explanation.summary(explained, updates),
        origin=explanation.origin(schema),
        signature=explanation.signature(
            schema, source.spec.webhook if source is not None else None, noted(event.headers, VERIFIED)
        ),
        delivered_to=explanation.delivered_to(explained, updates),
        next=explanation.next_step(explained, updates, routed=bool(routes)),
        routes=routes,
        deliveries=explained,
        notes=notes,
        updates=updates,
        findings=await _findings(gateway, schema, explained, updates),
    )


def _notes(gateway: ReadContext, event: Event, seen: EventView) -> list[str]:
    """What could not be read or is not forwarded, with the remedy."""
    notes = []
    if seen.unreadable and event.body:
        notes.append(f"{seen.unreadable}, so filters and templates cannot read it; its bytes are sent unchanged")
    notes += _repeated(event, seen) + _not_valid(gateway, event)
    left = gateway.active.forwards(event.source).left(event.headers)
    if left and event.origin is Origin.WEBHOOK:
        more = f" and {len(left) - _SHOWN_HEADERS} more" if left[_SHOWN_HEADERS:] else ""
        notes.append(
            f"receivers do not get these request headers: {', '.join(left[:_SHOWN_HEADERS])}{more}; to forward one,"
            f" name it in forward_headers of [sources.{event.source}.webhook]"
        )
    change = events.change_schema(event.change)
    if change is not None and change.healed is not None:
        notes.append(
            f"{explanation.missed(change.healed)}; if it came later, it counts as late and changed nothing: check the"
            f" deliveries of the provider to /in/{event.source}, and see tidegate stats"
        )
    return notes


def _repeated(event: Event, seen: EventView) -> list[str]:
    """Members that come twice in one object, of which everybody may read another one."""
    if seen.unreadable:
        return []
    if len(event.body) > MAX_LOOKED:
        return [f"the body is longer than {MAX_LOOKED >> 20} MiB, so nobody looked for members that come twice in it"]
    names = repeated_members(event.body, event.content_type, header_map(event.headers).get("content-encoding", ""))
    if not names:
        return []
    shown = ", ".join(repr(name) for name in names)
    return [
        f"an object of the body has these members twice: {shown}; filters, templates and places read the last one, and"
        " a receiver may read the first: ask the sender to write each once"
    ]


def _not_valid(gateway: ReadContext, event: Event) -> list[str]:
    """What a CloudEvent lacks."""
    source = gateway.active.sources.get(event.source)
    webhook = source.spec.webhook if source is not None else None
    if event.origin is not Origin.WEBHOOK or webhook is None or webhook.verify != "cloudevents":
        return []
    headers = {name.encode("latin-1", "replace"): text.encode() for name, text in header_map(event.headers).items()}
    headers[b"content-type"] = event.content_type.encode("latin-1", "replace")
    why = why_not_valid(headers, event.body)
    return [f"it is not a valid CloudEvent 1.0: {why}; a receiver may reject it"] if why else []


async def _found(gateway: ReadContext, thing_id: str, allowed: Allowed) -> tuple[Event, int | None]:
    """(the event, the number of the one destination that is asked for or None)."""
    if not thing_id.startswith("dlv_"):
        return await events.event_by_id(gateway, thing_id, allowed), None
    view = await deliveries.view_of(gateway, thing_id, allowed)
    event = await events.at(gateway.store.log, view.offset)
    if event is None:
        raise NotFound(
            f"retention removed the event of {thing_id!r}", hint="list the events that are kept: tidegate events"
        )
    return event, view.destination


def destination_state(gateway: ReadContext, name: str) -> DestinationState:
    """What decides when the pending deliveries of a destination go out."""
    live = gateway.active.destinations.get(name)
    if live is None:
        return DestinationState(deleted=True)
    seen = gateway.deliver.health(live.number)
    return DestinationState(
        pause_reason=(live.pause_reason or "operator") if live.paused_at_us is not None else "",
        circuit_open=seen.circuit != "closed",
        failure=health.failure(seen),
        remedy=causes.what_to_do(seen.outcome, seen.status),
        probe_at=rfc3339(seen.probe_at_us),
    )


async def _findings(
    gateway: ReadContext, event: EventSchema, explained: list[ExplainedDelivery], updates: list[str]
) -> list[Finding]:
    """Findings about the source, the resources and the undelivered destinations of this event."""
    resources = [*updates, *([event.change.resource] if event.change is not None else [])]
    subjects = {f"source:{event.source}", *(f"resource:{event.source}/{name}" for name in resources)}
    subjects |= {f"destination:{one.destination}" for one in explained if one.state != DeliveryState.DELIVERED.value}
    found = await all_findings(gateway, await stats.snapshot(gateway))
    return [one for one in found if one.subject in subjects]


def _decisions(
    gateway: ReadContext, event: Event, audience: Audience, schema: EventSchema, seen: dict[str, Any]
) -> list[RouteDecision]:
    """Routes that were considered then, in deciding order; after them those of today that did not exist yet."""
    active = gateway.active
    won: dict[int, list[int]] = {}
    for destination, revision in audience.wanted:
        won.setdefault(revision, []).append(destination)
    resource = schema.change.resource if schema.change is not None else None
    decisions = []
    for revision in audience.considered:
        rule = active.revision(revision)
        if rule is not None:
            reason = why_not(rule, event.source, event.type, resource, seen, active.fed_resources)
            decisions.append(_decision(gateway, rule, won.get(revision, []), audience, reason))
    for route in active.routes.values():
        rule = active.revision(route.revision)
        if route.revision in audience.considered or rule is None or not route.spec.enabled:
            continue
        reason = why_not(rule, event.source, event.type, resource, seen, active.fed_resources)
        reason = reason or "newer than this event; a replay would use it"
        decisions.append(
            RouteDecision(route=rule.name, revision=rule.revision, selected=False, destinations=[], reason=reason)
        )
    return decisions


def _decision(gateway: ReadContext, rule: RouteRule, won: list[int], audience: Audience, reason: str) -> RouteDecision:
    names = gateway.active.destination_names
    itself = [names[one] for one in rule.destinations if one in audience.filtered and one in names]
    if audience.source == SYSTEM_SOURCE and not reason and itself:
        reason = "selected the event; " * bool(won) + f"{', '.join(itself)} gets no alert about itself"
    elif won:
        reason = "selected the event"
    elif not reason:
        # It matches, and an earlier route already selected the event for each of its destinations.
        winners = {
            name
            for number, revision in audience.wanted
            if number in rule.destinations and (name := gateway.active.route_name(revision))
        }
        reason = f"its destinations already get the event by {', '.join(sorted(winners)) or 'an earlier route'}"
    return RouteDecision(
        route=rule.name,
        revision=rule.revision,
        selected=bool(won),
        destinations=[names.get(number, f"number-{number}") for number in won],
        reason=reason,
    )
