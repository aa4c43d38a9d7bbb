"""Which headers are credentials, which are kept, and which a user may set on what goes out.

Owns the lists of names. May not know providers. Invariant: what stands under a credential's name never reaches the
disk, a page or another system; when in doubt a name is a credential. Kept headers are bounded in number and bytes,
whatever a caller sends.
"""

from __future__ import annotations

import re

import msgspec

REDACTED = "[redacted]"
MAX_HEADERS = 64
MAX_BYTES = 8 * 1024
_MAX_NAMES = 4096  # of the cache; names are chosen by outsiders
_MAX_CACHED_NAME = 100

_CREDENTIALS = frozenset({"cookie", "set-cookie", "set-cookie2", "x-hook-secret"})
_CREDENTIAL_WORDS = re.compile(
    r"token|secret|api[-_]?key|passw|passphrase|session|credential|authoriz|bearer|jwt|csrf|xsrf|cookie|private"
)
_CREDENTIAL_PARTS = re.compile(r"(?:^|[-_])(?:auth|authentication|pwd|pass|pin|sid|otp)(?:[-_]|$)")
_CREDENTIAL_ENDS = ("-key", "_key")
# Names that the rules above would take and that hold no secret.
_NO_CREDENTIALS = frozenset({"idempotency-key", "sec-websocket-key", "paypal-auth-algo", "x-event-key"})

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


def keep_headers(headers: list[tuple[bytes, bytes]]) -> bytes:
    """What is stored of a request's headers: JSON `[[name, value], ...]`, names in lower case, in order.

    Values under a credential's name become "[redacted]". At most 64 headers and 8 KiB of JSON; one that does not
    fit is left out, and smaller ones after it are still kept. Bytes are read as Latin-1 (RFC 9110 section 5.5).
    """
    kept: list[tuple[str, str]] = []
    room = MAX_BYTES - 2
    for raw_name, raw_value in headers[:MAX_HEADERS]:
        known = _names.get(raw_name)
        name, credential = _judge(raw_name) if known is None else known
        value = REDACTED if credential else raw_value.decode("latin-1")
        cost = len(name) + len(value) + 8  # brackets, quotes, commas
        if cost <= room:
            room -= cost
            kept.append((name, value))
    encoded = msgspec.json.encode(kept)
    while len(encoded) > MAX_BYTES:  # escapes made it longer than it looked
        kept.pop(max(range(len(kept)), key=lambda at: len(kept[at][0]) + len(kept[at][1])))
        encoded = msgspec.json.encode(kept)
    return encoded


def is_credential(name: str) -> bool:
    """Whether a header (or form field, or query parameter) of this lower-case name holds a credential."""
    if name in _NO_CREDENTIALS:
        return False
    return (
        name in _CREDENTIALS
        or name.endswith(_CREDENTIAL_ENDS)
        or _CREDENTIAL_WORDS.search(name) is not None
        or _CREDENTIAL_PARTS.search(name) is not None
    )


def egress_safe(name: str) -> bool:
    """Whether a user may set this header on a destination: a valid name, not of the connection, not one of ours."""
    lower = name.lower()
    return _TOKEN.fullmatch(name) is not None and lower not in _NOT_SETTABLE and not lower.startswith(_OURS)


def value_safe(value: str) -> bool:
    """Whether a text may stand as a header's value: no line break, no control character, Latin-1."""
    return all(" " <= letter <= "~" or letter == "\t" or "\xa0" <= letter <= "\xff" for letter in value)


def _judge(raw_name: bytes) -> tuple[str, bool]:
    name = raw_name.decode("latin-1").lower()
    judged = (name, is_credential(name))
    if len(raw_name) <= _MAX_CACHED_NAME:
        if len(_names) >= _MAX_NAMES:
            _names.clear()
        _names[raw_name] = judged
    return judged
