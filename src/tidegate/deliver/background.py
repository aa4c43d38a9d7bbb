"""Work that the engine does on its own: retried while the store is unavailable, logged when it fails for good.

Owns the background tasks of one engine. May not know what they do. Invariant: each piece of work may run any number of
times, because it first reads what is left to do. Crash: the node that takes the partition finds the work undone and
does it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from tidegate.core.errors import TidegateError

RETRY_SECONDS = 1.0
log = logging.getLogger("tidegate.deliver")


async def retry_until_done(work: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
    """Return when `work` succeeded, or failed in a way that another try cannot change (which is logged)."""
    while True:
        try:
            await work(*arguments)
        except TidegateError as error:
            if error.retryable:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            log.warning("%s was not done: %s (%s)", work.__name__.strip("_"), error.message, error.code)
        except Exception:  # the outermost handler of a task that nothing awaits
            log.exception("%s was not done", work.__name__.strip("_"))
        return


class BackgroundTasks:
    """The running tasks; they end by themselves or with `cancel`."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Run `work(*arguments)` in a task of its own, with `retry_until_done`."""
        task = asyncio.get_running_loop().create_task(retry_until_done(work, *arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()
