"""Handlers for credentials, sources, destinations and routes: the same keys as the file, secrets never shown.

The response of GET can be sent back with PUT: read-only keys (`name`, `owner`, ...) are ignored, and a secret that is
left out or hidden is kept. Items of the file are read-only here (409). Crash: items are in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from tidegate.api.calls import Call, RawResponse
from tidegate.config.export import decode_credential, decode_destination, decode_route, decode_source
from tidegate.config.secrets import hide_secrets
from tidegate.core import units
from tidegate.core.clock import rfc3339
from tidegate.core.errors import BadRequest, Conflict, NotFound
from tidegate.query import deliveries
from tidegate.query.schemas import AttemptSchema, ItemPage
from tidegate.query.sent_requests import request_of_test
from tidegate.rules.outbound.signing import public_key
from tidegate.runtime import ActiveCredential, ActiveDestination, ActiveRoute, ActiveSource

MAX_KEEP_SECONDS = 90 * 86_400
ItemView = dict[str, Any]  # the keys of tidegate.toml, and some that are read-only


class SecretSchema(msgspec.Struct):
    """The signing secrets of a destination. The older ones also sign during a rotation, newest first."""

    secret: str
    older: list[str]
    public_key: str | None = None  # whpk_..., for receivers, when the secret is an Ed25519 key (whsk_...)


def _source(one: ActiveSource) -> ItemView:
    return {"name": one.name, "owner": one.owner, **hide_secrets(one.spec)}


def _destination(call: Call, one: ActiveDestination) -> ItemView:
    health = call.gateway.deliver.health(one.number)
    return {
        "name": one.name,
        "owner": one.owner,
        "paused_at": rfc3339(one.paused_at_us),
        "pause_reason": one.pause_reason,
        "health": {
            "circuit": health.circuit,
            "in_flight": health.in_flight,
            "waiting": health.waiting,
            "lag_events": health.lag_events,
            "hold_until": rfc3339(health.hold_until_us),
            "last_error": health.last_error,
            "rate_per_minute": health.rate_per_minute,
        },
        **hide_secrets(one.spec),
    }


def _route(one: ActiveRoute) -> ItemView:
    return {"name": one.name, "owner": one.owner, "revision": one.revision, **hide_secrets(one.spec)}


def _payload(call: Call) -> ItemView:
    """The body as an object. BadRequest. The decoders of `config.export` leave out the read-only keys."""
    try:
        payload = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}"[:300]) from None
    if not isinstance(payload, dict):
        raise BadRequest("the body is not a JSON object", hint="send an object with the keys of tidegate.toml")
    if payload.get("name", call.path["name"]) != call.path["name"]:
        raise BadRequest(f"name {payload['name']!r} in the body is not the name in the path, {call.path['name']!r}")
    return payload


def _page(call: Call, items: Sequence[Any], form: Callable[[Any], ItemView]) -> ItemPage:
    page = call.page_of(items, lambda one: one.name)
    return ItemPage([form(one) for one in page.data], page.next_cursor)


def _missing(kind: str, name: str) -> NotFound:
    return NotFound(f"there is no {kind} {name[:80]!r}", hint="list them: tidegate config show")


# -- credentials -----------------------------------------------------------------------------------------


def _credential(one: ActiveCredential) -> ItemView:
    return {"name": one.name, "owner": one.owner, **hide_secrets(one.spec)}


async def list_credentials(call: Call) -> ItemPage:
    return _page(call, list(call.gateway.active.credentials.values()), _credential)


async def one_credential(call: Call) -> ItemView:
    one = call.gateway.active.credentials.get(call.path["name"])
    if one is None:
        raise _missing("credential", call.path["name"])
    return _credential(one)


async def put_credential(call: Call) -> RawResponse:
    name, editor = call.path["name"], call.gateway.editor
    payload = _payload(call)
    created = await editor.put("credential", name, lambda old: decode_credential(name, payload, old))
    return RawResponse(status=201 if created else 200, body=await one_credential(call))


async def delete_credential(call: Call) -> None:
    await call.gateway.editor.delete("credential", call.path["name"])


# -- sources ---------------------------------------------------------------------------------------------


async def list_sources(call: Call) -> ItemPage:
    found = call.gateway.active.sources.values()
    return _page(call, [one for one in found if call.allowed is None or one.name in call.allowed], _source)


async def one_source(call: Call) -> ItemView:
    one = call.gateway.active.sources.get(call.path["name"])
    if one is None or (call.allowed is not None and one.name not in call.allowed):
        raise _missing("source", call.path["name"])
    return _source(one)


async def put_source(call: Call) -> RawResponse:
    name, editor = call.path["name"], call.gateway.editor
    payload = _payload(call)
    created = await editor.put("source", name, lambda old: decode_source(name, payload, old))
    return RawResponse(status=201 if created else 200, body=await one_source(call))


class RotateSource(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`secret`: what webhooks are signed with from now on. `keep`: how long the present ones are accepted too."""

    secret: str
    keep: str = "24h"


