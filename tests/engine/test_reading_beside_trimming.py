"""Feeds and streams while retention trims the log: what they did not get to see, they say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.faults.paused_call import PausedCall
from support.gateway.deployment import DEPLOYMENTS, Deployment
from support.gateway.running import publish, run
from tidegate.core.errors import Gone
from tidegate.core.ids import event_id
from tidegate.process.gateway import Gateway
from tidegate.query import cursors, feeds
from tidegate.query.events import EventFilter
from tidegate.query.stream import Hub

TOML = "[sources.shop.publish]\n"
ALL = EventFilter()


@pytest.fixture(params=DEPLOYMENTS)
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    return DEPLOYMENTS[request.param](tmp_path)


def on(deployment: Deployment, work: Callable[[Gateway], Awaitable[None]]) -> None:
    async def main() -> None:
        async with deployment.running(TOML) as gateway:
            await work(gateway)

    run(main)


def test_a_feed_does_not_pass_over_what_is_trimmed_while_it_is_read(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        offsets = [await publish(gateway) for _ in range(6)]
        await feeds.ack(gateway, "f", cursors.encode_offset(cursors.AFTER, offsets[0]))
        async with PausedCall(gateway.store.log, "page") as held:
            reading = asyncio.ensure_future(feeds.read(gateway, "f", limit=10, wanted=ALL))
            await held.reached.wait()
            await gateway.store.log.trim(offsets[3], 100)
            held.go.set()
            with pytest.raises(Gone) as error:
                await reading
        assert error.value.code == "feed_expired"
        cursor = error.value.oldest_cursor  # type: ignore[attr-defined]
        await feeds.ack(gateway, "f", cursor)
        page = await feeds.read(gateway, "f", limit=10, wanted=ALL)
        assert [one.offset for one in page.data] == offsets[4:]

    on(deployment, work)


def test_a_stream_that_resumes_says_what_was_trimmed_while_it_was_behind(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        offsets = [await publish(gateway) for _ in range(6)]
        instance = gateway.store.log.instance
        stream = Hub(gateway.store.log).open(ALL, last_event_id=event_id(instance, offsets[0]), allowed=None)
        chunks = stream.chunks()
        assert (await anext(chunks)).startswith(b"retry")
        async with PausedCall(gateway.store.log, "page") as held:
            first = asyncio.ensure_future(anext(chunks))  # type: ignore[arg-type]
            await held.reached.wait()
            await gateway.store.log.trim(offsets[3], 100)
            held.go.set()
            text = await first
        assert text.startswith(b"event: expired") and event_id(instance, offsets[4]).encode() in text
        rest = [await anext(chunks) for _ in offsets[4:]]
        assert [event_id(instance, offset).encode() in chunk for offset, chunk in zip(offsets[4:], rest, strict=True)]
        stream.close()
        await chunks.aclose()  # type: ignore[attr-defined]

    on(deployment, work)
