"""The state of a delivery that fails while it is read is never that of one that ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.gateway.running import publish, running, until
from support.receiver.scripted import ScriptedServer, answer
from tidegate.core.model import DeliveryState

FAILS = answer(b"HTTP/1.1 500 Failed\r\ncontent-length: 0\r\n\r\n")


async def test_a_delivery_that_fails_between_two_reads_is_pending(tmp_path: Path) -> None:
    async with ScriptedServer(FAILS) as receiver:
        toml = f"""
[sources.shop.publish]
[destinations.d]
url = "{receiver.url}/"
retry = ["1h"]
[routes.r]
from = "shop"
to = "d"
"""
        async with running(tmp_path, toml) as gateway:
            number, deliveries = gateway.active.destinations["d"].number, gateway.store.deliveries
            read = deliveries.deferred

            async def then_it_fails(**asked: Any) -> Any:
                rows = await read(**asked)
                if not receiver.requests:
                    await publish(gateway)
                    await until(lambda: receiver.requests and gateway.deliver.health(number).in_flight == 0)
                return rows

            deliveries.deferred = then_it_fails  # type: ignore[method-assign]
            offset = gateway.store.log.published_offset + 1
            views = await gateway.deliver.states([(offset, number)])
            assert views[offset, number].state is DeliveryState.PENDING
