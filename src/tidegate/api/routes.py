"""The table of all API calls. Routing, rights, the OpenAPI document and the tests are made from it.

A row has the method, path (below /api/v1), scope, parameters, body, response and handler. Fixed paths come before paths
with names that would match them.
"""

from __future__ import annotations

from typing import Any

from tidegate.api import advice, alerts, conflicts, credentials, items, local, operations
from tidegate.api import reads as asking
from tidegate.api import writes as operating
from tidegate.api.endpoint import Entry, Handler
from tidegate.api.parameters import Parameter
from tidegate.config.spec import Credential, Source
from tidegate.core.spec import Route
from tidegate.kinds import AnyDestination
from tidegate.pull import PollReport
from tidegate.query.alerts import AlertList
from tidegate.query.conflicts import ConflictSchema
from tidegate.query.credentials import CredentialSchema
from tidegate.query.deliveries import STATES
from tidegate.query.doctor import Doctor
from tidegate.query.events import ORIGINS
from tidegate.query.measured import WINDOWS
from tidegate.query.schemas import (
    AdviceSchema,
    AttemptSchema,
    DeliverySchema,
    EventReplaySchema,
    EventSchema,
    Explanation,
    FeedPage,
    FeedSchema,
    ItemPage,
    Page,
    RecordSchema,
    RejectionSchema,
    ReplaySchema,
    Stats,
)
from tidegate.query.shadow import ShadowSchema

PREFIX = "/api/v1"

Thing = dict[str, Any]

LIMIT = Parameter("limit", "limit", "Maximum number of items (1-500, default 50).")
ALL = Parameter("limit", "limit", "Maximum number of items (1-500, default all).", default=None)
CURSOR = Parameter("cursor", "text", "`next_cursor` of the previous page, unchanged.")
SOURCE = Parameter("source", "text", "Only this source.")
TYPE = Parameter("type", "text", "Only this event type.")
KEY = Parameter("key", "text", "Only this key.")
ORIGIN = Parameter("origin", "word", "Only this origin.", ORIGINS)
HEALED = Parameter("healed", "boolean", "Only healed events (`true`), or only others (`false`).")
SINCE = Parameter("since", "instant", "Received at or after: an RFC 3339 time, or a duration ago (`1h`).")
UNTIL = Parameter("until", "instant", "Received before: an RFC 3339 time, or a duration ago.")
WINDOW = Parameter("window", "word", "Also what was measured in this time: 1h, 24h, 7d or 30d.", tuple(WINDOWS))
ADVICE_WINDOW = Parameter("window", "word", "By what was measured in this time (default 7d).", tuple(WINDOWS))
DELETED = Parameter("deleted", "boolean", "Include records that the source deleted.")
AS_OF = Parameter(
    "as_of", "instant", "As it was then: a time within retention, or a duration ago. A cursor carries its time."
)
PAGED = (LIMIT, CURSOR)
WHOLE = (ALL, CURSOR)

_EVENTS: tuple[Entry, ...] = (
    Entry(
        method="GET", path="/events", scope="read", handler=asking.list_events, response=Page[EventSchema], bound=True,
        summary="List events, newest first; `order=asc` reads forward and always returns a cursor",
        query=(
            SOURCE, TYPE, KEY, ORIGIN, HEALED, SINCE, UNTIL,
            Parameter("q", "text", "Only events with this text in the body."),
            Parameter("order", "word", "`asc` starts at the oldest event.", ("asc", "desc")), *PAGED,
        ),
    ),
    Entry(
        method="POST", path="/events", scope="publish", handler=operating.publish_events, bound=True, status=202,
        request=bytes, documented=operating.EventIn | list[operating.EventIn],
        response=(operating.PublishedOne, operating.PublishedList), max_body=operating.publish_bound,
        summary="Publish one event, or up to 1000 in one atomic request",
    ),
    Entry(
        method="GET", path="/events/stream", scope="read", handler=asking.stream_events, response=str, bound=True,
        media="text/event-stream", summary="New events as server-sent events; resumes with `Last-Event-ID`",
        query=(
            SOURCE, TYPE, KEY, ORIGIN, HEALED,
            Parameter("last_event_id", "text", "Same as the header, for clients that cannot send it."),
        ),
    ),
    Entry(
        method="GET", path="/events/{id}", scope="read", handler=asking.one_event, response=EventSchema, bound=True,
        summary="One event, with its headers",
    ),
    Entry(
        method="GET", path="/events/{id}/raw", scope="read", handler=asking.raw_event, response=bytes, bound=True,
        media="application/octet-stream", summary="The bytes of an event as received",
    ),
    Entry(
        method="GET", path="/events/{id}/request", scope="read", handler=local.request_as_it_came, bound=True,
        response=local.LocalRequestSchema, summary="The request that a webhook destination gets, unsigned",
    ),
    Entry(
        method="POST", path="/events/{id}/request", scope="admin", handler=local.request_signed_now,
        request=local.LocalEdit, response=local.LocalRequestSchema,
        summary="The same, edited or not, signed now as the provider of its source does",
    ),
    Entry(
        method="GET", path="/explain/{id}", scope="read", handler=asking.explain_one, response=Explanation, bound=True,
        summary="Why an event or a delivery went where it went, and what happens next",
    ),
    Entry(
        method="GET", path="/feeds", scope="read", handler=asking.list_feeds, response=Page[FeedSchema], bound=True,
        summary="All feeds whose sources the key can read", query=WHOLE,
    ),
    Entry(
        method="GET", path="/feeds/{name}", scope="read", handler=asking.read_feed, response=FeedPage, bound=True,
        summary="The next events of a feed, oldest first; moves nothing", query=(LIMIT, SOURCE, TYPE),
    ),
    Entry(
        method="POST", path="/feeds/{name}/ack", scope="ack", handler=asking.ack_feed, response=FeedSchema, bound=True,
        request=asking.Acknowledgement, summary="Acknowledge events up to the cursor; the first ack creates the feed",
    ),
    Entry(
        method="DELETE", path="/feeds/{name}", scope="ack", handler=asking.delete_feed, response=None, status=204,
        bound=True, summary="Delete a feed",
    ),
    Entry(
        method="GET", path="/rejections", scope="read", handler=asking.list_rejections, response=Page[RejectionSchema],
        summary="Rejected requests, newest first", query=(LIMIT,),
    ),
)  # fmt: skip

