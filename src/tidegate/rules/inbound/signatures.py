"""Verifies that the sender of a request holds the secret, on raw bytes, by a scheme described as data.

Owns what a provider file may say about signing (`Scheme`) and compiles it, with the secrets, to one function.
Knows no provider by name, no HTTP server and no clock. Four building blocks cover nearly all providers: a template
of signed parts, a digest, an encoding with prefix and list separator, and a time limit. Other methods (JWT,
certificates, a signature inside the body) have no scheme. Invariants: every comparison takes constant time; an
empty secret never verifies; a malformed entry of a list is skipped and raises nothing. Nothing is kept between calls.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from enum import Enum
from hmac import compare_digest
from typing import Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tidegate.core.clock import parse_instant
from tidegate.core.errors import ConfigError
from tidegate.rules.inbound.places import Headers
from tidegate.rules.outbound.signing import keyed_hashes


class Verification(Enum):
    """The result of a verifier. The values are the reason words of a `Rejection`."""

    OK = "ok"
    SIGNATURE_MISSING = "signature_missing"  # no header that a scheme looks for
    SIGNATURE_WRONG = "signature_wrong"
    TIMESTAMP_MISSING = "timestamp_missing"
    TOO_OLD = "too_old"  # the signature is right, the time is not
    TOO_NEW = "too_new"
    SECRET_UNSET = "secret_unset"  # noqa: S105 - a reason word
    MALFORMED = "malformed"  # the header is present but does not have the scheme's format


Verifier = Callable[[Headers, bytes, str, int], Verification]


class Scheme(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How one provider signs. The fields are the keys of the provider files.

    `hmac` keys the digest with the secret; `hash` is the bare digest of a template that holds `{secret}`; `token`
    compares the header with the secret, `basic` with `user:password` in base64; `ed25519` and `ecdsa` (P-256,
    SHA-256, DER) use a public key as the secret. A header may list entries (`list_separator`): an entry that
    starts with `prefix` is a signature, one that starts with `timestamp_prefix` is the time; others are skipped.
    """

    kind: Literal["hmac", "hash", "token", "basic", "ed25519", "ecdsa"] = "hmac"
    header: str
    prefix: str = ""
    list_separator: str = ""
    digest: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    signed: str = "{body}"  # of {body} {timestamp} {id} {url} {form} {secret} and literal text
    timestamp_header: str = ""
    timestamp_prefix: str = ""
    timestamp_unit: Literal["s", "ms", "iso"] = "s"
    tolerance_seconds: float = 300.0  # in both directions; used only where a time is signed
    id_header: str = ""
    secret_encoding: Literal["text", "base64", "hex"] = "text"  # noqa: S105 - an encoding, not a secret
    secret_prefix: str = ""  # removed from a secret before it is decoded
    secret_prefix_required: bool = False  # a secret without the prefix is not valid for this scheme
    unless_header: str = ""  # the scheme is skipped when the request has this header
    url_port: bool = False  # try the URL with and without the standard port, because senders differ


# -- secrets ---------------------------------------------------------------------------------------------


def secret_bytes(scheme: Scheme, secret: str) -> bytes | None:
    """The key of a configured secret; None when it is empty or not valid for this scheme."""
    written = scheme.secret_encoding
    text = secret if written == "text" else secret.strip()
    if scheme.secret_prefix and text.startswith(scheme.secret_prefix):
        text = text[len(scheme.secret_prefix) :]
    elif scheme.secret_prefix_required:
        return None
    try:
        if written == "hex":
            return bytes.fromhex(text) or None
        if written == "base64":
            # The reference libraries take keys without padding (standard-webhooks, Python).
            return b64decode(text + "=" * (-len(text) % 4), validate=True) or None
    except ValueError:
        return None
    return text.encode() or None


def usable(schemes: Sequence[Scheme], secret: str) -> bool:
    """Whether a secret is valid for any of the schemes. `tidegate check` and the loader reject one that is not."""
    for scheme in schemes:
        key = secret_bytes(scheme, secret)
        if key is not None and _check(scheme, key) is not None:
            return True
    return False


