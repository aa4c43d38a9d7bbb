"""The OpenAPI 3.1 document, made from the table of routes and its structs. Pure.

Its `webhooks` section describes what destinations receive. Made once, at the first request; the same table gives the
same bytes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tidegate import __version__
from tidegate.api.endpoint import Entry
from tidegate.api.parameters import MAX_LIMIT, Parameter
from tidegate.api.problems import CONTENT_TYPE, Problem
from tidegate.api.routes import PREFIX, TABLE
from tidegate.query.schemas import ChangeSchema, Instant

_REF = "#/components/schemas/{name}"
_NAME = re.compile(r"\{(\w+)\}")
_DESCRIPTION = (
    "A gateway for webhooks and APIs. Send `Authorization: Bearer KEY`. Lists have `data` and `next_cursor`; errors "
    "are RFC 9457 problem documents with a stable `code`; order and cursors are offsets in the log."
)


JsonObject = dict[str, Any]  # a part of the document


class Envelope(msgspec.Struct, kw_only=True):
    """What a destination receives for events that Tidegate made itself, and with `body = "envelope"` for all."""

    id: str
    type: str
    source: str
    timestamp: Instant
    key: str | None
    data: Any
    change: ChangeSchema | None = None
    test: bool = False  # made by `tidegate trigger`


# The headers of every delivery: Standard Webhooks, and the origin of the event.
DELIVERY_HEADERS = {
    "webhook-id": "The event's ID, the same for all attempts and replays. Use it to deduplicate.",
    "webhook-timestamp": "Seconds since 1970, new at each attempt.",
    "webhook-signature": "`v1,` signatures over `id.timestamp.body`, separated by spaces; several during a rotation.",
    "tidegate-source": "The source the event came from.",
    "tidegate-type": "The event's type.",
    "tidegate-attempt": "The number of this attempt, from 1.",
    "tidegate-hops": "How many gateways the event passed through.",
}


@functools.cache
def document() -> bytes:
    return msgspec.json.encode(make(TABLE))


def make(table: Iterable[Entry]) -> JsonObject:
    """The document as plain values."""
    entries = list(table)
    types = [Problem, Envelope]
    for entry in entries:
        types.extend(one for one in (_body_type(entry), *_answers(entry)) if one is not None)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    named = {id(one): schema for one, schema in zip(types, schemas, strict=True)}
    paths: dict[str, JsonObject] = {}
    for entry in entries:
        paths.setdefault(PREFIX + entry.path, {})[entry.method.lower()] = _operation(entry, named)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidegate", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "webhooks": {"delivery": {"post": _webhook(named)}},
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "tidegate keys create NAME --scope SCOPE"}
            },
        },
    }


def _body_type(entry: Entry) -> Any:
    return entry.documented if entry.request is bytes else entry.request


def _answers(entry: Entry) -> tuple[Any, ...]:
    """Types of the answer that have a schema."""
    answers = entry.response if isinstance(entry.response, tuple) else (entry.response,)
    return tuple(one for one in answers if one not in (None, bytes, str))


def _operation(entry: Entry, named: dict[int, Any]) -> JsonObject:
    operation: JsonObject = {
        "operationId": _operation_id(entry),
        "summary": entry.summary,
        "description": f"Needs the scope `{entry.scope}`.",
        "tags": [entry.path.split("/")[1]],
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
              for name in _NAME.findall(entry.path)),
            *(_parameter(one) for one in entry.query),
        ],
        "responses": _responses(entry, named),
    }  # fmt: skip
    if entry.path == "/events/stream":
        operation["parameters"].append(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "The ID of the last event received.",
                "schema": {"type": "string"},
            }
        )
    body = _body_type(entry)
    if body is not None:
        # A body whose fields all have defaults may be left out.
        needed = entry.request is bytes or any(field.required for field in msgspec.structs.fields(body))
        operation["requestBody"] = {
            "required": needed, "content": {"application/json": {"schema": named[id(body)]}}
        }  # fmt: skip
    return operation


def _operation_id(entry: Entry) -> str:
    words = re.sub(r"[^a-z]+", "_", entry.path.lower()).strip("_")
    return f"{entry.method.lower()}_{words}"


def _parameter(one: Parameter) -> JsonObject:
    schema: JsonObject = {"type": "string"}
    if one.kind == "limit":
        schema = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
        if one.default is not None:
            schema["default"] = one.default
    elif one.kind == "boolean":
        schema = {"type": "boolean", "default": False}
    elif one.kind == "word":
        schema = {"type": "string", "enum": list(one.words)}
    elif one.kind == "instant":
        schema = {"type": "string", "format": "date-time"}
    return {"name": one.name, "in": "query", "required": False, "description": one.description, "schema": schema}


def _responses(entry: Entry, named: dict[int, Any]) -> JsonObject:
    responses: JsonObject = {}
    for status in (entry.status, *entry.statuses):
        answer: JsonObject = {"description": "Done"}
        schemas = [named[id(one)] for one in _answers(entry)]
        if entry.response is not None:
            schema = {} if not schemas else schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
            answer["content"] = {entry.media: {"schema": schema} if schema else {}}
        if entry.other_media:
            answer["content"][entry.other_media] = {}
        responses[str(status)] = answer
    if entry.path.startswith("/pull/"):
        responses["304"] = {"description": "Not modified since the ETag in If-None-Match"}
    responses["default"] = {
        "description": "An error: `code` identifies it, `hint` is what to do",
        "content": {CONTENT_TYPE: {"schema": named[id(Problem)]}},
    }
    return responses


def _webhook(named: dict[int, Any]) -> JsonObject:
    return {
        "summary": "What a destination receives",
        "description": (
            'With `body = "auto"`, events received over HTTP are sent byte for byte with their own content type; '
            "events that Tidegate made are sent as this envelope. Only 2xx is success; 410 stops the destination."
        ),
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": name != "webhook-signature",
                "description": text,
                "schema": {"type": "string"},
            }
            for name, text in DELIVERY_HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": named[id(Envelope)]}}},
        "responses": {
            "2XX": {"description": "Received"},
            "410": {"description": "The destination is stopped; its deliveries stay pending"},
            "429": {"description": "Rate limited: `Retry-After` applies to the whole destination"},
            "default": {"description": "Retried on the schedule of the destination"},
        },
    }
