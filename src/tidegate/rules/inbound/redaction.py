"""Decides which headers hold credentials, which are stored, and which a user may set on outgoing requests.

Owns the lists of names. May not know providers. Invariants: the value of a header with a credential's name never
reaches the disk, a page or another system, and an ambiguous name counts as a credential; stored headers are bounded in
number and bytes, whatever a caller sends. Crash: the cache of names is built again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_plus

import msgspec

from tidegate.rules.language.stored_headers import is_short, start_of

REDACTED = "[redacted]"
MAX_HEADERS = 64
MAX_BYTES = 8 * 1024
MAX_SHORT_BYTES = 4 * 1024  # of headers in the short form
_MAX_NAMES = 4096  # of the cache; callers choose the names
_MAX_CACHED_NAME = 100

_CREDENTIALS = frozenset({"cookie", "set-cookie", "set-cookie2", "x-hook-secret"})
_CREDENTIAL_WORDS = re.compile(
    r"token|secret|api[-_]?key|passw|passphrase|session|credential|authoriz|bearer|jwt|csrf|xsrf|cookie|private"
)
_CREDENTIAL_PARTS = re.compile(r"(?:^|[-_])(?:auth|authentication|pwd|pass|pin|sid|otp)(?:[-_]|$)")
_CREDENTIAL_ENDS = ("-key", "_key")
# Names that match the rules above and hold no secret.
_NO_CREDENTIALS = frozenset(
    {"idempotency-key", "sec-websocket-key", "paypal-auth-algo", "x-event-key", "i-twilio-idempotency-token"}
)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")  # RFC 9110 section 5.6.2
_OURS = ("webhook-", "tidegate-")
_NOT_SETTABLE = frozenset(
    {
        "host", "content-length", "content-encoding", "transfer-encoding", "expect", "date",
        # Hop-by-hop, RFC 9110 section 7.6.1
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "upgrade",
    }
)  # fmt: skip

_names: dict[bytes, tuple[str, bool]] = {}
_starts: dict[bytes, bytes] = {}  # of those without a credential: the bytes before a value
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def keep_headers(headers: list[tuple[bytes, bytes]], notes: Sequence[tuple[str, str]] = ()) -> bytes:
    """As `kept_headers`, without the names of those that do not fit."""
    return kept_headers(headers, notes)[0]


def kept_headers(
    headers: list[tuple[bytes, bytes]], notes: Sequence[tuple[str, str]] = ()
) -> tuple[bytes, Sequence[str]]:
    """The headers to store (`stored_headers.py`), and the names of those that do not fit; names in lower case, in
    order.

    `notes` are kept before them, whole; their names begin with a colon, which no header can have.
    The value of a credential becomes "[redacted]". At most 64 headers and 8 KiB of JSON are kept; a header that does
    not fit is left out, and smaller ones after it are still kept. Bytes are read as Latin-1 (RFC 9110 section 5.5).
    """
    if len(headers) <= MAX_HEADERS:
        try:  # nearly all: no credential, and printable ASCII
            known = _starts
            parts = [known[name] + value for name, value in headers]
        except KeyError:
            for name, _ in headers:
                if name not in _names:
                    _classify(name)
            if all(name in _starts for name, _ in headers):
                return kept_headers(headers, notes)
        else:
            joined = b"".join([*[start_of(name) + value.encode() for name, value in notes], *parts])
            if is_short(joined, len(parts) + len(notes)) and len(joined) <= MAX_SHORT_BYTES:
                return joined, ()
    return _keep_bounded(headers, notes)


def _keep_bounded(headers: list[tuple[bytes, bytes]], notes: Sequence[tuple[str, str]]) -> tuple[bytes, Sequence[str]]:
    """As `kept_headers`, for any headers."""
    kept: list[tuple[str, str]] = list(notes)
    left_out: list[str] = []
    left = MAX_BYTES - 2
    for number, (raw_name, raw_value) in enumerate(headers):
        name, credential = _names.get(raw_name) or _classify(raw_name)
        value = REDACTED if credential else raw_value.decode("latin-1")
        cost = len(name) + len(value) + 8  # brackets, quotes, commas
        if number < MAX_HEADERS and cost <= left:
            left -= cost
            kept.append((name, value))
        else:
            left_out.append(name)
    encoded = msgspec.json.encode(kept)
    most = MAX_BYTES + len(msgspec.json.encode(notes))
    while len(encoded) > most:  # escapes made it longer than the estimate
        largest = max(range(len(notes), len(kept)), key=lambda at: len(kept[at][0]) + len(kept[at][1]))
        left_out.append(kept.pop(largest)[0])
        encoded = msgspec.json.encode(kept)
    return encoded, left_out


def keep_query(query_string: bytes) -> str:
    """The query string to store, with the values of credentials redacted. It can be the value of a header."""
    pairs = [pair.partition("=") for pair in text_of_query(query_string).split("&")]
    return "&".join(
        f"{name}={REDACTED}" if value and is_credential(unquote_plus(name).lower()) else f"{name}{equals}{value}"
        for name, equals, value in pairs
    )


def text_of_query(query_string: bytes) -> str:
    """A query string as printable ASCII: bytes that a URL cannot have are written as `%ED`."""
    text = query_string.decode("latin-1")
    return text if text.isascii() and text.isprintable() else quote(query_string, safe=_PRINTABLE)


def is_credential(name: str) -> bool:
    """Whether a header, form field or query parameter with this lower-case name holds a credential."""
    if name in _NO_CREDENTIALS:
        return False
    return (
        name in _CREDENTIALS
        or name.endswith(_CREDENTIAL_ENDS)
        or _CREDENTIAL_WORDS.search(name) is not None
        or _CREDENTIAL_PARTS.search(name) is not None
    )


def egress_safe(name: str) -> bool:
    """Whether a user may set this header on a destination: valid, not hop-by-hop and not set by the gateway."""
    lower = name.lower()
    return _TOKEN.fullmatch(name) is not None and lower not in _NOT_SETTABLE and not lower.startswith(_OURS)


def value_safe(value: str) -> bool:
    """Whether a string can be a header's value: Latin-1, without line breaks and control characters."""
    if value.isascii() and value.isprintable():  # nearly all; the look at each character takes 30 times as long
        return True
    return all(" " <= one <= "~" or one == "\t" or "\xa0" <= one <= "\xff" for one in value)


def _classify(raw_name: bytes) -> tuple[str, bool]:
    """(lower-case name, whether it is a credential), cached."""
    name = raw_name.decode("latin-1").lower()
    known = (name, is_credential(name))
    if len(raw_name) <= _MAX_CACHED_NAME:
        if len(_names) >= _MAX_NAMES:
            _names.clear()
            _starts.clear()
        _names[raw_name] = known
        if not known[1] and name[:1] != ":" and (start := start_of(name)):
            _starts[raw_name] = start
    return known