_ASKED: tuple[Entry, ...] = (
    Entry(
        method="GET", path="/records/{source}/{resource}", scope="read", handler=asking.list_records, bound=True,
        response=Page[RecordSchema], summary="The stored records of a resource, by key",
        query=(Parameter("updated_since", "instant", "Changed at or after."), AS_OF, DELETED, *PAGED),
    ),
    Entry(
        method="GET", path="/records/{source}/{resource}/{key}", scope="read", handler=asking.one_record, bound=True,
        response=RecordSchema, summary="One stored record", query=(AS_OF, DELETED),
    ),
    Entry(
        method="GET", path="/pull/{source}/{resource}", scope="pull", handler=operating.pull, response=bytes,
        bound=True, free_query=True, media="*/*", summary="One page of the source's list, now",
    ),
    Entry(
        method="GET", path="/pull/{source}/{resource}/{key}", scope="pull", handler=operating.pull, response=bytes,
        bound=True, free_query=True, media="*/*", summary="One item of the source, now",
    ),
    Entry(
        method="POST", path="/call/{source}/{operation}", scope="call", handler=operations.call_operation, bound=True,
        request=operations.CallRequest, response=operations.CallSchema,
        summary="Call an operation of the source, now; with an `Idempotency-Key`, once within a day",
    ),
    Entry(
        method="POST", path="/sources/{name}/resources/{resource}/poll", scope="write", handler=operating.poll,
        request=operating.PollRequest, response=PollReport, bound=True, summary="Poll a resource now",
    ),
)  # fmt: skip

_DELIVERIES: tuple[Entry, ...] = (
    Entry(
        method="GET", path="/deliveries", scope="read", handler=asking.list_deliveries, response=Page[DeliverySchema],
        bound=True, summary="Deliveries, newest events first; a page may be short and still have a `next_cursor`",
        query=(
            Parameter("event", "text", "Only this event."), Parameter("destination", "text", "Only this destination."),
            Parameter("state", "word", "Only this state.", STATES), *PAGED,
        ),
    ),
    Entry(
        method="GET", path="/deliveries/{id}", scope="read", handler=asking.one_delivery, response=DeliverySchema,
        bound=True, summary="One delivery with every attempt",
    ),
    Entry(
        method="POST", path="/deliveries/{id}/retry", scope="write", handler=operating.retry, response=DeliverySchema,
        bound=True, status=202, summary="Retry now; a finished delivery becomes pending again",
    ),
    Entry(
        method="POST", path="/deliveries/{id}/cancel", scope="write", handler=operating.cancel, response=DeliverySchema,
        bound=True, summary="Cancel a pending delivery",
    ),
    Entry(
        method="POST", path="/events/{id}/replay", scope="write", handler=operating.replay_event,
        response=EventReplaySchema, request=operating.EventReplayRequest, status=202,
        summary="Send one event to one destination, which no route has to name, edited or as it is",
    ),
    Entry(
        method="POST", path="/replays/{id}/cancel", scope="write", handler=operating.cancel_replay,
        response=ReplaySchema, summary="End a replay; what it has not reopened yet stays as it is",
    ),
    Entry(
        method="GET", path="/replays", scope="read", handler=asking.list_replays, response=Page[ReplaySchema],
        summary="Replay jobs, newest first", query=WHOLE,
    ),
    Entry(
        method="POST", path="/replays", scope="write", handler=operating.create_replay, response=ReplaySchema,
        request=operating.ReplayRequest, status=202, statuses=(200,),
        summary="Replay events by the routes of today; `dry_run` only counts",
    ),
    Entry(
        method="GET", path="/replays/{id}", scope="read", handler=asking.one_replay, response=ReplaySchema,
        summary="The progress of a replay",
    ),
)  # fmt: skip


