"""The JSON Schema (draft 2020-12) of `tidegate.toml`, for editors: made from the structs, with their words.

Owns the descriptions of keys. Pure. Invariant: what the loader accepts, the schema accepts; it is looser only
where a value may come from `${...}`, and where one key depends on another.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate import auth, kinds
from tidegate.config.spec import Config

SCHEMA_FILE = "tidegate.schema.json"
_PLACEHOLDER = r"\$\{(env|file):[^{}]+\}"
# struct -> key -> what it says. `test_config_schema.py` holds this table complete.
DESCRIPTIONS: dict[str, dict[str, str]] = {
    "Config": {
        "gateway": "Settings of the gateway itself.",
        "egress": "Which private addresses may be called.",
        "retention": "How long events are kept.",
        "sources": "Outside systems that events or data come from, by name.",
        "destinations": "Receivers, by name.",
        "routes": "Which events go where, by name. The first route that wants a destination decides the transform.",
    },
    "GatewaySettings": {
        "public_url": "The address outside systems reach this gateway by; needed by providers that sign the URL.",
        "allowed_hosts": "More Host names that the dashboard answers to.",
        "max_waiting": "Events that may wait for the disk before new ones are answered 503.",
    },
    "Egress": {
        "allow": 'Private addresses and networks that may be called: "127.0.0.1/32", "10.0.0.0/8:443". None by default.'
    },
    "Retention": {
        "events": "Age at which events leave the log.",
        "size": "Size of the log at which the oldest events leave it.",
        "dedupe": "How long a delivery id is remembered.",
    },
    "Source": {
        "description": "For people.",
        "webhook": "Push in, at POST /in/NAME.",
        "form": "Push in from a web page's form, at POST /in/NAME.",
        "publish": "Push in by POST /api/v1/events with a key for this source.",
        "api": "Pull in: how its API is called.",
        "resources": "Lists of its API, by name.",
    },
    "WebhookInput": {
        "verify": 'How a request is verified: a provider such as "stripe", a table of its own, or "none".',
        "secret": "The signing secret, or a list during rotation.",
        "event_type": "A fixed event type; by default the provider's rule, then `type` in the body.",
        "type_header": "The header that holds the event type.",
        "type_path": "The path in the body that holds the event type.",
        "id_header": "The header that holds the delivery id; webhook-id and Idempotency-Key are always understood.",
        "id_path": "The path in the body that holds the delivery id.",
        "key_path": "The path in the body that holds the event's key.",
        "max_body": "Larger bodies are answered 413.",
    },
    "HmacScheme": {
        "type": "The kind of scheme.",
        "header": "The header that holds the signature.",
        "digest": "The hash.",
        "encoding": "How the signature is written.",
        "prefix": "Text before the signature.",
        "signed": "What is signed: {body}, {timestamp}, {id}, {url} and literal text.",
        "timestamp_header": "The header that holds the time.",
        "id_header": "The header that holds the id.",
        "tolerance": "How old a signed time may be.",
        "secret_encoding": "How the secret is written.",
    },
    "FormInput": {
        "event_type": "The type of the events.",
        "redirect": "Where the browser goes afterwards.",
        "honeypot": "A field that people leave empty; what fills it is accepted and dropped.",
        "key_field": "The field that is the event's key.",
        "max_body": "Larger bodies are answered 413.",
    },
    "PublishInput": {"max_body": "Larger bodies are answered 413."},
    "ApiInput": {
        "base_url": "The address that paths of resources are put after.",
        "auth": "How requests are authenticated.",
        "headers": "Headers of every request.",
        "timeout": "For one request.",
        "rate": "The most requests, pulls and polls together.",
    },
    "Resource": {
        "path": "The path of the list.",
        "item_path": "The path of one item, with {id}: for pulls by key and for fetch-backs.",
        "data_selector": "The path of the list in the answer; the whole answer by default.",
        "primary_key": "The path of the key in a record.",
        "version": "The path of what says which of two copies is newer.",
        "paginator": "How the next page is found.",
        "params": "Query parameters of every request.",
        "incremental": "Ask only for what changed.",
        "poll": "How often it is polled; turns the API into change events.",
        "initial": "Whether what the first poll finds makes events.",
        "deletes": "How deletes are noticed.",
        "ignore": "Fields whose changes are no changes.",
        "cache": "How old an answer to a pull may be.",
        "stale_if_error": "How old an answer may be when the source fails.",
        "webhook": "The same records, fed by the source's own webhooks.",
        "reconcile": "How often a poll looks for what webhooks missed.",
    },
    "Incremental": {
        "cursor_path": "The path of the cursor in a record.",
        "param": "The query parameter that takes it.",
        "lag": "How far back each poll asks again.",
        "initial_value": "The first cursor.",
    },
    "Deletes": {
        "mode": "How deletes are noticed.",
        "every": "How often a complete scan looks for them.",
        "confirm": "What must agree before a delete is believed.",
        "max_ratio": "A scan that would delete a larger share deletes nothing.",
    },
    "WebhookFeed": {
        "types": "Event types that carry a record.",
        "record": "The path of the record in the payload; the whole by default.",
        "key": "The path of the key in the record.",
        "version": "The path of the version in the record; by default the resource's own.",
        "deleted_types": "Which of the types report a delete.",
    },
    "Destination": {
        "type": "The kind of receiver.",
        "description": "For people.",
        "timeout": "For one attempt.",
        "concurrency": "Attempts under way at once.",
        "rate": "The most attempts.",
        "retry": "The waits between attempts: n waits, n + 1 tries.",
        "ordered_by": 'First in, first out for each value at this path; "key" is the event\'s own.',
        "start": "Where in the log a new destination begins: end, beginning, or a time.",
        "retry_after_cap": "The longest Retry-After that is obeyed.",
        "give_up_after": "How long a circuit may stay open before what waits is exhausted.",
    },
    "Route": {
        "from": 'A source, a list of them, or "*".',
        "to": "A destination, or a list of them.",
        "types": 'Event types, of what came in; "*" and "a.*" are allowed.',
        "changes": "Resources whose changes are wanted.",
        "filter": "Conditions on parts of the event.",
        "transform": "What the destination gets of it.",
        "enabled": "false: the route takes nothing.",
    },
    "Transform": {
        "pick": "Paths that stay.",
        "rename": "From path to path.",
        "set": "Path to a constant, or to {{ path }} of the event as it came.",
    },
}
# The structs of the kinds: the keys that they share, and their own.
DESCRIPTIONS |= {one.spec.__name__: {**DESCRIPTIONS["Destination"], **one.keys} for one in kinds.KINDS.values()}
DESCRIPTIONS |= {one.spec.__name__: {"type": one.help, **one.keys} for one in auth.KINDS.values()}


def json_schema() -> dict[str, Any]:
    """The whole schema, as `tidegate config schema` prints it."""
    schema = msgspec.json.schema(Config, ref_template="#/$defs/{name}")
    definitions = schema["$defs"]
    for name, definition in definitions.items():
        definition.pop("title", None)
        words = DESCRIPTIONS.get(name, {})
        for key, prop in definition.get("properties", {}).items():
            definition["properties"][key] = _described(prop, words.get(key, ""))
    definitions[kinds.KINDS[kinds.DEFAULT].spec.__name__]["required"].remove("type")  # the default
    _loosen(definitions)
    # Only an object at the top, so that editors find the keys without following a reference.
    root = definitions.pop("Config")
    root.pop("description", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tidegate.toml",
        "description": "The configuration of a Tidegate gateway.",
        **root,
        "$defs": definitions,
    }


def schema_text() -> str:
    """`json_schema` as a file: two spaces, one newline at the end."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"


def _described(prop: dict[str, Any], words: str) -> dict[str, Any]:
    prop = _without_null(prop)
    return {"description": words, **prop} if words else prop


def _without_null(prop: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null: an absent key is left out."""
    members = prop.get("anyOf")
    if not members or {"type": "null"} not in members:
        return prop
    rest = [member for member in members if member != {"type": "null"}]
    out = {key: value for key, value in prop.items() if key not in ("anyOf", "default")}
    return {**out, **rest[0]} if len(rest) == 1 else {**out, "anyOf": rest}


def _loosen(node: Any) -> None:
    """Where a text has a form, it may come from `${...}` too. Children first: what is made here is not visited."""
    if isinstance(node, list):
        for value in node:
            _loosen(value)
    if not isinstance(node, dict):
        return
    for value in node.values():
        _loosen(value)
    if isinstance(node.get("pattern"), str) and node.get("type") == "string":
        node["pattern"] = f"{node['pattern']}|{_PLACEHOLDER}"
    words = node.get("enum")
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        del node["enum"]
        node["anyOf"] = [{"enum": words}, {"type": "string", "pattern": _PLACEHOLDER}]
