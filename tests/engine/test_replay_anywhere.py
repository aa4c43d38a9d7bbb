"""One event to any destination, edited or as it is; replays that are counted, canceled, and of what is pending."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from engine.test_deliver import OKAY, SOURCE, counters_are, destination, fails, route, state
from support.gateway.running import counters, publish, running, until
from support.receiver.scripted import ScriptedServer
from tidegate.core import ids
from tidegate.core.errors import Conflict, NotFound
from tidegate.core.model import DeliveryState, Origin
from tidegate.deliver import Edit, ReplayQuery
from tidegate.query.deliveries import of_event
from tidegate.query.events import EventFilter, walk
from tidegate.rules.language.view import PARENT, noted


def event_id(gateway: Any, offset: int) -> str:
    return ids.event_id(gateway.store.log.instance, offset)


async def stats_of(gateway: Any) -> dict[str, int]:
    found = await gateway.store.deliveries.counters()
    return {"events": sum(count for audience, count in found.audiences if not audience.direct)}


async def test_an_event_goes_to_a_destination_that_no_route_names(tmp_path):
    async with ScriptedServer(OKAY) as server, ScriptedServer(OKAY) as other:
        text = SOURCE + destination(server) + route() + destination(other, "elsewhere")
        async with running(tmp_path, text) as gateway:
            offset = await publish(gateway, b'{"a": 1}')
            await until(lambda: counters_are(gateway, delivered=1))
            query = ReplayQuery(event=event_id(gateway, offset), destination="elsewhere", direct=True)
            await gateway.deliver.replay(query)
            await until(lambda: other.requests)
            assert other.requests[0].headers["webhook-id"] == event_id(gateway, offset)
            await until(lambda: counters_are(gateway, "elsewhere", delivered=1, pending=0))
            assert len(server.requests) == 1


async def test_an_edited_copy_names_its_parent_and_goes_to_the_named_destination_only(tmp_path):
    async with ScriptedServer(OKAY) as server, ScriptedServer(OKAY) as other:
        text = SOURCE + destination(server) + route() + destination(other, "elsewhere")
        async with running(tmp_path, text) as gateway:
            offset = await publish(gateway, b'{"a": 1}', key="k")
            await until(lambda: counters_are(gateway, delivered=1))
            before = await stats_of(gateway)
            parent = event_id(gateway, offset)
            copy, number = await gateway.deliver.send_edited(parent, "elsewhere", Edit(b'{"a": 2}', {"x-a": "b"}))
            await until(lambda: other.requests)
            envelope = json.loads(other.requests[0].body)
            assert (envelope["data"], envelope["key"], envelope["id"]) == ({"a": 2}, "k", event_id(gateway, copy))
            (event,) = await gateway.store.log.read([copy])
            assert (event.origin, noted(event.headers, PARENT)) == (Origin.EDIT, parent)
            views = await of_event(gateway, copy, event.audience)
            assert [view.destination for view in views] == [number]
            await until(lambda: counters_are(gateway, "elsewhere", delivered=1, pending=0))
            assert len(server.requests) == 1
            assert await stats_of(gateway) == before, "an edited copy counts for no source"
            seen = await walk(gateway.store.log, EventFilter(consumer=True), limit=10, after=0)
            assert [one.offset for one in seen.events] == [offset], "feeds and streams leave it out"


async def test_what_does_not_exist_is_refused_before_anything_is_stored(tmp_path):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            offset = await publish(gateway)
            published = gateway.store.log.published_offset
            for event, name in ((event_id(gateway, 99), "crm"), (event_id(gateway, offset), "nowhere")):
                with pytest.raises(NotFound):
                    await gateway.deliver.send_edited(event, name, Edit(b"{}", {}))
            assert gateway.store.log.published_offset == published


async def test_a_replay_is_canceled_while_it_runs(tmp_path):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            for _ in range(20):
                await publish(gateway)
            await until(lambda: counters_are(gateway, delivered=20))
            sent = len(server.requests)
            gate = asyncio.Event()
            step = gateway.deliver.replays._step

            async def held(*args: Any, **more: Any) -> Any:
                await gate.wait()
                return await step(*args, **more)

            gateway.deliver.replays._step = held
            job = await gateway.deliver.replay(ReplayQuery(destination="crm"))
            ended = await gateway.deliver.cancel_replay(job.id)
            assert (ended.cause, ended.finished_at_us is not None) == ("canceled", True)
            gate.set()
            with pytest.raises(Conflict):
                await gateway.deliver.cancel_replay(job.id)
            assert len(server.requests) == sent


async def test_a_replay_of_what_is_pending_counts_it_and_makes_it_due_now(tmp_path):
    async with ScriptedServer(fails(3)) as server:
        async with running(tmp_path, SOURCE + destination(server, retry=["1h"] * 3) + route()) as gateway:
            offsets = [await publish(gateway) for _ in range(3)]
            await until(lambda: len(server.requests) == 3)
            assert (await counters(gateway))["crm"]["pending"] == 3
            query = ReplayQuery(destination="crm", state="pending", dry_run=True)
            assert (await gateway.deliver.replay(query)).matched == 3
            await gateway.deliver.replay(ReplayQuery(destination="crm", state="pending"))
            await until(lambda: counters_are(gateway, delivered=3, pending=0))
            assert (await state(gateway, offsets[0])).state is DeliveryState.DELIVERED