def _crud(
    kind: str, struct: type, one: Handler, many: Handler, put: Handler, delete: Handler, *, bound: bool
) -> tuple[Entry, ...]:
    """The four rows that credentials, sources, destinations and routes share."""
    path = f"/{kind}s"
    named = f"{path}/{{name}}"
    return (
        Entry(
            method="GET", path=path, scope="read", handler=many, response=ItemPage, bound=bound, query=WHOLE,
            summary=f"All {kind}s, with the keys of the file and without secrets",
        ),
        Entry(method="GET", path=named, scope="read", handler=one, response=Thing, bound=bound, summary=f"One {kind}"),
        Entry(
            method="PUT", path=named, scope="write", handler=put, request=bytes, documented=struct, response=Thing,
            statuses=(201,), summary=f"Create or replace a {kind}; a secret that is left out is kept",
        ),
        Entry(
            method="DELETE", path=named, scope="write", handler=delete, response=None, status=204,
            summary=f"Delete a {kind}",
        ),
    )  # fmt: skip


def _command(
    command: str, handler: Handler, response: Any, summary: str, scope: str = "write", method: str = "POST"
) -> Entry:
    return Entry(
        method=method, path=f"/destinations/{{name}}/{command}", scope=scope, handler=handler, response=response,
        summary=summary,
    )  # fmt: skip


_ITEMS: tuple[Entry, ...] = (
    *_crud(
        "credential", Credential, items.one_credential, items.list_credentials, items.put_credential,
        items.delete_credential, bound=False,
    ),
    *_crud(
        "source", Source, items.one_source, items.list_sources, items.put_source, items.delete_source, bound=True
    ),
    Entry(
        method="POST", path="/sources/{name}/trigger", scope="write", handler=local.trigger_event, bound=True,
        request=local.TriggerRequest, response=local.TriggeredSchema,
        summary="A test event from the provider's sample, signed as the provider does and sent through /in/NAME",
    ),
    Entry(
        method="POST", path="/sources/{name}/rotate", scope="admin", handler=items.rotate_source,
        request=items.RotateSource, response=items.RotatedSource,
        summary="Accept webhooks signed with a new secret, and with the old ones for a while",
    ),
    *_crud(
        "destination", AnyDestination, items.one_destination, items.list_destinations, items.put_destination,
        items.delete_destination, bound=False,
    ),
    *_crud("route", Route, items.one_route, items.list_routes, items.put_route, items.delete_route, bound=False),
    _command("pause", items.pause_destination, Thing, "Pause a destination; its deliveries stay pending"),
    _command("resume", items.resume_destination, Thing, "Resume a destination and send its pending deliveries"),
    _command("test", items.test_destination, AttemptSchema, "Send a signed test event, outside the log"),
    _command(
        "rotate", items.rotate_destination, items.SecretSchema,
        "Create a signing secret; the old one also signs for a day", "admin",
    ),
    _command("secret", items.show_secret, items.SecretSchema, "The signing secrets", "admin", "GET"),
)  # fmt: skip

