"""Polls every resource of a provider from its double, through changes, failures and limits, and checks what came.

Real: the store, the engine, the HTTP client, the sockets. The clock is moved, not waited for. `live` changes the tables
of the double at random, also during walks, and polls in between; then the source is quiet, and `check` compares: each
change event must be a later state of its row than the one before, and the records must be the rows.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from support.catalog.calls import Call, Custom, Listing
from support.catalog.server import Answering, CatalogServer
from support.catalog.shape import Ask, Double, State
from support.catalog.sync import Synced
from support.catalog.world import Rows, World
from support.gateway.running import until
from support.upstream.pull import NoRoutes, StepClock
from tidegate.config.spec import Source
from tidegate.core.units import seconds
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.http import PullClient
from tidegate.pull import PollReport, PullEngine
from tidegate.rules.outbound.addresses import parse_allow
from tidegate.rules.sync.spec import Resource
from tidegate.store import PARTITIONS, EventQuery
from tidegate.store.sqlite import open_sqlite

START_US = 1_795_600_000_000_000
TRIES = 200
REJECTED = 15  # answers in a row that are errors and say nothing of a limit
_MARK = re.compile(r"mark-(\d+)-")


class Polled:
    """The resources of one source, and the double that they are polled from."""

    def __init__(self, store: Any, served: Answering, client: PullClient, clock: StepClock, source: Source) -> None:
        self.store = store
        self.served = served
        self.world = served.world
        self.double: Double = served.double
        self.clock = clock
        self.given = source
        self.quiet = False
        self.requests: dict[str, int] = {}
        self.codes: dict[str, set[str]] = {}  # findings, by resource
        self.source = prepared(source, served.url)
        self.engine = PullEngine(store, NoRoutes(store), client, clock)
        self.engine.configure({"s": self.source})

    async def start(self) -> None:
        await self.engine.start()
        await self.engine.take(frozenset(range(PARTITIONS)))
        self._stop_schedules()
        self.served.after = self._during

    def _stop_schedules(self) -> None:
        for engine in self.engine._engines.values():
            engine.schedule._due_us.clear()  # only polls that the test asks for

    async def configure(self, scan_every: str) -> None:
        """The same with another time between complete scans."""
        self.source = prepared(self.given, self.served.url, scan_every)
        self.engine.configure({"s": self.source})
        assert self.engine._change is not None
        await asyncio.wait({self.engine._change})
        self._stop_schedules()

    def _during(self, ask: Ask, call: Call) -> None:
        lists = isinstance(call, Listing | Synced) or (isinstance(call, Custom) and call.lists)
        if not self.quiet and lists and self.world.random.random() < 0.15:
            self.change()

    def change(self) -> None:
        tables = [rows for rows in self.world.tables.values() if rows.table.changes and not rows.table.log_of]
        self.world.random.choice(tables).change()

    async def poll(self, resource: str) -> PollReport:
        """As the schedule does: again after a failure, not before the source allows it."""
        rejected = 0
        for _ in range(TRIES):
            report = await self.engine.poll_now("s", resource)
            self.requests[resource] = self.requests.get(resource, 0) + report.requests
            self.codes.setdefault(resource, set()).update(found.code for found in report.findings)
            await self._settled(resource)
            if not report.error:
                return report
            rejected = 0 if report.held_seconds else rejected + 1
            if rejected > REJECTED:
                break
            self.clock.advance(report.held_seconds + 5)
        raise AssertionError(f"{self.double.name}/{resource}: no run finished: {report.error} {report.error_hint}")

    async def _settled(self, resource: str) -> None:
        writer = self.engine._engines[("s", resource)].writer
        await until(lambda: not writer.engine_state.dirty and not writer._lock.locked(), every_seconds=0.002)

    async def live(self, changes: int) -> None:
        """`changes` changes of each table, with polls of all resources between them.

        Complete scans heal what an incremental poll passes over. So they run in the first half only, and after the
        second half nothing but deletes may be missing before they run again.
        """
        tables = sum(1 for table in self.double.tables if table.changes and not table.log_of)
        await self._changes_for(changes * tables // 2)
        await self._quiet(27 * 3600)
        await self.configure(scan_every="300d")
        await self._changes_for(changes * tables - changes * tables // 2)
        await self._quiet(600)
        for name in self.names:
            await self.check(name, scanned=False)
        await self._check_that_little_is_read()
        await self._quiet(301 * 86_400)
        assert not self.served.unknown, f"{self.double.name} does not have the parameters {self.served.unknown}"

    async def _check_that_little_is_read(self) -> None:
        """A poll that asks for what changed since days ago does not get everything."""
        self.clock.advance(5 * 86_400)
        for name in self.names:
            spec = self.source.resources[name]
            table = self.world.rows(self.double.resources[name].removeprefix("-"))
            live = [table.states[number][-1].at_us for number in table.live()]
            report = await self.poll(name)
            if asks_since(spec) and spec.parent is None and live:
                assert spec.incremental is not None
                # The lag counts from the last change, and an API that knows days only adds one.
                begin_us = max(live) - int(2 * seconds(spec.incremental.lag) * 1_000_000)
                most = max(5, len(live) // 4, sum(1 for at_us in live if at_us >= begin_us))
                read = report.records_seen
                assert read <= most, f"{self.double.name}/{name}: a quiet poll reads {read} of {len(live)} rows"

    @property
    def names(self) -> list[str]:
        return [name for name in self.double.resources if name in self.source.resources]

    async def _changes_for(self, left: int) -> None:
        pick = self.world.random
        self.quiet = False
        for name in self.names:
            await self.poll(name)
        self.served.failures = 0.03
        while left > 0:
            burst = min(left, pick.choice([1, 2, 5, 13, 40]))
            left -= burst
            for _ in range(burst):
                self.change()
                self.clock.advance(pick.choice([0, 0, 0, 0.2, 1, 7]))
            self.clock.advance(pick.choice([1, 60, 900, 7200]))
            self._plant(pick.random())
            for name in self.names:
                if pick.random() < 0.8:
                    await self.poll(name)

    def _plant(self, chance: float) -> None:
        if chance < 0.1:
            self.world.use_up()
        elif chance < 0.15:
            self.world.expire_tokens()

    async def _quiet(self, seconds: float) -> None:
        """Polls without changes: the first after all delays, and more, because two scans confirm a delete."""
        self.served.failures, self.quiet = 0.0, True
        self.clock.advance(max((rows.table.lag_seconds for rows in self.world.tables.values()), default=0.0))
        for _ in range(3):
            self.clock.advance(seconds)
            for name in self.names:
                await self.poll(name)

    # -- what came ---------------------------------------------------------------------------------------

    async def check(self, resource: str, *, scanned: bool = True) -> Mapping[str, int]:
        """Missed, invented or repeated changes are an AssertionError. Returns counts for the table of the catalog.

        `scanned`: complete scans had the time to find deletes.
        """
        table = self.world.rows(self.double.resources[resource].removeprefix("-"))
        if self.double.resources[resource].startswith("-"):
            return await self._check_gone(resource, table)
        by_n = {state.n: state for states in table.states.values() for state in states}
        unseen = self.double.unseen.get(resource)
        blind = unseen.changes if unseen is not None else ""
        spec = self.source.resources[resource]
        sees_deletes = spec.deletes.mode not in ("none", "" if scanned else "scan") and "d" not in blind
        place = f"{self.double.name}/{resource}"
        last: dict[str, State] = {}
        counts = {"created": 0, "updated": 0, "deleted": 0}
        for kind, key, data in await self._changes(resource):
            counts[kind] += 1
            self._check_change(place, kind, key, data, by_n, last)
        records = await self._records(resource)
        got: dict[int, State] = {}
        for key, data in records.items():
            state = self._state_of(place, data, by_n)
            assert state.number not in got, f"{place}: row {state.number} is two records, one is {key}"
            got[state.number] = state
        for number, states in table.states.items():
            final = states[-1]
            if final.gone:
                assert not (sees_deletes and number in got), f"{place}: row {number} was deleted and is a record"
                continue
            assert number in got, f"{place}: row {number} is not a record: {states[-2:]}"
            if "u" not in blind:
                assert got[number].n == final.n, f"{place}: row {number} is at {got[number]}, should be at {final}"
        return {**counts, "records": len(records), "requests": self.requests[resource]}

    async def _check_gone(self, resource: str, table: Rows) -> Mapping[str, int]:
        """A resource that lists what was deleted."""
        by_n = {state.n: state for states in table.states.values() for state in states}
        place = f"{self.double.name}/{resource}"
        records = await self._records(resource)
        got = {self._state_of(place, data, by_n).number for data in records.values()}
        gone = {number for number, states in table.states.items() if states[-1].gone}
        assert got == gone, f"{place}: {got ^ gone} differ"
        return {"records": len(records), "requests": self.requests[resource]}

    def _check_change(
        self, place: str, kind: str, key: str | None, data: Any, by_n: dict[int, State], last: dict[str, State]
    ) -> None:
        assert key is not None, place
        before = last.get(key)
        if kind == "deleted":
            assert before is not None and not before.gone, f"{place}: {key} was deleted before it was created"
            states = self.world.rows(self.double.resources[place.partition("/")[2]]).states[before.number]
            later = [one for one in states if one.gone and one.n > before.n]
            assert later, f"{place}: {key} was not deleted after {before}"
            last[key] = later[0]
            return
        state = self._state_of(place, data, by_n)
        if before is None or before.gone:
            assert kind == "created", f"{place}: {kind} {key} without a record"
        else:
            assert kind == "updated", f"{place}: {kind} {key}, which is a record"
            assert state.number == before.number, f"{place}: {key} was row {before.number} and is {state.number}"
            assert state.n > before.n, f"{place}: {key} goes back from {before} to {state}"
        assert not state.gone, f"{place}: the tombstone {state} is a change {kind}"
        last[key] = state

    def _state_of(self, place: str, data: Any, by_n: dict[int, State]) -> State:
        found = _MARK.search(json.dumps(data))
        assert found is not None, f"{place}: nothing of {data} says which state it is; does the resource ask for it?"
        return by_n[int(found[1])]

    async def _changes(self, resource: str) -> list[tuple[str, str | None, Any]]:
        page = await self.store.log.page(EventQuery(ascending=True, limit=1_000_000))
        found = []
        for one in page.events:
            of, _, kind = one.type.rpartition(".")
            if one.change and of == resource:
                found.append((kind, one.key, json.loads(one.body)))
        return found

    async def _records(self, resource: str) -> dict[str, Any]:
        rows = await self.store.records.page("s", resource, limit=1_000_000)
        return {one.key: json.loads(one.body) for one in rows}


def asks_since(resource: Resource) -> bool:
    """Whether the source is asked for what is new, rather than for a list that the poll stops reading."""
    rule = resource.incremental
    if rule is None:
        return False
    placed = msgspec.json.encode([resource.path, resource.params, resource.headers, resource.json])
    return bool(rule.param or rule.token_path or rule.link_path) or b"{incremental.start_value}" in placed


def prepared(source: Source, base_url: str, scan_every: str = "") -> Source:
    """The source at the address of the double: all records make events, and only the test polls."""
    assert source.api is not None
    api = msgspec.structs.replace(source.api, base_url=base_url)
    resources: dict[str, Resource] = {}
    for name, resource in source.resources.items():
        deletes = msgspec.structs.replace(resource.deletes, max_ratio=1.0, every=scan_every or resource.deletes.every)
        resources[name] = msgspec.structs.replace(
            resource, poll="365d", schedule="", initial="events", deletes=deletes, webhook=None, reconcile=None
        )
    return msgspec.structs.replace(source, api=api, resources=resources)


@asynccontextmanager
async def polled(path: Path, double: Double, source: Source, seed: int = 1) -> AsyncIterator[Polled]:
    """`source` is as a user configures it; its base URL becomes that of the double."""
    clock = StepClock(START_US)
    store = await open_sqlite(path)
    client = PullClient(Dialer(Guard(parse_allow(["127.0.0.1/32"])), clock), clock)
    world = World(double, clock, seed)
    world.begin()
    try:
        async with CatalogServer() as server:
            served = server.add(world)
            one = Polled(store, served, client, clock, source)
            await one.start()
            try:
                yield one
            finally:
                await one.engine.stop()
    finally:
        await asyncio.shield(client.close())
        await store.close()
