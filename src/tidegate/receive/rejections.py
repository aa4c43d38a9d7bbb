"""Keeps rejected requests for the operator in a bounded ring of the store.

Owns the rejections that are not written yet. A rejection costs a request one append to a list; a background task
writes them in batches, and what does not fit into one batch becomes a finding. Of requests to unknown addresses, which
anybody can send, a few a minute are kept. Knows no HTTP.
Crash: rejections that are not written yet are lost. The store keeps 1,000, as many of each source as of the others.
"""

from __future__ import annotations

import asyncio
import logging

from tidegate.core.errors import TidegateError
from tidegate.core.findings import Findings
from tidegate.store import Rejection, Settings

log = logging.getLogger("tidegate.receive")

UNKNOWN = "source_unknown"
UNKNOWN_PER_MINUTE = 5  # requests to unknown addresses: strangers must not push the others out of the list
PER_WRITE = 100  # rejections kept of one burst; the others are only counted
DELAY_SECONDS = 0.2


class RejectionRing:
    """Collects rejections and writes them together. Call it on the event loop only."""

    def __init__(self, settings: Settings, findings: Findings) -> None:
        self._settings = settings
        self._findings = findings
        self._pending: list[Rejection] = []
        self._unknown = (0, 0)  # (minute, requests to unknown addresses in it)
        self._task: asyncio.Task[None] | None = None

    def add(self, rejection: Rejection) -> None:
        """Remember a rejection. Returns at once; the write follows within `DELAY_SECONDS`."""
        unknown = rejection.reason == UNKNOWN
        if len(self._pending) < PER_WRITE and not (unknown and self._too_many_unknown(rejection.at_us)):
            self._pending.append(rejection)
        else:
            # The name of an unknown source is the sender's choice, so it is not a subject.
            subject = "source:unknown" if unknown else f"source:{rejection.source}"
            self._findings.report("rejections_dropped", subject, rejection.reason)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_soon(), name="rejections")

    def _too_many_unknown(self, at_us: int) -> bool:
        minute = at_us // 60_000_000
        count = self._unknown[1] + 1 if self._unknown[0] == minute else 1
        self._unknown = (minute, count)
        return count > UNKNOWN_PER_MINUTE

    async def close(self) -> None:
        """Write what is pending."""
        if self._task is not None:
            await asyncio.wait({self._task})
        await self._write()  # those that arrived during that write

    async def _write_soon(self) -> None:
        try:
            await asyncio.sleep(DELAY_SECONDS)
            await self._write()
        finally:
            self._task = None

    async def _write(self) -> None:
        rows, self._pending = self._pending, []
        if rows:
            try:
                await self._settings.rejections(put=rows, limit=1)
            except TidegateError as error:
                log.warning("rejections could not be stored: %s", error.message)
                self._findings.report("rejections_not_stored", "store:rejections", error.message, count=len(rows))