_OPERATION: tuple[Entry, ...] = (
    Entry(
        method="GET", path="/auth", scope="read", handler=credentials.auth_status, response=Page[CredentialSchema],
        summary="The state of each credential: whether it works, when its token ends", query=WHOLE,
    ),
    Entry(
        method="POST", path="/auth/{name}/connect", scope="admin", handler=credentials.auth_connect, status=201,
        response=credentials.ConnectSchema, summary="Create the address where a person signs in for a credential",
    ),
    Entry(
        method="GET", path="/conflicts", scope="read", handler=conflicts.read_conflicts, response=Page[ConflictSchema],
        bound=True, summary="Conflicts: two systems changed the same fields of a record", query=(
            Parameter("all", "boolean", "Decided ones too, of the last 30 days."), *WHOLE,
        ),
    ),
    Entry(
        method="POST", path="/conflicts/{id}/resolve", scope="write", handler=conflicts.resolve_conflict, bound=True,
        request=conflicts.ResolveRequest, response=ConflictSchema,
        summary="Decide a conflict that is held, and send its deliveries again",
    ),
    Entry(
        method="GET", path="/stats", scope="read", handler=asking.read_stats, response=Stats,
        summary="Counters and figures, as one snapshot at one offset; with `window`, also what was measured in it",
        query=(WINDOW,),
    ),
    Entry(
        method="GET", path="/advice", scope="read", handler=advice.list_advice, response=Page[AdviceSchema], bound=True,
        summary="API or webhook, for each resource: the recommendation, its figures, and the curve",
        query=(ADVICE_WINDOW, *WHOLE),
    ),
    Entry(
        method="GET", path="/advice/report", scope="read", handler=advice.report, response=str, bound=True,
        media="text/html", other_media="text/markdown",
        summary="The same as a report to send to somebody: one HTML file, or Markdown",
        query=(ADVICE_WINDOW, Parameter("format", "word", "Default: by Accept.", ("html", "markdown"))),
    ),
    Entry(
        method="POST", path="/advice/{source}/{resource}/apply", scope="write", handler=advice.apply_advice,
        request=advice.ApplyAdvice, response=AdviceSchema,
        summary="Follow the advice for a resource of a source that the API owns",
    ),
    Entry(
        method="POST", path="/advice/{source}/{resource}/undo", scope="write", handler=advice.undo_advice,
        response=AdviceSchema, summary="Undo the advice that was applied last to a resource",
    ),
    Entry(
        method="GET", path="/shadow", scope="read", handler=advice.list_shadows, response=Page[ShadowSchema],
        bound=True, query=WHOLE,
        summary="Both ways at once, for resources with `shadow`: which is sooner, cheaper and more complete",
    ),
    Entry(
        method="GET", path="/keys", scope="admin", handler=operating.list_keys, response=Page[operating.KeySchema],
        summary="List keys, without their secret text", query=WHOLE,
    ),
    Entry(
        method="POST", path="/keys", scope="admin", handler=operating.create_key, request=operating.KeyRequest,
        response=operating.NewKeySchema, status=201, summary="Create a key; it is shown only once",
    ),
    Entry(
        method="POST", path="/keys/login", scope="admin", handler=operating.login_link, response=operating.LoginLink,
        status=201, summary="Create a link that signs one browser in, once, within an hour",
    ),
    Entry(
        method="DELETE", path="/keys/{id}", scope="admin", handler=operating.delete_key, response=None, status=204,
        summary="Delete a key, by ID or name",
    ),
    Entry(
        method="GET", path="/config", scope="read", handler=operating.read_config, response=Thing,
        summary="The active configuration, secrets hidden; `format=toml` exports it", other_media="application/toml",
        query=(
            Parameter("format", "word", "`toml` for a file.", ("json", "toml")),
            Parameter("owner", "word", "Only items of the file, or of the API.", ("file", "api")),
        ),
    ),
    Entry(
        method="POST", path="/config", scope="admin", handler=operating.reload, request=operating.ReloadRequest,
        response=operating.Reloaded, summary="Reload the file and apply it",
    ),
    Entry(
        method="POST", path="/backup", scope="admin", handler=operating.backup, request=operating.BackupRequest,
        response=operating.BackupDone, summary="A consistent copy of the store, on the gateway's machine",
    ),
    Entry(
        method="GET", path="/doctor", scope="admin", handler=asking.read_doctor, response=Doctor,
        summary="The findings, the nodes, and the facts of the gateway and its store",
    ),
)  # fmt: skip

_ALERTS: tuple[Entry, ...] = (
    Entry(
        method="GET", path="/alerts", scope="read", handler=alerts.read_alerts, response=AlertList,
        summary="The alerts, with what people decided about them, and all mutes",
    ),
    Entry(
        method="POST", path="/alerts/acknowledge", scope="write", handler=alerts.acknowledge, response=AlertList,
        request=alerts.AlertRequest, summary="Acknowledge an alert: it is not repeated until it ends",
    ),
    Entry(
        method="POST", path="/alerts/mute", scope="write", handler=alerts.mute, response=AlertList,
        request=alerts.MuteRequest, summary="Mute a type of alert about a subject for some time",
    ),
    Entry(
        method="POST", path="/alerts/unmute", scope="write", handler=alerts.unmute, response=AlertList,
        request=alerts.AlertRequest, summary="End a mute",
    ),
)  # fmt: skip

TABLE: tuple[Entry, ...] = (*_EVENTS, *_ASKED, *_DELIVERIES, *_ITEMS, *_ALERTS, *_OPERATION)
