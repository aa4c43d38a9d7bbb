"""Why an event went where it went: what filters saw, what each route said, each delivery, and what happens next.

Routing was decided at append and stands with the event, so the verdicts are of the routes as they were then; routes
that came or changed since are named after them, as a replay would use them. Reads only.
"""

from __future__ import annotations

from typing import Any

from tidegate.core.clock import rfc3339
from tidegate.core.errors import NotFound
from tidegate.core.model import Audience, DeliveryState, Event, Origin
from tidegate.query import deliveries, events, feeding
from tidegate.query import health as troubles
from tidegate.query.context import ReadContext
from tidegate.query.events import Allowed
from tidegate.query.schemas import DeliverySchema, EventSchema, Explanation, RouteVerdict
from tidegate.rules.language.view import EventView, event_view
from tidegate.rules.outbound import causes
from tidegate.rules.routing import RouteRule, why_not

_SHOWN_HEADERS = 20


async def explain(gateway: ReadContext, thing_id: str, allowed: Allowed = None) -> Explanation:
    """Of an event's id, or of a delivery's (then only that delivery is told). NotFound."""
    only: int | None = None
    if thing_id.startswith("dlv_"):
        view = await deliveries.view_of(gateway, thing_id, allowed)
        only = view.destination
        found = await events.at(gateway.store.log, view.offset)
        if found is None:
            raise NotFound(
                f"the event of {thing_id!r} is past the retention", hint="list what is kept: tidegate events"
            )
        event = found
    else:
        event = await events.one(gateway, thing_id, allowed)
    views = [
        view
        for view in await deliveries.of_event(gateway, event.offset, event.audience)
        if only is None or view.destination == only
    ]
    told = await deliveries.forms(gateway, views)
    form = events.form(gateway.store.log.instance, event, headers=True)
    seen = event_view(event)
    audience = gateway.store.log.audiences()[event.audience]
    verdicts = _verdicts(gateway, event, audience, form, seen)
    fed = feeding.fed(gateway.active, event)
    following = _next(gateway, verdicts, told, fed)
    notes = _notes(gateway, event, seen)
    if seen["body"] is seen["data"]:
        del seen["body"]
    return Explanation(notes=notes, event=form, seen=seen, routes=verdicts, deliveries=told, next=following, fed=fed)


def _notes(gateway: ReadContext, event: Event, seen: EventView) -> list[str]:
    """What this event lost on its way in, and how to keep it the next time."""
    notes = []
    if seen.unreadable and event.body:
        notes.append(f"{seen.unreadable}, so filters and templates see nothing of it; its bytes are sent as they came")
    left = gateway.active.forwards(event.source).left(event.headers)
    if left and event.origin is Origin.WEBHOOK:
        shown = ", ".join(left[:_SHOWN_HEADERS]) + (
            f" and {len(left) - _SHOWN_HEADERS} more" if left[_SHOWN_HEADERS:] else ""
        )
        notes.append(
            f"receivers do not get these request headers: {shown}; to forward one, name it in forward_headers of"
            f" [sources.{event.source}.webhook]"
        )
    return notes


def _verdicts(
    gateway: ReadContext, event: Event, audience: Audience, form: EventSchema, seen: dict[str, Any]
) -> list[RouteVerdict]:
    """Routes considered then, in deciding order; after them those of today that were not there yet."""
    live = gateway.active
    won: dict[int, list[int]] = {}
    for destination, revision in audience.wanted:
        won.setdefault(revision, []).append(destination)
    resource = form.change.resource if form.change is not None else None
    verdicts = []
    for revision in audience.considered:
        rule = live.revision(revision)
        if rule is not None:
            reason = why_not(rule, event.source, event.type, resource, seen, live.fed_resources)
            verdicts.append(_verdict(gateway, rule, won.get(revision, []), audience, reason))
    for route in live.routes.values():
        rule = live.revision(route.revision)
        if route.revision in audience.considered or rule is None or not route.spec.enabled:
            continue
        reason = why_not(rule, event.source, event.type, resource, seen, live.fed_resources)
        if not reason:
            reason = "it is newer than this event, which it would take in a replay"
        verdicts.append(
            RouteVerdict(route=rule.name, revision=rule.revision, took=False, destinations=[], reason=reason)
        )
    return verdicts


