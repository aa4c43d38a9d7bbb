"""Deletes the stored tokens of credentials that the configuration no longer has.

Owns which rows are unused, and since when: in the store, so that a restart does not lengthen it. They are kept for a
day, so that a key that was commented out by mistake costs nobody a consent. May not know tokens. Crash: a row that was
not deleted is deleted by the next run.
"""

from __future__ import annotations

import logging

import msgspec

from tidegate.core.clock import Clock
from tidegate.runtime import ActiveConfiguration
from tidegate.runtime.credential_use import credential_owners
from tidegate.store import Store

log = logging.getLogger("tidegate.maintenance")
KEPT_US = 24 * 3600 * 1_000_000
_VALUE = "unused_credentials"


class UnusedCredentials:
    """Run by the node that deletes events."""

    def __init__(self, store: Store, active: ActiveConfiguration, clock: Clock) -> None:
        self._store = store
        self._active = active
        self._clock = clock

    async def run(self) -> list[str]:
        """Note what is unused, and delete what has been for a day. Returns the names of deleted rows."""
        active = self._active
        configured = {
            one.key
            for one in credential_owners(
                {name: one.spec for name, one in active.credentials.items()},
                {name: one.spec for name, one in active.sources.items()},
                {name: one.spec for name, one in active.destinations.items()},
            )
        }
        unused = [name for name in await self._store.credentials.names() if name not in configured]
        stored = await self._store.settings.value(_VALUE)
        known = msgspec.json.decode(stored, type=dict[str, int]) if stored else {}
        now_us = self._clock.now_us()
        since = {name: min(now_us, known.get(name, now_us)) for name in unused}
        over = [name for name, at_us in since.items() if now_us - at_us >= KEPT_US]
        for name in over:
            await self._store.credentials.delete(name)
            log.info("the stored token of %s was deleted: it is not configured any more", name)
        kept = {name: at_us for name, at_us in since.items() if name not in over}
        if kept != known:
            await self._store.settings.value(_VALUE, put=msgspec.json.encode(kept))
        return over
