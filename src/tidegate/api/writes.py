"""Handlers that act: publish, pull, poll, retry, cancel, replay; keys, configuration, backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tidegate.api import parameters as query
from tidegate.api.calls import Call, Context, RawResponse
from tidegate.api.endpoint import MAX_BODY_BYTES
from tidegate.api.parameters import instant
from tidegate.api.sessions import LINK_SECONDS
from tidegate.config import export
from tidegate.config.secrets import hide_secrets
from tidegate.config.spec import Config
from tidegate.core import ids, units
from tidegate.core.clock import rfc3339
from tidegate.core.errors import BadRequest, Conflict, NotFound, OverShare, StoreBusy
from tidegate.core.model import SYSTEM_SOURCE
from tidegate.deliver import Edit, ReplayQuery
from tidegate.pull import PollOptions, PollReport
from tidegate.query import deliveries, events, replays
from tidegate.query.schemas import DeliverySchema, EventReplaySchema, Instant, Page, ReplaySchema
from tidegate.receive.publish import publish
from tidegate.store import ApiKey


class EventIn(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One event to publish. `id` is the publisher's own ID, for dedupe."""

    source: str
    type: str
    data: Any
    id: str | None = None
    key: str | None = None
    time: Instant | None = None


class PublishedOne(msgspec.Struct):
    id: str


class PublishedList(msgspec.Struct):
    data: list[PublishedOne]


class ReplayRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to replay. Times are when events were received; `1h` is an hour ago."""

    source: str | None = None
    destination: str | None = None
    types: list[str] | None = None
    since: str | None = None
    until: str | None = None
    state: str | None = None
    event: str | None = None
    dry_run: bool = False


class EventReplayRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where one event goes again, edited or not. `body` replaces the body, `headers` add to those of the event."""

    destination: str
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # "| None" would make a value of JSON an error
    headers: dict[str, str] = {}


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A key to create. `expires_in` is a duration."""

    name: str
    scopes: list[str]
    sources: list[str] = []
    expires_in: str | None = None


class KeySchema(msgspec.Struct, kw_only=True):
    id: str
    name: str
    scopes: list[str]
    sources: list[str]
    created_at: Instant
    expires_at: Instant | None


class NewKeySchema(KeySchema, kw_only=True):
    """`key` is shown only once."""

    key: str


class LoginLink(msgspec.Struct):
    """`path`, on the gateway's address, signs one browser in once, until `expires_at`."""

    path: str
    expires_at: Instant


class PollRequest(msgspec.Struct, forbid_unknown_fields=True):
    """How to poll. `accept_deletes` deletes the records that `max_ratio` kept, if no more than those are missing.

    `baseline` takes the present state of the source without change events.
    """

    accept_deletes: bool = False
    baseline: bool = False


class ReloadRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Reload the file. `prune` deletes destinations that are no longer in it; otherwise they are paused."""

    prune: bool = False


class ChangeOfItem(msgspec.Struct):
    kind: str
    name: str
    action: str


class Reloaded(msgspec.Struct):
    changes: list[ChangeOfItem]


class BackupRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`path` on the gateway's machine: absolute, and not existing yet."""

    path: str


class BackupDone(msgspec.Struct):
    path: str
    bytes: int


# -- publish, pull, poll ---------------------------------------------------------------------------------


def publish_bound(context: Context) -> int:
    """The largest body that any publish input accepts, at least 1 MiB."""
    bounds = [
        units.size_bytes(source.spec.publish.max_body)
        for source in context.gateway.active.sources.values()
        if source.spec.publish is not None
    ]
    return max(MAX_BODY_BYTES, *bounds) if bounds else MAX_BODY_BYTES


