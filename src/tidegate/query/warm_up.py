"""Sums up the counts of a month in the background after a start, so that no reader of advice waits for it.

Owns one task: it begins when the gateway accepts requests, reads in slices with pauses, and comes back before the sums
are too old to be corrected. Without a resource it reads nothing. Reads only. A failure is logged and costs the next
reader some seconds. Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
import logging

from tidegate.core.errors import TidegateError
from tidegate.query.context import ReadContext

AGAIN_SECONDS = 6 * 3600.0  # sums that nobody read for longer than 12 hours are made again from the start
log = logging.getLogger("tidegate.query")


class WarmUp:
    """`start` once the gateway is ready; `stop` before the store closes."""

    def __init__(self, gateway: ReadContext) -> None:
        self._gateway = gateway
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="warm-up")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            if any(one.spec.resources for one in self._gateway.active.sources.values()):
                from tidegate.query import advice  # only where there is something to advise

                try:
                    await advice.warm(self._gateway)
                    log.info("the counts of a month are summed up")
                except TidegateError as error:
                    log.info("the counts of a month are summed up when somebody reads them: %s", error)
                except Exception:  # nothing awaits this task: its error would be lost
                    log.exception("the counts of a month could not be summed up ahead of their readers")
            await asyncio.sleep(AGAIN_SECONDS)
