"""The credentials of one source, as they could come back in what it answers: removed before anything is shown.

Owns the spellings of a credential: in links of an answer, where it is taken out of the query; in an error, where it is
replaced. Knows no requests. Invariant: a program that may pull, and a person who reads a report, never see a credential
of the source. Crash: nothing is kept.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from tidegate.auth import Added
from tidegate.core.findings import MASKED

SHORTEST_SECRET = 6  # characters; a shorter one would mask ordinary words


class OwnCredentials:
    """Of one source. `params`: what is added to the query of each request; `used`: what the last request had."""

    def __init__(self, params: Mapping[str, str]) -> None:
        pattern = _query_pattern(params)
        self._in_query = re.compile(pattern) if pattern else None
        self._in_query_bytes = re.compile(pattern.encode()) if pattern else None
        self.used = Added()

    def out_of_links(self, text: str) -> str:
        """A header without the parameters of the query that are credentials."""
        return text if self._in_query is None else self._in_query.sub(r"\1", text)

    def out_of_body(self, body: bytes) -> bytes:
        """A body without them; the same object when it has none."""
        if self._in_query_bytes is None or not self._in_query_bytes.search(body):
            return body
        return self._in_query_bytes.sub(rb"\1", body)

    def masked(self, text: str) -> str:
        """What is shown of an error, with every credential in it replaced."""
        values = [*_in_headers(value for _, value in self.used.headers), *(value for _, value in self.used.params)]
        spelled = _spellings(values)
        return re.sub("|".join(spelled), MASKED, text) if spelled else text


def _in_headers(values: Iterable[str]) -> list[str]:
    """The secrets in `Bearer abc` and `Basic dXNlcjpwYXNz`."""
    found = []
    for value in values:
        scheme, _, rest = value.partition(" ")
        found.append(rest or value)
        if scheme.lower() == "basic":
            try:
                found.append(base64.b64decode(rest).decode().partition(":")[2])
            except (binascii.Error, UnicodeDecodeError):
                continue
    return found


def _spellings(secrets: Iterable[str]) -> list[str]:
    """Patterns for the usual encodings, the longest first, since one may begin another."""
    found = set()
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            found |= {secret, *_encoded(secret), secret.replace("/", "\\/")}
    return [re.escape(one) for one in sorted(found, key=len, reverse=True)]


def _encoded(value: str) -> set[str]:
    """Percent-encoded, as links have it: with hexadecimal digits of both cases."""
    found = {quote(value, safe=""), quote_plus(value)}
    return found | {re.sub("%[0-9A-F]{2}", lambda one: one[0].lower(), text) for text in found}


def _query_pattern(params: Mapping[str, str]) -> str:
    """Finds `name=value` of a credential inside a URL, with the separator before it, in the usual encodings.

    Group 1 is what stays: the `?` when more parameters follow, else nothing.
    """
    spelled: list[str] = []
    for name, value in params.items():
        if value:
            names = {re.escape(one) for one in (name, quote(name, safe=""))}
            values = {re.escape(one) for one in (value, *_encoded(value))}
            spelled.append(f"(?:{'|'.join(sorted(names))})=(?:{'|'.join(sorted(values))})")
    if not spelled:
        return ""
    separator = r"&amp;|\\u0026|[?&]"
    pairs = "|".join(spelled)
    return rf"(?:(\?)(?:{pairs})(?:&amp;|\\u0026|&)|(?:{separator})(?:{pairs})(?![A-Za-z0-9_.%~-]))"
