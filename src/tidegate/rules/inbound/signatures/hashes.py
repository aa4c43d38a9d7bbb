"""Signatures that a shared secret makes: HMAC, plain hashes with the secret inside, tokens and Basic credentials. Pure.

Owns how a candidate is compared: in constant time, hexadecimal in any case, base64 with or without padding and in the
URL alphabet too. Crash: nothing is kept.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from hmac import compare_digest

from tidegate.rules.inbound.signatures.parts import SECRET
from tidegate.rules.inbound.signatures.scheme import Scheme
from tidegate.rules.outbound.signing import keyed_hashes

Check = Callable[[Sequence[bytes], list[bytes]], bool]  # (signed parts, candidates as written in the request)
Match = Callable[[bytes, list[bytes]], bool]

b64encode = partial(binascii.b2a_base64, newline=False)
_FROM_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")


def hmac_check(scheme: Scheme, key: bytes) -> Check:
    """HMAC; the key is prepared once, when the scheme is compiled."""
    inner, outer = keyed_hashes(scheme.digest, key)
    encode, matches = _encoder(scheme), _matcher(scheme)

    def check(parts: Sequence[bytes], candidates: list[bytes]) -> bool:
        first = inner.copy()
        for part in parts:
            first.update(part)
        second = outer.copy()
        second.update(first.digest())
        digest = second.digest()
        if len(candidates) == 1 and compare_digest(encode(digest), candidates[0]):  # nearly all are written like this
            return True
        return matches(digest, candidates)

    return check


def hash_check(scheme: Scheme, key: bytes) -> Check:
    new = getattr(hashlib, scheme.digest)
    matches = _matcher(scheme)

    def check(parts: Sequence[bytes], candidates: list[bytes]) -> bool:
        digest = new()
        for part in parts:
            digest.update(key if part is SECRET else part)
        return matches(digest.digest(), candidates)

    return check


def token_check(scheme: Scheme, key: bytes) -> Check:
    expected = b64encode(key) if scheme.kind == "basic" else key

    def check(parts: Sequence[bytes], candidates: list[bytes]) -> bool:
        return _any_equal(expected, candidates)

    return check


def _encoder(scheme: Scheme) -> Callable[[bytes], bytes]:
    return binascii.hexlify if scheme.encoding == "hex" else b64encode


def _matcher(scheme: Scheme) -> Match:
    encode = _encoder(scheme)
    tidy = bytes.lower if scheme.encoding == "hex" else _padded
    return lambda digest, candidates: _any_equal(encode(digest), [tidy(one) for one in candidates])


def _padded(candidate: bytes) -> bytes:
    if candidate[-1:] == b"=" and b"-" not in candidate and b"_" not in candidate:
        return candidate
    plain = candidate.translate(_FROM_URL_ALPHABET).rstrip(b"=")
    return plain + b"=" * (-len(plain) % 4)


def _any_equal(expected: bytes, candidates: list[bytes]) -> bool:
    """Every candidate is compared, also after a match."""
    found = False
    for candidate in candidates:
        found |= compare_digest(expected, candidate)
    return found
