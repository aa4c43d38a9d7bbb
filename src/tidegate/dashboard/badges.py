"""What a delivery and a destination look like: which sign, which word. Pure.

One place decides it, so that the list, the map and the detail never tell two stories. Shapes are those of
`query/schemas.py` and of a sender's health.
"""

from __future__ import annotations

from typing import NamedTuple

from tidegate.core.spec import Destination
from tidegate.dashboard import formatting as words
from tidegate.kinds import kind_of
from tidegate.query.schemas import AttemptSchema, DeliverySchema
from tidegate.rules.outbound import causes


class Sign(NamedTuple):
    sign: str  # a name of charts.marks.SIGNS
    word: str


def delivery(state: str, attempts: int) -> Sign:
    """A pending delivery that was tried is a retry: its wait has a moment."""
    if state == "pending":
        return Sign("retry", "waits for a retry") if attempts else Sign("pending", "pending")
    return Sign(state, state)


def held_back(paused: bool, circuit: str) -> str:
    """Why a destination's open deliveries do not go out on their own: "paused", "open" (its circuit) or ""."""
    return "paused" if paused else "open" if circuit != "closed" else ""


def delivery_words(one: DeliverySchema, held: str = "") -> str:
    """One plain sentence: where it stands and why. `held` is what `held_back` says of its destination."""
    tried = words.plural(len(one.attempts), "attempt")
    if one.state == "delivered":
        last = one.attempts[-1] if one.attempts else None
        took = f" in {words.milliseconds(last.duration_ms)}" if last is not None else ""
        return "Accepted at the first attempt" + took + "." if len(one.attempts) <= 1 else f"Accepted after {tried}."
    if one.state == "exhausted":
        return f"Given up after {tried}: {cause(one)}. It stands in the dead letters."
    if one.state == "canceled":
        return f"Cancelled {cause(one)} after {tried}."
    if one.state == "sending":
        return "On its way now."
    failed = f"{tried} failed: {cause(one)}. " if one.attempts else ""
    if held == "paused":
        return f"{failed}Waits until {one.destination} is resumed."
    if held == "open":
        return f"{failed}Waits while {one.destination} takes nothing; one delivery at a time goes out as a probe."
    return failed.strip() or "Waits for its first attempt."


def cause(one: DeliverySchema) -> str:
    """Why, in words: the cause of the delivery, else how the last attempt ended."""
    if one.cause and one.cause != "http_error":
        return causes.why(one.cause)
    if one.attempts:
        last = one.attempts[-1]
        return causes.why(last.outcome, last.status)
    return "no attempt was made"


def answer(one: AttemptSchema) -> str:
    """An attempt in a word or a number: `200`, `503`, `timeout`."""
    return str(one.status) if one.status is not None else one.outcome.replace("_", " ")


def destination(
    *,
    paused: bool,
    reason: str,
    circuit: str,
    held: bool,
    pending: int,
    delivered: int,
    exhausted: int,
    retrying: bool,
    failing: str = "not answering",
) -> Sign:
    """Is it well. The order is what an operator must know first."""
    if paused:
        why = {"gone": "stopped: it answered 410", "left_file": "paused: it left the file"}.get(reason, "paused")
        return Sign("paused", why)
    if circuit == "open":
        return Sign("exhausted", failing)
    if circuit == "half_open":
        return Sign("sending", "probing")
    if held:
        return Sign("retry", "asked us to wait")
    if pending and retrying:
        return Sign("retry", "retrying")
    if pending:
        return Sign("sending", "sending")
    if delivered:
        return Sign("delivered", "well")
    return Sign("exhausted", "nothing got through") if exhausted else Sign("filtered", "nothing sent yet")


def where_to(spec: Destination) -> tuple[str, str]:
    """(host, address as it may be shown: without query and user; the host alone where the path is a secret)."""
    shown = kind_of(spec).shown_address(spec)
    return shown.partition("://")[2].partition("/")[0], shown


def bare(url: str) -> str:
    """An address without user, query and fragment, where secrets may stand."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
