"""Rounds of the alert engine of a running gateway, with a clock that the test moves, and the events that they made."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from tidegate.core.clock import ManualClock
from tidegate.core.model import Event
from tidegate.process.gateway import Gateway
from tidegate.store import EventQuery


async def settled(gateway: Gateway, wait: float = 0.02) -> None:
    """Wait until nothing is in flight, and store all results."""
    for _ in range(500):
        await asyncio.sleep(wait)
        if not any(sender.flights for sender in gateway.deliver.senders.values()):
            break
    await gateway.deliver.settler.flush()


async def step(gateway: Gateway, seconds: float) -> int:
    """Move the clock, let senders send what is due, and run a round; the number of events that it appended."""
    assert isinstance(gateway.clock, ManualClock)
    gateway.clock.advance(seconds)
    for sender in list(gateway.deliver.senders.values()):
        sender.pump()
    await settled(gateway)
    made = await gateway.alerts.run_once()
    await settled(gateway)
    return made


async def system_events(gateway: Gateway) -> list[Event]:
    """All system events, oldest first."""
    page = await gateway.store.log.page(EventQuery(source="tidegate", ascending=True, after=0, limit=1000))
    return list(page.events)


async def types(gateway: Gateway) -> list[str]:
    return [event.type for event in await system_events(gateway)]


def data(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(event.body)
    return found


async def alerts_of(gateway: Gateway) -> Any:
    """What the API answers."""
    from tidegate.query.alerts import list_alerts

    return await list_alerts(gateway)
