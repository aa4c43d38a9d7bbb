"""From an event to the request that goes out, and from the answer to what it means, for one destination.

Owns the compiled form of one destination's configuration: its target, and a `Prepare` for each route revision. What a
request holds and how an answer reads is decided by the destination's kind (`tidegate.kinds`). Pure except for
compiling once. Nothing here survives a crash; the same configuration makes the same requests again.
"""

from __future__ import annotations

import msgspec

from tidegate.auth import added_by
from tidegate.core.model import Event
from tidegate.core.spec import Auth
from tidegate.deliver.authenticated import OutgoingRequest
from tidegate.kinds import Prepare, Request, Result, kind_of
from tidegate.kinds.base import Answer, with_query
from tidegate.outbound.credentials import Credentials
from tidegate.rules.inbound.redaction import REDACTED
from tidegate.rules.outbound.addresses import ALL, Target, parse_target, with_method, with_options
from tidegate.rules.outbound.sent_requests import RequestRecorder
from tidegate.runtime import ActiveConfiguration, ActiveDestination

_NOWHERE = "http://no-address.invalid/"


class RequestBuilder:
    """What one destination needs to make its requests; a new one is made when the configuration changes."""

    def __init__(self, destination: ActiveDestination, active: ActiveConfiguration, credentials: Credentials) -> None:
        self._spec = destination.spec
        self._secrets = destination.secrets
        self._active = active
        self.kind = kind_of(self._spec)
        method = self.kind.method(self._spec)
        address, options = self.kind.address(self._spec), self.kind.connect_options(self._spec)
        # A kind whose transport makes the request has no address that this module could know.
        self.target = with_options(with_method(parse_target(address or _NOWHERE, ALL), method), options)
        self._method, self._address = method, address
        auth: Auth | None = getattr(self._spec, "auth", None)
        found = credentials.of(f"destination/{destination.name}", auth, self.target.origin, options)
        self.credential = None if found.always == added_by(auth) and found.fixed else found
        self._shown = b"".join(f"{name}: {REDACTED}\r\n".encode("latin-1") for name in found.header_names)
        self._read = self.kind.reader(self._spec)
        self.shown_url = self.kind.shown_address(self._spec)
        self.recorder = RequestRecorder(method, self.shown_url, self.kind.secret_headers(self._spec))
        self._prepared: dict[int, Prepare] = {}  # by route revision

    def request(self, event: Event, event_id: str, revision: int, attempt: int, timestamp: int) -> Request:
        """Raises what a transform or a text raises: the caller records outcome RENDER."""
        prepare = self._prepared.get(revision)
        if prepare is None:
            transform = self._active.transform(revision)
            prepare = self._prepared[revision] = self.kind.prepare_forwarding(
                self._spec, self._secrets, transform, self._active.forwards
            )
        return prepare(event, event_id, attempt, timestamp)

    def outgoing(self, request: Request, timeout_seconds: float) -> OutgoingRequest:
        """A request that still lacks its credential."""
        address = with_query(self._address, request.query) if request.query else self._address
        target = self.target_of(request)
        return OutgoingRequest(target, self._method, address, request.head, request.body, timeout_seconds)

    def target_of(self, request: Request) -> Target:
        """Where one request goes: the address of the destination, with what the request adds to its query."""
        if not request.query:
            return self.target
        return msgspec.structs.replace(self.target, path=with_query(self.target.path, request.query))

    def recorded(self, request: Request) -> Request:
        """The request with the names of the headers that the credential will add, for the record of the attempt."""
        if request.query:
            line = f"{self._method} {with_query(self.shown_url, request.query)}"
            request = msgspec.structs.replace(request, line=line)
        if self.credential is None:
            return request
        return msgspec.structs.replace(request, head=request.head + self._shown)

    def test_request(self, event: Event, event_id: str, timestamp: int) -> Request:
        """The request of a test send."""
        return self.kind.prepare_test(self._spec, self._secrets)(event, event_id, 1, timestamp)

    def read(self, answer: Answer, now_us: int) -> Result:
        """What an answer of this destination means."""
        return self._read(answer, now_us)
