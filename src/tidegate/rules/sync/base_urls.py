"""Base URLs that are known only with a token: `{credential.instance_url}`, `https://{credential.dc}.example.com`. Pure.

Owns the syntax, and where a captured value may lead. May not know tokens. Invariants: a value cannot leave the place
that the configuration gives it (a host stays a host name, a segment of the path stays one segment); a captured address
is https, unless the token service itself is http; what came with the redirect of a browser names no host, because
the person at the browser can write it. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from tidegate.rules.sync.links import origin_of
from tidegate.rules.sync.placeholders import fill_header, fill_path

PLACEHOLDER = re.compile(r"\{credential\.([A-Za-z0-9_]+)\}")
_SPLIT = re.compile(r"(\{credential\.[A-Za-z0-9_]+\}|https?://[^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)
_HOST_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


def captured_names(text: str) -> list[str]:
    """The names of captured values in a text."""
    return PLACEHOLDER.findall(text)


def place_of(url: str) -> str:
    """What a token of this URL belongs to: its origin; for one with placeholders in the host, that part as written."""
    found = _SPLIT.match(url)
    head = found[1] if found is not None else url
    return head.lower() if captured_names(head) else origin_of(PLACEHOLDER.sub("x", url))


class BaseUrl:
    """A base URL as configured. `names`: the captured values in it, `host_names` those that say which host."""

    def __init__(self, template: str) -> None:
        found = _SPLIT.match(template)
        self.template = template
        self._head, self._rest = (found[1], found[2]) if found is not None else (template, "")
        self.host_names = captured_names(self._head)
        self.names = captured_names(template)

    @property
    def sample(self) -> str:
        """A URL of the same form, for checks."""
        head = "https://captured.example.com" if self._head.startswith("{") else PLACEHOLDER.sub("captured", self._head)
        return head + PLACEHOLDER.sub("captured", self._rest)

    def filled(self, captured: Mapping[str, str], *, unproven: Collection[str] = (), http: bool = False) -> str:
        """The URL. ValueError says what is missing or cannot be used.

        `unproven`: names whose value came with a redirect. `http`: a captured address may be http.
        """
        if not self.names:
            return self.template
        for name in self.names:
            if name not in captured:
                raise ValueError(f"{{credential.{name}}} has no value: the answer of the token service did not have it")
        for name in self.host_names:
            if name in unproven:
                raise ValueError(f"{{credential.{name}}} came with the redirect of a browser, so it cannot name a host")
        values = {f"credential.{name}": value for name, value in captured.items()}
        return self._filled_head(captured, http) + (fill_path(self._rest, values) if self._rest else "")

    def _filled_head(self, captured: Mapping[str, str], http: bool) -> str:
        if self._head.startswith("{"):
            return _address(self.host_names[0], captured[self.host_names[0]], http)
        for name in self.host_names:
            if _HOST_PART.fullmatch(captured[name]) is None:
                raise ValueError(f"{{credential.{name}}} is {captured[name][:80]!r}, which is not a host name")
        return PLACEHOLDER.sub(lambda one: captured[one[1]], self._head)


def _address(name: str, value: str, http: bool) -> str:
    """A captured address without a slash at its end."""
    try:
        parts = urlsplit(value)
        origin_of(value)
    except ValueError:
        parts = None
    if parts is None or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{{credential.{name}}} is {value[:80]!r}, which is not the address of an API")
    if parts.scheme.lower() != "https" and not http:
        raise ValueError(f"{{credential.{name}}} is {value[:80]!r}, which is not https")
    return value.rstrip("/")


def filled_headers(headers: Mapping[str, str], captured: Mapping[str, str]) -> dict[str, str]:
    """Headers with their captured values. ValueError for one that has none, or that a header cannot carry."""
    out = {}
    for name, text in headers.items():
        for wanted in captured_names(text):
            if wanted not in captured:
                raise ValueError(f"{{credential.{wanted}}} in the header {name} has no value")
            value = fill_header(f"{{{wanted}}}", {wanted: captured[wanted]})
            text = text.replace(f"{{credential.{wanted}}}", value)
        out[name] = text
    return out
