"""What the answer door sees of the gateway: the store, the active configuration, states and costs. Nothing else.

The gateway fits this without knowing it, so this door imports no engine and no engine imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tidegate.core.clock import Clock
from tidegate.core.model import DeliveryView
from tidegate.runtime import ActiveConfiguration
from tidegate.store import Store


class Health(Protocol):
    """Of a sender: is its destination well."""

    @property
    def circuit(self) -> str: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def rate_per_minute(self) -> float: ...
    @property
    def hold_until_us(self) -> int | None: ...
    @property
    def last_error(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def status(self) -> int | None: ...
    @property
    def opened_at_us(self) -> int | None: ...
    @property
    def probe_at_us(self) -> int | None: ...


class States(Protocol):
    """Of the deliver engine: the state of each (offset, destination) that is a delivery, and each sender's health."""

    def health(self, destination: int) -> Health: ...

    async def states(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], DeliveryView]: ...


class Costs(Protocol):
    """Of the pull engine: what each resource costs and brings, by `SOURCE/RESOURCE`."""

    async def refresh(self) -> None: ...

    def statistics(self) -> dict[str, dict[str, Any]]: ...


class ReadContext(Protocol):
    @property
    def store(self) -> Store: ...
    @property
    def active(self) -> ActiveConfiguration: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def deliver(self) -> States: ...
    @property
    def pull(self) -> Costs: ...
