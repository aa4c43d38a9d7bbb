"""The store: the ten protocols of one database, opened together.

Owns the protocol `Store`, which `sqlite/` and `postgres/` implement. A call that raises StoreBusy or StoreBroken
acknowledged nothing, and its outcome is unknown: every operation is idempotent or recognizes a repeated call. Fenced
means that this node lost its lease: nothing was changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tidegate.store.budgets import Budgets
from tidegate.store.conflicts import Conflicts
from tidegate.store.credentials import Credentials
from tidegate.store.deliveries import Deliveries
from tidegate.store.facts import StoreFacts
from tidegate.store.leases import Leases
from tidegate.store.log import Log
from tidegate.store.operations import Operations
from tidegate.store.records import Records
from tidegate.store.rollups import Rollups
from tidegate.store.settings import Settings


class Store(Protocol):
    """All ten protocols."""

    @property
    def log(self) -> Log: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def records(self) -> Records: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def credentials(self) -> Credentials: ...
    @property
    def operations(self) -> Operations: ...
    @property
    def rollups(self) -> Rollups: ...
    @property
    def budgets(self) -> Budgets: ...
    @property
    def conflicts(self) -> Conflicts: ...
    @property
    def leases(self) -> Leases: ...

    async def close(self) -> None: ...

    async def backup(self, path: str, progress: Callable[[int, int], None] | None = None) -> None:
        """A consistent copy of the running store at `path`, which must not exist. progress(done, total) in pages."""
        ...

    def on_failure(self, callback: Callable[[BaseException], None]) -> None:
        """Call `callback` once on the loop when the state became unknown: stop, and recover at the next start."""
        ...

    async def facts(self) -> StoreFacts:
        """Facts for doctor and retention: path or server, sizes, and the settings of durability as read back."""
        ...
