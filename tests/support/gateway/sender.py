"""One sender on ports of memory: a log, a transport that answers when the test says so, and a clock that is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from tidegate.config.load import load_text
from tidegate.core import ids
from tidegate.core.clock import ManualClock
from tidegate.core.findings import Findings
from tidegate.core.model import Audience, Deferred, Event, Origin, Outcome
from tidegate.deliver.background import BackgroundTasks
from tidegate.deliver.held_partitions import HeldPartitions
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.ports import Ports
from tidegate.deliver.ranges import BulkRanges
from tidegate.deliver.sender import Sender
from tidegate.deliver.settler import Settler
from tidegate.deliver.wanted import WantedIndex
from tidegate.outbound.post import PostResult
from tidegate.runtime import ActiveDestination
from tidegate.store import Settlement

NUMBER = 7  # of the destination
AUDIENCE = Audience(1, "shop", (1,), ((NUMBER, 1),), ())


class MemoryLog:
    """What a sender uses of `store.Log`. `uncached` offsets are read with an await."""

    instance = "abcdef"

    def __init__(self) -> None:
        self.events: dict[int, Event] = {}
        self.uncached: set[int] = set()
        self.published_offset = 0

    def append(self, key: str | None = None, data: bytes = b"{}") -> int:
        offset = self.published_offset = self.published_offset + 1
        self.events[offset] = Event(offset, "shop", "t", Origin.PUBLISH, 0, 1, data, "application/json", key=key)
        return offset

    def cached(self, offset: int) -> Event | None:
        return None if offset in self.uncached else self.events.get(offset)

    async def read(self, offsets: Sequence[int]) -> list[Event]:
        await asyncio.sleep(0)
        return [self.events[offset] for offset in sorted(offsets) if offset in self.events]

    async def scan(
        self, after: int, upto: int, limit: int, audiences: Sequence[int] | None = None
    ) -> list[tuple[int, int]]:
        await asyncio.sleep(0)
        return [(offset, 1) for offset in sorted(self.events) if after < offset <= upto][:limit]

    def audiences(self) -> dict[int, Audience]:
        return {1: AUDIENCE}


class MemoryDeliveries:
    """What a sender and a settler use of `store.Deliveries`: `settled` has every settlement, `rows` the table."""

    settle_seconds = 0.0

    def __init__(self) -> None:
        self.settled: list[Settlement] = []
        self.rows: dict[int, Deferred] = {}

    async def settle(self, settlement: Settlement) -> None:
        self.settled.append(settlement)
        self.rows.update({one.offset: one for one in settlement.deferred})
        for _, offset in settlement.closed:
            self.rows.pop(offset, None)

    async def deferred(self, *, limit: int, **_: Any) -> list[Deferred]:
        await asyncio.sleep(0)
        return sorted(self.rows.values(), key=lambda one: one.due_at_us)[:limit]


class Sent:
    """One request that the transport was given."""

    def __init__(self, offset: int, body: bytes, done: Callable[[PostResult], None]) -> None:
        self.offset = offset
        self.body = body
        self.aborted = self.answered = False
        self._done = done

    def abort(self) -> None:
        self.aborted = True

    def answer(self, status: int, retry_after: str = "") -> None:
        self.answered = True
        error = "" if status < 300 else f"HTTP {status}"
        self._done(PostResult(Outcome.OK, status, error, b"", retry_after, b"", 0, 1000, False))

    def break_connection(self) -> None:
        self.answered = True
        self._done(PostResult(Outcome.REFUSED, None, "connection refused", b"", "", b"", 0, 1000, False))


class MemorySender:
    """`sender` is the sender; `requests` what it has sent, oldest first. Make it on a running event loop."""

    def __init__(self, keys: str = "", **ports: Any) -> None:
        toml = f'[destinations.crm]\nurl = "https://crm.example.com/"\nsecret = "whsec_{"A" * 32}"\n{keys}\n'
        self.clock = ManualClock()
        self.log = MemoryLog()
        self.deliveries = MemoryDeliveries()
        self.requests: list[Sent] = []
        self.paused: list[tuple[str, str]] = []
        held = HeldPartitions()
        self.settler = Settler(cast(Any, self.deliveries), held.high_water_mark, lambda: 1)
        spec = load_text(toml, "test.toml", {}).config.destinations["crm"]
        self.destination = ActiveDestination(NUMBER, "crm", spec, "file", None, "", ())
        self.by_number = {NUMBER: self.destination}
        self.ports = Ports(
            log=cast(Any, self.log), deliveries=cast(Any, self.deliveries), settings=cast(Any, None),
            active=cast(Any, self), pause=self._pause, transports={"http": cast(Any, self)}, clock=self.clock,
            ask=cast(Any, None), findings=Findings(self.clock), held=held, settler=self.settler,
            wanted=WantedIndex(cast(Any, self.log)), ranges=BulkRanges(), background=BackgroundTasks(),
        )  # fmt: skip
        self.sender = Sender(self.ports, self.destination, LaneCursor(NUMBER, 0))
        self.settler.after = lambda _: self.sender.pump()

    async def _pause(self, destination: str, reason: str) -> None:
        self.paused.append((destination, reason))

    def transform(self, revision: int) -> None:
        """As of the active configuration: no route has a transform."""

    def forwards(self, source: str) -> tuple[str, ...]:
        """As of the active configuration: no header of a source goes on."""
        return ()

    def send(
        self, target: Any, head: bytes, body: bytes, timeout_seconds: float, done: Callable[[PostResult], None]
    ) -> Sent:
        """As of the transport. The event is the one that the request names."""
        name = head.decode().partition("webhook-id: ")[2].partition("\r\n")[0]
        offset = ids.event_offset(self.log.instance, name)
        assert offset is not None
        self.requests.append(Sent(offset, body, done))
        return self.requests[-1]

    def in_flight(self) -> list[Sent]:
        """Requests that were not answered."""
        return [one for one in self.requests if not one.answered and not one.aborted]

    def publish(self, *keys: str | None) -> list[int]:
        """Append and offer one event for each key, then send."""
        offsets = [self.log.append(key) for key in keys]
        for offset in offsets:
            self.sender.backlog.offer(offset)
        self.sender.pump()
        return offsets

    def sent(self) -> list[int]:
        """Offsets in the order in which they were sent."""
        return [one.offset for one in self.requests]
