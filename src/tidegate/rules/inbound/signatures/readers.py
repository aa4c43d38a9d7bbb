"""Compiles one scheme with its keys to a reader: a function from a request to the result of that scheme. Pure.

Owns the order of the checks within a scheme (what is cheap first) and the bound on candidates. Crash: nothing is kept.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from tidegate.core.clock import parse_http_date, parse_instant
from tidegate.core.errors import ConfigError
from tidegate.core.model import JsonObject
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.signatures import certificates, jwt, message
from tidegate.rules.inbound.signatures.hashes import Check, hash_check, hmac_check, token_check
from tidegate.rules.inbound.signatures.parts import SECRET, Signed, compile_parts, names_of, other_port, quick_parts
from tidegate.rules.inbound.signatures.public_keys import public_key_check
from tidegate.rules.inbound.signatures.scheme import Checked, Scheme, Verification
from tidegate.rules.inbound.values import as_text
from tidegate.rules.language.body import read_body
from tidegate.rules.language.paths import parse_path
from tidegate.rules.language.view import MISSING, walk

MAX_CANDIDATES = 32  # signatures in one request; a rotation sends two
MAX_ITEMS = 1000

Found = tuple[Verification, int] | tuple[Verification, int, str]  # result, number of the secret from 0, URL needed
Entries = Callable[[bytes], tuple[list[bytes], bytes | None]]  # a raw value -> its signatures, and its time


class Reader(Protocol):
    """A compiled scheme. Returns None when the request has nothing that it reads."""

    def __call__(
        self, headers: Headers, body: bytes, url: str, now_s: float, method: str
    ) -> Found | Checked | None: ...


def no_keys(url: str) -> bytes | None:
    return None


def check_scheme(scheme: Scheme) -> None:
    """ConfigError for a scheme that contradicts itself, whatever its secret is."""
    compile_scheme(scheme, [], no_keys)


def check_of(scheme: Scheme, key: bytes) -> Check | None:
    if scheme.kind == "hmac":
        return hmac_check(scheme, key)
    if scheme.kind == "hash":
        return hash_check(scheme, key)
    if scheme.kind in ("token", "basic"):
        return token_check(scheme, key)
    return public_key_check(scheme, key)


def compile_scheme(
    scheme: Scheme, keys: Sequence[bytes], fetched: Callable[[str], bytes | None], number: int = 1
) -> Reader | None:
    """None when no secret is one of this scheme, whose number is `number`.

    ConfigError for a scheme that contradicts itself, also when there is no secret: `check` asks without one.
    """
    for path in (scheme.path, scheme.items, scheme.timestamp_path):
        parse_path(path)
    if scheme.kind == "message":
        return _message_reader(scheme, keys) if keys else None
    if scheme.kind == "certificate":
        return _certificate_reader(scheme, keys, fetched)
    if bool(scheme.header) + bool(scheme.query) + bool(scheme.path) != 1:
        raise ConfigError("a scheme has exactly one of header, query and path for its signature")
    if scheme.kind == "jwt":
        return _token_reader(scheme, keys, fetched) if keys else None
    checks = [check for key in keys if (check := check_of(scheme, key)) is not None]
    return _quick_reader(scheme, checks, number) or _signature_reader(scheme, checks)


def _quick_reader(scheme: Scheme, checks: list[Check], number: int) -> Reader | None:
    """The reader of a signature in a header over the body, with time and id in headers: nearly all schemes."""
    parts_of = quick_parts(scheme)
    special = (scheme.path, scheme.query, scheme.items, scheme.timestamp_path, scheme.body_hash_query)
    if parts_of is None or any(special) or scheme.reject_signed or not checks:
        return None
    entries, header = _lister(scheme), scheme.header.lower().encode("latin-1")
    unless = scheme.unless_header.lower().encode("latin-1")
    time_header = scheme.timestamp_header.lower().encode("latin-1")
    id_header = scheme.id_header.lower().encode("latin-1")
    timed = bool(time_header or scheme.timestamp_prefix or scheme.timestamp_first)
    unit, tolerance = scheme.timestamp_unit, scheme.tolerance_seconds
    divider = _divider_of_id(scheme)
    good = [(check, Checked(Verification.OK, number, secret)) for secret, check in enumerate(checks, 1)]

    def read(headers: Headers, body: bytes, url: str, now_s: float, method: str) -> Found | Checked | None:
        raw = headers.get(header)
        if raw is None or (unless and unless in headers):
            return None
        candidates, listed = entries(raw)
        if not 0 < len(candidates) <= MAX_CANDIDATES:
            return Verification.MALFORMED, 0
        timestamp, at, id_ = b"", now_s, b""
        if timed:
            timestamp = headers.get(time_header, b"") if time_header else (listed or b"")
            if not timestamp:
                return Verification.TIMESTAMP_MISSING, 0
            seconds = _read_seconds(timestamp, unit) if len(timestamp) <= 40 else None
            if seconds is None:
                return Verification.MALFORMED, 0
            at = seconds
        if id_header:
            id_ = headers.get(id_header, b"")
            if not id_ or (divider and divider in id_):
                return Verification.MALFORMED, 0
        parts = parts_of(body, timestamp, id_)
        for check, checked in good:
            if check(parts, candidates):
                if -tolerance <= at - now_s <= tolerance:
                    return checked
                return (Verification.TOO_OLD if at < now_s else Verification.TOO_NEW), checked.secret - 1
        return Verification.SIGNATURE_WRONG, 0

    return read


def _signature_reader(scheme: Scheme, checks: list[Check]) -> Reader | None:
    """The reader for every other scheme: each value that is signed (the body, or each of its items) is checked."""
    if not checks:
        return None
    unless = scheme.unless_header.lower().encode("latin-1")
    find, values_of, read_one = _finder(scheme), _values(scheme), _reader_of_one(scheme, checks)

    def read(headers: Headers, body: bytes, url: str, now_s: float, method: str) -> Found | None:
        if unless and unless in headers:
            return None
        found: Found | None = None
        for value in values_of(headers, body):
            raw = find(headers, url, value)
            if raw is None:
                return None if found is None else (Verification.SIGNATURE_WRONG, 0)
            found = read_one(Signed(headers, body, method, url, b"", b"", value), raw, now_s)
            if found[0] is not Verification.OK:
                return found
        return found

    return read


def _reader_of_one(scheme: Scheme, checks: list[Check]) -> Callable[[Signed, bytes, float], Found]:
    """Checks one signed value: its time, its id, the hash of its body, then its signature."""
    parts_of, entries, urls_of = compile_parts(scheme), _lister(scheme), _urls(scheme)
    time_of, id_of = _time_finder(scheme), _id_finder(scheme)
    unit, tolerance, hash_query = scheme.timestamp_unit, scheme.tolerance_seconds, scheme.body_hash_query
    of_handshake = re.compile(scheme.reject_signed.encode()) if scheme.reject_signed else None

    def read_one(one: Signed, raw: bytes, now_s: float) -> Found:
        candidates, listed = entries(raw)
        if not 0 < len(candidates) <= MAX_CANDIDATES:
            return Verification.MALFORMED, 0
        timestamp, at = b"", None
        if time_of is not None:
            timestamp = time_of(one, listed)
            if not timestamp:
                return Verification.TIMESTAMP_MISSING, 0
            at = _seconds(timestamp, unit)
            if at is None:
                return Verification.MALFORMED, 0
        id_ = id_of(one.headers)
        if id_ is None:
            return Verification.MALFORMED, 0
        body = _body_behind_its_hash(one, hash_query)
        if body is None:
            return Verification.SIGNATURE_WRONG, 0
        for url in urls_of(one.url):
            parts = parts_of(Signed(one.headers, body, one.method, url, timestamp, id_, one.value))
            if of_handshake is not None and of_handshake.fullmatch(b"".join(parts)):
                continue
            for number, check in enumerate(checks):
                if check(parts, candidates):
                    if at is None or -tolerance <= at - now_s <= tolerance:
                        return Verification.OK, number
                    return (Verification.TOO_OLD if at < now_s else Verification.TOO_NEW), number
        return Verification.SIGNATURE_WRONG, 0

    return read_one


def _time_finder(scheme: Scheme) -> Callable[[Signed, bytes | None], bytes] | None:
    """The signed time of a value, given what its signature lists (b"": missing); None without a signed time."""
    header, names = scheme.timestamp_header.lower().encode("latin-1"), parse_path(scheme.timestamp_path)
    if names:
        return lambda one, listed: as_text(_or_none(walk(one.value, names))).encode("utf-8", "replace")
    if header:
        return lambda one, listed: one.headers.get(header, b"")
    if scheme.timestamp_prefix or scheme.timestamp_first:
        return lambda one, listed: listed or b""
    return None


def _id_finder(scheme: Scheme) -> Callable[[Headers], bytes | None]:
    """The signed id, b"" for a scheme without one; None when it is missing or could take a part of the body."""
    header, divider = scheme.id_header.lower().encode("latin-1"), _divider_of_id(scheme)
    if not header:
        return lambda headers: b""

    def id_of(headers: Headers) -> bytes | None:
        id_ = headers.get(header, b"")
        return None if not id_ or (divider and divider in id_) else id_

    return id_of


def _body_behind_its_hash(one: Signed, hash_query: str) -> bytes | None:
    """What of the body is signed itself: all, or nothing when its hash is in the signed URL; None for a wrong hash."""
    if not hash_query or (wanted := _query_value(one.url, hash_query)) is None:
        return one.body
    made = hashlib.sha256(one.body).hexdigest().encode()
    return b"" if compare_digest(made, wanted.lower().encode("utf-8", "replace")) else None


def _urls(scheme: Scheme) -> Callable[[str], tuple[str, ...]]:
    named = any(name.startswith("url") for name in names_of(scheme))
    if scheme.url_port and named:
        return lambda url: (url, other_port(url))
    return lambda url: (url,)


def _divider_of_id(scheme: Scheme) -> bytes:
    """The literal next to {id}: an id that contains it could take a part of the body into itself."""
    before, _, behind = scheme.signed.partition("{id}")
    return (behind.partition("{")[0] or before.rpartition("}")[2]).encode()


def _finder(scheme: Scheme) -> Callable[[Headers, str, Any], bytes | None]:
    """The raw signature of a request, or of one item."""
    if scheme.header:
        header = scheme.header.lower().encode("latin-1")
        return lambda headers, url, value: headers.get(header)
    if scheme.query:
        name = scheme.query
        return lambda headers, url, value: (
            None if (text := _query_value(url, name)) is None else text.encode("utf-8", "replace")
        )
    names = parse_path(scheme.path)
    return lambda headers, url, value: as_text(_or_none(walk(value, names))).encode("utf-8", "replace") or None


def _values(scheme: Scheme) -> Callable[[Headers, bytes], Sequence[Any]]:
    """The parsed body for a scheme that reads it; its items for one that signs each item; else one MISSING."""
    reads_body = bool(scheme.path or scheme.timestamp_path) or any(
        name.startswith(("path:", "line:")) for name in names_of(scheme)
    )
    if not reads_body:
        return lambda headers, body: (MISSING,)
    items = parse_path(scheme.items)

    def values(headers: Headers, body: bytes) -> Sequence[Any]:
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        value = read_body(body, content_type, headers.get(b"content-encoding", b"").decode("latin-1")).value
        if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), dict):
            inner = value.get("json")  # Dropbox Sign wraps its JSON in a form field of this name
            value = inner if isinstance(inner, dict) else value
        if not items:
            return (value,)
        listed = walk(value, items)
        return listed if isinstance(listed, list) and len(listed) <= MAX_ITEMS else (MISSING,)

    return values


def _or_none(value: Any) -> Any:
    return None if value is MISSING else value


def _query_value(url: str, name: str) -> str | None:
    try:
        return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=100)).get(name)
    except ValueError:
        return None


_PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
_DECIMAL = re.compile(rb"[0-9]{1,20}\.[0-9]{1,9}")


def _unit_of(number: float) -> int:
    """Units per second. 1e11 seconds are the year 5138; as milliseconds the same number is in 1973, and so on."""
    return 1 if number < 1e11 else 1000 if number < 1e14 else 1_000_000 if number < 1e17 else 1_000_000_000


def _seconds(value: bytes, unit: str) -> float | None:
    """Seconds since 1970 of a timestamp in the request; None when it does not have the format of the unit."""
    return _read_seconds(value, unit) if len(value) <= 40 else None


@functools.lru_cache(maxsize=256)  # a busy sender writes each second many times
def _read_seconds(value: bytes, unit: str) -> float | None:
    # int() also accepts "+1", "1_000" and spaces; senders write digits.
    if value.isdigit() and unit != "iso":
        if len(value) > 20:
            return None
        number = int(value)
        return number / (_unit_of(number) if unit == "auto" else _PER_SECOND[unit])
    if unit != "iso" and len(value) <= 30 and _DECIMAL.fullmatch(value):  # seconds with a fraction
        number_read = float(value)
        return number_read / (_unit_of(number_read) if unit == "auto" else _PER_SECOND[unit])
    if unit in ("iso", "auto"):
        try:
            return parse_instant(value.decode()) / 1_000_000
        except (ValueError, OverflowError):
            pass
    if unit == "auto":  # the Date header is signed by some
        at_us = parse_http_date(value.decode("latin-1"))
        return None if at_us is None else at_us / 1_000_000
    return None


def signed_seconds(scheme: Scheme, headers: Headers, body: bytes) -> float | None:
    """The time of a request by a scheme, for explanations; None when there is none that can be read."""
    if scheme.timestamp_header:
        return _seconds(headers.get(scheme.timestamp_header.lower().encode("latin-1"), b""), scheme.timestamp_unit)
    if scheme.timestamp_path:
        value = read_body(body, headers.get(b"content-type", b"").decode("latin-1")).value
        text = as_text(_or_none(walk(value, parse_path(scheme.timestamp_path))))
        return _seconds(text.encode("utf-8", "replace"), scheme.timestamp_unit)
    if scheme.header:
        _, listed = _lister(scheme)(headers.get(scheme.header.lower().encode("latin-1"), b""))
        return None if listed is None else _seconds(listed, scheme.timestamp_unit)
    return None


_AROUND = b" ,\t\r\n\x0b\x0c"  # what is left around an entry of a list


def _lister(scheme: Scheme) -> Entries:
    """A function from a raw value to the signatures listed in it, and the time when it is among them."""
    prefix, time_prefix = scheme.prefix.encode(), scheme.timestamp_prefix.encode()
    cut, time_cut, time_first = len(prefix), len(time_prefix), scheme.timestamp_first
    # A repeated header is joined by commas; neither hexadecimal nor base64 contains one.
    listed_by = scheme.list_separator.strip() or scheme.list_separator  # ", " also reads a list without the blank
    separator = listed_by.encode() or (b"" if scheme.kind in ("token", "basic") else b",")

    single = bool(separator) and not time_prefix and not time_first
    if scheme.header.lower() == "authorization":
        return _any_case(prefix)
    other = separator not in (b"", b",") and scheme.header != ""
    begins = {b"," + one for one in (prefix, time_prefix) if one} or {b","}

    def parts_of(raw: bytes) -> list[bytes]:
        """A repeated header is joined by commas, also where the list has another separator: Supabase, proxies."""
        if not separator:
            return [raw]
        if other and b"," in raw:
            raw = raw.replace(b", ", separator)
            for begin in begins:
                raw = raw.replace(begin, separator + begin[1:])
        return raw.split(separator)

    def entries(raw: bytes) -> tuple[list[bytes], bytes | None]:
        if single and separator not in raw:
            entry = raw.strip(_AROUND)
            if not entry.startswith(prefix) or len(entry) <= cut:
                return [], None
            if not other or b"," not in entry[cut:]:
                return [entry[cut:]], None
        found: list[bytes] = []
        timestamp: bytes | None = None
        for entry in parts_of(raw):
            entry = entry.strip(_AROUND) if separator else entry.strip()
            if time_first and timestamp is None:
                timestamp = entry
            elif time_prefix and entry.startswith(time_prefix):
                timestamp = entry[time_cut:]
            elif entry.startswith(prefix) and len(entry) > cut:
                found.append(entry[cut:])
        return found, timestamp

    return _named(entries, scheme.name_separator.encode()) if scheme.name_separator else entries


def _named(entries: Entries, separator: bytes) -> Entries:
    """The signatures of entries that begin with a name (Braintree: `public_key|signature`); others are skipped."""

    def unnamed(raw: bytes) -> tuple[list[bytes], bytes | None]:
        found, timestamp = entries(raw)
        return [one.partition(separator)[2] for one in found if separator in one], timestamp

    return unnamed


def _any_case(prefix: bytes) -> Entries:
    """Entries of an Authorization header: the case of the scheme's name does not count (RFC 9110 section 11.1)."""
    cut, lower = len(prefix), prefix.lower()

    def entries(raw: bytes) -> tuple[list[bytes], bytes | None]:
        entry = raw.strip()
        return ([entry[cut:].strip()] if len(entry) > cut and entry[:cut].lower() == lower else []), None

    return entries


