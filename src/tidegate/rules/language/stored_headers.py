"""The bytes in which the headers of an event are stored. Pure.

Owns both forms. The general one is JSON, `[[name, value], ...]`. The short one is for headers of printable ASCII, which
are nearly all: each is one byte, which stands for a name, and the value; 0xff stands for the name that follows, up to
a colon. It takes half the bytes, so more events fit on a page of the store. Invariants: events of any release stay
readable, so a number in `NAMES` never changes its name; no bytes make a reader raise. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

QUERY = ":query"
"""The name of the query string of a request among its stored headers; no header can have it."""

PARENT = ":parent"  # of an edited copy: the ID of the event that it was made from
ORIGIN = ":origin"  # of an edited copy: the origin of that event

VERIFIED = ":verified"
"""The name of the proof: provider or kind of scheme, number of the scheme, number of the secret."""

MISFIT = ":schema"
"""The note of what did not fit the JSON Schema of the event's type."""

TEST = ":test"
"""The note of an event that `tidegate trigger` made."""

NAMES: Final = (
    QUERY, PARENT, ORIGIN, VERIFIED, MISFIT, TEST, "host", "content-type", "content-length", "user-agent", "accept",
    "accept-encoding", "connection", "date", "webhook-id", "webhook-timestamp", "webhook-signature", "svix-id",
    "svix-timestamp", "svix-signature", "idempotency-key", "x-request-id", "x-forwarded-for", "x-forwarded-proto",
    "x-forwarded-host", "x-forwarded-port", "x-real-ip", "forwarded", "via", "traceparent", "tracestate", "cf-ray",
    "cf-connecting-ip", "cf-ipcountry", "cf-visitor", "cdn-loop", "x-hub-signature", "x-hub-signature-256",
    "x-github-delivery", "x-github-event", "x-github-hook-id", "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type", "stripe-signature", "x-shopify-topic", "x-shopify-hmac-sha256",
    "x-shopify-shop-domain", "x-shopify-webhook-id", "x-shopify-event-id", "x-shopify-triggered-at",
    "x-shopify-api-version",
)  # fmt: skip
"""By their byte minus 0x80. Only add at the end; at most 127."""

_OTHER: Final = 0xFF
_START: Final = {name: bytes((0x80 + number,)) for number, name in enumerate(NAMES)}
_ENTRY: Final = re.compile(rb"([\x80-\xff])([^\x80-\xff]*)")
_NOT_PRINTED: Final = bytes(range(0x20, 0x7F))
_JSON: Final = msgspec.json.Decoder(list[tuple[str, str]])


def start_of(name: str) -> bytes:
    """The bytes before the value of a header in the short form; b"" for a name that it cannot have."""
    if found := _START.get(name):
        return found
    return b"\xff%b:" % name.encode() if name.isascii() and name.isprintable() and ":" not in name else b""


def is_short(joined: bytes, count: int) -> bool:
    """Whether `count` starts and values, joined, are the short form: the values are printable ASCII."""
    return len(joined.translate(None, _NOT_PRINTED)) == count > 0


def read_headers(stored: bytes) -> list[tuple[str, str]]:
    """The headers in order, with what Tidegate keeps beside them under names that begin with a colon."""
    if not stored:
        return []
    if stored[0] >= 0x80:
        return [_pair(start[0], rest.decode()) for start, rest in _ENTRY.findall(stored)]
    try:
        return _JSON.decode(stored)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _pair(start: int, rest: str) -> tuple[str, str]:
    if start == _OTHER:
        name, _, value = rest.partition(":")
        return name, value
    number = start - 0x80
    return (NAMES[number] if number < len(NAMES) else f"unknown-{number}"), rest


def marks_of(name: str, *, beginning: bool = False) -> tuple[bytes, ...]:
    """Bytes one of which is in every form of stored headers that have this name, or a name with this beginning.

    They may be in others too.
    """
    if beginning:
        starts = [start for known, start in _START.items() if known.startswith(name)]
        return (f'["{name}'.encode(), b"\xff" + name.encode(), *starts)
    return (f'["{name}"'.encode(), start_of(name) or b"\xff" + name.encode())
