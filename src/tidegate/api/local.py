"""Handlers for development on a machine of one's own: the request of an event, for `tidegate listen` to send there.

Owns the schemas of these calls. May not know the command line. Invariant: without the admin scope nothing is signed.
Crash: nothing is kept.
"""

from __future__ import annotations

import msgspec

from tidegate.api.calls import Call
from tidegate.deliver import Edit, local_request
from tidegate.query import events
from tidegate.query.sent_requests import text_of


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