# -- tokens and messages ---------------------------------------------------------------------------------


def _token_reader(scheme: Scheme, keys: Sequence[bytes], fetched: Callable[[str], bytes | None]) -> Reader:
    find, prefix = _finder(scheme), scheme.prefix.encode()
    known: list[tuple[bytes, JsonObject]] = []  # the newest document and its keys

    def key_of(key_id: str) -> Any:
        document = fetched(scheme.keys_url) if scheme.keys_url else None
        if document is None:
            return None
        if not known or known[0][0] is not document:
            known[:] = [(document, jwt.key_set(document))]
        return known[0][1].get(key_id)

    def read(headers: Headers, body: bytes, url: str, now_s: float, method: str) -> Found | None:
        raw = find(headers, url, MISSING)
        if raw is None:
            return None
        if raw[: len(prefix)].lower() != prefix.lower():
            return Verification.MALFORMED, 0
        one = Signed(headers, body, method, url, b"", b"")
        result, number = jwt.check_token(scheme, raw[len(prefix) :].strip(), one, now_s, keys, key_of)
        return result, number, scheme.keys_url

    return read


def _message_reader(scheme: Scheme, keys: Sequence[bytes]) -> Reader:
    compiled = message.compile_message_keys(scheme, keys)

    def read(headers: Headers, body: bytes, url: str, now_s: float, method: str) -> Found | None:
        return message.check_message(scheme, Signed(headers, body, method, url, b"", b""), now_s, compiled)

    return read


