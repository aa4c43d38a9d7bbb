"""Is this request from the one who holds the secret? Decided on raw bytes, by a scheme described as data.

Owns what a provider file may say about signing (`Scheme`) and compiles it, with the secrets, to one function.
Knows no provider by name, no HTTP server and no clock. Four building blocks cover nearly all providers: a template
of signed parts, a digest, an encoding with prefix and list separator, and a rule of time; what does not fit (JWT,
certificates, a signature inside the body) has no scheme. Invariants: every comparison takes constant time; an
empty secret never verifies; a broken entry of a list is skipped, never raised. Nothing is kept between calls.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from hmac import compare_digest
from typing import Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tidegate.core.clock import parse_instant
from tidegate.core.errors import ConfigError
from tidegate.rules.outbound.signing import keyed_hashes

Headers = Mapping[bytes, bytes]  # names in lower case; of a repeated name one value


class Verdict(Enum):
    """What a verifier says. The values are the reason words of a `Rejection`."""

    OK = "ok"
    SIGNATURE_MISSING = "signature_missing"  # no header that a scheme looks for
    SIGNATURE_WRONG = "signature_wrong"
    TIMESTAMP_MISSING = "timestamp_missing"
    TOO_OLD = "too_old"  # the signature is right, the time is not
    TOO_NEW = "too_new"
    SECRET_UNSET = "secret_unset"  # noqa: S105 - a reason word
    MALFORMED = "malformed"  # the header is there and is not of the scheme's form


Verifier = Callable[[Headers, bytes, str, int], Verdict]


class Scheme(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How one provider signs. Every field is what its documentation says, in the words of the provider files.

    `hmac` keys the digest with the secret; `hash` is the bare digest of a template that holds `{secret}`; `token`
    compares the header with the secret, `basic` with `user:password` in base64; `ed25519` and `ecdsa` (P-256,
    SHA-256, DER) take a public key as the secret. A header may list entries (`list_separator`): an entry that
    starts with `prefix` is a signature, one that starts with `timestamp_prefix` the time; others are skipped.
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
    tolerance_seconds: float = 300.0  # both ways; has a meaning only where a time is signed
    id_header: str = ""
    secret_encoding: Literal["text", "base64", "hex"] = "text"  # noqa: S105 - a way of writing, no secret
    secret_prefix: str = ""  # cut off a secret before it is decoded
    secret_prefix_required: bool = False  # a secret without it is none of this scheme
    unless_header: str = ""  # with this header in the request, the scheme is not looked at
    url_port: bool = False  # some senders sign the URL with the standard port written out, or without it


# -- secrets ---------------------------------------------------------------------------------------------


def secret_bytes(scheme: Scheme, secret: str) -> bytes | None:
    """The key that a configured secret stands for; None when it is empty or cannot be one of this scheme."""
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
    """Whether a secret can be a key of any of the schemes; what can not is refused at load, not at midnight."""
    for scheme in schemes:
        key = secret_bytes(scheme, secret)
        if key is not None and _check(scheme, key) is not None:
            return True
    return False


# -- what one key says of one signature ------------------------------------------------------------------

Check = Callable[[Sequence[bytes], list[bytes]], bool]  # (signed parts, candidates as they stood in the header)


def _encoder(scheme: Scheme) -> Callable[[bytes], bytes]:
    return binascii.hexlify if scheme.encoding == "hex" else b64encode


def _matches(expected: bytes, candidates: list[bytes], fold: bool) -> bool:
    """Every candidate is compared, also after a match."""
    found = False
    for candidate in candidates:
        found |= compare_digest(expected, candidate.lower() if fold else candidate)
    return found


def _hmac_check(scheme: Scheme, key: bytes) -> Check:
    """HMAC with the key taken in once, when the scheme is compiled."""
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
    """Imported here: most gateways verify no public-key signature."""
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
    """`"{timestamp}.{body}"` as numbered places and literals. ConfigError for a place that does not exist."""
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
            raise ConfigError(f"signed = {scheme.signed!r} names {{{piece}}}, which is no part that can be signed")
    numbers = {number for number, _ in parts}
    if _TIMESTAMP in numbers and not (scheme.timestamp_header or scheme.timestamp_prefix):
        raise ConfigError(f"signed = {scheme.signed!r} needs a timestamp, and no timestamp_header is given")
    if _ID in numbers and not scheme.id_header:
        raise ConfigError(f"signed = {scheme.signed!r} needs an id, and no id_header is given")
    return parts


def _form_text(body: bytes) -> bytes:
    """Names and values of a form, sorted, each value once, run together (Twilio, Mandrill)."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return body  # never "": a signature of the address alone must not cover a body that is no form
    return "".join(name + value for name, value in sorted(set(pairs))).encode("utf-8", "surrogatepass")


