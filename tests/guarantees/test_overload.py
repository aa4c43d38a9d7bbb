"""More comes than can be stored: as much is accepted as the store writes, the rest is answered 503 at once. A source
that floods waits for others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from support.gateway.api import Served
from support.gateway.deployment import Deployment
from support.gateway.load import Answered, Load, quantile
from support.gateway.running import until
from support.gateway.timers import held
from support.postgres.server import database_for
from support.stores import STORES, audience, event, with_store
from tidegate.receive.turns import BURST
from tidegate.store.sqlite.engine import Batches

TOML = """
[sources.flood.webhook]
verify = "none"
[sources.quiet.webhook]
verify = "none"
"""
THROTTLE = """
CREATE FUNCTION tidegate.throttle() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(SECONDS); RETURN NEW; END $$;
CREATE TRIGGER throttle BEFORE INSERT ON tidegate.events FOR EACH ROW EXECUTE FUNCTION tidegate.throttle();
"""
ROUNDS = 6  # of a measurement, on a machine that does other things: one of them must succeed


class Throttled:
    """Writes the appends of the embedded store at so many seconds an event."""

    def __init__(self, batches: Batches, seconds: float) -> None:
        self._batches = batches
        self._seconds = seconds
        self.publish, self.events, self.describe = batches.publish, batches.events, batches.describe

    def write(self, connection: Any, jobs: list[Any]) -> Any:
        time.sleep(self._seconds * self.events(jobs))
        return self._batches.write(connection, jobs)


async def throttle(store: Any, database: str | None, seconds: float) -> None:
    """From now on each event that is written takes so long."""
    if database is None:
        store._engine._batches = Throttled(store._engine._batches, seconds)
        return
    connection = await asyncpg.connect(database)
    await connection.execute(THROTTLE.replace("SECONDS", str(seconds)))
    await connection.close()


def port_of(gate: Served) -> int:
    return int(gate.api.url.rsplit(":", 1)[1])


class Overload(NamedTuple):
    goodput_ratio: float  # of what was accepted a second before the overload
    rejected: list[Answered]
    accepted: list[Answered]
    quiet: list[Answered]  # of the other source

    def is_good(self) -> bool:
        return (
            self.goodput_ratio > 0.9
            and len(self.rejected) > len(self.accepted)
            and {one.status for one in self.quiet} == {202}
            and quantile([one.seconds for one in self.rejected], 0.95) < 0.05
            and quantile([one.seconds for one in [*self.accepted, *self.quiet]], 0.95) < 1.5
        )


async def overload(load: Load, quiet: Load) -> Overload:
    """Three times as much as the store writes, on one source; another one sends a little."""
    began = time.perf_counter()
    before = len(await load.closed_loop(40, 1.0)) / (time.perf_counter() - began)
    began = time.perf_counter()
    answers, others = await asyncio.gather(load.at_rate(3 * before, 2.0), quiet.at_rate(10, 2.0))
    seconds = time.perf_counter() - began
    assert {one.status for one in answers} == {202, 503}
    accepted = [one for one in answers if one.status == 202]
    rejected = [one for one in answers if one.status == 503]
    return Overload((len(accepted) + len(others)) / seconds / before, rejected, accepted, others)


async def test_overload_keeps_the_goodput_rejects_the_rest_at_once_and_other_sources_are_accepted(
    deployment: Deployment,
) -> None:
    async with deployment.served(TOML) as gate:
        store, findings = gate.gateway.store, gate.gateway.findings
        load, quiet = Load(port_of(gate), "flood"), Load(port_of(gate), "quiet")
        assert (await load.once()).status == (await quiet.once()).status == 202  # their decisions have a number now
        await throttle(store, deployment.database, 0.008)
        for _ in range(ROUNDS):
            found = await overload(load, quiet)
            assert all(one.retry_after for one in found.rejected)
            await until(lambda: store.log.waiting == 0)
            if found.is_good():
                break
        else:
            raise AssertionError(
                f"goodput {found.goodput_ratio:.2f}, {quantiles(found.rejected)} to reject, "
                f"{quantiles(found.accepted)} to accept, others: { {one.status for one in found.quiet} }"
            )
        assert "source:flood" in {one.subject for one in findings.listed() if one.code == "events_over_capacity"}
        load.close()
        quiet.close()


def quantiles(answers: list[Answered]) -> str:
    return ", ".join(f"p{share:.0%} {quantile([one.seconds for one in answers], share):.3f} s" for share in (0.5, 0.95))


async def test_what_was_answered_503_is_not_stored_later(deployment: Deployment) -> None:
    """A disk that hangs and comes back: only the events of the commit that hung may be stored."""
    async with deployment.served(TOML) as gate:
        load, store = Load(port_of(gate), "flood"), gate.gateway.store
        assert (await load.once()).status == 202
        before = await store.log.head()
        async with deployment.disk_held(gate.gateway):
            first = asyncio.ensure_future(load.once())
            await until(lambda: store.log.waiting == 1)  # a commit has begun with it, or waits with it
            answers = await asyncio.gather(first, *(load.once() for _ in range(30)))
            assert {one.status for one in answers} == {503}
            assert max(one.seconds for one in answers) < 5
        await until(lambda: not store.log.stuck)
        assert (await load.once()).status == 202
        assert store.log.waiting == 0
        stored = await store.log.scan(before, 1 << 60, 100)
        assert 1 <= len(stored) <= 2, "the last one, and the one in the commit that hung"
        load.close()


@pytest.mark.parametrize("opener", STORES)
def test_each_of_1500_appends_at_once_is_written_however_slow_the_disk_is(opener: str, tmp_path: Path) -> None:
    """All together take longer than a commit may: a call waits for its turn while commits end."""

    async def work(store: Any) -> None:
        number = await audience(store)
        await store.log.append([event(number)])
        await throttle(store, None if opener == "sqlite" else database_for(tmp_path), 0.001)
        answers = await asyncio.gather(*(store.log.append([event(number)]) for _ in range(1500)))
        assert sorted(one.offset for (one,) in answers) == list(range(2, 1502))
        assert store.log.waiting == 0

    with_store(STORES[opener], tmp_path, work)


async def test_a_flood_over_many_connections_is_answered_whole_and_waits_for_others(deployment: Deployment) -> None:
    async with deployment.served(TOML) as gate:
        flood, quiet = Load(port_of(gate), "flood"), Load(port_of(gate), "quiet")
        assert (await flood.once()).status == (await quiet.once()).status == 202  # their decisions have a number now
        waiting = 40
        timers = held(gate.gateway.ingress)
        assert (await quiet.once()).status == 202
        sent = [asyncio.create_task(flood.once()) for _ in range(BURST + waiting)]
        lines = gate.gateway.ingress._capacity.turns._lines
        await until(lambda: sum(one.done() for one in sent) == BURST + 1)
        await until(lambda: len(lines["flood"].requests) == waiting - 1)
        assert (await quiet.once()).status == 202
        assert not any(one.done() for one in sent[BURST + 1 :])

        async def all_answered() -> bool:
            timers.go_on(0.01)
            return all(one.done() for one in sent)

        await until(all_answered)
        assert {one.result().status for one in sent} == {202}
        assert await gate.gateway.store.log.head() == 1 + BURST + waiting + 3
        floods = [one.subject for one in gate.gateway.findings.listed() if one.code == "source_floods"]
        assert floods == ["source:flood"]
        flood.close()
        quiet.close()
