"""Counts of accepted events on SQLite: written for many events at once, exact at every moment and after a crash."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path
from typing import Any

import apsw
import pytest

from support.stores import audience, event, with_store
from tidegate.core.errors import StoreBusy
from tidegate.core.model import Event, Origin
from tidegate.store.sqlite import open_sqlite
from tidegate.store.sqlite.counts import COUNT_EVERY, AcceptedCounts

EVER = 1 << 40


async def counted(store: Any) -> tuple[int, int, int]:
    """Events by the counters, and events and bytes by the rollups."""
    counters = await store.deliveries.counters()
    (row,) = await store.rollups.read(0, EVER)
    return sum(count for _, count in counters.audiences), row.times, row.total


def stored(path: Path) -> tuple[int, int]:
    """Events in the table of audiences, and the value 'counted'."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = connection.execute(
        "SELECT (SELECT sum(events) FROM audiences), (SELECT value FROM settings WHERE name = 'counted')"
    ).fetchone()
    connection.close()
    return found


def test_counts_are_exact_before_and_after_they_are_written(tmp_path: Path) -> None:
    async def work(store: Any) -> None:
        number = await audience(store)
        await store.log.append([event(number, b"abc")])
        assert await counted(store) == (1, 1, 3)
        assert stored(tmp_path / "tidegate.db") == (0, 0)
        await store.log.append([event(number, b"abc") for _ in range(COUNT_EVERY)])
        await store.log.append([event(number, b"abc")])
        assert await counted(store) == (COUNT_EVERY + 2, COUNT_EVERY + 2, 3 * COUNT_EVERY + 6)
        assert stored(tmp_path / "tidegate.db") == (COUNT_EVERY + 1, COUNT_EVERY + 1)

    with_store(open_sqlite, tmp_path, work)
    assert stored(tmp_path / "tidegate.db") == (COUNT_EVERY + 2, COUNT_EVERY + 2)


def test_what_was_not_counted_before_a_crash_is_counted_by_the_next_start(tmp_path: Path) -> None:
    crashed = tmp_path / "crashed"
    crashed.mkdir()

    async def work(store: Any) -> None:
        number = await audience(store)
        await store.log.append([event(number, b"abc") for _ in range(10)])
        for file in tmp_path.joinpath("first").glob("tidegate.db*"):  # the files as kill -9 leaves them
            shutil.copy(file, crashed)

    async def later(store: Any) -> None:
        assert stored(crashed / "tidegate.db") == (10, 10)
        assert await counted(store) == (10, 10, 30)
        await store.log.append([event(1, b"abc")])
        assert await counted(store) == (11, 11, 33)

    with_store(open_sqlite, tmp_path / "first", work)
    with_store(open_sqlite, crashed, later)


def test_events_are_counted_before_they_are_trimmed(tmp_path: Path) -> None:
    async def work(store: Any) -> None:
        number = await audience(store)
        await store.log.append([event(number, b"abc") for _ in range(10)])
        assert await store.log.trim(7, 100) == 7
        assert await counted(store) == (10, 10, 30)

    with_store(open_sqlite, tmp_path, work)


def test_counts_that_could_not_be_written_are_written_later(tmp_path: Path) -> None:
    async def work(store: Any) -> None:
        number = await audience(store)
        await store.log.append([event(number, b"abc") for _ in range(10)])
        engine, write = store._engine, store._engine.write

        def full(job: Any, **more: Any) -> Any:
            def work(connection: apsw.Connection) -> None:
                job(connection)
                raise StoreBusy("the disk is full")

            return write(work, **more)

        engine.write = full
        with pytest.raises(StoreBusy):
            await store.log.counts.flush()
        engine.write = write
        await store.log.append([event(number, b"abc")])
        assert await counted(store) == (11, 11, 33)
        await store.log.counts.flush()
        assert stored(tmp_path / "tidegate.db") == (11, 11)
        assert await counted(store) == (11, 11, 33)

    with_store(open_sqlite, tmp_path, work)


class _WritesAtOnce:
    """An engine whose write has ended before anybody waits for it, and its callbacks wait for the next turn."""

    def write(self, work: Any) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


async def test_a_write_that_ended_in_this_turn_of_the_loop_does_not_hold_a_flush() -> None:
    def too_long(*_: Any) -> None:
        raise AssertionError("flush holds the loop")

    counts = AcceptedCounts(_WritesAtOnce())  # type: ignore[arg-type]
    counts.add([Event(n, "shop", "order.created", Origin.WEBHOOK, 1, 1, b"{}") for n in range(1, COUNT_EVERY + 1)])
    before = signal.signal(signal.SIGALRM, too_long)  # a loop that is held runs no timer of its own
    signal.alarm(20)
    try:
        await counts.flush()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
