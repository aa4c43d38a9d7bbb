"""The stream: events as they are published, as server-sent events.

A stream that resumes first reads the log after its last event, then becomes live in the same step of the event loop, so
nothing is lost or sent twice in between. A live stream has a bounded queue; when its client reads too slowly, the queue
is dropped and the client asked to reconnect, which resumes it by `Last-Event-ID`. Nothing is stored: a crash ends the
streams, and clients reconnect with their last ID.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

import msgspec

from tidegate.core import ids
from tidegate.core.errors import BadRequest, TidegateError
from tidegate.core.model import Event
from tidegate.query import events
from tidegate.query.events import Allowed, EventFilter
from tidegate.rules.language.numbers import encode_json
from tidegate.store import Log

QUEUE_EVENTS = 1000
QUEUE_BYTES = 4 << 20
MAX_STREAMS = 256
MAX_OF_ONE_KEY = 64
HEARTBEAT_SECONDS = 15.0  # proxies cut silent connections after 30 to 60 seconds
RECONNECT = b"event: reconnect\nretry: 1000\ndata: {}\n\n"


class TooManyStreams(TidegateError):
    code = "too_many_streams"
    status = 503
    retryable = True
    hint = "close a stream, or read the log with GET /api/v1/events?order=asc"


class Hub:
    """All streams of this process, with one subscription to the log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._streams: set[Stream] = set()
        self._closed = False
        log.subscribe(self._publish)

    def __len__(self) -> int:
        return len(self._streams)

    def _publish(self, batch: Sequence[Event]) -> None:
        for stream in self._streams:
            stream.offer(batch)

    def open(self, wanted: EventFilter, *, last_event_id: str | None, allowed: Allowed, owner: str = "") -> Stream:
        """A stream after `last_event_id`, or from now on. BadRequest for an ID of another log.

        `owner` is the id of the caller's key, which may have MAX_OF_ONE_KEY open. TooManyStreams.
        """
        events.check_origin(wanted.origin)
        if sum(stream.owner == owner for stream in self._streams) >= MAX_OF_ONE_KEY:
            raise TooManyStreams(
                f"this key has {MAX_OF_ONE_KEY} streams open, which is the maximum", retry_after_seconds=5.0
            )
        if len(self._streams) >= MAX_STREAMS or self._closed:
            raise TooManyStreams(
                f"{len(self._streams)} streams are open, which is the maximum", retry_after_seconds=5.0
            )
        committed_offset = None
        if last_event_id:
            committed_offset = ids.event_offset(self._log.instance, last_event_id)
            if committed_offset is None or committed_offset > events.MAX_OFFSET:
                raise BadRequest(
                    f"Last-Event-ID {last_event_id[:80]!r} is not an event of this log",
                    hint="leave it out to start with new events",
                )
        stream = Stream(self, self._log, wanted, allowed, committed_offset)
        stream.owner = owner
        self._streams.add(stream)
        return stream

    def forget(self, stream: Stream) -> None:
        self._streams.discard(stream)

    def close(self) -> None:
        """End all streams; their clients reconnect."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()


class Stream:
    """One client's stream. Iterate `chunks()` once; `close()` ends it from anywhere on the loop."""

    def __init__(self, hub: Hub, log: Log, wanted: EventFilter, allowed: Allowed, committed_offset: int | None) -> None:
        self._hub = hub
        self._log = log
        self._wanted = wanted
        self._allowed = allowed
        self._committed_offset = log.published_offset if committed_offset is None else committed_offset
        self._live = committed_offset is None or committed_offset >= log.published_offset
        self._queue: deque[Event] = deque()
        self._queue_bytes = 0
        self._overflowed = False
        self._closed = False
        self._wake = asyncio.Event()
        self.owner = ""

    def close(self) -> None:
        """End the stream, whether or not its client has started to read it."""
        self._closed = True
        self._wake.set()
        self._hub.forget(self)

    def offer(self, batch: Sequence[Event]) -> None:
        """Queue a published batch. A stream that still reads the log ignores it."""
        if not self._live or self._overflowed:
            return
        for event in batch:
            if event.offset <= self._committed_offset or not self._fits(event):
                continue  # the client has it already, perhaps from a node that published it earlier
            self._queue.append(event)
            self._queue_bytes += len(event.body)
        if len(self._queue) > QUEUE_EVENTS or self._queue_bytes > QUEUE_BYTES:
            self._overflowed = len(self._queue) > 1  # one event may be larger than the bound
        if self._overflowed:
            self._queue.clear()
        self._wake.set()

    def _fits(self, event: Event) -> bool:
        return self._wanted.matches(event) and (self._allowed is None or event.source in self._allowed)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Bytes for the client, until the stream is closed or the client has to reconnect."""
        try:
            yield b"retry: 1000\n\n"
            async for chunk in self._behind():
                yield chunk
            while not self._closed:
                while self._queue:
                    event = self._queue.popleft()
                    self._queue_bytes -= len(event.body)
                    yield self._chunk(event)
                if self._overflowed:
                    break
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"
            yield RECONNECT
        finally:
            self._hub.forget(self)

    async def _behind(self) -> AsyncIterator[bytes]:
        """Events of the log after the committed offset; live from the step that finds no more."""
        while not self._live and not self._closed:
            published = self._log.published_offset
            found = await events.walk(
                self._log, self._wanted, limit=events.SLICE, after=self._committed_offset, allowed=self._allowed
            )
            # Checked after reading: events trimmed meanwhile may be missing.
            if await self._log.trimmed() > self._committed_offset:
                yield await self._expired()
            # The read covers what was published before it began. Later events come by `offer`.
            head = self._log.published_offset
            edge = found.edge if found.more else max(found.edge, published)
            self._committed_offset = max(self._committed_offset, min(edge, head))
            self._live = self._committed_offset >= head
            for event in found.events:
                if event.offset <= head:
                    yield self._chunk(event)

    async def _expired(self) -> bytes:
        """Reports the gap to the client."""
        oldest = await self._log.oldest()
        first = oldest[0] if oldest is not None else self._log.published_offset + 1
        data = msgspec.json.encode({"oldest": ids.event_id(self._log.instance, first)})
        return b"event: expired\ndata: " + data + b"\n\n"

    def _chunk(self, event: Event) -> bytes:
        form = events.schema_of(self._log.instance, event)
        return b"id: " + form.id.encode() + b"\ndata: " + encode_json(form) + b"\n\n"
