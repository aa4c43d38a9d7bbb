"""What a request lacks to be a CloudEvent of version 1.0, in words. Pure.

Owns the rules of the specification about required attributes. May not know the store or findings. Such a request is
stored and delivered as it came; this says what a receiver may reject. Invariant: any bytes give a sentence or "".
Crash: nothing is kept.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from tidegate.rules.inbound.places import Headers
from tidegate.rules.language.body import read_body

VERSION = "1.0"
REQUIRED = ("id", "source", "type")
STRUCTURED = "application/cloudevents"
MAX_LOOKED = 20  # events of a batch
SHOWN_CHARACTERS = 40


def why_not_valid(headers: Headers, body: bytes) -> str:
    """ "" for a valid event, or a batch whose first MAX_LOOKED events are."""
    kind = headers.get(b"content-type", b"").decode("latin-1").strip().lower()
    if not kind.startswith(STRUCTURED):
        found = {
            name[3:].decode("latin-1"): value.decode("latin-1")
            for name, value in headers.items()
            if _is_attribute(name)
        }
        return _why(found) if found else "it has neither ce- headers nor the content type application/cloudevents+json"
    value = read_body(body, kind, headers.get(b"content-encoding", b"").decode("latin-1")).value
    if not kind.startswith(f"{STRUCTURED}-batch"):
        return _why(value) if isinstance(value, dict) else "its body is not a JSON object"
    if not isinstance(value, list):
        return "the body of its batch is not a JSON list"
    for number, one in enumerate(value[:MAX_LOOKED]):
        if why := _why(one) if isinstance(one, dict) else "it is not a JSON object":
            return f"event {number} of the batch: {why}"
    return ""


def _is_attribute(name: bytes) -> bool:
    return name[:3] == b"ce-"


def _why(event: Mapping[str, Any]) -> str:
    version = event.get("specversion")
    if version != VERSION:
        return (
            "it has no specversion" if version is None else f"specversion is {_shown(version)}, and {VERSION} is read"
        )
    for name in REQUIRED:
        value = event.get(name)
        if not isinstance(value, str) or not value:
            return f"it has no {name}" if value is None else f"{name} is {_shown(value)}, not text"
    if "data_base64" not in event:
        return ""
    if "data" in event:
        return "it has both data and data_base64"
    try:
        base64.b64decode(event["data_base64"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        return "data_base64 is not base64"
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