async def publish_events(call: Call) -> RawResponse:
    gateway = call.gateway
    reason = gateway.store.log.unavailable_reason
    if reason is not None:
        raise StoreBusy(reason, retry_after_seconds=1.0)

    def allowed(source: str) -> int:
        call.grant.need_source(source)
        live = gateway.active.sources.get(source)
        if live is None:
            raise NotFound(f"there is no source {source[:80]!r}", hint="list them: tidegate config show")
        if live.spec.publish is None:
            raise NotFound(
                f"source {source!r} has no publish input",
                hint=f"add [sources.{source}.publish] to tidegate.toml",
                code="no_publish_input",
            )
        if gateway.store.log.is_busy(gateway.active.settings.gateway.max_waiting, source):
            raise StoreBusy(f"{gateway.store.log.waiting} events are waiting for the disk", retry_after_seconds=1.0)
        if source in gateway.maintenance.over_share:
            raise OverShare(f"source {source!r} sent more than its share of what is stored", retry_after_seconds=60)
        return units.size_bytes(live.spec.publish.max_body)

    status, body = await publish(gateway.store.log, gateway.active, gateway.clock, call.body, allowed)
    return RawResponse(status=status, body=body)


async def pull(call: Call) -> RawResponse:
    """Data of the source, now. `max_age` is ours; other parameters go to the source."""
    source, resource = call.path["source"], call.path["resource"]
    call.grant.need_source(source)
    pairs = query.pairs_of(call.query_string)
    ages = [value for name, value in pairs if name == "max_age"]
    answer = await call.gateway.pull.pull(
        source,
        resource,
        call.path.get("key"),
        [(name, value) for name, value in pairs if name != "max_age"],
        max_age=query.max_age(ages[-1]) if ages else None,
        no_cache="no-cache" in call.headers.get("cache-control", "").lower(),
        if_none_match=call.headers.get("if-none-match"),
    )
    return RawResponse(status=answer.status, headers=answer.headers, body=answer.body)


async def poll(call: Call) -> PollReport:
    call.grant.need_source(call.path["name"])
    options = PollOptions(call.body.accept_deletes, call.body.baseline)
    return await call.gateway.pull.poll_now(call.path["name"], call.path["resource"], options)


# -- deliveries and replays ------------------------------------------------------------------------------


async def retry(call: Call) -> DeliverySchema:
    view = await deliveries.view_of(call.gateway, call.path["id"], call.allowed)
    await call.gateway.deliver.retry(view.offset, view.destination)
    return await deliveries.delivery_by_id(call.gateway, call.path["id"], call.allowed)


async def cancel(call: Call) -> DeliverySchema:
    view = await deliveries.view_of(call.gateway, call.path["id"], call.allowed)
    await call.gateway.deliver.cancel(view.offset, view.destination)
    return await deliveries.delivery_by_id(call.gateway, call.path["id"], call.allowed)


async def replay_event(call: Call) -> RawResponse:
    """One event to one destination, whether or not a route sends it there."""
    gateway, event_id, asked = call.gateway, call.path["id"], call.body
    event = await events.event_by_id(gateway, event_id, call.allowed)
    number = deliveries.destination_number(gateway, asked.destination)
    job = None
    if asked.body is not msgspec.UNSET or asked.headers:
        edit = Edit(None if asked.body is msgspec.UNSET else bytes(asked.body), asked.headers)
        offset, number = await gateway.deliver.send_edited(event_id, asked.destination, edit)
    else:
        offset = event.offset
        job = await gateway.deliver.replay(ReplayQuery(event=event_id, destination=asked.destination, direct=True))
    instance = gateway.store.log.instance
    schema = EventReplaySchema(
        event=ids.event_id(instance, offset),
        delivery=ids.delivery_id(instance, offset, number),
        replay=job.id if job is not None else None,
    )
    return RawResponse(status=202, body=schema)


async def cancel_replay(call: Call) -> ReplaySchema:
    return replays.schema_of(await call.gateway.deliver.cancel_replay(call.path["id"]))


async def create_replay(call: Call) -> RawResponse:
    asked: ReplayRequest = call.body
    now = call.gateway.clock.now_us()
    replay = await call.gateway.deliver.replay(
        ReplayQuery(
            source=asked.source,
            destination=asked.destination,
            types=asked.types,
            since_us=instant("since", asked.since, now) if asked.since is not None else None,
            until_us=instant("until", asked.until, now) if asked.until is not None else None,
            state=asked.state,
            event=asked.event,
            dry_run=asked.dry_run,
        )
    )
    return RawResponse(status=200 if asked.dry_run else 202, body=replays.schema_of(replay))


# -- keys ------------------------------------------------------------------------------------------------


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "sources": list(key.sources),
        "created_at": rfc3339(key.created_at_us) or "",
        "expires_at": rfc3339(key.expires_at_us),
    }


