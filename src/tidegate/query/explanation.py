"""The sentences of an explanation: origin, signature, deliveries and the next step of an event.

Owns every sentence that the API, the event page and `tidegate explain` show about one event and its deliveries, so the
three say the same. Pure: schemas and the state of destinations in, text out. Instants are separate members, because
each reader shows them in its own time zone. Knows no store and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tidegate.core.model import DeliveryState, Healed, Origin
from tidegate.core.spec import WebhookInput
from tidegate.query.schemas import AttemptSchema, DeliverySchema, EventSchema, ExplainedDelivery, Fact
from tidegate.rules.measure import wording
from tidegate.rules.outbound import causes

_OPEN = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)
_PAUSES = {  # reason -> (what happened, remedy)
    "left_file": (
        "the destination is no longer in the configuration file",
        "put it back into the file, or delete it with its pending deliveries: tidegate config apply --prune",
    ),
    "gone": ("the destination answered 410 Gone and is stopped", "correct its `url`, then: tidegate resume {name}"),
}
_PAUSED = ("the destination is paused", "tidegate resume {name}")
_ORIGINS = {
    "webhook": "Webhook from {source}",
    "form": "Form of {source}",
    "publish": "Published to {source} through the API",
    "poll": "Poll of {source}",
    "reconcile": "Reconciliation of {source}",
    "pull": "Pull from {source}",
    "imap": "Mailbox of {source}",
    "system": "A state change of Tidegate itself",
}
_FOUND_BY = {
    "webhook": "reported by webhook",
    "reconcile": "found by reconciliation",
    "pull": "found by a pull on demand",
    "write": "written by an operation",
}


class DestinationState(Struct, frozen=True, kw_only=True):
    """What decides when the pending deliveries of one destination go out. `pause_reason` is "" when not paused."""

    deleted: bool = False
    pause_reason: str = ""
    circuit_open: bool = False
    failure: str = ""
    remedy: str = ""
    probe_at: str | None = None

    @property
    def held(self) -> str:
        """Why deliveries do not go out by themselves: "paused", "circuit_open", "deleted" or ""."""
        if self.deleted:
            return "deleted"
        return "paused" if self.pause_reason else "circuit_open" if self.circuit_open else ""


def explain_delivery(one: DeliverySchema, state: DestinationState) -> ExplainedDelivery:
    """The delivery with its status in a sentence, what to do, and when it is attempted next."""
    members = {name: getattr(one, name) for name in DeliverySchema.__struct_fields__}
    status, remedy = _status(one, state)
    next_at = None
    if one.state == DeliveryState.PENDING.value:
        next_at = {"": one.next_attempt_at, "circuit_open": state.probe_at}.get(state.held)
    held = state.held if one.state in _OPEN else ""
    return ExplainedDelivery(**members, status=status, remedy=remedy, next_at=next_at, held=held)


def _status(one: DeliverySchema, state: DestinationState) -> tuple[str, str]:
    """(a sentence, the remedy or "")."""
    attempts = _plural(len(one.attempts), "attempt")
    if one.state == DeliveryState.DELIVERED.value:
        return _delivered(one), ""
    if one.state == DeliveryState.EXHAUSTED.value:
        advice = causes.what_to_do(*last_failure(one))
        replay = f"tidegate replay {one.id}"
        return f"Exhausted after {attempts}: {cause(one)}.", f"{advice}, then: {replay}" if advice else replay
    if one.state == DeliveryState.CANCELED.value:
        who = " by an operator" if one.cause in ("", "operator") else f" ({cause(one)})"
        return f"Canceled{who} after {attempts}.", ""
    if one.state == DeliveryState.SENDING.value:
        return "In flight.", ""
    return _pending(one, state)


def _delivered(one: DeliverySchema) -> str:
    if len(one.attempts) > 1:
        return f"Delivered after {len(one.attempts)} attempts."
    took = f" in {one.attempts[0].duration_ms:,.0f} ms" if one.attempts else ""
    return f"Delivered on the first attempt{took}."


def _pending(one: DeliverySchema, state: DestinationState) -> tuple[str, str]:
    failed = f"{_plural(len(one.attempts), 'attempt')} failed: {cause(one)}. " if one.attempts else ""
    if state.deleted:
        return f"{failed}The destination was deleted.", ""
    if state.pause_reason:
        why, remedy = _PAUSES.get(state.pause_reason, _PAUSED)
        return f"{failed}Pending: {why}.", remedy.replace("{name}", one.destination)
    if state.circuit_open:
        why = "" if failed else f" ({state.failure})"
        return f"{failed}Pending: the destination fails{why}, so only probes are sent.", state.remedy
    if one.next_attempt_at is not None and one.attempts:
        return f"{failed}A retry is scheduled.", causes.what_to_do(*last_failure(one))
    return f"{failed}Pending: waiting for its turn.", ""


def cause(one: DeliverySchema) -> str:
    """Why it is not delivered: the cause of the delivery, else how its last attempt ended."""
    if not one.attempts and one.cause in ("", "http_error"):
        return "no attempt was made"
    return causes.why(*last_failure(one))


def last_failure(one: DeliverySchema) -> tuple[str, int | None]:
    """(outcome or cause, status) that say why it is not delivered."""
    if one.cause not in ("", "http_error"):
        return one.cause, None
    last: AttemptSchema | None = one.attempts[-1] if one.attempts else None
    return (last.outcome, last.status) if last is not None else ("http_error", None)


def origin(event: EventSchema) -> Fact:
    if event.change is not None:
        kind = event.type.rpartition(".")[2]
        found = _FOUND_BY.get(event.origin, "found by polling")
        detail = f"change {event.change.number} of {event.key}, {found}"
        if event.change.caused_by:
            detail += f", caused by {event.change.caused_by}"
        if event.change.healed is not None:
            detail += f"; {missed(event.change.healed)}"
        return Fact(text=f"A record of {event.change.resource} was {kind}", detail=detail)
    text = _ORIGINS.get(event.origin, "{source}").format(source=event.source)
    return Fact(text=text, detail=f"{_plural(event.body_bytes, 'byte')}, offset {event.offset:,}")


def missed(healed: Healed) -> str:
    """`no orders/updated webhook had reported it, missing for 12 min`."""
    names = f"{' or '.join(healed.webhooks[:2])} " * bool(healed.webhooks)
    return f"no {names}webhook had reported it, {missing(healed)}"


def missing(healed: Healed) -> str:
    """`missing for 12 min`, or `missing for at most 1 h` where only a bound is known."""
    longest = healed.missed_for_seconds
    if longest is None:
        return "missing for a time that is not known"
    exact = longest == healed.missed_for_at_least_seconds
    return f"missing for {'' if exact else 'at most '}{wording.span(longest)}"


def signature(event: EventSchema, webhook: WebhookInput | None, proof: str = "") -> Fact:
    """Whether the event was verified. `webhook` is the input of its source today, None when there is none.

    `proof`: what verified it when it was received: provider or kind of scheme, number of the scheme and of the secret.
    """
    fact = _verification(event, webhook, proof)
    if event.differs:
        fact.detail += "; the same delivery ID came again with a different body"
    return fact


def _verification(event: EventSchema, webhook: WebhookInput | None, proof: str) -> Fact:
    if event.origin == Origin.WEBHOOK.value:
        name, _, numbers = proof.partition(" ")
        scheme, _, secret = numbers.partition(" ")
        if secret:
            detail = f"{name} signature (scheme {scheme}, secret {secret}), before the event was stored"
            return Fact(text="Verified", detail=detail)
        if webhook is not None and webhook.verify == "none":
            return Fact(text="Not verified", detail='the source has verify = "none"')
        return Fact(text="Not recorded", detail="received without verification, or by an earlier version")
    if event.origin == Origin.FORM.value:
        return Fact(text="No signature", detail="anyone can send a form")
    if event.origin == Origin.PUBLISH.value:
        return Fact(text="API key", detail=f"sent with a key for {event.source}")
    if event.origin == Origin.SYSTEM.value:
        return Fact(text="Made by Tidegate", detail="system events come from the gateway itself")
    return Fact(text="Requested by Tidegate", detail="the response came from the source's own address")


def summary(deliveries: Sequence[DeliverySchema], updates: Sequence[str]) -> str:
    if deliveries:
        done = sum(one.state == DeliveryState.DELIVERED.value for one in deliveries)
        return f"{done} of {len(deliveries)} delivered"
    return f"updated {named(updates)}" if updates else "no route selected it"


def delivered_to(deliveries: Sequence[DeliverySchema], updates: Sequence[str]) -> Fact:
    if not deliveries and updates:
        return Fact(text=f"Records of {named(updates)}", detail="no route selected the webhook itself")
    if not deliveries:
        return Fact(text="None", detail="no route selected this event")
    done = [one.destination for one in deliveries if one.state == DeliveryState.DELIVERED.value]
    return Fact(text=named(done) or "None yet", detail=f"{len(done)} of {_plural(len(deliveries), 'destination')}")


def next_step(deliveries: Sequence[ExplainedDelivery], updates: Sequence[str], *, routed: bool) -> Fact:
    """The next step of the event as a whole. `routed`: at least one route names its source."""
    if not deliveries:
        return _nothing_next(updates, routed=routed)
    waiting = [one for one in deliveries if one.state in _OPEN]
    exhausted = [one.destination for one in deliveries if one.state == DeliveryState.EXHAUSTED.value]
    if waiting:
        return _next_of(waiting)
    if exhausted:
        return Fact(text="Replay needed", detail=f"{named(exhausted)}: all attempts used")
    return Fact(text="Done", detail="all deliveries are finished")


def _nothing_next(updates: Sequence[str], *, routed: bool) -> Fact:
    if updates:
        return Fact(text="Done", detail=f"it updated {named(updates)}; a change there is an event of its own")
    change = "change a route" if routed else "add a route for this source"
    return Fact(text="Nothing", detail=f"to deliver it, {change}, then replay the event")


def _next_of(waiting: Sequence[ExplainedDelivery]) -> Fact:
    free = [one for one in waiting if not one.held]
    by_reason: Mapping[str, list[str]] = {
        reason: [one.destination for one in waiting if one.held == reason] for reason in ("circuit_open", "paused")
    }
    notes = [f"{named(by_reason['circuit_open'])} when a probe succeeds"] * bool(by_reason["circuit_open"])
    notes += [f"{named(by_reason['paused'])} when resumed"] * bool(by_reason["paused"])
    if not free:
        return Fact(text="On hold", detail="; ".join(notes) or "its destinations were deleted")
    names = named([one.destination for one in free])
    retry = any(one.attempts for one in free)
    times = sorted(one.next_at for one in free if one.next_at)
    return Fact(
        text=f"{'Retry' if retry else 'Delivery'} to {names}",
        detail="; ".join(notes) if times else "; ".join(["in its turn", *notes]),
        at=times[0] if times else None,
    )


def named(names: Sequence[str]) -> str:
    """Two names, and how many more."""
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