def _other_port(url: str) -> str:
    """The same URL with its standard port written out, or left away."""
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


# -- the whole -------------------------------------------------------------------------------------------


class _Reader(Protocol):
    """A compiled scheme: the verdict, or None when the request carries nothing that it looks for."""

    def __call__(self, headers: Headers, body: bytes, url: str, now_s: int) -> Verdict | None: ...


def _seconds(value: bytes, unit: str) -> float | None:
    """Seconds since 1970 of a timestamp as it stood in the request; None when it is not of the unit's form."""
    try:
        if unit == "iso":
            return parse_instant(value.decode()) / 1_000_000
        # int() alone would take "+1", "1_000" and blanks; senders write digits.
        number = int(value) if value.isdigit() and len(value) <= 20 else None
    except ValueError:
        return None
    if number is None:
        return None
    return number / 1000 if unit == "ms" else number


def _lister(scheme: Scheme) -> Callable[[bytes], tuple[list[bytes], bytes | None]]:
    """A function from a header to the signatures listed in it, and the time when it stands among them."""
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
    """The signed parts of a request. Nearly all providers sign the body last, after id and time: made in one step."""
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

    def read(headers: Headers, body: bytes, url: str, now_s: int) -> Verdict | None:
        raw = headers.get(header)
        if raw is None or (unless and unless in headers):
            return None
        candidates, listed = entries(raw)
        if not candidates:
            return Verdict.MALFORMED
        timestamp = (headers.get(time_header) if time_header else listed) or b""
        at: float | None = None
        if timed:
            if not timestamp:
                return Verdict.TIMESTAMP_MISSING
            at = _seconds(timestamp, unit)
            if at is None:
                return Verdict.MALFORMED
        id_ = headers.get(id_header, b"") if id_header else b""
        if id_header and not id_:
            return Verdict.MALFORMED
        for try_url in (url, _other_port(url)) if both_urls else (url,):
            parts = parts_of(body, timestamp, id_, try_url)
            for check in checks:
                if check(parts, candidates):
                    if at is None or -tolerance <= at - now_s <= tolerance:
                        return Verdict.OK
                    return Verdict.TOO_OLD if at < now_s else Verdict.TOO_NEW
        return Verdict.SIGNATURE_WRONG

    return read


def compile_verifier(schemes: Sequence[Scheme], secrets: Sequence[str]) -> Verifier:
    """A function (headers with lower-case names, raw body, public URL, now in seconds) -> Verdict.

    Any scheme with any secret may say yes (a sender picks the scheme by picking the header, so the order of
    `schemes` guards nothing; `unless_header` does). When none does, the reason is that of the first scheme whose
    header was there. Without a usable secret everything is SECRET_UNSET. Raises ConfigError for a scheme
    that contradicts itself.
    """
    readers: list[_Reader] = []
    for scheme in schemes:
        keys = [key for secret in secrets if (key := secret_bytes(scheme, secret)) is not None]
        checks = [check for key in keys if (check := _check(scheme, key)) is not None]
        reader = _compile(scheme, checks)
        if checks:
            readers.append(reader)
    if not readers:
        return lambda headers, body, url, now_s: Verdict.SECRET_UNSET

    if len(readers) == 1:
        only = readers[0]
        return lambda headers, body, url, now_s: only(headers, body, url, now_s) or Verdict.SIGNATURE_MISSING

    def verify(headers: Headers, body: bytes, url: str, now_s: int) -> Verdict:
        reason: Verdict | None = None
        for reader in readers:
            verdict = reader(headers, body, url, now_s)
            if verdict is Verdict.OK:
                return verdict
            if reason is None:
                reason = verdict
        return reason or Verdict.SIGNATURE_MISSING

    return verify
