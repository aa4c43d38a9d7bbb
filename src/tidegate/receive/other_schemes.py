"""Tries a rejected request with schemes near the configured one, to say which key of the scheme is wrong. Pure.

Owns which variants are tried. A scheme that somebody wrote from a provider's documentation is often right but for one
or two of: what is signed, the digest, the encoding of the signature and that of the secret. Knows no source and no
server. Invariants: a fixed number of variants (about 50 for a scheme), each compiled once for a verifier; the words
hold no secret and no signature. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.rules.inbound.signatures import Scheme, Verification, Verifier

TIMED = (
    "{timestamp}.{body}", "{timestamp}:{body}", "{timestamp}{body}", "{timestamp}\n{body}", "{body}{timestamp}",
    "{body}.{timestamp}", "{body}",
)  # fmt: skip
WITH_ID = ("{id}.{timestamp}.{body}", "{id}{timestamp}{body}")
PLAIN = ("{body}", "{url}{body}", "{method}{url}{body}")
MAX_SCHEMES = 3
_FITS = (Verification.OK, Verification.TOO_OLD, Verification.TOO_NEW)

Variant = tuple[str, Verifier]  # what is set otherwise, and a verifier of it
_known: WeakKeyDictionary[Verifier, list[Variant]] = WeakKeyDictionary()


def fitting_scheme(verify: Verifier, schemes: tuple[Scheme, ...], request: Any) -> str:
    """`signed = "{timestamp}:{body}", digest = "sha1"`: the keys with which the request would be accepted, "" for none.

    `request`: headers, body, url, method and now_s.
    """
    variants = _known.get(verify)
    if variants is None:
        variants = _known[verify] = list(_variants(verify, schemes))
    for words, other in variants:
        if other.check(request.headers, request.body, request.url, request.now_s, request.method).result in _FITS:
            return words
    return ""


def _variants(verify: Verifier, schemes: tuple[Scheme, ...]) -> Iterator[Variant]:
    for scheme in schemes[:MAX_SCHEMES]:
        if scheme.kind != "hmac" or scheme.items:
            continue
        for changes in _changes(scheme):
            with suppress(ConfigError):
                yield _words(changes), verify.like((msgspec.structs.replace(scheme, **changes),))


def _changes(scheme: Scheme) -> Iterator[dict[str, str]]:
    """One key is another, or what is signed and one more."""
    texts = [{"signed": one} for one in _texts(scheme) if one != scheme.signed]
    keys = [
        {key: value}
        for key, values in (
            ("digest", ("sha256", "sha1", "sha512")),
            ("encoding", ("hex", "base64")),
            ("secret_encoding", ("text", "base64", "hex")),
        )
        for value in values
        if value != getattr(scheme, key)
    ]
    yield from texts
    yield from keys
    yield from ({**text, **key} for text in texts for key in keys)


def _texts(scheme: Scheme) -> tuple[str, ...]:
    timed = scheme.timestamp_header or scheme.timestamp_prefix or scheme.timestamp_first or scheme.timestamp_path
    return (*(TIMED if timed else PLAIN), *(WITH_ID if timed and scheme.id_header else ()))


def _words(changes: dict[str, str]) -> str:
    return ", ".join(f"{key} = {msgspec.json.encode(value).decode()}" for key, value in changes.items())
