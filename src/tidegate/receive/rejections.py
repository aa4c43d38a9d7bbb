"""Keeps rejected requests for the operator in a bounded ring of the store.

Owns the rejections that are not written yet. A rejection costs a request one append to a list; a background task
writes them in batches, and what does not fit into one batch becomes a finding. Knows no HTTP and no reasons.
Crash: rejections that are not written yet are lost. The store keeps the newest 1,000.
"""

from __future__ import annotations

import asyncio
import logging

from tidegate.core.errors import TidegateError
from tidegate.core.findings import Findings
from tidegate.store import Rejection, Settings

log = logging.getLogger("tidegate.receive")

PER_WRITE = 100  # rejections kept of one burst; the others are only counted
DELAY_SECONDS = 0.2


class RejectionRing:
    """Collects rejections and writes them together. Call it on the event loop only."""

    def __init__(self, settings: Settings, findings: Findings) -> None:
        self._settings = settings
        self._findings = findings
        self._pending: list[Rejection] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, rejection: Rejection) -> None:
        """Remember a rejection. Returns at once; the write follows within `DELAY_SECONDS`."""
        if len(self._pending) < PER_WRITE:
            self._pending.append(rejection)
        else:
            self._findings.report("rejections_dropped", f"source:{rejection.source}", rejection.reason)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_soon(), name="rejections")

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