# -- checking one signature with one key -----------------------------------------------------------------

Check = Callable[[Sequence[bytes], list[bytes]], bool]  # (signed parts, candidates as written in the header)


def _encoder(scheme: Scheme) -> Callable[[bytes], bytes]:
    return binascii.hexlify if scheme.encoding == "hex" else b64encode


def _matches(expected: bytes, candidates: list[bytes], fold: bool) -> bool:
    """Compare every candidate, also after a match, so that the time does not depend on the position."""
    found = False
    for candidate in candidates:
        found |= compare_digest(expected, candidate.lower() if fold else candidate)
    return found


def _hmac_check(scheme: Scheme, key: bytes) -> Check:
    """HMAC whose key is hashed once, when the scheme is compiled."""
    inner, outer = keyed_hashes(scheme.digest, key)
    encode, fold = _encoder(scheme), scheme.encoding == "hex"

    def check(parts: Sequence[bytes], candidates: list[bytes]) -> bool:
        first = inner.copy()
        for part in parts:
            first.update(part)
        second = outer.copy()
        second.update(first.digest())
        return _matches(encode(second.digest()), candidates, fold)

    return check


def _hash_check(scheme: Scheme, key: bytes) -> Check:
    new = getattr(hashlib, scheme.digest)
    encode, fold = _encoder(scheme), scheme.encoding == "hex"

    def check(parts: Sequence[bytes], candidates: list[bytes]) -> bool:
        digest = new()
        for part in parts:
            digest.update(key if part is _SECRET else part)
        return _matches(encode(digest.digest()), candidates, fold)

    return check


def _token_check(scheme: Scheme, key: bytes) -> Check:
    expected = b64encode(key) if scheme.kind == "basic" else key

    def check(parts: Sequence[bytes], candidates: list[bytes]) -> bool:
        return _matches(expected, candidates, fold=False)

    return check


def _decoded(candidate: bytes, scheme: Scheme) -> bytes | None:
    try:
        return binascii.unhexlify(candidate) if scheme.encoding == "hex" else b64decode(candidate, validate=True)
    except ValueError:
        return None


def _public_key_check(scheme: Scheme, key: bytes) -> Check | None:
    """The imports are inside, because most gateways verify no public-key signature."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        if scheme.kind == "ed25519":
            public = ed25519.Ed25519PublicKey.from_public_bytes(key)
            verify: Callable[[bytes, bytes], None] = public.verify
        else:
            curve = load_der_public_key(key)
            if not isinstance(curve, ec.EllipticCurvePublicKey):
                return None
            algorithm = ec.ECDSA(hashes.SHA256())

            def verify(signature: bytes, signed: bytes) -> None:
                curve.verify(signature, signed, algorithm)

    except (ValueError, UnsupportedAlgorithm):
        return None

    def check(parts: Sequence[bytes], candidates: list[bytes]) -> bool:
        signed = b"".join(parts)
        for candidate in candidates:
            signature = _decoded(candidate, scheme)
            if signature is not None:
                try:
                    verify(signature, signed)
                except InvalidSignature:
                    continue
                return True
        return False

    return check


def _check(scheme: Scheme, key: bytes) -> Check | None:
    match scheme.kind:
        case "hmac":
            return _hmac_check(scheme, key)
        case "hash":
            return _hash_check(scheme, key)
        case "token" | "basic":
            return _token_check(scheme, key)
        case _:
            return _public_key_check(scheme, key)


# -- the signed parts ------------------------------------------------------------------------------------

_PLACES = re.compile(r"\{([a-z]+)\}")
_SECRET = b"{secret}"  # stands for the key among the parts of a `hash` scheme; compared by identity
_BODY, _TIMESTAMP, _ID, _URL, _FORM, _LITERAL = range(6)
_NUMBER = {"body": _BODY, "timestamp": _TIMESTAMP, "id": _ID, "url": _URL, "form": _FORM}


def _template(scheme: Scheme) -> list[tuple[int, bytes]]:
    """`"{timestamp}.{body}"` as numbered parts and literals. ConfigError for an unknown part."""
    parts: list[tuple[int, bytes]] = []
    for index, piece in enumerate(_PLACES.split(scheme.signed)):
        if index % 2 == 0:
            if piece:
                parts.append((_LITERAL, piece.encode()))
        elif piece == "secret" and scheme.kind == "hash":
            parts.append((_LITERAL, _SECRET))
        elif piece in _NUMBER:
            parts.append((_NUMBER[piece], b""))
        else:
            raise ConfigError(
                f"signed = {scheme.signed!r} has the unknown part {{{piece}}}; known: {', '.join(sorted(_NUMBER))}"
            )
    numbers = {number for number, _ in parts}
    if _TIMESTAMP in numbers and not (scheme.timestamp_header or scheme.timestamp_prefix):
        raise ConfigError(f"signed = {scheme.signed!r} contains {{timestamp}}, but timestamp_header is not set")
    if _ID in numbers and not scheme.id_header:
        raise ConfigError(f"signed = {scheme.signed!r} contains {{id}}, but id_header is not set")
    return parts


def _form_text(body: bytes) -> bytes:
    """The names and values of a form, sorted, without duplicates, concatenated (Twilio, Mandrill)."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return body  # never "": a signature of the URL alone must not verify a body that is not a form
    return "".join(name + value for name, value in sorted(set(pairs))).encode("utf-8", "surrogatepass")


