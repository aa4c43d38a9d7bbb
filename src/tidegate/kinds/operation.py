"""A call of a source's API: "a new lead becomes a contact in the CRM". Pure.

Owns the reference to the operation. The operation itself belongs to its source, with the address, the credential and
the rate that polls use too; the transport "operation" makes the request, because remembered ids take part in it. So a
prepared request here is the event as the route leaves it, and its delivery id.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tidegate.core.checking import Checker, Path
from tidegate.core.model import Event, JsonObject, Outcome
from tidegate.core.spec import Destination
from tidegate.kinds.base import Answer, Kind, Prepare, Request, Result, Transform, read_http
from tidegate.rules.language.numbers import encode_json
from tidegate.rules.language.view import event_view
from tidegate.rules.sync.conflicts import scalars, with_values


class OperationDestination(Destination, frozen=True, kw_only=True, tag="operation"):
    operation: str


class ChangeCause(msgspec.Struct, frozen=True):
    """The change of a record that leads to a call. `before`: the view with the record as it was before it.

    `partly_own`: one of our calls made a part of the change. That part is in `before` too, so it is not written again.
    """

    source: str
    resource: str
    key: str
    number: int
    received_us: int
    occurred_us: int
    before: JsonObject | None = None
    partly_own: bool = False


class OperationInput(msgspec.Struct, frozen=True):
    """What the transport gets as the body of a request."""

    operation: str
    view: JsonObject
    event_id: str
    attempt: int
    chain: list[str] = []  # names of the sources that led to this event, its own first
    change: ChangeCause | None = None


class OperationKind(Kind[OperationDestination]):
    name = "operation"
    title = "Operation"
    spec = OperationDestination
    help = "A call of an operation of a source, with the credential and the rate of that source."
    keys = {"operation": "The operation, as SOURCE/NAME."}
    examples = {"operation": '"crm/create_contact"'}
    transport = "operation"
    transport_makes_request = True

    def check(self, checker: Checker, path: Path, spec: OperationDestination) -> None:
        source, name = names_of(spec.operation)
        if not source or not name:
            checker.add(
                (*path, "operation"), f"{spec.operation[:60]!r} is not an operation",
                'write it as SOURCE/NAME: operation = "crm/create_contact"',
            )  # fmt: skip
        for key in ("ca", "proxy"):
            if getattr(spec, key):
                checker.add((*path, key), f"'{key}' belongs to the source that is called", "set it in its api table")

    def calls(self, spec: OperationDestination) -> tuple[str, str]:
        return names_of(spec.operation)

    def address(self, spec: OperationDestination) -> str:
        return ""

    def shown_address(self, spec: OperationDestination) -> str:
        return spec.operation

    def prepare(self, spec: OperationDestination, secrets: Sequence[str], transform: Transform | None) -> Prepare:
        def prepare(event: Event, event_id: str, attempt: int, timestamp: int) -> Request:
            view = event_view(event)
            change = view["change"] or {}
            given: JsonObject = {
                "operation": spec.operation,
                "view": transform(view) if transform is not None else view,
                "event_id": event_id,
                "attempt": attempt,
                "chain": [event.source, *change.get("chain", [])],
            }
            if change:
                given["change"] = _cause(event, view, change, transform)
            return Request(b"", encode_json(given))

        return prepare

    def read(self, answer: Answer, now_us: int) -> Result:
        """The transport has read the body as the operation says."""
        if answer.outcome is Outcome.OK:
            return Result(Outcome.OK, answer.status, detail=answer.error)
        if answer.outcome is Outcome.HTTP_ERROR and answer.status is None:  # it concerns this delivery alone
            return Result(answer.outcome, 409, detail=answer.error)
        return read_http(answer, now_us)

    def settings(self, spec: OperationDestination) -> list[tuple[str, str]]:
        return [("Operation", spec.operation)]


def _cause(event: Event, view: JsonObject, change: JsonObject, transform: Transform | None) -> ChangeCause:
    before, own = change.get("before"), change.get("own")
    if before is not None and own:
        now = scalars(view["data"])
        before = with_values(before, {name: now[name] for name in own if name in now})
    earlier = None if before is None else {**view, "data": before, "body": before}
    return ChangeCause(
        event.source, str(change.get("resource", "")), event.key or "", int(change.get("number", 0)),
        event.received_at_us, event.occurred_at_us or event.received_at_us,
        transform(earlier) if earlier is not None and transform is not None else earlier, own is not None,
    )  # fmt: skip


def names_of(operation: str) -> tuple[str, str]:
    """(source, operation) of `SOURCE/NAME`; ("", "") parts when it is not one."""
    source, _, name = operation.partition("/")
    return source, "" if "/" in name else name


KIND = OperationKind()
