"""The tokens of credentials: one sealed row for each, and the lock under which it is refreshed.

Owns the protocol `Credentials`, which `sqlite/credentials.py` and `postgres/credentials.py` implement. Bodies arrive
sealed: this layer never sees a token. A lock has an owner, an end by the clock of the store, and a fence that grows
with each lock; a write with an older fence changes nothing. `attempts` counts the refreshes that were sent and not
answered. Each call is one transaction: after a crash its change is stored completely or not at all, and the lock of a
crashed process ends by itself.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class SealedToken(msgspec.Struct, frozen=True):
    """The row of one credential. `body` is b"" before the first token."""

    name: str  # "credential/google", "source/shop", "destination/crm"
    body: bytes
    fence: int
    attempts: int  # refreshes that were announced and not answered, since the last `put`


class Credentials(Protocol):
    """Sealed tokens and their locks."""

    async def get(self, name: str) -> SealedToken | None:
        """The row as it is now; None when there never was a token."""
        ...

    async def names(self) -> list[str]:
        """The names of all rows, sorted."""
        ...

    async def lock(self, name: str, owner: str, seconds: float) -> SealedToken | None:
        """Lock a credential for `seconds` and return its row with the new fence. None while another lock lasts."""
        ...

    async def announce(self, name: str, fence: int) -> bool:
        """Count one more attempt, before a request that may use up the grant is sent. False: the lock is gone."""
        ...

    async def put(self, name: str, fence: int, body: bytes) -> bool:
        """Store a body, set `attempts` to 0 and release the lock. False: the lock is gone, and nothing was changed."""
        ...

    async def release(self, name: str, fence: int) -> None:
        """Release the lock without a change. Does nothing when the lock is gone."""
        ...

    async def delete(self, name: str) -> None:
        """Delete the row of a credential that is not configured any more."""
        ...
