"""What a webhook sends: body, content type, and the headers passed on from the provider. Pure.

Owns the four body modes and the allow-list of provider headers. May not know the destination's address, its signature
or its own headers. Invariants: rendering is a function of the event and its id, so every attempt and every replay
sends the same bytes; no credential and no header of another connection is passed on; `auto` and `raw` give the exact
bytes that came in, never a re-encoding.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.core.errors import ConfigError
from tidegate.core.model import Event, Origin
from tidegate.rules.inbound.redaction import REDACTED, egress_safe, is_credential, value_safe
from tidegate.rules.language.templates import RenderFailed
from tidegate.rules.language.view import (
    FORM_TYPE,
    UNREADABLE,
    event_view,
    header_list,
    media_type,
    parse_body,
    value_at,
)

View = dict[str, Any]
MAX_RENDERED = 16 << 20  # a transform can repeat a payload; what came in is passed on whatever its size
JSON_TYPE = "application/json"
CLOUDEVENTS_TYPE = "application/cloudevents+json"
_BYTES_TYPE = "application/octet-stream"

# Provider headers that do not start with x-; receivers use their signature, type and delivery id.
_PROVIDER_NAMES = re.compile(
    r"(?:x|ce|svix|stripe|linear|paypal|twitch-eventsub|shopify|paddle|recurly)-.+"
    r"|hmacsignature|.+-(?:signature|signature-256|hmac-sha256)"
)
# What proxies and clouds in front of the gateway added: it describes the connection, not the event.
_INFRASTRUCTURE = re.compile(
    r"x-(?:forwarded|real-ip|original|client|cluster|envoy|amzn|amz-cf|cloud-trace|azure|vercel|appengine|proxy|scheme"
    r"|host|url|rewrite|request-start|http-method|method-override|remote|ssl|arr|nf|render|fly|railway|istio|b3)"
    r"(?:-.*)?"
)


class Rendered(msgspec.Struct, frozen=True):
    """`headers` are the provider's own, names in lower case, without the content type and Tidegate's headers."""

    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


_MAX_NAMES = 4096  # names are chosen by outsiders, and so is their length
_MAX_CACHED_NAME = 100
_passing: dict[str, bool] = {}

Render = Callable[[Event, str], Rendered]


def compile_body(mode: str, transform: Callable[[View], View] | None) -> Render:
    """`(event, event id) -> Rendered` for one destination and route.

    `mode` is auto, raw, envelope or cloudevents. The function raises RenderFailed when the body cannot be written.
    """
    if mode == "raw":
        return _as_it_came if transform is None else _data_alone(transform)
    if mode == "cloudevents":
        return lambda event, event_id: _cloudevent(event, event_id, transform)
    if mode == "envelope" or (mode == "auto" and transform is not None):
        return lambda event, event_id: _envelope(event, event_id, transform)
    if mode == "auto":
        return _auto
    raise ConfigError(f"body is auto, raw, envelope or cloudevents; got {mode!r}", path="$.body")


def pass_on(headers: bytes) -> tuple[tuple[str, str], ...]:
    """Of stored headers those that are the provider's own and safe to send to another system."""
    if not headers:
        return ()
    return tuple(
        [
            (name, value)
            for name, value in header_list(headers)
            if _passes(name) and value != REDACTED and value_safe(value)
        ]
    )


def _passes(name: str) -> bool:
    known = _passing.get(name)
    if known is None:
        known = _is_provider_header(name)
        if len(_passing) >= _MAX_NAMES:
            _passing.clear()
        if len(name) <= _MAX_CACHED_NAME:
            _passing[name] = known
    return known


def _is_provider_header(name: str) -> bool:
    if name == "content-encoding":
        return True  # compressed bytes go out compressed, and the receiver needs this to read them
    return (
        _PROVIDER_NAMES.fullmatch(name) is not None
        and _INFRASTRUCTURE.fullmatch(name) is None
        and not is_credential(name)
        and egress_safe(name)
    )


# -- modes -----------------------------------------------------------------------------------------------


def _auto(event: Event, event_id: str) -> Rendered:
    """A change has the origin of the event that caused it, but its body was made here."""
    if event.origin in (Origin.WEBHOOK, Origin.FORM) and not event.change:
        return _as_it_came(event, event_id)
    return _envelope(event, event_id, None)


def _as_it_came(event: Event, _event_id: str) -> Rendered:
    content_type = event.content_type if value_safe(event.content_type) else ""
    return Rendered(event.body, content_type or _BYTES_TYPE, pass_on(event.headers))


def _data_alone(transform: Callable[[View], View]) -> Render:
    return lambda event, _event_id: Rendered(_encode(transform(event_view(event)).get("data")), JSON_TYPE)


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
    if seen.change is not None:
        envelope["change"] = seen.change
    return Rendered(_encode(envelope), JSON_TYPE)


def _cloudevent(event: Event, event_id: str, transform: Callable[[View], View] | None) -> Rendered:
    """Structured mode of CloudEvents 1.0. `change` is an extension attribute, so it must be a text: its JSON."""
    seen = _seen(event, transform)
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id,
        "source": event.source,
        "type": seen.type,
        "time": rfc3339(event.time_us),
    }
    if seen.key:
        attributes["subject"] = seen.key
    if seen.change is not None:
        attributes["change"] = _encode(seen.change).decode()
    if transform is None and event.body and (seen.bytes_instead or _is_form(event)):
        attributes["datacontenttype"] = event.content_type or _BYTES_TYPE
        attributes["data_base64"] = _base64(event.body)
    else:
        attributes["datacontenttype"] = JSON_TYPE
        attributes["data"] = seen.data
    return Rendered(_encode(attributes), CLOUDEVENTS_TYPE)


# -- pieces ----------------------------------------------------------------------------------------------


class _Seen(msgspec.Struct, frozen=True):
    type: str
    key: str | None
    data: Any
    change: Any
    bytes_instead: bool  # the body could not be read as data


def _seen(event: Event, transform: Callable[[View], View] | None) -> _Seen:
    """The parts of an event that a transform can change. Without one, JSON stays as written: no number is rounded."""
    if transform is not None:
        view = transform(event_view(event))
        return _Seen(view["type"], view["key"], view.get("data"), view.get("change"), False)
    parsed = parse_body(event)
    if event.data_path:
        data = value_at(parsed.value, event.data_path)
    else:
        data = msgspec.Raw(event.body) if parsed.as_written else parsed.value
    change = msgspec.Raw(event.change) if event.change else None
    return _Seen(event.type, event.key, data, change, parsed is UNREADABLE and event.body != b"")


def _is_form(event: Event) -> bool:
    """A form was read as data but is not JSON, so a CloudEvent carries its bytes."""
    return media_type(event.content_type) == FORM_TYPE


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")


_ENCODER: Final = msgspec.json.Encoder()


def _encode(value: Any) -> bytes:
    try:
        encoded = _ENCODER.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RenderFailed(f"the body could not be written as JSON: {type(error).__name__}") from None
    if len(encoded) > MAX_RENDERED:
        raise RenderFailed(f"the body would have {len(encoded)} bytes; at most {MAX_RENDERED} are sent")
    return encoded
