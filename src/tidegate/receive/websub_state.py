"""What is stored of WebSub subscriptions: one sealed value for all of them.

Owns the shape of a subscription and its compare-and-set. May not know requests. A hub's verification reaches any node,
while one node asks the hub, so every change reads the stored value first. Invariant: a request to a hub is stored
before it is sent, so a verification that comes before the hub's answer, or after a crash, is known. Crash: the value is
whole or unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from tidegate.core.errors import StoreBusy
from tidegate.store import Settings
from tidegate.vault import Vault

T = TypeVar("T")
_NAME = "websub"
_TRIES = 20

Identity = tuple[str, str, str, str]
"""(source, topic, hub, callback): what the configuration says; another one is another subscription."""


class Subscription(msgspec.Struct, omit_defaults=True):
    """One subscription. Times are microseconds since 1970, 0 for never."""

    source: str
    topic_url: str  # as configured
    hub_url: str  # as configured, "" when the topic names it
    callback: str  # without the token
    token: str  # makes the address unguessable
    lease_seconds: float  # to ask for
    topic: str = ""  # as the hub knows it
    hub: str = ""
    secret: str = ""  # that the hub signs with
    asked_secret: str = ""  # of the request that is not verified yet
    pending: str = ""  # the mode that was asked and is not verified
    asked_at_us: int = 0
    verified_at_us: int = 0
    ends_at_us: int = 0
    next_at_us: int = 0  # when there is something to do
    failures: int = 0  # in a row
    error: str = ""
    denied: bool = False
    leaving: bool = False  # not configured any more

    @property
    def identity(self) -> Identity:
        return (self.source, self.topic_url, self.hub_url, self.callback)

    @property
    def address(self) -> str:
        return f"{self.callback}?token={self.token}"

    def active(self, now_us: int) -> bool:
        return self.ends_at_us > now_us

    def left_seconds(self, now_us: int) -> float:
        return max(0, self.ends_at_us - now_us) / 1_000_000


class StoredSubscriptions:
    """The value in the store. Raises StoreBusy when other nodes change it all the time."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self._settings = settings
        self._vault = vault

    async def load(self) -> list[Subscription]:
        return self._read(await self._settings.value(_NAME))

    async def change(self, apply: Callable[[list[Subscription]], T]) -> T:
        """Apply a change to the stored subscriptions. `apply` may be called several times."""
        for _ in range(_TRIES):
            was = await self._settings.value(_NAME)
            before, found = self._read(was), self._read(was)
            result = apply(found)
            if found == before:
                return result
            put = self._vault.seal(msgspec.json.encode(found), _NAME)
            if await self._settings.swap(_NAME, was, put):
                return result
        raise StoreBusy("other nodes change the subscriptions", retry_after_seconds=1)

    async def change_one(self, identity: Identity, apply: Callable[[Subscription], T]) -> T | None:
        """The same for one subscription; None when there is none any more."""

        def change(found: list[Subscription]) -> T | None:
            return next((apply(one) for one in found if one.identity == identity), None)

        return await self.change(change)

    async def remove(self, identity: Identity) -> None:
        def change(found: list[Subscription]) -> None:
            found[:] = [one for one in found if one.identity != identity]

        await self.change(change)

    def _read(self, sealed: bytes | None) -> list[Subscription]:
        if not sealed:
            return []
        return msgspec.json.decode(self._vault.open(sealed, _NAME), type=list[Subscription])
