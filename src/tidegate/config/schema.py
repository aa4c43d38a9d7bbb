"""The JSON Schema (draft 2020-12) of `tidegate.toml` for editors, generated from the structs.

Owns the descriptions of keys. Pure. Invariant: the schema accepts everything that the loader accepts; it is looser only
where a value can come from `${...}`, and where one key depends on another. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate import auth, kinds
from tidegate.config.spec import Config
from tidegate.rules.sync import paginators

SCHEMA_FILE = "tidegate.schema.json"
_PLACEHOLDER = r"\$\{(env|file):[^{}]+\}"
# struct -> key -> description. `test_config_schema.py` checks that the table is complete.
_CA = "The only authorities that the server's certificate may be from, in PEM: `${file:ca.pem}`. Default: the system's."
_PROXY = "An HTTP proxy for the connections: its URL, or a table with credentials."
DESCRIPTIONS: dict[str, dict[str, str]] = {
    "Config": {
        "gateway": "Settings of the gateway.",
        "egress": "Private addresses that Tidegate may call.",
        "retention": "How long events are kept.",
        "alerts": "When a state of the gateway becomes a system event.",
        "credentials": "Credentials that several sources and destinations share, by name.",
        "sources": "Outside systems that send events or have data, by name.",
        "destinations": "Receivers, by name.",
        "routes": "Which events go to which destinations, by name. For each destination the first match counts.",
    },
    "GatewaySettings": {
        "public_url": "The URL at which outside systems reach this gateway. Required by providers that sign the URL.",
        "allowed_hosts": "More host names that the dashboard accepts.",
        "max_waiting": "Number of events waiting for the disk at which new ones are answered 503.",
    },
    "Egress": {
        "allow": 'Private networks that may be called, such as "127.0.0.1/32" or "10.0.0.0/8:443". Default: none.'
    },
    "Retention": {
        "events": "Age at which events are deleted.",
        "size": "Size of the log at which the oldest events are deleted.",
        "dedupe": "How long a delivery id is kept to recognize duplicates.",
    },
    "Alerts": {
        "enabled": "`false` makes no system events. The findings of `tidegate doctor` stay.",
        "destination_failing_after": "How long the circuit of a destination is open before `destination.failing`.",
        "delivery_exhausted": "Dead letters of a destination since the last event that make `delivery.exhausted`.",
        "backlog": "Pending deliveries of a destination from which a growing backlog makes `backlog.growing`.",
        "backlog_growing_for": "How long the backlog grows before `backlog.growing`.",
        "source_quiet_after": "Time without an event that makes `source.quiet`: a duration, `off`, or `auto`, which is"
        " three times the longest gap of the last eight days.",
        "quiet": "The same for single sources, by name.",
        "poll_failing_after": "How long the polls of a resource fail before `poll.failing`.",
        "rows_skipped": "Rows that polls of a resource skipped since the last event that make `rows.skipped`.",
        "webhooks_missed": "Changes that only reconciliation found, since the last event, that make `webhooks.missed`.",
        "requests_rejected": "Requests that a source rejected within an hour that make `requests.rejected`.",
        "disk_free": "Free disk space below which `disk.low` is made (embedded store).",
        "repeat_every": "How often something that lasts is reported again.",
        "max_per_hour": "Maximum number of system events an hour; what is over it waits.",
    },
    "Credential": {
        "description": "A note for people.",
        "auth": "The credential itself.",
        "rate": "Maximum rate of requests of all sources that use it, together.",
        "origins": "Origins it may be sent to, such as https://api.example.com. Items made through the API may use it"
        " only for these; without the list, only items of the file may use it.",
    },
    "Source": {
        "description": "A note for people.",
        "webhook": "Receives webhooks at POST /in/NAME.",
        "form": "Receives HTML forms at POST /in/NAME.",
        "publish": "Accepts events at POST /api/v1/events with an API key for this source.",
        "api": "How the API of the source is called.",
        "imap": "A mailbox: each new mail becomes an event `mail.received`.",
        "resources": "Lists of records in the API of the source, by name.",
    },
    "WebhookInput": {
        "verify": 'How requests are verified: a provider such as "stripe", a table with a scheme, or "none".',
        "secret": "The signing secret, or a list of secrets during rotation.",
        "event_type": "A fixed event type. Default: the rule of the provider, then `type` in the body.",
        "type_header": "Header with the event type.",
        "type_path": "Where the event type is: a path of the body, `header:NAME` or `query:NAME`.",
        "id_header": "Header with the delivery id. Unsigned sources also read webhook-id and Idempotency-Key.",
        "id_path": "Where the delivery id is: a path of the body, `header:NAME` or `query:NAME`.",
        "key_path": "Where the event's key is: a path of the body, `header:NAME` or `query:NAME`.",
        "time_path": "Where the time of the event is: a path of the body, `header:NAME` or `query:NAME`.",
        "dedupe": "How repeats are recognized. Default: the rule of the provider.",
        "forward_headers": "Request headers that receivers get, in addition to the provider's; a name may end in `*`.",
        "handshake": "The provider whose handshake is answered; for a scheme of your own and for `none`.",
        "answer": "The answer to accepted requests. Default: what the provider needs, else 202 with the event's id.",
        "methods": "Accepted methods. Default: those of the provider, else POST.",
        "handshake_token": "The token that a provider sends to verify the address (Meta's verify token).",
        "split": "Path of a list in the body whose items are events of their own; `$` is the body itself, `auto` takes"
        " the provider's path.",
        "max_body": "Maximum size of a body; larger ones are answered 413.",
    },
    "Dedupe": {
        "enabled": "`false` makes every request an event of its own.",
        "scope": "What a delivery id is unique by: `type`, `key`, `header:NAME`, `query:NAME` or paths of the body.",
        "volatile": "Paths of the body that may differ between repeats, such as attempt counters; `*` is any item.",
    },
    "CustomScheme": {
        "type": "Kind of the scheme.",
        "header": "Header with the signature.",
        "query": "Parameter of the query string with the signature.",
        "path": "Path of the signature in the body.",
        "items": "Path of a list in the body: each item has a signature of its own at `path`.",
        "prefix": "Text before a signature.",
        "list_separator": "What separates several signatures. Default: a comma.",
        "digest": "Hash function.",
        "encoding": "Encoding of the signature.",
        "signed": "What is signed: literal text and {body}, {timestamp}, {id}, {method}, {url}, {url_without_query},"
        " {form}, {path:NAME}, {header:NAME}, and with `hash` {secret}.",
        "timestamp_header": "Header with the time.",
        "timestamp_prefix": "Text before the time in the list of signatures.",
        "timestamp_path": "Path of the time in the body.",
        "timestamp_unit": "Format of the time; `auto` knows RFC 3339 and each unit by its size.",
        "id_header": "Header with the id.",
        "tolerance": "Maximum difference between the signed time and the current time.",
        "secret_encoding": "Encoding of the secret.",
        "secret_prefix": "Text that is removed from the secret.",
        "secret_digest": "The key is this digest of the secret.",
        "url_port": "Whether the URL is also tried with its standard port.",
        "body_hash_query": "Parameter of the query string with the SHA-256 of the body, as Twilio sends it.",
        "claims": "Claims of a JWT: text, {body_sha256_hex}, {body_sha256_base64} or {url_sha256_hex}.",
        "max_age": "Maximum age of a JWT by its claim iat; `0s` looks at exp and nbf only.",
    },
    "AnswerTable": {
        "status": "Status of the answer.",
        "content_type": "Content type of the answer.",
        "body": "Body of the answer.",
    },
    "FormInput": {
        "event_type": "Event type of the submitted forms.",
        "redirect": "URL to which the browser is redirected afterwards.",
        "honeypot": "A field that people leave empty. A form that fills it is answered normally and dropped.",
        "key_field": "Field that is the event's key.",
        "max_body": "Maximum size of a body; larger ones are answered 413.",
    },
    "PublishInput": {"max_body": "Maximum size of a body; larger ones are answered 413."},
    "ApiInput": {
        "base_url": "URL to which the paths of resources are appended.",
        "auth": "How requests are authenticated.",
        "headers": "Headers of every request.",
        "timeout": "Time limit of one request.",
        "rate": "Maximum rate of requests, for pulls and polls together.",
        "ca": _CA,
        "proxy": _PROXY,
    },
    "ImapInput": {
        "host": "The mail server.",
        "auth": "How it logs in: `password`, or a kind with an access token (XOAUTH2).",
        "port": "The port. Default: 993, or 143 with `starttls` and `none`.",
        "tls": "`implicit`: TLS from the first byte. `starttls`: TLS after a command. `none`: on your own network.",
        "ca": "Certificates of your own authority, in PEM, in place of the system's.",
        "username": "The user of the mailbox, for kinds of `auth` that have no user name.",
        "folder": "The folder, or a list of folders. With several, IDLE waits in the first and the others are polled.",
        "mode": "`idle`: the server says it at once. `poll`: it is asked every `poll`. `auto`: IDLE where offered.",
        "poll": "How often the server is asked: with `poll`, and for further folders with `idle`.",
        "max_message": "Maximum size of a mail; of a larger one only the header is read, and the event says so.",
        "attachments": "`meta`: name, type, size and digest. `keep`: the content too, in Base64. `none`: nothing.",
        "mark_seen": "Mark mails as read after they were stored.",
        "move_to": "Move mails to this folder after they were stored.",
        "trusted_host": "Whose Authentication-Results are repeated in `sender_checks`. Default: the topmost one.",
    },
    "Resource": {
        "path": "The path of the list. Placeholders: {with.NAME}, {incremental.start_value}, {resources.PARENT.FIELD}.",
        "item_path": "The path of one item, with {id}: for pulls by key and for fetch-backs.",
        "method": "The method of list requests.",
        "headers": "Headers of every request of this resource.",
        "json": "The JSON body of list requests.",
        "with": "Values of the placeholders {with.NAME} in path, item_path, params, headers and json.",
        "format": "auto, json, ndjson, csv, xml, rss (feeds) or ical (calendars); `auto` goes by the body, then by"
        " its Content-Type.",
        "key_field": "For an object whose members are the records: the field that gets the name of each member.",
        "data_selector": 'The path of the list in the response; "$" makes the whole response one record.',
        "item_selector": "The path of the record in the response for one item; found by its key by default.",
        "primary_key": "The path of the key in a record, or a list of paths that make the key together.",
        "version": "The path of what says which of two copies is newer.",
        "version_kind": "How versions are ordered; `auto` orders numbers and times, and takes others as opaque.",
        "paginator": "How the next page is found.",
        "params": "Query parameters of every request; a list repeats one. A caller of a pull cannot replace them.",
        "empty": "Statuses of the first page that mean an empty list, such as 404.",
        "gone": "Statuses of one item that mean it was deleted.",
        "gone_path": "A field of an item that is true when it was deleted.",
        "origins": "More origins that links to a next page may name; they get no credential.",
        "share_credential": "Send the credential of the source to those origins too.",
        "error_path": "A field that makes a response with status 200 an error.",
        "ok_path": "A field that must be true in a response.",
        "on_bad_row": "Whether a row that cannot be read is reported and skipped, or fails the poll.",
        "incremental": "Ask only for what changed.",
        "parent": "The resource whose records each have a list of this one.",
        "poll": "How often it is polled; turns the API into change events.",
        "schedule": 'When it is polled, as a cron expression, in place of `poll`: "0 6 * * 1-5".',
        "timezone": "The time zone of `schedule`, such as Europe/Berlin.",
        "initial": "Whether the records of the first poll that finds any make events.",
        "deletes": "How deletes are noticed.",
        "ignore": "Fields whose changes do not count, in lists too: files.0.url, files.*.url.",
        "cache": "How old the response to a pull may be.",
        "stale_if_error": "How old the response may be when the source fails.",
        "webhook": "The same records, updated by webhooks of the source.",
        "reconcile": "How often a poll looks for what webhooks missed.",
    },
    "Incremental": {
        "cursor_path": "The path of the cursor in a record, or a list: the first that has a value.",
        "param": "The query parameter that takes it; or use {incremental.start_value} where it belongs.",
        "value": 'What the parameter gets, with {cursor}: ">={cursor}". Default: the cursor alone.',
        "end_param": "The query parameter that takes the present time, for sources that need an end.",
        "format": "auto, iso8601, date, http_date, epoch_s, epoch_ms, epoch_us, epoch_ns, text, or a strftime pattern.",
        "lag": "How far back each poll asks again.",
        "initial_value": "The first cursor; complete scans begin there too.",
        "exclusive": "The source leaves out rows that are equal to the value, so each poll begins one step earlier.",
        "row_order": "asc or desc: the order of the rows by their cursor, where the source promises one.",
        "token_path": "The path of a sync token on the last page, in place of cursor_path.",
        "link_path": "The path of a delta link on the last page, in place of cursor_path: the next poll begins there.",
    },
    "Deletes": {
        "mode": "How deletes are detected.",
        "every": "Interval of complete scans for deletes.",
        "confirm": "How a missing record is confirmed as deleted.",
        "path": "flag: the field of a row that says it is deleted. in_band: the field that only a tombstone has.",
        "values": "flag: the values that mean deleted. Default: every value but null, false, 0 and empty.",
        "resource": "feed: the resource of the same source that lists deletes.",
        "id_path": "feed: the path of the deleted record's key in a row of that resource.",
        "max_ratio": "Maximum share of the records that one scan may delete; beyond it the scan deletes nothing.",
    },
    "Parent": {
        "resource": "The name of the parent resource, of the same source.",
        "with": "Fields of the parent record for {resources.PARENT.FIELD}; each row gets them as _PARENT_FIELD.",
    },
    "WebhookFeed": {
        "types": "Event types that have a record.",
        "record": "Path of the record in the payload. Default: the whole payload.",
        "key": "Path of the key in the record.",
        "version": "Path of the version in the record. Default: that of the resource.",
        "deleted_types": "The types that mean that the record was deleted.",
    },
    "Destination": {
        "type": "Type of the receiver.",
        "description": "A note for people.",
        "timeout": "Time limit of one attempt.",
        "concurrency": "Maximum number of attempts at the same time.",
        "rate": "Maximum rate of attempts.",
        "retry": "Retry schedule: n waits give n + 1 tries.",
        "retry_on": "What is retried: connection, tls, timeout, a status (429), or a class of statuses (5xx).",
        "ordered_by": 'Delivers in order for each value at this path; "key" is the event\'s key.',
        "start": "Where in the log a new destination starts: end, beginning, or a time.",
        "retry_after_cap": "Maximum Retry-After that is respected.",
        "give_up_after": "How long the circuit breaker may stay open before pending deliveries are exhausted.",
        "ca": _CA,
        "proxy": _PROXY,
    },
    "Proxy": {
        "url": "http://HOST:PORT or https://HOST:PORT. [egress] must allow its address like any other.",
        "username": "The user name for the proxy.",
        "password": "The password for the proxy.",
        "ca": "For an https proxy: the authorities that its certificate may be from, in PEM. Default: the system's.",
        "resolve": "Who looks up names: `here` sends the proxy a checked address, `proxy` sends it the name.",
    },
    "Route": {
        "from": 'A source, a list of sources, or "*".',
        "to": "A destination, or a list of them.",
        "types": 'Event types; "*" and patterns such as "a.*" are allowed. Does not match changes.',
        "changes": "Resources whose changes are delivered.",
        "filter": "Conditions on the event.",
        "transform": "What the destination receives of the event.",
        "enabled": "Set to false to turn the route off.",
    },
    "Transform": {
        "pick": "Paths that are kept.",
        "rename": "Old path to new path.",
        "set": "Path to a constant, or to {{ path }} of the original event.",
    },
}
# The structs of the kinds: the keys that they share, and their own.
DESCRIPTIONS |= {one.spec.__name__: {**DESCRIPTIONS["Destination"], **one.keys} for one in kinds.KINDS.values()}
DESCRIPTIONS |= {one.spec.__name__: {"type": one.help, **one.keys} for one in auth.KINDS.values()}
DESCRIPTIONS |= {one.spec.__name__: {"type": one.help, **one.keys} for one in paginators.KINDS.values()}


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
    """Allow `${...}` wherever a string has a format. Children first, so that new nodes are not visited again."""
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
