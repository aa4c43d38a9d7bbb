"""A consumer whose requests go now to one node and now to another, which does not know the newest events yet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from support.postgres.server import server
from support.stores import AllOffered, audience, event
from tidegate.core.clock import Clock
from tidegate.core.ids import event_id
from tidegate.query import feeds
from tidegate.query.events import EventFilter
from tidegate.query.stream import Hub
from tidegate.store.postgres import open_postgres

SHOP = EventFilter(source="shop")


def with_two(work: Callable[[Any, Any], Awaitable[None]]) -> None:
    """`work(early, late)`: two stores on one database; the late one learns of no event by itself."""

    async def main() -> None:
        url = server().new_database()
        early, late = await open_postgres(url), await open_postgres(url)
        try:
            for store in (early, late):
                await store.leases.start(AllOffered(store))
            await late.log.follower.stop()
            await work(early, late)
        finally:
            for store in (late, early):
                await store.leases.stop()
                await store.close()
            server().drop_database(url)

    asyncio.run(main())


def context(store: Any) -> Any:
    return SimpleNamespace(store=store, clock=Clock())


def test_a_feed_of_one_source_passes_over_nothing_that_this_node_has_not_heard_of() -> None:
    async def work(early: Any, late: Any) -> None:
        number = await audience(early, wanted=((7, 7),))  # a decision that the late node never made
        (done,) = await early.log.append([event(number)])
        assert late.log.published_offset < done.offset and number not in late.log.audiences()
        page = await feeds.read(context(late), "f", limit=10, wanted=SHOP)
        assert [one.offset for one in page.data] == [done.offset]

    with_two(work)


def test_what_was_read_from_one_node_is_acknowledged_at_the_other() -> None:
    async def work(early: Any, late: Any) -> None:
        (done,) = await early.log.append([event(await audience(early))])
        page = await feeds.read(context(early), "f", limit=10, wanted=SHOP)
        assert late.log.published_offset < done.offset
        assert (await feeds.ack(context(late), "f", page.next_cursor)).committed_offset == done.offset

    with_two(work)


def test_a_stream_that_goes_on_at_another_node_repeats_nothing() -> None:
    async def work(early: Any, late: Any) -> None:
        number = await audience(early)
        seen, new = [(await early.log.append([event(number)]))[0].offset for _ in range(2)]
        instance = early.log.instance
        assert late.log.published_offset < seen
        stream = Hub(late.log).open(SHOP, last_event_id=event_id(instance, seen), allowed=None)
        chunks = stream.chunks()
        assert (await anext(chunks)).startswith(b"retry")
        first = asyncio.ensure_future(anext(chunks))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        late.log.follower._publish(await late.log.read([seen, new]))
        assert f"id: {event_id(instance, new)}\n".encode() in await first
        stream.close()
        await chunks.aclose()  # type: ignore[attr-defined]

    with_two(work)
