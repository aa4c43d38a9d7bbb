"""From an event to the request that goes out, and from the answer to what it means, for one destination.

Owns the compiled form of one destination's configuration: its target, and a `Prepare` for each route revision. What a
request holds and how an answer reads is decided by the destination's kind (`tidegate.kinds`). Pure except for
compiling once. Nothing here survives a crash; the same configuration makes the same requests again.
"""

from __future__ import annotations

from tidegate.core.model import Event
from tidegate.kinds import Prepare, Request, Result, kind_of
from tidegate.kinds.base import Answer
from tidegate.rules.outbound.addresses import parse_target, with_method, with_options
from tidegate.rules.outbound.sent_requests import RequestRecorder
from tidegate.runtime import ActiveConfiguration, ActiveDestination


class RequestBuilder:
    """What one destination needs to make its requests; a new one is made when the configuration changes."""

    def __init__(self, destination: ActiveDestination, active: ActiveConfiguration) -> None:
        self._spec = destination.spec
        self._secrets = destination.secrets
        self._active = active
        self.kind = kind_of(self._spec)
        method = self.kind.method(self._spec)
        target = with_method(parse_target(self.kind.address(self._spec)), method)
        self.target = with_options(target, self.kind.connect_options(self._spec))
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

    def test_request(self, event: Event, event_id: str, timestamp: int) -> Request:
        """The request of a test send."""
        return self.kind.prepare_test(self._spec, self._secrets)(event, event_id, 1, timestamp)

    def read(self, answer: Answer, now_us: int) -> Result:
        """What an answer of this destination means."""
        return self._read(answer, now_us)