def _certificate_reader(scheme: Scheme, keys: Sequence[bytes], fetched: Callable[[str], bytes | None]) -> Reader | None:
    """The secret is a part of the signed text (PayPal's webhook id), and not needed where the text has none (SNS)."""
    parts_of = compile_parts(scheme)
    find, values_of = _finder(scheme), _values(scheme)
    place, _, name = scheme.certificate_url.partition(":")
    url_names = () if place == "header" else parse_path(scheme.certificate_url)
    url_header = name.lower().encode("latin-1")
    time_header = scheme.timestamp_header.lower().encode("latin-1")
    id_header = scheme.id_header.lower().encode("latin-1")
    needs_secret = "{secret}" in scheme.signed
    if needs_secret and not keys:
        return None

    def read(headers: Headers, body: bytes, url: str, now_s: float, method: str) -> Found | None:
        value = values_of(headers, body)[0]
        raw = find(headers, url, value)
        if raw is None:
            return None
        text = (
            headers.get(url_header, b"").decode("latin-1") if url_header else as_text(_or_none(walk(value, url_names)))
        )
        wanted = certificates.certificate_url(scheme, text)
        if not wanted:
            return Verification.MALFORMED, 0
        document = fetched(wanted)
        if document is None:
            return Verification.KEY_UNKNOWN, 0, wanted
        one = Signed(headers, body, method, url, headers.get(time_header, b""), headers.get(id_header, b""), value)
        result = Verification.SIGNATURE_WRONG
        for number, key in enumerate(keys if needs_secret else [b""]):
            signed = b"".join(key if part is SECRET else part for part in parts_of(one))
            result = certificates.check_certificate(scheme, document, raw, signed, now_s)
            if result is Verification.OK:
                return _fresh(scheme, headers, body, now_s), number
        return result, 0

    return read


def _fresh(scheme: Scheme, headers: Headers, body: bytes, now_s: float) -> Verification:
    at = signed_seconds(scheme, headers, body)
    if at is None or -scheme.tolerance_seconds <= at - now_s <= scheme.tolerance_seconds:
        return Verification.OK
    return Verification.TOO_OLD if at < now_s else Verification.TOO_NEW
