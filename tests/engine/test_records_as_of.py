"""Records as of a time are what they were then: random histories beside what the store showed at each moment.

The model keeps what the API showed after every commit. Later, any earlier moment must look the same, page by page, in
any page size, while more changes are made.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from support.stores import STORES, Opener, with_store
from support.upstream.pull import NoRoutes
from tidegate.core.clock import ManualClock, rfc3339
from tidegate.core.errors import BadRequest, Conflict, NotFound
from tidegate.core.findings import Findings
from tidegate.core.model import NewEvent, Origin
from tidegate.pull.record_writer import RecordWriter
from tidegate.query import record_history, records
from tidegate.query.record_history import AsOf, HistoryGone
from tidegate.query.schemas import RecordSchema
from tidegate.rules.sync.changes import make_copy
from tidegate.rules.sync.spec import Resource

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())

START_US = 1_780_000_000_000_000
KEYS = [*(f"k{number}" for number in range(12)), "ü/1", "a%2Fb", "K\u20ac"]
SEEN = ("key", "number", "deleted", "data")  # always as it was
OF_THE_CHANGE = ("origin", "changed_at")  # as it was, or null where the last change then has no event


class History:
    """A resource whose records change at random, and the gateway that reads them. `shown`: time -> what was shown."""

    def __init__(self, store: Any, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.clock = ManualClock(START_US)
        self.version = 0
        self.alive: set[str] = set()
        self.shown: dict[int, dict[str, RecordSchema]] = {}
        resource = msgspec.convert({"path": "/orders", "webhook": {"types": ["orders/*"]}}, Resource)
        spec = SimpleNamespace(resources={"orders": resource, "idle": resource})
        self.active = SimpleNamespace(sources={"shop": SimpleNamespace(spec=spec)})
        place = ("shop", "orders", resource)
        self.writer = RecordWriter(store, NoRoutes(store), self.clock, place, store.leases.fence, Findings(self.clock))
        self.pull = SimpleNamespace(refresh=self._nothing, statistics=self._statistics)

    async def _nothing(self) -> None: ...

    def _statistics(self) -> dict[str, Any]:
        return {"shop/orders": self.writer.statistics.figures()}

    async def change(self, count: int = 1, *, silent: bool = False) -> None:
        """A commit of a few copies, new, old, deleted and born again, between webhooks that change nothing."""
        copies = []
        for _ in range(count):
            key = self.random.choice(KEYS)
            self.version += 1
            now_us = self.clock.now_us()
            stale = self.random.random() < 0.15
            deleted = not stale and not silent and self.random.random() < 0.25
            version = str(max(1, self.version - 50) if stale else self.version)
            copies.append(
                make_copy(
                    key, None if deleted else {"id": key, "n": self.random.randrange(4)}, ignore=(),
                    version=None if deleted else version, origin=Origin.WEBHOOK if deleted else Origin.POLL,
                    asked_at_us=now_us, answered_at_us=now_us, deleted=deleted, pushed=deleted,
                )
            )  # fmt: skip
            self.clock.advance(self.random.choice((0.0, 0.001, 3.0)))
        number = (await self.store.log.audience("shop", (), (), ())).number
        noise = NewEvent(
            "shop", "orders.updated", Origin.WEBHOOK, self.clock.now_us(), number, b"{}", key=copies[0].key
        )
        await self.store.log.append([noise])
        await self.writer.apply(copies, silent=silent)
        self.clock.advance(self.random.choice((0.001, 5.0, 400.0)))

    async def show(self) -> int:
        """Note what is shown now. The answer is the time."""
        found = await records.list_records(self._gateway, "shop", "orders", deleted=True, limit=500)
        at_us = self.clock.now_us()
        self.shown[at_us] = {one.key: one for one in found.data}
        self.clock.advance(0.002)
        return at_us

    @property
    def _gateway(self) -> Any:
        return self

    def wanted(self, at_us: int | None, **more: Any) -> AsOf:
        return AsOf(source="shop", resource="orders", at_us=at_us, **more)

    async def as_of(self, at_us: int, meanwhile: Callable[[], Awaitable[None]] | None = None) -> list[RecordSchema]:
        """All pages of the list, with changes between them."""
        given: list[RecordSchema] = []
        cursor, limit = None, self.random.choice((1, 2, 5, 500))
        while True:
            page = await record_history.list_as_of(
                self._gateway, self.wanted(at_us if cursor is None else None, deleted=True), limit=limit, cursor=cursor
            )
            given += page.data
            cursor = page.next_cursor
            if cursor is None:
                return given
            if meanwhile is not None:
                await meanwhile()

    async def check(self, at_us: int, *, trimmed: bool = False) -> None:
        """`trimmed`: the event of a delete may be gone, and then its record is not there."""
        expected = {key: facts(one) for key, one in self.shown[at_us].items() if existed(one, trimmed)}
        found = [one for one in await self.as_of(at_us, self.change) if existed(one, trimmed)]
        assert {one.key: facts(one) for one in found} == expected, rfc3339(at_us)
        for one in found:
            since = self.writer.statistics.figures().history_since or ""
            same_change(one, self.shown[at_us][one.key], "9" if trimmed else since)
        assert [one.key for one in found] == sorted(expected), "by key, each once"
        assert {one.as_of for one in found} <= {rfc3339(at_us)}
        key = self.random.choice(KEYS)
        try:
            one = await record_history.one_as_of(self._gateway, self.wanted(at_us), key)
        except NotFound as error:
            known = self.shown[at_us].get(key)
            assert known is None or known.deleted
            assert trimmed or error.code == ("not_found" if key not in expected else "record_deleted")
        else:
            assert facts(one) == expected[key] and not one.deleted


def existed(one: RecordSchema, trimmed: bool) -> bool:
    """Not the tombstone of a record that nobody had seen: its delete is not a change."""
    return not (one.deleted and (trimmed or one.data is None))


def facts(one: RecordSchema) -> dict[str, Any]:
    return {name: getattr(one, name) for name in SEEN}


def same_change(found: RecordSchema, shown: RecordSchema, events_since: str) -> None:
    """What is known of the last change until then. A copy with a newer version and equal content is not a change."""
    for name in OF_THE_CHANGE:
        known = getattr(found, name)
        silent = known is None and (shown.changed_at or "") <= events_since
        assert silent or known == getattr(shown, name), (name, found, shown)
    assert found.version is None or int(found.version) <= int(shown.version or 0)


def run(opener: Opener, path: Path, seed: int, work: Callable[[History], Awaitable[None]]) -> None:
    async def main(store: Any) -> None:
        history = History(store, seed)
        await history.writer.load()
        history.clock.advance(1.0)
        await work(history)

    with_store(opener, path, main)


@pytest.mark.parametrize("seed", range(3))
def test_any_earlier_moment_is_shown_as_it_was(opener: Opener, tmp_path: Path, seed: int) -> None:
    async def work(history: History) -> None:
        await history.change(8, silent=True)  # the snapshot makes records and no events
        history.clock.advance(0.001)
        times = [await history.show()]
        for _ in range(25):
            await history.change(history.random.randrange(1, 4))
            times.append(await history.show())
        for at_us in history.random.sample(times, 10):
            await history.check(at_us)

    run(opener, tmp_path, seed, work)


def test_before_what_retention_holds_the_oldest_time_is_named(opener: Opener, tmp_path: Path) -> None:
    async def work(history: History) -> None:
        times = []
        for _ in range(12):
            await history.change(3)
            times.append(await history.show())
        oldest_kept = await history.store.log.offset_at(times[6])
        await history.store.log.trim(oldest_kept - 1, 10_000)
        with pytest.raises(HistoryGone) as gone:
            await history.as_of(times[5] - 1_000_000)
        assert (gone.value.status, gone.value.code) == (410, "history_gone")
        (kept,) = await history.store.log.heads([oldest_kept])
        oldest = rfc3339(kept.received_at_us)
        assert f"oldest time possible is {oldest}: as_of={oldest}" in gone.value.hint
        for at_us in (*times[7:], kept.received_at_us):
            if at_us in history.shown:
                await history.check(at_us, trimmed=True)
            else:
                assert await history.as_of(at_us)

    run(opener, tmp_path, 7, work)


def test_a_list_whose_events_go_while_it_is_read_ends_with_an_error_and_not_with_gaps(
    opener: Opener, tmp_path: Path
) -> None:
    async def work(history: History) -> None:
        for _ in range(6):
            await history.change(3)
        at_us = await history.show()
        for _ in range(6):
            await history.change(3)
        page = await record_history.list_as_of(history._gateway, history.wanted(at_us), limit=1)
        await history.store.log.trim(await history.store.log.head(), 10_000)
        with pytest.raises(HistoryGone):
            await record_history.list_as_of(history._gateway, history.wanted(None), limit=500, cursor=page.next_cursor)

    run(opener, tmp_path, 8, work)


def test_when_nothing_changed_since_an_empty_log_is_no_obstacle(opener: Opener, tmp_path: Path) -> None:
    async def work(history: History) -> None:
        await history.change(5)
        history.clock.advance(3600)
        at_us = await history.show()
        history.clock.advance(3600)
        await history.store.log.trim(await history.store.log.head(), 10_000)
        expected = {key: facts(one) for key, one in history.shown[at_us].items()}
        assert {one.key: facts(one) for one in await history.as_of(at_us)} == expected != {}

    run(opener, tmp_path, 9, work)


def test_before_the_snapshot_or_a_baseline_nothing_is_invented(opener: Opener, tmp_path: Path) -> None:
    async def work(history: History) -> None:
        await history.change(5)
        at_us = await history.show()
        await history.check(at_us)
        history.clock.advance(100)
        await history.change(8, silent=True)
        history.clock.advance(1)
        with pytest.raises(HistoryGone) as gone:
            await history.as_of(at_us)
        assert "baseline" in gone.value.message
        await history.check(await history.show())

    run(opener, tmp_path, 10, work)


def test_bad_times_and_cursors_are_rejected(opener: Opener, tmp_path: Path) -> None:
    async def work(history: History) -> None:
        await history.change(8)
        at_us = await history.show()
        page = await record_history.list_as_of(history._gateway, history.wanted(at_us), limit=1)
        today = await records.list_records(history._gateway, "shop", "orders", limit=1)
        for given_us, cursor, code in (
            (at_us + 3_600_000_000, None, "bad_request"),
            (at_us - 1, page.next_cursor, "bad_cursor"),
            (at_us, today.next_cursor, "bad_cursor"),
            (at_us, "aDE", "bad_cursor"),
            (None, None, "bad_request"),
        ):
            with pytest.raises(BadRequest) as refused:
                await record_history.list_as_of(history._gateway, history.wanted(given_us), limit=1, cursor=cursor)
            assert refused.value.code == code, (given_us, cursor)
        with pytest.raises(Conflict) as early:
            idle = AsOf(source="shop", resource="idle", at_us=at_us)
            await record_history.list_as_of(history._gateway, idle, limit=1)
        assert early.value.code == "no_history"

    run(opener, tmp_path, 11, work)


def test_the_offset_of_a_time_is_found_without_reading_the_log_before_it(opener: Opener, tmp_path: Path) -> None:
    async def main(store: Any) -> None:
        number = (await store.log.audience("shop", (), (), ())).number
        received = list(range(100, 700, 2))
        received[120:124] = [334 + 6, 334 + 2, 334 + 4, 334]  # a few wait longer for their commit
        one = NewEvent("shop", "x", Origin.WEBHOOK, 0, number, b"")
        done = await store.log.append([msgspec.structs.replace(one, received_at_us=at) for at in received])
        offsets = [each.offset for each in done]

        def expected(at_us: int) -> int:
            later = [offset for offset, at in zip(offsets, received, strict=True) if at > at_us]
            return later[0] - 1 if later else offsets[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(record_history, "OUT_OF_ORDER", 16)
            for at_us in (0, 99, 100, 101, 333, 335, 337, 339, 341, 500, 698, 699, 10_000):
                assert await record_history.offset_of(store.log, at_us) == expected(at_us), at_us

    with_store(opener, tmp_path, main)
