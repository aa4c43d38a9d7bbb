"""Settings between nodes on one PostgreSQL: who is notified of a change, and when two nodes make the same."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from support.postgres.server import server
from tidegate.core.errors import Conflict, StoreBusy
from tidegate.store import ApiKey, FeedAck, Item
from tidegate.store.postgres.engine import Engine
from tidegate.store.postgres.settings import WATCH_SECONDS, PostgresSettings

SLOW = 5.0


def item(name: str) -> Item:
    return Item("destination", name, 0, "api", b"sealed", 1, 5, 5)


async def opened(url: str) -> tuple[Engine, PostgresSettings]:
    engine = Engine(url)
    await engine.open()
    settings = PostgresSettings(engine)
    await settings.load()
    return engine, settings


def with_two(work):
    async def main():
        url = server().new_database()
        (one, a), (other, b) = await opened(url), await opened(url)
        try:
            await work(a, b, other)
        finally:
            for settings, engine in ((a, one), (b, other)):
                await settings.close()
                await engine.close()
            server().drop_database(url)

    asyncio.run(main())


def test_a_change_of_another_node_is_announced_within_a_second_and_an_own_one_never():
    async def work(a, b, _):
        notified: list[str] = []
        heard = asyncio.Event()
        a.watch(lambda: notified.append("a"))
        b.watch(lambda: notified.append("b"))
        b.watch(heard.set)
        for change in (
            lambda: a.put_items([item("crm")]),
            lambda: a.route_revision("r", b"body", b"digest"),
            lambda: a.put_key(ApiKey("key_1", "ci", b"h" * 32, ("read",), (), 5, None)),
            lambda: a.put_key(None, delete="key_1"),
        ):
            notified.clear()
            heard.clear()
            await change()
            async with asyncio.timeout(SLOW):
                await heard.wait()
            assert notified == ["b"]
        notified.clear()
        await a.route_revision("r", b"sealed again", b"digest")  # nothing changed
        await a.value("x", put=b"1")
        await a.feed("f", ack=FeedAck(1, 1))
        await asyncio.sleep(WATCH_SECONDS + 0.3)
        assert notified == []

    with_two(work)


class LooksMeanwhile:
    """A connection on which `settings` looks at the version while its own change is on the way."""

    def __init__(self, connection, settings: PostgresSettings) -> None:
        self.connection = connection
        self.settings = settings

    async def fetchval(self, text: str):
        made = await self.connection.fetchval(text)
        await self.settings._look()
        return made


def test_an_own_change_is_known_as_own_though_a_look_falls_into_it():
    async def work(a, _b, _):
        notified: list[str] = []
        a._listeners.append(lambda: notified.append("a"))
        transaction = a._engine.work.transaction

        @contextlib.asynccontextmanager
        async def looking():
            async with transaction() as connection:
                yield LooksMeanwhile(connection, a)

        a._engine.work.transaction = looking
        await a.put_key(None)
        await a._look()
        assert notified == []

    with_two(work)


def test_a_change_is_found_without_a_notification_too():
    async def work(a, b, engine):
        heard = asyncio.Event()
        b.watch(heard.set)
        await engine.session.connection.reset()  # it listens to nothing any more
        await a.put_items([item("crm")])
        async with asyncio.timeout(SLOW):
            await heard.wait()

    with_two(work)


def test_a_change_between_opening_and_watching_is_announced():
    async def work(a, b, _):
        await a.put_items([item("crm")])
        heard = asyncio.Event()
        b.watch(heard.set)
        async with asyncio.timeout(SLOW):
            await heard.wait()

    with_two(work)


def test_two_nodes_that_make_the_same_name_are_not_both_right():
    async def work(a, b, _):
        await a.put_items([item("crm")])
        with pytest.raises(Conflict) as error:
            await b.put_items([item("shop"), item("crm")])
        assert error.value.code == "changed_elsewhere"
        assert [one.name for one in await b.items()] == ["crm"]  # nothing of the call was kept

    with_two(work)


def test_an_own_change_whose_commit_is_unknown_is_announced_like_that_of_another_node():
    async def work(a, _b, _):
        notified: list[str] = []
        a._listeners.append(lambda: notified.append("a"))
        transaction = a._engine.work.transaction

        @contextlib.asynccontextmanager
        async def cut():
            async with transaction() as connection:
                yield connection
            raise StoreBusy("the database does not answer: the answer to COMMIT was lost")

        a._engine.work.transaction = cut
        with pytest.raises(StoreBusy):
            await a.put_items([item("crm")])
        del a._engine.work.transaction
        await a._look()
        assert notified == ["a"], "it is in the store, and this node has not read it"

    with_two(work)
