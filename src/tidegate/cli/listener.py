"""The events of one source on their way to a program on this machine: what `tidegate listen` does.

Owns the feed and its acknowledgments: a feed of the gateway is the durable place, acknowledged after each answer, so
events that came while this command, the gateway or the program was away arrive later, in their order. May not know the
terminal. Invariants: one event at a time; an event without an answer is not acknowledged. Crash: the next start with
the same target and source continues after the last acknowledged event.
"""

from __future__ import annotations

import getpass
import hashlib
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tidegate.cli.client import ApiError, JsonObject, find_gateway, segment
from tidegate.cli.local_post import Answer, LocalRequest, Target, Unreachable, send
from tidegate.core.errors import TidegateError

POLL_SECONDS = 0.2
WAIT_SECONDS = 1.0  # before the gateway or the local program is tried again
_FINAL = (400, 403, 409, 422)  # of the gateway; with anything else it may be restarting, or another program answered
BROKEN_TRIES = 3  # an answer that breaks off this often counts as one, so that an event cannot block the rest


class Shown(msgspec.Struct, frozen=True):
    """One request that the local program got. `way`: "" for an event as it came, "replay" or "edit" for a person's."""

    event: JsonObject
    request: LocalRequest
    answer: Answer
    at: float
    way: str = ""


Report = Callable[[Shown | str], None]
"""Called with what was sent, or with a sentence about the state of things."""


class Listener:
    """The events of one source on their way to one local address. `send` may be called from another thread."""

    def __init__(self, data: Path, source: str, types: tuple[str, ...], target: Target, secret: str | None) -> None:
        from tidegate.rules.language.patterns import compile_types
        from tidegate.rules.outbound.signing import Signer

        self.source = source
        self.target = target
        self.feed = feed_name(source, target.url)
        self.signed = True  # until the gateway refuses to sign for this key
        self._data = data
        self._exact = types[0] if len(types) == 1 and "*" not in types[0] else None
        self._wants = compile_types(types) if types else None
        self._signer = Signer([secret]) if secret else None
        self._client = find_gateway(data)
        self._answered = ""  # the event that got its answer and is not acknowledged yet

    def begin(self, since: str | None) -> JsonObject:
        """Create the feed at `since`, else at its committed offset, else at the end of the log. Returns the feed."""
        path = f"/feeds/{segment(self.feed)}"
        self._client.get(f"/sources/{segment(self.source)}")  # NotFound names what exists
        if since is not None:
            try:
                self._client.delete(path)
            except ApiError as error:
                if error.status != 404:
                    raise
        known = {one["name"] for one in self._client.every("/feeds")}
        new = self.feed not in known
        asked = {"since": since or "0s"} if new else {"since": "2000-01-01T00:00:00Z"}  # the second moves nothing
        found: JsonObject = self._client.post(f"{path}/ack", asked)
        return {**found, "new": new}

    def run(self, stop: threading.Event, report: Report) -> None:
        """Until `stop`. Waits for a gateway and for a program that are away; raises what waiting cannot cure."""
        away = ""
        while not stop.is_set():
            try:
                busy = self._next(stop, report)
                if away:
                    report("the gateway is back")
                    away = ""
            except TidegateError as error:
                if isinstance(error, ApiError) and error.status in _FINAL:
                    raise
                if not away:
                    away = error.message
                    report(f"{error.message}; waiting for it")
                stop.wait(WAIT_SECONDS)
                self._find_again()
                continue
            if not busy:
                stop.wait(POLL_SECONDS)

    def send(self, event: JsonObject, way: str, change: JsonObject | None = None) -> Shown:
        """One request to the local program. Unreachable when nobody answers there."""
        request = self._request(event["id"], change)
        answer = send(self.target, request)
        return Shown(event, request, answer, time.time(), way)

    def _next(self, stop: threading.Event, report: Report) -> bool:
        """Bring the next event; False when there is none."""
        path = f"/feeds/{segment(self.feed)}"
        try:
            page = self._client.get_page(path, {"limit": 1, "source": self.source, "type": self._exact})
        except ApiError as error:
            if error.status != 410:
                raise
            report(f"{error.message}; continuing with the oldest event that is kept")
            self._client.post(f"{path}/ack", {"since": "2000-01-01T00:00:00Z"})
            return True
        for event in page["data"]:
            wanted = self._wants is None or self._wants(event["type"])
            if wanted and event["id"] != self._answered and not self._bring(event, stop, report):
                return False
            self._answered = event["id"]
        if page["data"] or page.get("more"):
            self._client.post(f"{path}/ack", {"cursor": page["next_cursor"]})
        return bool(page["data"] or page.get("more"))

    def _bring(self, event: JsonObject, stop: threading.Event, report: Report) -> bool:
        """True when the local program answered; False when `stop` came first."""
        broken = 0
        waiting = False
        while not stop.is_set():
            try:
                shown = self.send(event, "")
            except Unreachable as error:
                if not waiting:
                    report(f"{self.target.url} does not answer: {error}; what comes meanwhile is kept")
                    waiting = True
                stop.wait(WAIT_SECONDS / 2)
                continue
            broken += shown.answer.broken
            if shown.answer.broken and broken < BROKEN_TRIES:
                report(f"{self.target.url} broke off its answer to {event['id']}; trying again")
                stop.wait(WAIT_SECONDS)
                continue
            report(shown)
            return True
        return False

    def _request(self, event_id: str, change: JsonObject | None) -> LocalRequest:
        path = f"/events/{segment(event_id)}/request"
        answer: JsonObject | None = None
        if self.signed or change is not None:
            try:
                answer = self._client.post(path, change or {})
            except ApiError as error:
                if error.status != 403 or change is not None:
                    raise
                self.signed = False
        request = LocalRequest.of(answer or self._client.get(path))
        return request if self._signer is None else request.signed_with(self._signer)

    def _find_again(self) -> None:
        """A local gateway has a new key, and perhaps a new port, after each start."""
        try:
            self._client = find_gateway(self._data)
        except TidegateError:
            return


def feed_name(source: str, url: str) -> str:
    """The same for the same person, machine, source and target, so that a later start continues."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    text = "\0".join((user, platform.node(), source, url))
    return f"listen-{source[:40]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def line_of(shown: Shown) -> str:
    """`12:00:01  200   12 ms  invoice.paid  evt_...  key` of one request."""
    from tidegate.cli.output import clean, span

    answer, event = shown.answer, shown.event
    when = time.strftime("%H:%M:%S", time.localtime(shown.at))
    key = f"  {clean(event['key'])}" if event.get("key") else ""
    way = f"  ({shown.way})" if shown.way else ""
    took = span(answer.seconds)
    return f"{when}  {answer.label:>7}  {took:>7}  {clean(event['type'])}  {event['id']}{key}{way}"


def as_object(shown: Shown) -> dict[str, Any]:
    answer, event = shown.answer, shown.event
    return {
        "id": event["id"],
        "source": event["source"],
        "type": event["type"],
        "key": event.get("key"),
        "way": shown.way or "event",
        "status": answer.status,
        "error": answer.error,
        "duration_ms": round(answer.seconds * 1000, 3),
        "signed": shown.request.signed,
    }