class RotatedSource(msgspec.Struct, kw_only=True):
    """How many secrets are accepted now, and whether the configuration file still has only the old one."""

    secrets: int
    change_file: bool


async def rotate_source(call: Call) -> RotatedSource:
    asked: RotateSource = call.body
    name = call.path["name"]
    try:
        keep_seconds = units.seconds(asked.keep)
    except ValueError as error:
        raise BadRequest(f"keep: {error}"[:300]) from None
    await call.gateway.editor.rotate_source(name, asked.secret, int(min(keep_seconds, MAX_KEEP_SECONDS) * 1e6))
    found = call.gateway.active.sources[name]
    accepted = found.secrets(call.gateway.clock.now_us())
    return RotatedSource(secrets=len(accepted), change_file=bool(found.made))


async def delete_source(call: Call) -> None:
    await call.gateway.editor.delete("source", call.path["name"])


# -- destinations ----------------------------------------------------------------------------------------


async def list_destinations(call: Call) -> ItemPage:
    return _page(call, list(call.gateway.active.destinations.values()), partial(_destination, call))


def _found(call: Call) -> ActiveDestination:
    one = call.gateway.active.destinations.get(call.path["name"])
    if one is None:
        raise _missing("destination", call.path["name"])
    return one


async def one_destination(call: Call) -> ItemView:
    return _destination(call, _found(call))


async def put_destination(call: Call) -> RawResponse:
    name, editor = call.path["name"], call.gateway.editor
    payload = _payload(call)
    created = await editor.put("destination", name, lambda old: decode_destination(name, payload, old))
    return RawResponse(status=201 if created else 200, body=await one_destination(call))


async def delete_destination(call: Call) -> None:
    await call.gateway.editor.delete("destination", call.path["name"])


async def pause_destination(call: Call) -> ItemView:
    await call.gateway.editor.pause(call.path["name"])
    return _destination(call, _found(call))


async def resume_destination(call: Call) -> ItemView:
    await call.gateway.editor.resume(call.path["name"])
    return _destination(call, _found(call))


async def test_destination(call: Call) -> AttemptSchema:
    attempt = await call.gateway.deliver.test(_found(call).name)
    schema = deliveries.attempt_schema(call.gateway.store.log.instance, attempt)
    schema.request = request_of_test(attempt)
    return schema


async def rotate_destination(call: Call) -> SecretSchema:
    await call.gateway.editor.rotate(call.path["name"])
    return await show_secret(call)


async def show_secret(call: Call) -> SecretSchema:
    secrets = _found(call).secrets
    if not secrets:
        raise Conflict(f"destination {call.path['name']!r} does not sign its requests, so it has no secret")
    return SecretSchema(secrets[0], list(secrets[1:]), public_key(secrets[0]))


# -- routes ----------------------------------------------------------------------------------------------


async def list_routes(call: Call) -> ItemPage:
    return _page(call, list(call.gateway.active.routes.values()), _route)


async def one_route(call: Call) -> ItemView:
    one = call.gateway.active.routes.get(call.path["name"])
    if one is None:
        raise _missing("route", call.path["name"])
    return _route(one)


async def put_route(call: Call) -> RawResponse:
    name, editor = call.path["name"], call.gateway.editor
    payload = _payload(call)
    created = await editor.put("route", name, lambda old: decode_route(name, payload, old))
    return RawResponse(status=201 if created else 200, body=await one_route(call))


async def delete_route(call: Call) -> None:
    await call.gateway.editor.delete("route", call.path["name"])
