"""What only the embedded store promises: its lock, its schema version, its sync setting, its backup."""

from __future__ import annotations

import asyncio
import stat
import threading

import apsw
import pytest

from support.stores import audience, event, with_store
from tidegate.core.errors import BadRequest, Conflict, SchemaTooNew, StoreBroken, StoreBusy, StoreLocked
from tidegate.store.sqlite import FILE_NAME, backup, open_sqlite


def test_a_second_gateway_on_the_same_directory_is_refused_and_named(tmp_path):
    async def work(store):
        with pytest.raises(StoreLocked) as caught:
            await open_sqlite(tmp_path)
        assert str(tmp_path) in caught.value.message
        assert "process" in caught.value.message

    with_store(open_sqlite, tmp_path, work)
    with_store(open_sqlite, tmp_path, lambda store: asyncio.sleep(0))  # free again


def test_a_newer_schema_is_refused_and_left_untouched(tmp_path):
    with_store(open_sqlite, tmp_path, lambda store: asyncio.sleep(0))
    path = tmp_path / FILE_NAME
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew):
        with_store(open_sqlite, tmp_path, lambda store: asyncio.sleep(0))
    assert path.read_bytes() == before


def test_the_writer_runs_in_wal_with_synchronous_full(tmp_path):
    async def work(store):
        facts = await store.facts()
        assert facts.synchronous == 2

    with_store(open_sqlite, tmp_path, work)


