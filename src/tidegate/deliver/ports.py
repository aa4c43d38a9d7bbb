"""What the parts of the deliver engine work with, as one object: store, configuration, transport, clock.

Owns the bundle and the protocols of what is neither in the store nor in this folder. May not know senders, commands
or the engine: those are given `Ports`. Invariant: imports go from the engine to senders to ports, never back. It holds
no state of its own, so a crash loses nothing here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.findings import Findings
from tidegate.deliver.background import BackgroundTasks
from tidegate.deliver.held_partitions import HeldPartitions
from tidegate.deliver.ranges import BulkRanges
from tidegate.deliver.settler import Settler
from tidegate.deliver.wanted import WantedIndex
from tidegate.outbound.credentials import Credentials
from tidegate.outbound.post import PostResult
from tidegate.rules.outbound.addresses import Target
from tidegate.runtime import ActiveConfiguration
from tidegate.store import Deliveries, Log, Settings

Ask = Callable[[int, bytes], Awaitable[bytes]]
Pause = Callable[[str, str], Awaitable[None]]


class InTransit(Protocol):
    """A request that a transport is sending."""

    def abort(self) -> None:
        """Stop it; `done` is not called afterward."""
        ...


class Transport(Protocol):
    """Sends one prepared request. `outbound.post` has the one for HTTP, `outbound.smtp` the one for mail."""

    def send(
        self, target: Target, head: bytes, body: bytes, timeout_seconds: float, done: Callable[[PostResult], None]
    ) -> InTransit:
        """Start the request. `done` is called exactly once, later, on the event loop, unless it is aborted."""
        ...


class Ports(msgspec.Struct, frozen=True):
    """Shared by all parts of one deliver engine.

    `ask(partition, call)`: the reply of the node that holds a partition; raises StoreBusy when none replies in time.
    `pause(destination, reason)`: pauses a destination in the configuration.
    """

    log: Log
    deliveries: Deliveries
    settings: Settings
    active: ActiveConfiguration
    pause: Pause
    transports: Mapping[str, Transport]  # by the name that a kind of destination gives
    clock: Clock
    ask: Ask
    findings: Findings
    held: HeldPartitions
    settler: Settler
    wanted: WantedIndex
    ranges: BulkRanges
    background: BackgroundTasks
    credentials: Credentials = msgspec.field(default_factory=Credentials)
