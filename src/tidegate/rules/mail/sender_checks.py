"""What the receiving mail server says of the sender: SPF, DKIM and DMARC of Authentication-Results. Pure.

Owns the reading of that field (RFC 8601) and nothing more: Tidegate verifies no mail itself, it repeats what the
mailbox's own server found. Anybody can write the field into a message, so only the topmost one counts, which the last
server added, and with `trusted_host` only one whose authserv-id is that host. Invariant: a result that is not there is
"", never "pass".
"""

from __future__ import annotations

import re

import msgspec

_METHOD = re.compile(r"^\s*(spf|dkim|dmarc)\s*=\s*([a-z]+)", re.IGNORECASE)
_COMMENT = re.compile(r"\([^()]*\)")
_RESULTS = frozenset(
    ("pass", "fail", "softfail", "hardfail", "neutral", "none", "temperror", "permerror", "policy", "bestguesspass")
)


class SenderChecks(msgspec.Struct):
    """The server's words, "" where it said nothing: pass, fail, softfail, neutral, none, temperror, permerror."""

    by: str = ""  # the server that says so
    spf: str = ""
    dkim: str = ""
    dmarc: str = ""


def sender_checks(fields: list[str], trusted_host: str = "") -> SenderChecks:
    """`fields`: the values of Authentication-Results, topmost first."""
    for field in fields:
        parts = _COMMENT.sub(" ", field).split(";")
        by = parts[0].split()[0].lower() if parts[0].split() else ""
        if trusted_host and by != trusted_host.lower():
            continue
        return _read(by, parts[1:])
    return SenderChecks()


def _read(by: str, parts: list[str]) -> SenderChecks:
    found: dict[str, str] = {}
    for part in parts:
        match = _METHOD.match(part)
        if match is None:
            continue
        method, result = match[1].lower(), match[2].lower()
        if result in _RESULTS and found.get(method) != "pass":  # one valid DKIM signature of several is enough
            found[method] = result
    return SenderChecks(by, found.get("spf", ""), found.get("dkim", ""), found.get("dmarc", ""))
