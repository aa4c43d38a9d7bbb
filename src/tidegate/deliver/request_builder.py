"""From an event to the request that goes out: head and body for one destination. Pure but for compiling once.

The signature is made new for each attempt (Standard Webhooks: id, timestamp and exact body bytes), the id is the
event's and never changes. Headers that users configured were checked at load; values that come from events are made
safe here, since a header may hold neither line breaks nor text beyond Latin-1.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tidegate import __version__
from tidegate.core import spec as config
from tidegate.core.model import Event
from tidegate.rules.language.templates import compile_template
from tidegate.rules.outbound.addresses import parse_target
from tidegate.rules.outbound.bodies import Rendered, compile_body
from tidegate.rules.outbound.signing import Signer
from tidegate.runtime import ActiveConfiguration, ActiveDestination

_USER_AGENT = f"user-agent: Tidegate/{__version__}\r\n"
_SAFE = "!#$%&'()*+,-./:;<=>?@[]^_`{|}~ "


def header_text(value: str) -> str:
    """A value as it may stand in a header: printable ASCII stays, the rest is percent-encoded."""
    if value.isascii() and value.isprintable():
        return value
    return quote(value, safe=_SAFE)


class RequestBuilder:
    """What one destination needs to make its requests; made anew when the configuration changes."""

    def __init__(self, destination: ActiveDestination, live: ActiveConfiguration, instance: str) -> None:
        spec = destination.spec
        url, headers = spec.url, dict(spec.headers)
        if spec.auth is not None:
            url = _authorize(url, headers, spec.auth)
        self.target = parse_target(url)
        self.shown_url = f"{self.target.scheme}://{self.target.host_header}{self.target.path.partition('?')[0]}"
        if spec.type == "slack":  # the path of such a URL is its secret
            self.shown_url = f"{self.target.scheme}://{self.target.host_header}/"
        self._head = _USER_AGENT + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._signer = Signer(destination.secrets) if destination.secrets else None
        self._slack = spec.type == "slack"
        self._text = compile_template(spec.text) if spec.text else None
        self._mode = "envelope" if self._slack else spec.body
        self._live = live
        self._instance = instance
        self._bodies: dict[int, Callable[[Event, str], Rendered]] = {}

    def _body(self, revision: int) -> Callable[[Event, str], Rendered]:
        made = self._bodies.get(revision)
        if made is None:
            made = self._bodies[revision] = compile_body(self._mode, self._live.transform(revision), self._text)
        return made

    def request(self, event: Event, event_id: str, revision: int, attempt: int, timestamp: int) -> tuple[bytes, bytes]:
        """(head lines, body). Raises what a transform or a text raises: the caller records outcome RENDER."""
        rendered = self._body(revision)(event, event_id)
        body = rendered.body
        if self._slack:
            return f"{self._head}content-type: {rendered.content_type}\r\n".encode("latin-1"), body
        signature = f"webhook-signature: {self._signer.headers(event_id, timestamp, body)}\r\n" if self._signer else ""
        extra = "".join([f"{name}: {header_text(value)}\r\n" for name, value in rendered.headers])
        content_type = f"content-type: {header_text(rendered.content_type)}\r\n" if rendered.content_type else ""
        head = (
            f"{self._head}{content_type}{extra}webhook-id: {event_id}\r\nwebhook-timestamp: {timestamp}\r\n{signature}"
            f"tidegate-source: {event.source}\r\ntidegate-type: {header_text(event.type)}\r\n"
            f"tidegate-attempt: {attempt}\r\ntidegate-hops: {event.hops}\r\n"
        )
        return head.encode("latin-1"), body


def _authorize(url: str, headers: dict[str, str], auth: Any) -> str:
    """Add a destination's credentials to its headers (or, for an API key in the query, to its URL)."""
    if isinstance(auth, config.BearerAuth):
        headers["authorization"] = f"Bearer {auth.token}"
    elif isinstance(auth, config.BasicAuth):
        pair = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
        headers["authorization"] = f"Basic {pair}"
    elif auth.location == "header":
        headers[auth.name] = auth.api_key
    elif auth.location == "cookie":
        headers["cookie"] = f"{auth.name}={quote(auth.api_key, safe='')}"
    else:
        separator = "&" if "?" in url else "?"
        return f"{url}{separator}{quote(auth.name, safe='')}={quote(auth.api_key, safe='')}"
    return url
