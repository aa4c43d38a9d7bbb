"""What is kept of a request that was sent: its head once, and what varies with each attempt.

Owns the masking, the split of a head, the bound of a body, and reading it back. May not know the store or pages.
Invariants: credentials are masked before anything leaves this module; what is kept is what was sent, never what
today's configuration would send; the bytes of the event are not kept twice. Pure but for the heads that it has seen.
Crash: what it gives is kept with the attempt in one settle, or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

import msgspec

from tidegate.rules.inbound.redaction import REDACTED, is_credential

KEPT_BODY_BYTES = 64 * 1024
_HEADS_IN_MEMORY = 8  # of one destination: more only where a credential in the head changes often
_MASK_63 = (1 << 63) - 1
_LINE = b"\0"  # begins lines whose first one is the request line of this attempt


class Sent(Protocol):
    """A request that a kind of destination made.

    `fixed`: bytes of `head` that are the same in each request. `harmless`: no line after them can hold a credential.
    `line`: method and address of this request alone; "" where they are those of the destination.
    """

    @property
    def head(self) -> bytes: ...
    @property
    def body(self) -> bytes: ...
    @property
    def fixed(self) -> int: ...
    @property
    def standard(self) -> bool: ...
    @property
    def harmless(self) -> bool: ...
    @property
    def line(self) -> str: ...


class BodyIs(IntEnum):
    """How the body of a request is kept."""

    EVENT = 0  # the bytes of the event
    KEPT = 1  # its own bytes, cut to KEPT_BODY_BYTES
    ENVELOPE = 2  # the envelope without a transform: made of the event again, and compared with a digest


class Varying(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The column `request` of an attempt. `lines`: header lines after the stored head, each ended by CRLF."""

    lines: bytes
    body_is: BodyIs
    body_bytes: int
    body: bytes = b""  # with ENVELOPE: its digest


class KeptRequest(msgspec.Struct, frozen=True, gc=False):
    """`head` is the number of `new_head`, or of one that was kept before; 0 for none."""

    head: int
    request: bytes
    new_head: bytes | None = None


class RequestRecorder:
    """Of one destination and one configuration. `secret_names`: header names in lower case, beside the usual ones."""

    def __init__(self, method: str, shown_url: str, secret_names: frozenset[str]) -> None:
        self._first_line = f"{method} {shown_url}\r\n".encode("latin-1", "replace")
        self._secret_names = secret_names
        self._numbers: dict[bytes, int] = {}  # by the fixed part as it is sent

    def keep(self, request: Sent, event_body: bytes) -> KeptRequest:
        """What to store of a request."""
        fixed = request.head[: request.fixed]
        number = self._numbers.get(fixed)
        new_head = None
        if number is None:
            new_head = self._first_line + self._masked(fixed)
            number = head_number(new_head)
            if len(self._numbers) >= _HEADS_IN_MEMORY:
                self._numbers.clear()
            self._numbers[fixed] = number
        lines = request.head[request.fixed :]
        if not request.harmless:
            lines = self._masked(lines)
        if request.line:
            lines = _LINE + request.line.encode("latin-1", "replace") + b"\r\n" + lines
        return KeptRequest(number, _encode(lines, request, event_body), new_head)

    def whole(self, request: Sent) -> bytes:
        """A request in one piece, for an attempt that is not stored: the column `request` with the head in it."""
        first = f"{request.line}\r\n".encode("latin-1", "replace") if request.line else self._first_line
        lines, body = first + self._masked(request.head), request.body
        return _ENCODER.encode((lines, int(BodyIs.KEPT), len(body), body[:KEPT_BODY_BYTES]))

    def _masked(self, lines: bytes) -> bytes:
        out = []
        for line in lines.decode("latin-1").split("\r\n")[:-1]:
            name, _, _ = line.partition(": ")
            lower = name.lower()
            secret = lower in self._secret_names or is_credential(lower)
            out.append(f"{name}: {REDACTED}\r\n" if secret else f"{line}\r\n")
        return "".join(out).encode("latin-1")


def head_number(head: bytes) -> int:
    """A positive number of 63 bits for the bytes of a head."""
    return int.from_bytes(hashlib.blake2b(head, digest_size=8).digest(), "big") & _MASK_63 or 1


def body_digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=8).digest()


_ENCODER = msgspec.msgpack.Encoder()
_EVENT, _KEPT, _ENVELOPE = int(BodyIs.EVENT), int(BodyIs.KEPT), int(BodyIs.ENVELOPE)


def _encode(lines: bytes, request: Sent, event_body: bytes) -> bytes:
    body = request.body
    if body is event_body or body == event_body:
        return _ENCODER.encode((lines, _EVENT, len(body), b""))
    if request.standard:
        return _ENCODER.encode((lines, _ENVELOPE, len(body), body_digest(body)))
    return _ENCODER.encode((lines, _KEPT, len(body), body[:KEPT_BODY_BYTES]))  # the fields of Varying


class RequestAsSent(msgspec.Struct, frozen=True):
    """`body` is None when it is not kept: a release made it that writes envelopes differently."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes | None
    body_bytes: int  # as sent; more than len(body) where the body was cut


def read_back(stored: bytes, head: bytes, event_body: bytes, envelope: Callable[[], bytes]) -> RequestAsSent | None:
    """A request as it was sent, from the columns of its attempt. None: not kept, by an earlier release.

    `head`: the stored head; b"" for none. `envelope` makes the envelope of the event again.
    """
    if not stored:
        return None
    varying = _DECODER.decode(stored)
    own = varying.lines.startswith(_LINE)
    first, *lines = (varying.lines[1:] if own else head + varying.lines).decode("latin-1").split("\r\n")[:-1] or [""]
    method, _, url = first.partition(" ")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return RequestAsSent(method, url, headers, _body(varying, event_body, envelope), varying.body_bytes)


def _body(varying: Varying, event_body: bytes, envelope: Callable[[], bytes]) -> bytes | None:
    if varying.body_is is BodyIs.EVENT:
        return event_body
    if varying.body_is is BodyIs.KEPT:
        return varying.body
    made = envelope()
    return made if body_digest(made) == varying.body else None


_DECODER = msgspec.msgpack.Decoder(Varying)
