"""The advisory lock that shows that a node lives: held by its session, freed by the server when the process is gone.

Owns which fence's lock the session holds. Invariant: a node never holds the lock of two fences. After a cut the lock is
taken again with the new session, before other nodes consider this one dead; after a crash the server frees it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidegate.store.postgres.engine import Engine, sql

_KEY = 0x7FFFFFFF  # the key of an advisory lock has 32 bits


def lock_key(fence: int) -> int:
    """The key of a fence's lock, as stored in the node's row."""
    return fence & _KEY


class SessionLock:
    """`fence` returns the current fence of the node, 0 without a lease."""

    def __init__(self, engine: Engine, fence: Callable[[], int]) -> None:
        self._session = engine.session
        self._fence = fence
        self._sql = sql("leases")
        self._held = 0  # the fence whose lock the session holds; 0: none

    def start(self) -> None:
        self._session.on_lost(self._lost)
        self._session.on_new(self._take_again)

    async def hold(self, fence: int) -> None:
        """Have the session hold the lock of a fence instead of that of an older one; 0 holds none."""
        if self._held == fence:
            return
        if self._held:
            await self._session.fetchval(self._sql["free_session"], lock_key(self._held))
            self._held = 0
        # After a cut the server may still hold the lock for the old session: then this is tried again.
        if fence and await self._session.fetchval(self._sql["hold_session"], lock_key(fence)):
            self._held = fence

    def _lost(self) -> None:
        self._held = 0

    async def _take_again(self, connection: Any) -> None:
        fence = self._fence()
        if fence and await connection.fetchval(self._sql["hold_session"], lock_key(fence)):
            self._held = fence