async def list_keys(call: Call) -> Page[KeySchema]:
    return call.page_of([KeySchema(**_key(key)) for key in await call.context.keyring.all()], lambda key: key.id)


async def create_key(call: Call) -> NewKeySchema:
    asked: KeyRequest = call.body
    for source in asked.sources:
        if source not in call.gateway.active.sources and source != SYSTEM_SOURCE:
            raise BadRequest(f"there is no source {source[:80]!r}", hint="list them: tidegate config show")
    expires = None
    if asked.expires_in is not None:
        try:
            expires = call.gateway.clock.now_us() + int(min(units.seconds(asked.expires_in), 1e10) * 1_000_000)
        except ValueError as error:
            raise BadRequest(f"expires_in: {error}"[:300]) from None
    key, token = await call.context.keyring.create(asked.name, asked.scopes, asked.sources, expires)
    return NewKeySchema(**_key(key), key=token)


async def login_link(call: Call) -> LoginLink:
    expires = call.gateway.clock.now_us() + LINK_SECONDS * 1_000_000
    return LoginLink(f"/login?token={call.context.sessions.new_link()}", rfc3339(expires) or "")


async def delete_key(call: Call) -> None:
    await call.context.keyring.delete(call.path["id"])


# -- configuration, backup -------------------------------------------------------------------------------


async def reload(call: Call) -> Reloaded:
    if call.gateway.options.config is None:
        raise Conflict(
            "this gateway was started without a file",
            hint="start it with: tidegate serve --config FILE",
            code="no_file",
        )
    changes = await call.gateway.reload(call.body.prune)
    return Reloaded([ChangeOfItem(one.kind, one.name, one.action) for one in changes])


async def read_config(call: Call) -> Any:
    """The active configuration. As TOML, secrets are `${env:...}`; as JSON they are hidden."""
    live, owner = call.gateway.active, call.query.get("owner")
    settings = Config() if owner == "api" else live.settings  # settings belong to the file
    config = Config(
        gateway=settings.gateway,
        egress=settings.egress,
        retention=settings.retention,
        alerts=settings.alerts,
        sources={name: one.spec for name, one in live.sources.items() if owner in (None, one.owner)},
        credentials={name: one.spec for name, one in live.credentials.items() if owner in (None, one.owner)},
        destinations={name: one.spec for name, one in live.destinations.items() if owner in (None, one.owner)},
        routes={name: one.spec for name, one in live.routes.items() if owner in (None, one.owner)},
    )
    if call.query.get("format") == "toml":
        return RawResponse(
            body=export.to_toml(config).encode(), headers=[("content-type", "application/toml; charset=utf-8")]
        )
    shown = {
        "gateway": msgspec.to_builtins(config.gateway),
        "egress": msgspec.to_builtins(config.egress),
        "retention": msgspec.to_builtins(config.retention),
        "alerts": msgspec.to_builtins(config.alerts),
    }
    for kind in ("credentials", "sources", "destinations", "routes"):
        shown[kind] = {name: hide_secrets(spec) for name, spec in getattr(config, kind).items()}
    return shown


def _free_place(text: str) -> Path:
    path = Path(text)
    if "\0" in text or not path.is_absolute():
        raise BadRequest(
            f"the path {text[:200]!r} is not absolute", hint="use a path that starts at the root of the file system"
        )
    try:
        exists, has_place = path.exists(), path.parent.is_dir()
    except (OSError, UnicodeEncodeError) as error:  # a name too long, a folder that is closed to us
        reason = getattr(error, "strerror", "not a file name")
        raise BadRequest(f"the path {text[:200]!r} cannot be used: {reason}", hint="use another path") from None
    if exists:
        raise Conflict(f"{text[:200]!r} already exists", hint="use a path that does not exist", code="exists")
    if not has_place:
        raise NotFound(f"there is no directory {str(path.parent)[:200]!r}", hint="create it first")
    return path


async def backup(call: Call) -> BackupDone:
    path = _free_place(call.body.path)
    await call.gateway.backup(str(path))
    return BackupDone(str(path), _size(path))


def _size(path: Path) -> int:
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) if path.is_dir() else path.stat().st_size
