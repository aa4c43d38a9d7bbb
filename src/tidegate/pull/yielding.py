"""Cooperative yielding: code that parses or compares many items gives the event loop a turn in between.

One event loop serves the whole process; a page of ten thousand items takes a tenth of a second to work through.
Owns nothing and cannot fail.
"""

from __future__ import annotations

import asyncio

SLICE_SECONDS = 0.004


class Yielder:
    """`await yielder.pause()` after each item: gives the loop a turn when a slice is used up."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + SLICE_SECONDS

    async def pause(self) -> None:
        if self._loop.time() >= self._until:
            await asyncio.sleep(0)
            self._until = self._loop.time() + SLICE_SECONDS
