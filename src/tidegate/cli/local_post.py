"""Sends a request to a program on the developer's machine. Standard library only.

Owns what a target may be, and what counts as an answer, as none and as a broken one. May not know the gateway.
The address is the user's own word on the command line, on the user's own machine, so no guard applies. Invariant: only
`Unreachable` means that the program did not get the request. Crash: nothing is kept.
"""

from __future__ import annotations

import base64
import http.client
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from tidegate.rules.outbound.signing import Signer

TIMEOUT_SECONDS = 60.0
MAX_ANSWER_BYTES = 64 * 1024
_NOT_SENT = frozenset({"host", "content-length", "connection", "transfer-encoding"})


class Unreachable(Exception):
    """The program did not get the request: nobody listens there."""


class Target(NamedTuple):
    url: str
    scheme: str
    host: str
    port: int | None
    path: str


class LocalRequest(NamedTuple):
    """A request as the gateway made it. `signed`: signed now as the provider does."""

    method: str
    headers: list[tuple[str, str]]
    body: bytes
    signed: bool

    @classmethod
    def of(cls, answer: dict[str, Any]) -> LocalRequest:
        text: str = answer["body"]
        body = base64.b64decode(text) if answer["body_encoding"] == "base64" else text.encode()
        return cls(answer["method"], [(name, value) for name, value in answer["headers"]], body, answer["signed"])

    def signed_with(self, signer: Signer) -> LocalRequest:
        """With a signature of Standard Webhooks beside that of the provider, unless that is one."""
        by_name = {name.lower(): value for name, value in self.headers}
        if "webhook-signature" in by_name:
            return self
        signature = signer.headers(by_name["webhook-id"], int(by_name["webhook-timestamp"]), self.body)
        return self._replace(headers=[*self.headers, ("webhook-signature", signature)])


class Answer(NamedTuple):
    """`status` is None when no complete answer came; `error` says why. `broken`: the connection ended first."""

    status: int | None
    headers: list[tuple[str, str]]
    body: bytes
    seconds: float
    error: str = ""
    broken: bool = False

    @property
    def label(self) -> str:
        return str(self.status) if self.status is not None else "broken" if self.broken else "timeout"


def target_of(text: str) -> Target:
    """A port, `HOST:PORT` or an http(s) URL. UsageError for anything else."""
    url = f"http://127.0.0.1:{text}/" if text.isascii() and text.isdigit() else text
    url = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise click.UsageError(
            f"{text[:80]!r} is not a port or an address (examples: 3000, http://localhost:3000/hooks)"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(url, parts.scheme, parts.hostname, port, path)


def send(target: Target, request: LocalRequest) -> Answer:
    """Send and wait for the answer. Unreachable when no connection was made."""
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.host, target.port, timeout=TIMEOUT_SECONDS)
    begin = time.monotonic()
    try:
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable((error.strerror or type(error).__name__).lower()) from None
        connection.putrequest(request.method, target.path, skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in _NOT_SENT:
                connection.putheader(name, value.encode("latin-1", "replace"))
        connection.putheader("content-length", str(len(request.body)))
        connection.endheaders(request.body)
        answer = connection.getresponse()
        body = answer.read(MAX_ANSWER_BYTES)
        return Answer(answer.status, answer.getheaders(), body, time.monotonic() - begin)
    except TimeoutError:
        return Answer(None, [], b"", time.monotonic() - begin, f"no answer within {TIMEOUT_SECONDS:.0f} s")
    except (OSError, http.client.HTTPException) as error:
        words = f"the connection broke: {type(error).__name__}"
        return Answer(None, [], b"", time.monotonic() - begin, words, broken=True)
    finally:
        connection.close()
