"""A real gateway in this process, without the HTTP API: store, engines and door on a temporary folder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from support.postgres.server import chosen
from tidegate.core.clock import Clock
from tidegate.core.model import NewEvent, Origin
from tidegate.process.gateway import Gateway, ServeOptions, open_gateway
from tidegate.rules.language.view import event_view

T = TypeVar("T")
ALLOW = '[egress]\nallow = ["127.0.0.1/32"]\n'


@contextlib.asynccontextmanager
async def running(
    folder: Path, toml: str, clock: Clock | None = None, database: str | None = None
) -> AsyncIterator[Gateway]:
    """Open, start, yield, stop. The same folder (and database) again is a restart."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a test may block
    file = folder / "tidegate.toml"
    file.write_text(ALLOW + toml)
    options = ServeOptions(config=file, data=folder / "data", port=1, database=chosen(folder, database))
    gateway = await open_gateway(options, {}, clock)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


async def publish(gateway: Gateway, data: bytes = b"{}", *, source: str = "shop", type: str = "t", **more: Any) -> int:
    """Append one event through the routing of the active configuration; its offset."""
    event = NewEvent(source, type, Origin.PUBLISH, gateway.clock.now_us(), 0, data, "application/json", **more)
    number = gateway.active.decide(source, type, lambda: event_view(event))
    if number is None:
        number = await gateway.active.decide_slow(source, type, lambda: event_view(event))
    event.audience = number
    return (await gateway.store.log.append([event]))[0].offset


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run on the loop that `tidegate serve` runs on: it differs from asyncio's own in more than speed."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


async def until(condition: Callable[[], Any], seconds: float = 30.0, *, every_seconds: float = 0.01) -> None:
    """Wait until a condition holds; AssertionError when it does not in time. A coroutine function is awaited."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return
        assert asyncio.get_running_loop().time() < end, f"not in {seconds} s: {condition}"
        await asyncio.sleep(every_seconds)


async def counters(gateway: Gateway) -> dict[str, dict[str, int]]:
    """The counters by destination, worked out here by arithmetic from what the store keeps, and checked to balance."""
    await gateway.deliver.settler.flush()
    kept = await gateway.store.deliveries.counters()
    lanes = {lane.destination: lane for lane in kept.lanes}
    found = {}
    for destination in gateway.active.destinations.values():
        number = destination.number
        owed = sum(count for one, count in kept.audiences if number in dict(one.wanted))
        lane = lanes.get(number)
        settled = (lane.delivered, lane.exhausted, lane.canceled) if lane else (0, 0, 0)
        adopted = lane.adopted if lane else 0
        found[destination.name] = dict(
            zip(("delivered", "exhausted", "canceled"), settled, strict=True),
            pending=owed + adopted - sum(settled),
            owed=owed + adopted,
        )
    return found