def test_a_backup_of_a_live_store_is_one_snapshot_that_opens(tmp_path):
    async def work(store):
        number = await audience(store)
        await store.log.append([event(number, b"x" * 5000) for _ in range(500)])
        stop = asyncio.Event()

        async def write_on():
            while not stop.is_set():
                await store.log.append([event(number, b"y" * 5000)])

        writer = asyncio.create_task(write_on())
        await store.backup(str(tmp_path / "copy.db"))
        stop.set()
        await writer
        with pytest.raises(BadRequest):
            await store.backup(str(tmp_path / "copy.db"))

    with_store(open_sqlite, tmp_path / "data", work)
    copy = apsw.Connection(str(tmp_path / "copy.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert copy.execute("PRAGMA integrity_check").get == "ok"
    events = copy.execute("SELECT count(*), max(offset) FROM events").fetchone()
    assert events[0] == events[1] >= 500
    counted = copy.execute("SELECT sum(a.events), (SELECT sum(u.events) FROM uncounted AS u) FROM audiences AS a").get
    assert counted[0] + (counted[1] or 0) == events[0]
    copy.close()


def test_a_failed_job_fails_alone_and_its_neighbours_commit(tmp_path):
    async def work(store):
        number = await audience(store)
        bad = store._engine.write(lambda c: c.execute("INSERT INTO events (offset) VALUES (1)").fetchall())
        good = store.log.append([event(number)])
        with pytest.raises(apsw.ConstraintError):
            await bad
        assert (await good)[0].offset == 1

    with_store(open_sqlite, tmp_path, work)


class Midway:
    """A backup that stands still after its first step, on its thread, until it is let go."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go = threading.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, _done: int, _total: int) -> None:
        self._loop.call_soon_threadsafe(self.reached.set)
        self.go.wait(20)


def test_a_backup_goes_on_beside_writes_and_trims_and_a_second_to_its_place_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "PAGES", 5)
    target = tmp_path / "copy" / "tidegate.db"
    target.parent.mkdir()

    async def work(store):
        number = await audience(store)
        await store.log.append([event(number, b"x" * 4000) for _ in range(50)])
        midway = Midway()
        first = asyncio.ensure_future(store.backup(str(target), midway))
        await midway.reached.wait()
        assert stat.S_IMODE((tmp_path / "copy" / "tidegate.db.partial").stat().st_mode) == 0o600
        with pytest.raises(Conflict):
            await store.backup(str(target))
        await store.log.append([event(number, b"later")])
        assert await store.log.trim(40, 100) == 40
        midway.go.set()
        await first

    async def look(store):
        assert [one.offset for one in await store.log.read(range(1, 60))] == list(range(1, 51)), (
            "as it was at the start"
        )

    with_store(open_sqlite, tmp_path / "data", work)
    assert [one.name for one in target.parent.iterdir()] == ["tidegate.db"]
    with_store(open_sqlite, target.parent, look)


async def test_a_store_that_closes_breaks_a_backup_off_and_leaves_nothing_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "PAGES", 5)

    store = await open_sqlite(tmp_path / "data")
    midway = Midway()
    copying = asyncio.ensure_future(store.backup(str(tmp_path / "copy.db"), midway))
    await midway.reached.wait()
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0.05)
    midway.go.set()
    with pytest.raises(StoreBusy):
        await copying
    await closing
    assert [one.name for one in tmp_path.iterdir()] == ["data"]


async def test_what_is_asked_of_a_closed_store_is_refused_and_does_not_wait_for_ever(tmp_path):
    store = await open_sqlite(tmp_path)
    number = await audience(store)
    waiting = store.log.append([event(number)])
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    late = [store.log.append([event(number)]), store.settings.put_items([]), store.settings.items()]
    async with asyncio.timeout(10):
        for one in late:
            with pytest.raises(StoreBusy):
                await one
        assert (await waiting)[0].offset == 1, "what came before is written"
        await closing


def test_an_io_error_answers_unavailable_and_nothing_is_accepted_afterwards(tmp_path):
    async def work(store):
        number = await audience(store)
        failures = []
        store.on_failure(failures.append)

        def break_it(connection):
            raise apsw.IOError("disk gone")

        with pytest.raises(StoreBroken):
            await store._engine.write(break_it)
        with pytest.raises(StoreBroken):
            await store.log.append([event(number)])
        await asyncio.sleep(0)
        assert len(failures) == 1
        assert store.log.stuck

    with_store(open_sqlite, tmp_path, work)


def test_what_waited_behind_an_io_error_is_not_accepted_either(tmp_path):
    async def work(store):
        number = await audience(store)
        broken = threading.Event()

        def break_it(connection):
            broken.wait(20)
            raise apsw.IOError("disk gone")

        breaking = store._engine.write(break_it)
        await asyncio.sleep(0.05)  # the writer has begun with it, alone
        waiting = [store.log.append([event(number)]), store._engine.write(lambda c: None)]
        broken.set()
        for one in (breaking, *waiting):
            with pytest.raises(StoreBroken):
                await one

    async def look(store):
        assert await store.log.head() == 0

    with_store(open_sqlite, tmp_path, work)
    with_store(open_sqlite, tmp_path, look)


def test_a_full_disk_is_passing_and_the_next_append_may_succeed(tmp_path):
    async def work(store):
        number = await audience(store)

        def full(connection):
            raise apsw.FullError("full")

        with pytest.raises(StoreBusy):
            await store._engine.write(full)
        assert (await store.log.append([event(number)]))[0].offset == 1

    with_store(open_sqlite, tmp_path, work)


def test_a_commit_that_hangs_answers_busy_within_a_second_or_two(tmp_path):
    async def work(store):
        number = await audience(store)
        held = threading.Event()
        hanging = store._engine.write(lambda c: held.wait(10))
        began = asyncio.get_running_loop().time()
        with pytest.raises(StoreBusy):
            await store.log.append([event(number)])
        assert asyncio.get_running_loop().time() - began < 2
        assert store.log.stuck
        held.set()
        await hanging

    with_store(open_sqlite, tmp_path, work)


@pytest.mark.parametrize("size", [1, 7, 35, 100])
def test_delivery_ids_are_forgotten_slice_by_slice_to_the_end_of_the_table(tmp_path, monkeypatch, size):
    monkeypatch.setattr("tidegate.store.sqlite.log.DEDUPE_SLICE", size)
    ids = [f"{'é' if i % 3 else 'ß'}{i}" for i in range(35)]

    async def work(store):
        number = await audience(store)
        await store.log.append([event(number, dedupe_id=id_, received_at_us=i) for i, id_ in enumerate(ids)])
        await store.log.forget_dedupe(20)
        again = await store.log.append([event(number, dedupe_id=id_) for id_ in ids])
        assert [one.duplicate for one in again] == [False] * 20 + [True] * 15

    with_store(open_sqlite, tmp_path, work)
