"""The part of the gateway that queries read: store, active configuration, senders' health, resource figures, findings.

The gateway matches these protocols without importing them, so queries import no engine and no engine imports queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tidegate.core.clock import Clock
from tidegate.core.figures import MailboxFigures, ResourceFigures, SubscriptionFigures
from tidegate.core.findings import Findings
from tidegate.core.model import DeliveryView
from tidegate.outbound.credentials import Credentials
from tidegate.outbound.post import PostStats
from tidegate.runtime import ActiveConfiguration
from tidegate.store import Store


class Health(Protocol):
    """The health of one destination, as its sender sees it."""

    @property
    def circuit(self) -> str: ...
    @property
    def failing(self) -> bool: ...
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


class DeliveryReads(Protocol):
    """Reads of the deliver engine: the state of each (offset, destination) that is a delivery, and senders' health."""

    def health(self, destination: int) -> Health: ...

    async def states(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], DeliveryView]: ...


class PullReads(Protocol):
    """Reads of the pull engine: the figures of each resource, by `SOURCE/RESOURCE`."""

    async def refresh(self) -> None: ...

    def statistics(self) -> dict[str, ResourceFigures]: ...


class MailReads(Protocol):
    """Reads of the mailbox engine: the figures of each mailbox, by source."""

    async def refresh(self) -> None: ...

    def statistics(self) -> dict[str, MailboxFigures]: ...


class WebSubReads(Protocol):
    """Reads of the WebSub engine: the state of each subscription, by source."""

    async def refresh(self) -> None: ...

    def statistics(self) -> dict[str, SubscriptionFigures]: ...


class ReadContext(Protocol):
    @property
    def store(self) -> Store: ...
    @property
    def active(self) -> ActiveConfiguration: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def deliver(self) -> DeliveryReads: ...
    @property
    def pull(self) -> PullReads: ...
    @property
    def mail(self) -> MailReads: ...
    @property
    def websub(self) -> WebSubReads: ...
    @property
    def findings(self) -> Findings: ...
    @property
    def credentials(self) -> Credentials: ...

    def ready(self) -> str | None:
        """None when requests are accepted, else the reason why not."""
        ...

    def connections(self) -> PostStats: ...