def _other_port(url: str) -> str:
    """The same URL with its standard port added, or removed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    standard = {"http": 80, "https": 443}.get(parts.scheme)
    if standard is None or port not in (None, standard) or parts.hostname is None:
        return url
    host = parts.netloc.removesuffix(f":{standard}") if port else f"{parts.netloc}:{standard}"
    return parts._replace(netloc=host).geturl()


# -- compiling a scheme ----------------------------------------------------------------------------------


class _Reader(Protocol):
    """A compiled scheme: the verification, or None when the request has no header of the scheme."""

    def __call__(self, headers: Headers, body: bytes, url: str, now_s: int) -> Verification | None: ...


def _seconds(value: bytes, unit: str) -> float | None:
    """Seconds since 1970 of a timestamp as written in the request; None when it does not have the unit's format."""
    try:
        if unit == "iso":
            return parse_instant(value.decode()) / 1_000_000
        # int() alone would also accept "+1", "1_000" and spaces; senders write digits.
        number = int(value) if value.isdigit() and len(value) <= 20 else None
    except ValueError:
        return None
    if number is None:
        return None
    return number / 1000 if unit == "ms" else number


def _lister(scheme: Scheme) -> Callable[[bytes], tuple[list[bytes], bytes | None]]:
    """A function from a header to the signatures listed in it, and the time if the list has one."""
    prefix, time_prefix = scheme.prefix.encode(), scheme.timestamp_prefix.encode()
    separator, cut, time_cut = scheme.list_separator.encode(), len(prefix), len(time_prefix)

    def entries(raw: bytes) -> tuple[list[bytes], bytes | None]:
        found: list[bytes] = []
        timestamp: bytes | None = None
        for entry in raw.split(separator) if separator else (raw,):
            entry = entry.strip()
            if time_prefix and entry.startswith(time_prefix):
                timestamp = entry[time_cut:]
            elif entry.startswith(prefix) and len(entry) > cut:
                found.append(entry[cut:])
        return found, timestamp

    return entries


Parts = Callable[[bytes, bytes, bytes, str], Sequence[bytes]]  # (body, timestamp, id, url)


def _parts(template: Sequence[tuple[int, bytes]]) -> Parts:
    """The signed parts of a request, with a fast path for the common case: id, time, then the body."""
    before = [number for number, _ in template[:-1] if number != _LITERAL]
    if template and template[-1][0] == _BODY and before in ([], [_TIMESTAMP], [_ID, _TIMESTAMP]):
        head = b"".join(
            literal.replace(b"%", b"%%") if number == _LITERAL else b"%b" for number, literal in template[:-1]
        )
        if _SECRET in head:
            return _parts_one_by_one(template)
        if not before:
            start = head % ()
            return (lambda body, timestamp, id_, url: (start, body)) if start else (lambda body, *_: (body,))
        if before == [_TIMESTAMP]:
            return lambda body, timestamp, id_, url: (head % timestamp, body)
        return lambda body, timestamp, id_, url: (head % (id_, timestamp), body)
    return _parts_one_by_one(template)


