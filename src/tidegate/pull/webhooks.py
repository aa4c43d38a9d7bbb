"""Reads the log for one resource: applies webhooks of the source to its records, in the order of the log.

Owns the committed offset of one resource. A notification only wakes it; events are read from the store from the
committed offset on, so none is lost between a start and the first notification. Knows no HTTP. Invariant: the offset
moves in the transaction of the records it covers, or over events that do not concern the resource. Crash: reading goes
on from the committed offset, and an event read twice compares as equal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tidegate.core.model import Event
from tidegate.pull.engine_state import MAX_DIRTY
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.yielding import Yielder
from tidegate.rules.sync.changes import Copy
from tidegate.rules.sync.spec import Resource
from tidegate.rules.sync.webhook_copies import FeedRule, WebhookRule, copy_of
from tidegate.store import Log

SLICE_EVENTS = 100  # read at once: bodies are up to 1 MiB each


class WebhookReader:
    """Brings the records of one resource up to an offset of the log."""

    def __init__(self, log: Log, writer: RecordWriter, resource: Resource, wake_fetches: Callable[[], None]) -> None:
        self._log = log
        self._writer = writer
        self._resource = resource
        self._rule = WebhookRule(resource.webhook) if resource.webhook is not None else None
        self._deletes = FeedRule(resource.deletes) if resource.deletes.mode == "feed" else None
        self.reads = self._rule is not None or self._deletes is not None  # whether the log has anything for it
        self._wake_fetches = wake_fetches
        self._lock = asyncio.Lock()
        self._room = asyncio.Event()
        self._room.set()

    def concerns(self, event: Event) -> bool:
        """Whether an event of the source is worth waking up for."""
        return (self._rule is not None and self._rule.matches(event)) or (
            self._deletes is not None and self._deletes.matches(event)
        )

    def fetched(self, dirty: int) -> None:
        """Call after fetch-backs, with the number of records that still need one."""
        if dirty < MAX_DIRTY:
            self._room.set()

    async def catch_up(self, upto: int) -> None:
        """Apply everything the log holds up to offset `upto` (inclusive). Raises what the store raises."""
        if not self.reads or self._writer.state.committed_offset >= upto:
            return
        async with self._lock:
            while self._writer.state.committed_offset < upto:
                if len(self._writer.engine_state.dirty) >= MAX_DIRTY:
                    self._room.clear()
                    self._wake_fetches()
                    await self._room.wait()
                await self._slice(upto)

    async def _slice(self, upto: int) -> None:
        writer = self._writer
        ours = [
            number for number, one in self._log.audiences().items() if one.source == writer.source and not one.direct
        ]
        rows = await self._log.scan(writer.state.committed_offset, upto, SLICE_EVENTS, ours) if ours else []
        last = rows[-1][0] if len(rows) == SLICE_EVENTS else upto
        events = await self._log.read([offset for offset, _ in rows]) if rows else []
        copies = await self._copies(events)
        if not copies:
            writer.note_offset(last)
            return
        writer.webhooks += 1
        # A webhook changes records without a new list, so the validators of the list are no longer valid.
        applied = await writer.apply(copies, committed_offset=last, etag=None, last_modified=None)
        if applied.to_fetch:
            self._wake_fetches()

    async def _copies(self, events: list[Event]) -> list[Copy]:
        copies = []
        yielder = Yielder()
        for event in events:
            await yielder.pause()
            try:
                if self._deletes is not None and self._deletes.matches(event):
                    copies.append(self._deletes.copy_of(event))
                elif self._rule is not None and self._rule.matches(event):
                    self._writer.statistics.webhooks += 1
                    copies.append(copy_of(self._rule, self._resource, event))
            except ValueError as error:
                self._writer.statistics.unreadable += 1
                self._writer.counts.one("webhook.unreadable")
                self._writer.health.note("webhooks_skipped", f"offset {event.offset}, type {event.type}: {error}")
        return copies
