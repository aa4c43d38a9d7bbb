"""The log on PostgreSQL when the server, the network or a lock fails: 503 at once, and over when the cause is."""

from __future__ import annotations

import asyncio
import contextlib
import time

import asyncpg
import pytest

from support.faults.cuttable_connection import Connection
from support.gateway.running import until
from support.postgres.log import on_stores, raw, url_of
from support.postgres.server import server
from support.stores import audience, event
from tidegate.core.errors import StoreBroken, StoreBusy
from tidegate.store.postgres import open_postgres

LOCK = "SELECT pg_advisory_xact_lock(8420, 1)"


class CutsAnswers:
    """A wire to the server that passes what is sent, and cuts a connection at the answer to anything with `mark`."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self.cuts = 0
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, direct):
        return direct.replace(str(server().port), str(self._server.sockets[0].getsockname()[1]))

    async def _accept(self, reader, writer):
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", server().port)
        doomed = asyncio.Event()
        for source, sink, outward in ((reader, onward_writer, True), (onward_reader, writer, False)):
            task = asyncio.create_task(self._forward(source, sink, doomed, outward, (writer, onward_writer)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, source, sink, doomed, outward, both):
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if outward and self.mark in data:
                    doomed.set()
                if not outward and doomed.is_set():
                    self.cuts += 1
                    break
                sink.write(data)
                await sink.drain()
        for one in both:
            one.transport.abort()


def test_a_connection_lost_after_the_commit_was_sent_answers_503_and_the_resend_finds_the_first_copy():
    direct = server().new_database()

    async def work(_):
        async with CutsAnswers(b"cut the answer to this") as wire:
            store = await open_postgres(wire.url(direct))
            number = await audience(store)
            published = []
            store.log.subscribe(lambda events: published.extend(one.offset for one in events))
            await store.log.append([event(number)])
            given = event(number, b"cut the answer to this", dedupe_id="d", body_hash=b"h")
            with pytest.raises(StoreBusy):
                await store.log.append([given])
            assert wire.cuts == 1
            wire.mark = b"nothing any more"
            await until(lambda: not store.log.stuck)
            (again,) = await store.log.append([given])
            assert (again.offset, again.duplicate, again.differs) == (2, True, False)
            await until(lambda: published == [1, 2])
            assert (await store.deliveries.counters()).audiences[0][1] == 2
            await store.close()

    on_stores(work, url=direct)


@pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
def test_a_server_restart_answers_503_at_once_and_is_over_when_the_server_accepts(how):
    postgres = server()

    async def work(store):
        number = await audience(store)
        published = []
        store.log.subscribe(lambda events: published.extend(one.offset for one in events))
        before = await store.log.append([event(number, dedupe_id="before", body_hash=b"h")])
        await asyncio.to_thread(postgres.kill if how == "kill" else lambda: postgres.stop(how))
        asked = time.monotonic()
        await until(lambda: store.log.stuck, 3)
        while time.monotonic() - asked < 1:
            began = time.monotonic()
            with pytest.raises(StoreBusy):
                await store.log.append([event(number)])
            assert time.monotonic() - began < 1.5
            assert store.log.stuck
            await asyncio.sleep(0.1)
        postgres.start(wait=False)
        while not await asyncio.to_thread(postgres.accepts):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
        accepted = time.monotonic()
        await until(lambda: not store.log.stuck)
        after = await store.log.append([event(number)])
        back = time.monotonic() - accepted
        assert back < 3, f"{back:.2f} s"  # 0.2 s on an idle machine
        assert after[0].offset > before[0].offset
        (again,) = await store.log.append([event(number, dedupe_id="before", body_hash=b"h")])
        assert (again.offset, again.duplicate) == (before[0].offset, True)
        assert published == [before[0].offset, after[0].offset]

    try:
        on_stores(work)
    finally:
        if not postgres.running:
            postgres.start()


def test_a_lock_that_is_held_answers_503_within_a_second_and_nothing_hangs():
    async def work(store):
        number = await audience(store)
        other = await asyncpg.connect(url_of(store))
        transaction = other.transaction()
        await transaction.start()
        await other.fetchval(LOCK)
        began = time.monotonic()
        appends = [store.log.append([event(number, dedupe_id=f"d{n}")]) for n in range(5)]
        await until(lambda: store.log.stuck, 3)
        answers = await asyncio.gather(*appends, return_exceptions=True)
        assert all(isinstance(one, StoreBusy) for one in answers)
        assert time.monotonic() - began < 3  # 1.0 s on an idle machine
        assert store.log.waiting == 0
        await transaction.rollback()
        await other.close()
        await until(lambda: not store.log.stuck)
        again = await asyncio.gather(*(store.log.append([event(number, dedupe_id=f"d{n}")]) for n in range(5)))
        assert len({one.offset for (one,) in again}) == 5
        assert (await store.deliveries.counters()).audiences[0][1] == 5

    on_stores(work)


def test_a_network_that_falls_silent_answers_503_within_a_second_and_recovers_with_it():
    direct = server().new_database()

    async def work(_):
        wire = await Connection(server().port).start()
        store = await open_postgres(direct.replace(str(server().port), str(wire.port)))
        number = await audience(store)
        published = []
        store.log.subscribe(lambda events: published.extend(one.offset for one in events))
        wire.go_silent()
        began = time.monotonic()
        with pytest.raises(StoreBusy):
            await store.log.append([event(number, dedupe_id="d", body_hash=b"h")])
        assert time.monotonic() - began < 3  # 1.0 s on an idle machine
        assert store.log.stuck
        wire.recover()
        await until(lambda: not store.log.stuck)
        (one,) = await store.log.append([event(number, dedupe_id="d", body_hash=b"h")])
        assert one.offset in published
        assert (await store.deliveries.counters()).audiences[0][1] == 1
        await store.close()
        await wire.stop()

    on_stores(work, url=direct)


def test_an_event_that_cannot_be_stored_fails_alone():
    async def work(store):
        number = await audience(store)
        appends = [
            store.log.append([event(number)]),
            store.log.append([event(number, occurred_at_us=1 << 70)]),
            store.log.append([event(number)]),
        ]
        first, bad, last = await asyncio.gather(*appends, return_exceptions=True)
        assert isinstance(bad, Exception)
        assert first[0].offset < last[0].offset

    on_stores(work)


def test_a_connection_that_is_made_while_events_come_is_of_the_same_database():
    class SlowAnswers:
        """A connection whose answers come after something more was sent."""

        def __init__(self, store, connection):
            self.store, self.connection = store, connection

        async def fetchrow(self, *words):
            row = await self.connection.fetchrow(*words)
            (appended,) = await self.store.log.append([event(2)])
            await until(lambda: self.store.log.published_offset >= appended.offset)
            return row

    async def work(store):
        await store.log.append([event(1)])
        connection = await raw(store)
        try:
            await store.log._check_database(SlowAnswers(store, connection))
            await store.log.append([event(3)])
            await connection.execute('DELETE FROM events WHERE "offset" = (SELECT max("offset") FROM events)')
            with pytest.raises(StoreBroken):
                await store.log._check_database(connection)
        finally:
            await connection.close()

    on_stores(work)
