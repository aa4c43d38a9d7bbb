"""`tidegate db migrate`: an installation moves to PostgreSQL with everything that is pending, and ids stay."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.gateway.running import ALLOW, counters, publish, until
from support.postgres.server import server
from support.receiver.scripted import ScriptedServer, answer
from tidegate.core import ids
from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, Conflict
from tidegate.core.model import NewEvent, Origin
from tidegate.process.gateway import Gateway, ServeOptions, open_gateway
from tidegate.store import EventQuery
from tidegate.store.migrate_store import StillRunning, move, source, target

OKAY = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
LONG = "id" * 400  # longer than an index entry of PostgreSQL may be
BUSY = answer(b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno")


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def toml(well: ScriptedServer, ill: ScriptedServer) -> str:
    return ALLOW + (
        "[sources.shop.publish]\n"
        f'[destinations.crm]\nurl = "{well.url}/crm"\n'
        f'[destinations.ill]\nurl = "{ill.url}/ill"\nretry = ["1h"]\n'
        f'[destinations.dead]\nurl = "{ill.url}/dead"\nretry = []\n'
        f'[destinations.later]\nurl = "{well.url}/later"\n'
        '[routes.all]\nfrom = "shop"\nto = ["crm", "later"]\n'
        '[routes.bad]\nfrom = "shop"\nto = ["ill", "dead"]\ntypes = ["bad"]\n'
    )


@contextlib.asynccontextmanager
async def gateway_at(folder: Path, text: str, database: str | None = None) -> AsyncIterator[Gateway]:
    file = folder / "tidegate.toml"
    file.write_text(text)
    gateway = await open_gateway(
        ServeOptions(config=file, data=folder / "data", port=1, database=database), {}, Clock()
    )
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


async def fill(gateway: Gateway, count: int) -> None:
    """Events delivered, retried, exhausted, and waiting at a paused destination; awkward text; a dedupe id."""
    await gateway.editor.pause("later")
    for number in range(count):
        kind = "bad" if number % 5 == 0 else "t"
        await publish(gateway, json.dumps({"n": number}).encode(), type=kind, key=f"k{number}")
    await publish(gateway, b"\x00\xff", key="nul\0letter", dedupe_id=LONG, body_hash=b"h")
    await until(lambda: counted(gateway, "crm", "delivered", count + 1))
    await until(lambda: counted(gateway, "dead", "exhausted", -(-count // 5)))


async def counted(gateway: Gateway, name: str, what: str, wanted: int) -> bool:
    return (await counters(gateway))[name][what] == wanted


async def shown_events(gateway: Gateway) -> list[tuple[Any, ...]]:
    """What people see of every event and its deliveries."""
    await gateway.deliver.settler.flush()
    events = (await gateway.store.log.page(EventQuery(ascending=True, limit=1000))).events
    pairs = [(e.offset, d.number) for e in events for d in gateway.active.destinations.values()]
    views = await gateway.deliver.states(pairs)
    instance = gateway.store.log.instance
    return [
        (ids.event_id(instance, e.offset), e.type, e.key, e.body, e.received_at_us,
         [(v.state, v.cause, v.attempts) for pair in pairs if pair[0] == e.offset and (v := views.get(pair))])
        for e in events
    ]  # fmt: skip


async def test_cut_before_its_last_commit_neither_side_takes_events_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = source.Source.close_to_gateways

    def cut(self: source.Source, shown: str) -> None:
        closing(self, shown)
        raise RuntimeError("cut here")

    database = server().new_database()
    async with ScriptedServer(OKAY) as well, ScriptedServer(BUSY) as ill:
        async with gateway_at(tmp_path, toml(well, ill)) as old:
            await fill(old, 5)
        with monkeypatch.context() as patch, pytest.raises(RuntimeError):
            patch.setattr(source.Source, "close_to_gateways", cut)
            await move(tmp_path / "data", database, silent, Clock())
        for at, why in ((None, "was moved to"), (database, "is not finished")):
            with pytest.raises(Conflict, match=why):
                async with gateway_at(tmp_path, toml(well, ill), at):
                    pass
        assert (await move(tmp_path / "data", database, silent, Clock())).rows["events"] == 6
        async with gateway_at(tmp_path, toml(well, ill), database) as new:
            assert len(await shown_events(new)) == 6


async def test_a_live_installation_moves_with_what_is_pending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SLICE_EVENTS", 7)
    monkeypatch.setattr(target, "SMALL_AT_ONCE", 4)  # less than there are deferred deliveries

    database = server().new_database()
    async with ScriptedServer(OKAY) as well, ScriptedServer(BUSY) as ill:
        async with gateway_at(tmp_path, toml(well, ill)) as old:
            await fill(old, 30)
            with pytest.raises(StillRunning):
                await move(tmp_path / "data", database, silent, Clock())
            for number in range(5):  # after the first pass
                await publish(old, json.dumps({"late": number}).encode())
            await old.deliver.retry(1, old.active.destinations["dead"].number)  # an attempt of an event long copied
            await until(lambda: counted(old, "crm", "delivered", 36))
            await until(lambda: counted(old, "dead", "exhausted", 6))
            before, balance = await shown_events(old), await counters(old)
        with pytest.raises(Conflict, match="is not finished"):
            async with gateway_at(tmp_path, toml(well, ill), database):
                pass
        moved = await move(tmp_path / "data", database, silent, Clock())
        assert moved.rows["events"] == 36
        with pytest.raises(Conflict, match="was moved to"):
            async with gateway_at(tmp_path, toml(well, ill)):
                pass
        ill.script = OKAY
        async with gateway_at(tmp_path, toml(well, ill), database) as new:
            assert await shown_events(new) == before
            assert await counters(new) == balance
            again = NewEvent("shop", "t", Origin.PUBLISH, 1, 1, b"x", dedupe_id=LONG, body_hash=b"h")
            assert (await new.store.log.append([again]))[0].duplicate
            await new.editor.resume("later")
            offset = await publish(new, b'{"new": 1}')
            assert offset > 36
            await until(lambda: counted(new, "later", "delivered", 37), 20)
            assert len([one for one in well.requests if one.line.startswith("POST /later")]) == 37
            first = new.active.destinations["ill"].number
            await new.deliver.retry(1, first)
            await until(lambda: counted(new, "ill", "delivered", 1))


async def test_a_move_that_is_cut_short_goes_on_where_it_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SLICE_EVENTS", 4)
    read: list[int] = []
    events = source.Source.events

    def noted(self: source.Source, after: int, upto: int) -> list[Any]:
        read.append(upto)
        return events(self, after, upto)

    monkeypatch.setattr(source.Source, "events", noted)

    def cut_after(slices: int) -> Any:
        def say(what: str, done: int, total: int) -> None:
            if len(read) == slices:
                raise KeyboardInterrupt

        return say

    database = server().new_database()
    async with ScriptedServer(OKAY) as well, ScriptedServer(BUSY) as ill:
        async with gateway_at(tmp_path, toml(well, ill)) as old:
            await fill(old, 17)
        with contextlib.suppress(KeyboardInterrupt):
            await move(tmp_path / "data", database, cut_after(3), Clock())
        await move(tmp_path / "data", database, silent, Clock())
        assert read == [4, 8, 12, 16, 18]
        async with gateway_at(tmp_path, toml(well, ill), database) as new:
            assert len(await shown_events(new)) == 18


async def test_a_target_that_holds_something_and_a_source_that_is_none_are_refused(tmp_path: Path) -> None:
    database = server().new_database()
    async with ScriptedServer(OKAY) as well, ScriptedServer(BUSY) as ill:
        other = tmp_path / "other"
        other.mkdir()
        async with gateway_at(other, toml(well, ill), database) as gateway:
            await publish(gateway)
        async with gateway_at(tmp_path, toml(well, ill)) as old:
            await publish(old)
        with pytest.raises(Conflict, match="already holds"):
            await move(tmp_path / "data", database, silent, Clock())
        async with gateway_at(tmp_path, toml(well, ill)):
            pass  # nothing was closed
        with pytest.raises(BadRequest):
            await move(tmp_path / "nowhere", database, silent, Clock())
