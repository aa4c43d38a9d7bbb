"""One call of a real object held back until the test lets it go, so that what happens meanwhile is exact.

The real call is made, before or after the wait; nothing else of the object is changed.
"""

from __future__ import annotations

import asyncio
from typing import Any


class PausedCall:
    """`async with Held(store.settings, "put_items") as held:` holds the first call of it.

    `reached` is set when the call stands still, `go` lets it on; the end of the block lets it on too. With `after` the
    real call is made first, and only its answer is late.
    """

    def __init__(self, owner: Any, name: str, *, after: bool = False) -> None:
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        self._owner = owner
        self._name = name
        self._after = after
        self._real = getattr(owner, name)

    async def __aenter__(self) -> PausedCall:
        setattr(self._owner, self._name, self._call)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.go.set()
        delattr(self._owner, self._name)

    async def _call(self, *args: Any, **kwargs: Any) -> Any:
        if self.reached.is_set():
            return await self._real(*args, **kwargs)
        self.reached.set()
        answer = await self._real(*args, **kwargs) if self._after else None
        async with asyncio.timeout(20):
            await self.go.wait()
        return answer if self._after else await self._real(*args, **kwargs)


async def meanwhile(*work: Any, seconds: float = 0.2) -> list[asyncio.Task[Any]]:
    """Start what happens meanwhile, and give it time to be done, as far as it can be done."""
    tasks = [asyncio.ensure_future(one) for one in work]
    await asyncio.wait(tasks, timeout=seconds)
    return tasks
