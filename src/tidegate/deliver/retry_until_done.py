"""Work that the engine does by itself, to its end: while the store is away it is tried again, a fault of ours is told.

Each piece may be tried any number of times: it asks first what is still to be done. Crash: whoever takes the partition
finds it undone and does it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from tidegate.core.errors import TidegateError

AGAIN_SECONDS = 1.0
log = logging.getLogger("tidegate.deliver")


async def retry_until_done(work: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
    """Returns when `work` is done, or can never be."""
    while True:
        try:
            await work(*arguments)
        except TidegateError as error:
            if error.retryable:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            log.warning("%s was not done: %s (%s)", work.__name__.strip("_"), error.message, error.code)
        except Exception:  # the last border of a task that nobody awaits
            log.exception("%s was not done", work.__name__.strip("_"))
        return