def _parts_one_by_one(template: Sequence[tuple[int, bytes]]) -> Parts:
    def parts_of(body: bytes, timestamp: bytes, id_: bytes, url: str) -> list[bytes]:
        parts: list[bytes] = []
        for number, literal in template:
            if number == _BODY:
                parts.append(body)
            elif number == _LITERAL:
                parts.append(literal)
            elif number == _TIMESTAMP:
                parts.append(timestamp)
            elif number == _ID:
                parts.append(id_)
            elif number == _URL:
                parts.append(url.encode("utf-8", "surrogatepass"))
            else:
                parts.append(_form_text(body))
        return parts

    return parts_of


def _compile(scheme: Scheme, checks: list[Check]) -> _Reader:
    header = scheme.header.lower().encode("latin-1")
    unless = scheme.unless_header.lower().encode("latin-1")
    time_header = scheme.timestamp_header.lower().encode("latin-1")
    id_header = scheme.id_header.lower().encode("latin-1")
    template = _template(scheme)
    parts_of, entries = _parts(template), _lister(scheme)
    timed = bool(time_header or scheme.timestamp_prefix)
    unit, tolerance = scheme.timestamp_unit, scheme.tolerance_seconds
    both_urls = scheme.url_port and any(number == _URL for number, _ in template)

    def read(headers: Headers, body: bytes, url: str, now_s: int) -> Verification | None:
        raw = headers.get(header)
        if raw is None or (unless and unless in headers):
            return None
        candidates, listed = entries(raw)
        if not candidates:
            return Verification.MALFORMED
        timestamp = (headers.get(time_header) if time_header else listed) or b""
        at: float | None = None
        if timed:
            if not timestamp:
                return Verification.TIMESTAMP_MISSING
            at = _seconds(timestamp, unit)
            if at is None:
                return Verification.MALFORMED
        id_ = headers.get(id_header, b"") if id_header else b""
        if id_header and not id_:
            return Verification.MALFORMED
        for try_url in (url, _other_port(url)) if both_urls else (url,):
            parts = parts_of(body, timestamp, id_, try_url)
            for check in checks:
                if check(parts, candidates):
                    if at is None or -tolerance <= at - now_s <= tolerance:
                        return Verification.OK
                    return Verification.TOO_OLD if at < now_s else Verification.TOO_NEW
        return Verification.SIGNATURE_WRONG

    return read


def compile_verifier(schemes: Sequence[Scheme], secrets: Sequence[str]) -> Verifier:
    """A function (headers with lower-case names, raw body, public URL, now in seconds) -> Verification.

    A request is OK when any scheme verifies it with any secret. (A sender chooses the scheme by choosing the header, so
    the order of `schemes` protects nothing; `unless_header` does.) Otherwise the result is that of the first scheme
    whose header is present. Without a usable secret the result is SECRET_UNSET. Raises ConfigError for an inconsistent
    scheme.
    """
    readers: list[_Reader] = []
    for scheme in schemes:
        keys = [key for secret in secrets if (key := secret_bytes(scheme, secret)) is not None]
        checks = [check for key in keys if (check := _check(scheme, key)) is not None]
        reader = _compile(scheme, checks)
        if checks:
            readers.append(reader)
    if not readers:
        return lambda headers, body, url, now_s: Verification.SECRET_UNSET

    if len(readers) == 1:
        only = readers[0]
        return lambda headers, body, url, now_s: only(headers, body, url, now_s) or Verification.SIGNATURE_MISSING

    def verify(headers: Headers, body: bytes, url: str, now_s: int) -> Verification:
        reason: Verification | None = None
        for reader in readers:
            verification = reader(headers, body, url, now_s)
            if verification is Verification.OK:
                return verification
            if reason is None:
                reason = verification
        return reason or Verification.SIGNATURE_MISSING

    return verify