def _verdict(gateway: ReadContext, rule: RouteRule, won: list[int], audience: Audience, reason: str) -> RouteVerdict:
    names = gateway.active.destination_names
    if won:
        reason = "it took the event"
    elif not reason:
        # It fits, and another route that stands before it already won each of its destinations.
        winners = {
            live_name
            for number, revision in audience.wanted
            if number in rule.destinations and (live_name := gateway.active.route_name(revision))
        }
        reason = f"its destinations were taken by {', '.join(sorted(winners)) or 'a route before it'} already"
    return RouteVerdict(
        route=rule.name,
        revision=rule.revision,
        took=bool(won),
        destinations=[names.get(number, f"number-{number}") for number in won],
        reason=reason,
    )


def _next(gateway: ReadContext, verdicts: list[RouteVerdict], told: list[DeliverySchema], fed: list[str]) -> list[str]:
    """What happens now, a sentence for each delivery that is not done."""
    if not told and fed:
        return [f"nothing: it fed {', '.join(fed)}, and what changed there is an event of its own"]
    if not told:
        if not verdicts:
            return ["nothing: no route names this source; add one, then replay the event"]
        return ["nothing: no route took it; change a route, then replay the event"]
    lines = []
    for delivery in told:
        line = _next_of(gateway, delivery)
        if line:
            lines.append(f"{delivery.destination}: {line}")
    return lines or ["nothing: every delivery is done"]


def _next_of(gateway: ReadContext, delivery: DeliverySchema) -> str:
    state = delivery.state
    if state == DeliveryState.EXHAUSTED.value:
        advice = causes.what_to_do(*_last(delivery))
        mend = f"{advice}, then" if advice else "send it again"
        return f"given up ({causes.why(*_last(delivery))}); {mend}: tidegate replay {delivery.id}"
    if state == DeliveryState.CANCELED.value:
        return f"canceled ({delivery.cause or 'operator'})"
    if state == DeliveryState.SENDING.value:
        return "on its way now"
    if state != DeliveryState.PENDING.value:
        return ""
    live = gateway.active.destinations.get(delivery.destination)
    if live is None:
        return "its destination was deleted"
    if live.pause_reason == "left_file":
        how = "put it back and apply, or give up what waits: tidegate config apply --prune"
        return f"waits, the destination left the file; {how}"
    if live.paused_at_us is not None:
        why = {"operator": "by a person", "gone": "it answered 410 Gone"}.get(live.pause_reason, live.pause_reason)
        return f"waits, the destination is paused ({why}); resume it: tidegate resume {live.name}"
    health = gateway.deliver.health(live.number)
    if health.circuit != "closed":
        probe = f", the next at {rfc3339(health.probe_at_us)}" if health.probe_at_us is not None else ""
        failing = f"{troubles.failure(health)}; one delivery at a time goes out as a probe{probe}"
        return f"waits, {failing}" + _advised(health.outcome, health.status)
    if delivery.next_attempt_at is not None:
        advised = _advised(*_last(delivery)) if delivery.attempts else ""
        return f"attempt {len(delivery.attempts) + 1} at {delivery.next_attempt_at}{advised}"
    return "waits for its turn"


def _last(delivery: DeliverySchema) -> tuple[str, int | None]:
    """(outcome or cause, status) that say why it is not delivered."""
    last = delivery.attempts[-1] if delivery.attempts else None
    if delivery.cause not in ("", "http_error"):
        return delivery.cause, None
    return (last.outcome, last.status) if last is not None else (delivery.cause or "http_error", None)


def _advised(outcome: str, status: int | None) -> str:
    advice = causes.what_to_do(outcome, status)
    return f"; {advice}" if advice else ""
