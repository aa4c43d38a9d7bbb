"""Reads the event type, key, delivery id and time of a request. Pure.

Owns how the places that a provider names become one `Reading`. It may not know signatures, the store or the clock.
Invariant: any bytes give a `Reading`; a value that is absent or of another type counts as not given. Crash: nothing is
kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from tidegate.providers.shape import Place, Provider
from tidegate.rules.inbound.places import Headers, Nothing, Reads, compile_paths, place_of, query_fields
from tidegate.rules.inbound.values import (
    KEY_CHARACTERS,
    TYPE_CHARACTERS,
    as_it_is,
    as_text,
    bounded_id,
    bounded_key,
    bounded_type,
    instant_us,
    why_unusable,
)

FALLBACK_TYPE = "webhook.received"
MAX_HOPS = 5
SCOPE_CHARACTERS = 200  # of one part of a delivery id's scope


class Reading(msgspec.Struct, gc=False):
    """`delivery_id` is None when the request has none, so a repeat of it cannot be recognized.

    It includes what the provider's ids are unique by (`dedupe.scope`). `unreadable`: why places of the body could not
    be read, "" when they were, or when there are none. `unusable`: a value that was there and could not be used.
    `guess`: what was guessed to read the body.
    """

    type: str
    key: str | None
    delivery_id: str | None
    data_path: str
    occurred_at_us: int | None
    unreadable: str = ""
    unusable: str = ""
    guess: str = ""


class Reader(Protocol):
    """A compiled reader of one source."""

    def __call__(self, headers: Headers, body: bytes, query_string: bytes = b"") -> Reading: ...


def compile_reader(provider: Provider, *, of_item: bool = False) -> Reader:
    """A function (headers with lower-case names, raw body, query string) -> Reading, for the places of a provider.

    `of_item`: for an item of a request, whose delivery id is in the item and nowhere else.
    """
    reads = Reads()
    take_type = reads.first(provider.type, bounded_type)
    take_id = reads.first(_id_places(provider, of_item=of_item), bounded_id)
    take_key = reads.first(provider.key, bounded_key)
    take_time = reads.first(provider.occurred_at, instant_us)
    why_type = _unusable(reads, "type", provider.type, bounded_type, TYPE_CHARACTERS)
    why_key = _unusable(reads, "key", provider.key, bounded_key, KEY_CHARACTERS)
    why_time = _unusable(reads, "time", provider.occurred_at, instant_us, 0)
    by_type = "type" in provider.dedupe.scope
    by_key = "key" in provider.dedupe.scope
    scope = [
        reads.first((place_of(text),), _scope_text) for text in provider.dedupe.scope if text not in ("type", "key")
    ]
    scoped = bool(provider.dedupe.scope)
    data_path, structured = provider.data_path, provider.structured.encode()
    read_body = compile_paths(reads.paths) if reads.paths else None
    no_values: list[Any] = []
    has_query, has_key, has_time = reads.query, bool(provider.key), bool(provider.occurred_at)

    def read(headers: Headers, body: bytes, query_string: bytes = b"") -> Reading:
        query = query_fields(query_string) if has_query and query_string else Nothing
        values, why, guess = no_values, "", ""
        if read_body is not None:
            found = read_body(headers, body)
            values, why, guess = found.values, found.why, found.guess
        type_ = take_type(headers, values, query) or FALLBACK_TYPE
        key = take_key(headers, values, query) if has_key else None
        delivery_id = take_id(headers, values, query)
        if scoped and delivery_id is not None:
            parts = [type_] if by_type else []
            if by_key:
                parts.append(key or "")
            parts.extend(take(headers, values, query) or "" for take in scope)
            delivery_id = "\0".join((delivery_id, *parts))
        at = take_time(headers, values, query)
        unusable = why_type(headers, values, query) if type_ is FALLBACK_TYPE else ""
        if has_key and key is None and not unusable:
            unusable = why_key(headers, values, query)
        if has_time and at is None and not unusable:
            unusable = why_time(headers, values, query)
        whole = structured and not headers.get(b"content-type", b"").lower().startswith(structured)
        return Reading(type_, key, delivery_id, "" if whole else data_path, at, why, unusable, guess)

    return read


def _unusable(
    reads: Reads, name: str, places: tuple[Place, ...], bound: Callable[[Any], Any], most: int
) -> Callable[[Headers, list[Any], Mapping[str, str]], str]:
    """A function that says which value is there and cannot be a type, key or time; "" when there is none."""
    if not places:
        return lambda _headers, _values, _query: ""
    take = reads.first(places, as_it_is)

    def unusable(headers: Headers, values: list[Any], query: Mapping[str, str]) -> str:
        found = take(headers, values, query)
        return "" if found is None or bound(found) not in (None, "") else f"{name}: {why_unusable(found, most)}"

    return unusable


def _id_places(provider: Provider, *, of_item: bool = False) -> tuple[Place, ...]:
    """The provider's own places, then the two headers that everybody understands.

    A signed source takes the second kind only where a signature covers them: otherwise one signed request could be
    repeated under many ids. The id of a request is not the id of its items.
    """
    if not provider.dedupe.enabled:
        return ()
    if of_item:
        return tuple(place for place in provider.delivery_id if place.path)
    standard: tuple[str, ...] = ("webhook-id", "idempotency-key")
    if provider.schemes:
        signed = {scheme.id_header.lower() for scheme in provider.schemes}
        standard = tuple(name for name in standard if name in signed)
    return provider.delivery_id + tuple(Place(header=name) for name in standard)


def _scope_text(value: Any) -> str:
    return as_text(value)[:SCOPE_CHARACTERS]


def content_hash(type: str, body: bytes, query_string: bytes) -> bytes:
    """16 bytes that distinguish a repeat from another event with the same delivery id.

    The content of a request without a body (GET) is its query string.
    """
    return hashlib.sha256(type.encode("utf-8", "surrogatepass") + b"\0" + (body or query_string)).digest()[:16]


def hops_of(headers: Headers) -> int:
    """The number of gateways an event passed through, from `tidegate-hops`: 0 without the header, 1 for a value that
    is not a number. The caller rejects a value above MAX_HOPS.
    """
    raw = headers.get(b"tidegate-hops")
    if raw is None:
        return 0
    return int(raw[:9]) + 1 if raw.isdigit() else 1
