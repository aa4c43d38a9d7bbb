"""Keys that providers publish (JSON Web Key Sets, certificates), fetched when a signature needs one.

Owns the cache and how often a URL is asked: one request at a time for a URL, not again within a minute, and again after
a day. Which URLs may be asked is decided by the schemes; every request goes through the guarded dialer. Invariant: at
most MAX_URLS documents of MAX_BYTES are kept. Crash: the cache is empty, and the next signature fetches again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.findings import Findings

MAX_URLS = 32
MAX_BYTES = 256 * 1024
FRESH_SECONDS = 60.0  # an unknown key id does not ask again within this time
KEPT_SECONDS = 86_400.0

Get = Callable[[str], Awaitable[bytes]]
"""Fetches a URL; raises TidegateError."""


class _Entry(msgspec.Struct):
    content: bytes | None
    asked_at: float  # monotonic


class RemoteKeys:
    """Belongs to the event loop."""

    def __init__(self, get: Get, clock: Clock, findings: Findings) -> None:
        self._get = get
        self._clock = clock
        self._findings = findings
        self._entries: dict[str, _Entry] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def content(self, url: str) -> bytes | None:
        """What was fetched of a URL; None when it was not, or longer ago than a day."""
        entry = self._entries.get(url)
        if entry is None or self._clock.monotonic() - entry.asked_at > KEPT_SECONDS:
            return None
        return entry.content

    async def fetch(self, url: str) -> bool:
        """Fetch a URL unless that was done just now. Whether there is content."""
        entry = self._entries.get(url)
        if entry is None or self._clock.monotonic() - entry.asked_at > FRESH_SECONDS:
            task = self._asking.get(url)
            if task is None:
                task = self._asking[url] = asyncio.create_task(self._ask(url), name="remote-keys")
            await asyncio.shield(task)
        return self.content(url) is not None

    async def _ask(self, url: str) -> None:
        before = self._entries.pop(url, None)
        try:
            content: bytes | None = await self._get(url)
        except TidegateError as error:
            self._findings.report("keys_not_fetched", "process:keys", f"{url}: {error.message}")
            content = before.content if before is not None else None
        finally:
            del self._asking[url]
        while len(self._entries) >= MAX_URLS:
            del self._entries[next(iter(self._entries))]
        self._entries[url] = _Entry(content, self._clock.monotonic())
