"""Reads the bodies of requests within their limits of size and time.

Owns who waits for a body and since when; one sweep per second ends the wait for those that arrive too slowly, so that
no request needs a timer of its own. Knows no source. Invariant: at most `limit` bytes and one part more are kept.
Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tidegate.core.clock import Clock
from tidegate.core.findings import Findings
from tidegate.receive.answers import FULL, TOO_LARGE, TOO_SLOW
from tidegate.receive.body_budget import BodyBudget, Lease
from tidegate.receive.handshakes import Reply
from tidegate.rules.inbound.places import Headers

BODY_SECONDS = 15.0  # for the whole body, however slowly it arrives
SWEEP_SECONDS = 1.0

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Rejected(Exception):
    """Ends the checks of a request with an answer. `reason` is for the operator; "" keeps no row."""

    def __init__(self, reply: Reply, reason: str = "", detail: str = "") -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason
        self.detail = detail


class Gone(Exception):
    """The caller closed the connection, so nothing can be answered."""


class Bodies:
    """Belongs to the event loop."""

    def __init__(self, clock: Clock, findings: Findings) -> None:
        self._clock = clock
        self._findings = findings
        self.budget = BodyBudget()
        # Tasks that wait for a body: since when, and what they hold. Oldest first.
        self._reading: dict[asyncio.Task[Any], tuple[float, Lease]] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._crowded_out: set[asyncio.Task[Any]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def read(self, limit: int, headers: Headers, receive: Receive, lease: Lease) -> bytes:
        """The whole body. A declared length over the limit is rejected before reading, any other at the limit."""
        declared = headers.get(b"content-length")
        if declared is not None and declared.isdigit() and int(declared[:20]) > limit:
            raise Rejected(TOO_LARGE, "too_large", f"content-length {declared[:20].decode()}")
        task = asyncio.current_task()
        assert task is not None
        self._reading[task] = (self._clock.monotonic(), lease)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._swept)
        try:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            body: bytes = message.get("body", b"")
            more: bool = message.get("more_body", False)
            self._hold(task, lease, len(body), whole=not more)
            if more:
                body = await self._rest(task, body, limit, receive, lease)
        except asyncio.CancelledError:
            raise self._cut_off(task) from None
        finally:
            del self._reading[task]
            self._late.discard(task)
            self._crowded_out.discard(task)
        if len(body) > limit:
            raise Rejected(TOO_LARGE, "too_large", f"more than {limit} bytes")
        return body

    async def _rest(self, task: asyncio.Task[Any], first: bytes, limit: int, receive: Receive, lease: Lease) -> bytes:
        parts, size = [first], len(first)
        while size <= limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part = message.get("body", b"")
            more = message.get("more_body", False)
            self._hold(task, lease, len(part), whole=not more)
            parts.append(part)
            size += len(part)
            if not more:
                break
        return b"".join(parts)

    def _hold(self, task: asyncio.Task[Any], lease: Lease, count: int, *, whole: bool) -> None:
        """Count bytes that were read. When there are too many, the body that is read for the longest gives way: of this
        source, or of the source that holds the most. That may be this one.
        """
        crowded = self.budget.crowded(lease.source, count, whole=whole)
        lease.add(count)
        if crowded is None:
            return
        source = crowded or self.budget.largest()
        self._findings.report("bodies_full", f"source:{source}")
        leaving = next((one for one, (_, held) in self._reading.items() if held.source == source and held.held), task)
        if leaving is task:
            raise Rejected(FULL)
        self._reading[leaving][1].end()
        self._crowded_out.add(leaving)
        leaving.cancel()

    def _cut_off(self, task: asyncio.Task[Any]) -> BaseException:
        """What a reading that was canceled raises: an answer when this module canceled it."""
        if task in self._crowded_out:
            task.uncancel()
            return Rejected(FULL)
        if task in self._late:
            task.uncancel()
            return Rejected(TOO_SLOW, "too_slow", f"not complete after {BODY_SECONDS:g} s")
        return asyncio.CancelledError()

    def _swept(self) -> None:
        self._sweeper = None
        self.sweep()
        if self._reading:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._swept)

    def sweep(self) -> None:
        """Cancel the requests whose body takes too long. Each of them then answers 408."""
        oldest = self._clock.monotonic() - BODY_SECONDS
        for task, (since, _) in self._reading.items():
            if since >= oldest:
                break  # tasks are in the order in which they started
            if task not in self._late:
                self._late.add(task)
                task.cancel()
