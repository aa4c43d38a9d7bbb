"""What a webhook sends: body, content type, and the request headers passed on. Pure.

Owns the four body modes; `forwarding.py` decides which headers go on. May not know the destination's address, its
signature or its own headers. Invariants: rendering is a function of the event and its id, so every attempt and every
replay sends the same bytes; `auto` and `raw` give the exact bytes that came in, never a re-encoding. Crash: nothing is
kept.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.core.errors import ConfigError
from tidegate.core.model import Event, JsonObject, Origin
from tidegate.rules.inbound.redaction import value_safe
from tidegate.rules.language.numbers import decode_json, encode_hook
from tidegate.rules.language.templates import RenderFailed
from tidegate.rules.language.view import (
    FORM_TYPE,
    ORIGIN,
    QUERY,
    context_of,
    data_of,
    event_view,
    is_test,
    media_type,
    noted,
    parse_body,
    query_of,
)
from tidegate.rules.outbound.forwarding import Pairs

View = dict[str, Any]
MAX_RENDERED = 16 << 20  # added to twice the body that came in: a transform can repeat a payload
MODES = ("auto", "raw", "envelope", "cloudevents", "cloudevents-binary", "form")
JSON_TYPE = "application/json"
QUERY_HEADER = "tidegate-query"  # the query string of the request of the event
CLOUDEVENTS_TYPE = "application/cloudevents+json"
_BYTES_TYPE = "application/octet-stream"


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """`headers` are the provider's own, names in lower case, without the content type and Tidegate's headers."""

    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


Render = Callable[[Event, str], Rendered]
Forward = Callable[[Event], Pairs]


def _no_headers(_event: Event) -> Pairs:
    return ()


def compile_body(mode: str, transform: Callable[[View], View] | None, forward: Forward = _no_headers) -> Render:
    """`(event, event id) -> Rendered` for one destination and route.

    `mode` is one of MODES. `forward` gives the request headers of an event that go on. The
    function raises RenderFailed when the body cannot be written.
    """
    if mode == "raw":
        return partial(_as_it_came, forward) if transform is None else _data_alone(transform)
    if mode == "cloudevents":
        return lambda event, event_id: _cloudevent(event, event_id, transform)
    if mode == "cloudevents-binary":
        return lambda event, event_id: _cloudevent_binary(event, event_id, transform)
    if mode == "form":
        return lambda event, event_id: _form(event, transform)
    if mode == "envelope" or (mode == "auto" and transform is not None):
        return lambda event, event_id: _envelope(event, event_id, transform)
    if mode == "auto":
        return partial(_auto, forward)
    raise ConfigError(f"body is one of {', '.join(MODES)}; got {mode!r}", path="$.body")


# -- modes -----------------------------------------------------------------------------------------------


def _auto(forward: Forward, event: Event, event_id: str) -> Rendered:
    """A change has the origin of the event that caused it, but its body was made here."""
    origin = event.origin
    if origin is Origin.EDIT:  # as the event that it was made from
        origin = Origin(noted(event.headers, ORIGIN) or Origin.PUBLISH.value)
    if origin in (Origin.WEBHOOK, Origin.FORM) and not event.change:
        return _as_it_came(forward, event, event_id)
    return _envelope(event, event_id, None)


def _as_it_came(forward: Forward, event: Event, _event_id: str) -> Rendered:
    content_type = event.content_type if value_safe(event.content_type) else ""
    query = noted(event.headers, QUERY)
    headers = forward(event)
    return Rendered(event.body, content_type or _BYTES_TYPE, (*headers, (QUERY_HEADER, query)) if query else headers)


def standard_envelope(event: Event, event_id: str) -> bytes:
    """The envelope of an event without a transform. Raises RenderFailed."""
    return _envelope(event, event_id, None).body


def _data_alone(transform: Callable[[View], View]) -> Render:
    return lambda event, _event_id: Rendered(_encode(transform(event_view(event)).get("data"), event), JSON_TYPE)


def _envelope(event: Event, event_id: str, transform: Callable[[View], View] | None) -> Rendered:
    seen = _seen(event, transform)
    envelope = {
        "id": event_id,
        "type": seen.type,
        "source": event.source,
        "timestamp": rfc3339(event.time_us),
        "key": seen.key,
        "data": seen.data,
    }
    if seen.bytes_instead:
        envelope["data_base64"] = _base64(event.body)
    if seen.context:
        envelope["context"] = seen.context
    if query := query_of(event.headers):
        envelope["query"] = query
    if seen.change is not None:
        envelope["change"] = seen.change
    if is_test(event):
        envelope["test"] = True
    return Rendered(_encode(envelope, event), JSON_TYPE)


def _cloudevent(event: Event, event_id: str, transform: Callable[[View], View] | None) -> Rendered:
    """Structured mode of CloudEvents 1.0. `change` is an extension attribute, so it must be a text: its JSON."""
    seen = _seen(event, transform)
    attributes: JsonObject = {
        "specversion": "1.0",
        "id": event_id,
        "source": event.source,
        "type": seen.type,
        "time": rfc3339(event.time_us),
    }
    if seen.key:
        attributes["subject"] = seen.key
    if seen.change is not None:
        attributes["change"] = _encode(seen.change, event).decode()
    if transform is None and event.body and (seen.bytes_instead or _is_form(event)):
        attributes["datacontenttype"] = event.content_type or _BYTES_TYPE
        attributes["data_base64"] = _base64(event.body)
    else:
        attributes["datacontenttype"] = JSON_TYPE
        attributes["data"] = seen.data
    return Rendered(_encode(attributes, event), CLOUDEVENTS_TYPE)


def _cloudevent_binary(event: Event, event_id: str, transform: Callable[[View], View] | None) -> Rendered:
    """Binary mode of CloudEvents 1.0 over HTTP: attributes are `ce-` headers, the body is the data itself."""
    seen = _seen(event, transform)
    headers: list[tuple[str, str]] = [
        ("ce-specversion", "1.0"), ("ce-id", event_id), ("ce-source", event.source), ("ce-type", seen.type),
        ("ce-time", str(rfc3339(event.time_us))),
    ]  # fmt: skip
    if seen.key:
        headers.append(("ce-subject", seen.key))
    if seen.change is not None:
        headers.append(("ce-change", _encode(seen.change, event).decode()))
    if transform is None and event.body and (seen.bytes_instead or _is_form(event)):
        return Rendered(event.body, event.content_type or _BYTES_TYPE, tuple(headers))
    return Rendered(_encode(seen.data, event), JSON_TYPE, tuple(headers))


def _form(event: Event, transform: Callable[[View], View] | None) -> Rendered:
    """The fields of `data` as a form: a list repeats its name, what is nested is JSON, and null is left out.

    Raises RenderFailed when `data` is not an object.
    """
    data = _seen(event, transform).data
    if isinstance(data, msgspec.Raw):
        data = decode_json(data)
    if not isinstance(data, dict):
        raise RenderFailed("a form needs an object as `data`; select one with a transform")
    pairs = [
        (name, text)
        for name, value in data.items()
        for one in (value if isinstance(value, list) else [value])
        if (text := _form_text(one, event)) is not None
    ]
    return Rendered(urlencode(pairs).encode("ascii"), FORM_TYPE)


def _form_text(value: Any, event: Event) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _encode(value, event).decode()


# -- pieces ----------------------------------------------------------------------------------------------


class _Seen(msgspec.Struct, frozen=True):
    type: str
    key: str | None
    data: Any
    change: Any
    context: JsonObject  # the fields of the body beside `data`
    bytes_instead: bool  # the body could not be read as data


def _seen(event: Event, transform: Callable[[View], View] | None) -> _Seen:
    """The parts of an event that a transform can change. Without one, JSON stays as written: no number is rounded."""
    if transform is not None:
        view = transform(event_view(event))
        context = view.get("context") or {}
        return _Seen(view["type"], view["key"], view.get("data"), view.get("change"), context, False)
    parsed = parse_body(event)
    data = data_of(parsed.value, event.data_path)
    if data is parsed.value and parsed.as_written:
        data = msgspec.Raw(event.body)
    change = msgspec.Raw(event.change) if event.change else None
    context = context_of(parsed.value, event.data_path)
    return _Seen(event.type, event.key, data, change, context, not parsed.readable and event.body != b"")


def _is_form(event: Event) -> bool:
    """Forms and XML are read as data but are not JSON, so a CloudEvent carries their bytes."""
    kind = media_type(event.content_type)
    return kind in (FORM_TYPE, "multipart/form-data") or kind.endswith(("/xml", "+xml"))


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")


_ENCODER: Final = msgspec.json.Encoder(enc_hook=encode_hook)


def _encode(value: Any, event: Event) -> bytes:
    try:
        encoded = _ENCODER.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RenderFailed(f"the body could not be written as JSON: {type(error).__name__}") from None
    limit = MAX_RENDERED + 2 * len(event.body)
    if len(encoded) > limit:
        raise RenderFailed(f"the body would have {len(encoded)} bytes; at most {limit} are sent")
    return encoded
