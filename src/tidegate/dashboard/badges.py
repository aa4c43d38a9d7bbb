"""The icon and the label of each state of deliveries, destinations and findings. Pure.

Owns this decision in one place, so that lists, the flow map and detail pages agree. Shapes are those of
`query/schemas.py` and of a sender's health.
"""

from __future__ import annotations

from typing import NamedTuple

from tidegate.core.finding_codes import Severity
from tidegate.core.findings import Finding
from tidegate.core.spec import Destination
from tidegate.kinds import kind_of
from tidegate.query.explanation import cause
from tidegate.query.schemas import AttemptSchema, DeliverySchema


class Badge(NamedTuple):
    icon: str  # a name of charts.marks.GLYPHS
    label: str


def of_delivery(state: str, attempts: int) -> Badge:
    """A pending delivery that was attempted is a retry."""
    if state == "pending":
        return Badge("retry", "retrying") if attempts else Badge("pending", "pending")
    return Badge(state, state)


def of_dead_letter(one: DeliverySchema) -> Badge:
    """With the cause, as all dead letters have the same state."""
    return Badge("exhausted", cause(one)[:80])


def of_finding(one: Finding) -> Badge:
    if one.code in ("destination_paused", "destination_stopped", "destination_left_file"):
        return Badge("paused", one.title)
    return Badge({Severity.ERROR: "exhausted", Severity.WARNING: "retry"}.get(one.severity, "pending"), one.title)


def of_destination(
    *,
    pause_reason: str | None,
    circuit: str,
    held: bool,
    retrying: bool,
    failing_label: str,
    counts: tuple[int, int, int],
) -> Badge:
    """The most important state first. `pause_reason` is None while it is not paused; `counts` are pending, delivered
    and exhausted."""
    pending, delivered, exhausted = counts
    if pause_reason is not None:
        label = {"gone": "stopped after 410", "left_file": "not in the file"}.get(pause_reason, "paused")
        return Badge("paused", label)
    if circuit == "open":
        return Badge("exhausted", failing_label)
    if circuit == "half_open":
        return Badge("sending", "probing")
    if held:
        return Badge("retry", "rate limited")
    if pending:
        return Badge("retry", "retrying") if retrying else Badge("sending", "sending")
    if delivered:
        return Badge("delivered", "healthy")
    return Badge("exhausted", "failing") if exhausted else Badge("filtered", "no deliveries yet")


def attempt_label(one: AttemptSchema) -> str:
    """An attempt in one word or number: `200`, `503`, `timeout`."""
    return str(one.status) if one.status is not None else one.outcome.replace("_", " ")


def shown_address(spec: Destination) -> tuple[str, str]:
    """(host, address as it can be shown: without query and user; the host alone where the path is a secret)."""
    shown = kind_of(spec).shown_address(spec)
    return shown.partition("://")[2].partition("/")[0], shown


def bare_url(url: str) -> str:
    """An address without user, query and fragment, which can hold secrets."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
