"""The deliver engine on a real store against real receivers: what is sent, when it is retried, and what is counted."""

from __future__ import annotations

import asyncio
import json

import pytest
from standardwebhooks import Webhook

from support.gateway.running import counters, publish, running, until
from support.receiver.scripted import ScriptedServer, answer, silence
from tidegate.core.errors import Conflict, NotFound
from tidegate.core.model import DeliveryState, Lane, Outcome
from tidegate.deliver.lane import WINDOW
from tidegate.deliver.settler import IDLE_SECONDS
from tidegate.store import PARTITIONS, Settlement
from tidegate.store.sqlite import open_sqlite

OKAY = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
SOURCE = "[sources.shop.publish]\n"


def destination(server, name="crm", **keys) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    return f'[destinations.{name}]\nurl = "http://127.0.0.1:{server.port}/hook"\n{lines}'


def route(to="crm", name="all") -> str:
    return f'[routes.{name}]\nfrom = "shop"\nto = {json.dumps(to)}\n'


def fails(times: int, status: bytes = b"500 X", headers: bytes = b""):
    """A script that fails `times` times, then answers 200."""
    left = [times]

    async def script(reader, writer, request):
        left[0] -= 1
        head = status if left[0] >= 0 else b"200 OK"
        writer.write(b"HTTP/1.1 " + head + b"\r\ncontent-length: 2\r\n" + headers + b"\r\nok")

    return script


async def state(gateway, offset, name="crm"):
    number = gateway.active.destinations[name].number
    return (await gateway.deliver.states([(offset, number)])).get((offset, number))


async def test_a_delivery_verifies_with_an_independent_library_and_names_its_origin(tmp_path):
    async with ScriptedServer(answer(b"HTTP/1.1 204 No\r\n\r\n")) as server:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            offset = await publish(gateway, b'{"a":1}', type="order.paid")
            await until(lambda: server.requests)
            got = server.requests[0]
            secret = gateway.active.destinations["crm"].secrets[0]
            body = Webhook(secret).verify(got.body, got.headers)
            assert body["data"] == {"a": 1}
            assert body["id"] == got.headers["webhook-id"]
            assert got.headers["tidegate-source"] == "shop"
            assert got.headers["tidegate-type"] == "order.paid"
            assert got.headers["tidegate-attempt"] == "1"
            await until(lambda: counters_are(gateway, delivered=1))
            view = await state(gateway, offset)
            assert (view.state, view.attempts[0].status) == (DeliveryState.DELIVERED, 204)


async def counters_are(gateway, name="crm", **expected) -> bool:
    found = (await counters(gateway))[name]
    return all(found[key] == value for key, value in expected.items())


async def test_a_failure_is_retried_with_the_same_id_and_the_next_attempt_number(tmp_path):
    async with ScriptedServer(fails(2)) as server:
        toml = SOURCE + destination(server, retry=["50ms", "50ms", "1s"]) + route()
        async with running(tmp_path, toml) as gateway:
            offset = await publish(gateway)
            await until(lambda: counters_are(gateway, delivered=1))
            assert [r.headers["tidegate-attempt"] for r in server.requests] == ["1", "2", "3"]
            assert len({r.headers["webhook-id"] for r in server.requests}) == 1
            view = await state(gateway, offset)
            assert [a.outcome for a in view.attempts] == [Outcome.HTTP_ERROR, Outcome.HTTP_ERROR, Outcome.OK]
            assert await gateway.store.deliveries.deferred(destination=view.destination) == []


async def test_after_the_last_try_a_delivery_is_exhausted_and_a_retry_reopens_it(tmp_path):
    async with ScriptedServer(fails(2)) as server:
        async with running(tmp_path, SOURCE + destination(server, retry=["20ms"]) + route()) as gateway:
            offset = await publish(gateway)
            await until(lambda: counters_are(gateway, exhausted=1))
            assert (await state(gateway, offset)).state is DeliveryState.EXHAUSTED
            await gateway.deliver.retry(offset, gateway.active.destinations["crm"].number)
            await until(lambda: counters_are(gateway, delivered=1, exhausted=0, pending=0))
            assert server.requests[-1].headers["tidegate-attempt"] == "3"
            assert (await state(gateway, offset)).attempts[-1].manual


async def test_410_pauses_the_destination_and_keeps_its_backlog(tmp_path):
    async with ScriptedServer(fails(1, b"410 Gone")) as server:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            await publish(gateway)
            await until(lambda: gateway.active.destinations["crm"].pause_reason == "gone")
            await publish(gateway)
            assert (await counters(gateway))["crm"]["pending"] == 2
            assert len(server.requests) == 1
            await gateway.editor.resume("crm")
            await until(lambda: counters_are(gateway, delivered=2))


async def test_a_redirect_is_a_failure_and_is_not_followed(tmp_path):
    async with ScriptedServer(fails(1, b"302 Found", b"location: /other\r\n")) as server:
        async with running(tmp_path, SOURCE + destination(server, retry=["20ms"]) + route()) as gateway:
            offset = await publish(gateway)
            await until(lambda: counters_are(gateway, delivered=1))
            assert [r.line for r in server.requests] == ["POST /hook HTTP/1.1"] * 2
            assert (await state(gateway, offset)).attempts[0].status == 302


async def test_retry_after_holds_the_whole_destination(tmp_path):
    async with ScriptedServer(fails(1, b"429 Slow", b"retry-after: 1\r\n")) as server:
        toml = SOURCE + destination(server, retry=["10ms"]) + route()
        async with running(tmp_path, toml) as gateway:
            await publish(gateway)
            await until(lambda: server.requests)
            await until(lambda: gateway.deliver.health(gateway.active.destinations["crm"].number).hold_until_us)
            began = asyncio.get_running_loop().time()
            await publish(gateway)
            await until(lambda: counters_are(gateway, delivered=2))
            assert asyncio.get_running_loop().time() - began > 0.8


async def test_a_backlog_larger_than_the_window_is_delivered_once_each_in_order(tmp_path):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, SOURCE + destination(server, concurrency=1) + route()) as gateway:
            await gateway.editor.pause("crm")
            offsets = [await publish(gateway, json.dumps(n).encode()) for n in range(700)]
            sender = gateway.deliver.senders[gateway.active.destinations["crm"].number]
            assert len(sender.lane.open) <= 256
            await gateway.editor.resume("crm")
            await until(lambda: counters_are(gateway, delivered=700), 30)
            assert [json.loads(r.body)["data"] for r in server.requests] == list(range(700))
            assert len(offsets) == 700


async def test_a_restart_continues_where_the_lane_was(tmp_path):
    async with ScriptedServer(fails(1)) as server:
        toml = SOURCE + destination(server, retry=["200ms"]) + route()
        async with running(tmp_path, toml) as gateway:
            await publish(gateway, b"1")
            await until(lambda: counters_are(gateway, pending=1) if server.requests else False)
            await gateway.editor.pause("crm")
            for n in range(2, 400):
                await publish(gateway, str(n).encode())
        async with running(tmp_path, toml) as gateway:
            await gateway.editor.resume("crm")
            await until(lambda: counters_are(gateway, delivered=399, pending=0), 20)
            got = [json.loads(r.body)["data"] for r in server.requests]
            assert sorted(got) == sorted([1, *range(1, 400)])
            assert [r.headers["tidegate-attempt"] for r in server.requests if json.loads(r.body)["data"] == 1] == [
                "1",
                "2",
            ]


async def test_a_request_that_hangs_does_not_stop_the_lane(tmp_path):
    release = asyncio.Event()

    async def script(reader, writer, request):
        if b'"data":0' in request.body.replace(b" ", b""):
            await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with ScriptedServer(script) as server:
        async with running(tmp_path, SOURCE + destination(server, concurrency=4) + route()) as gateway:
            for n in range(200):
                await publish(gateway, str(n).encode())
            await until(lambda: counters_are(gateway, delivered=199, pending=1), 30)
            release.set()  # an end waits for what is under way


async def test_with_ordered_by_the_first_successes_of_a_key_are_in_order(tmp_path):
    seen: dict[str, list[int]] = {}
    tries: dict[tuple[str, int], int] = {}

    async def script(reader, writer, request):
        data = json.loads(request.body)["data"]
        key, number = data["key"], data["n"]
        tries[(key, number)] = tries.get((key, number), 0) + 1
        bad = number % 7 == 3 and tries[(key, number)] < 3
        if not bad:
            seen.setdefault(key, []).append(number)
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % (500 if bad else 200))

    async with ScriptedServer(script) as server:
        toml = SOURCE + destination(server, ordered_by="data.key", concurrency=16, retry=["30ms"] * 5) + route()
        async with running(tmp_path, toml) as gateway:
            for n in range(60):
                for key in "abcde":
                    await publish(gateway, json.dumps({"key": key, "n": n}).encode())
            await until(lambda: counters_are(gateway, delivered=300, pending=0), 40)
            assert seen == {key: list(range(60)) for key in "abcde"}


async def test_order_by_key_holds_after_a_restart(tmp_path):
    seen: list[int] = []
    broken = [True]

    async def script(reader, writer, request):
        number = json.loads(request.body)["data"]["n"]
        bad = broken[0] and number == 0
        if not bad:
            seen.append(number)
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % (500 if bad else 200))

    async with ScriptedServer(script) as server:
        toml = SOURCE + destination(server, ordered_by="data.k", retry=["100ms"] * 50) + route()
        async with running(tmp_path, toml) as gateway:
            for n in range(50):
                await publish(gateway, json.dumps({"k": "x", "n": n}).encode())
            await until(lambda: len(server.requests) >= 2)
        assert seen == []
        broken[0] = False
        async with running(tmp_path, toml) as gateway:
            await until(lambda: counters_are(gateway, delivered=50, pending=0), 20)
        assert seen == list(range(50))


async def test_the_breaker_opens_on_many_failures_and_the_backlog_spends_no_tries(tmp_path):
    async with ScriptedServer(fails(10_000)) as server:
        async with running(tmp_path, SOURCE + destination(server, retry=["10m"] * 3) + route()) as gateway:
            for n in range(100):
                await publish(gateway, str(n).encode())
            number = gateway.active.destinations["crm"].number
            await until(lambda: gateway.deliver.health(number).circuit == "open")
            sent = len(server.requests)
            assert sent <= 32 + 8, "32 events that fail open it, and 8 more may be in flight by then"
            assert (await counters(gateway))["crm"]["pending"] == 100


async def test_cancel_and_replay_change_the_counters_and_only_pending_deliveries_can_be_canceled(tmp_path):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            number = gateway.active.destinations["crm"].number
            await gateway.editor.pause("crm")
            offsets = [await publish(gateway) for _ in range(3)]
            await gateway.deliver.cancel(offsets[1], number)
            assert (await counters(gateway))["crm"]["canceled"] == 1
            await gateway.editor.resume("crm")
            await until(lambda: counters_are(gateway, delivered=2, canceled=1, pending=0))
            with pytest.raises(Conflict):
                await gateway.deliver.cancel(offsets[0], number)
            with pytest.raises(NotFound):
                await gateway.deliver.cancel(999, number)
            from tidegate.deliver import ReplayQuery

            dry = await gateway.deliver.replay(ReplayQuery(destination="crm", dry_run=True))
            assert (dry.matched, dry.reopened) == (3, 0)
            await gateway.deliver.replay(ReplayQuery(destination="crm"))
            await until(lambda: counters_are(gateway, delivered=3, canceled=0, pending=0))
            assert len(server.requests) == 5


async def test_a_replay_by_the_routes_of_today_reaches_a_destination_that_was_made_later(tmp_path):
    async with ScriptedServer(OKAY) as server, ScriptedServer(OKAY) as late:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            for _ in range(5):
                await publish(gateway)
        toml = SOURCE + destination(server) + destination(late, "late") + route(["crm", "late"])
        async with running(tmp_path, toml) as gateway:
            from tidegate.deliver import ReplayQuery

            assert (await counters(gateway))["late"]["owed"] == 0
            await gateway.deliver.replay(ReplayQuery(destination="late"))
            await until(lambda: len(late.requests) == 5)
            await gateway.deliver.settler.flush()
            found = (await counters(gateway))["late"]
            assert (found["delivered"], found["owed"], found["pending"]) == (5, 5, 0)


async def test_start_beginning_sends_a_new_destination_the_past_once(tmp_path):
    async with ScriptedServer(OKAY) as server, ScriptedServer(OKAY) as late:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            for _ in range(5):
                await publish(gateway)
        toml = SOURCE + destination(server) + destination(late, "late", start="beginning") + route(["crm", "late"])
        for _ in range(2):
            async with running(tmp_path, toml) as gateway:
                await until(lambda: len(late.requests) == 5)
                await gateway.deliver.settler.flush()
        assert len(late.requests) == 5


async def test_a_destination_that_leaves_the_file_is_paused_and_prune_cancels_its_backlog(tmp_path):
    async with ScriptedServer(OKAY) as server:
        toml = SOURCE + destination(server) + route()
        async with running(tmp_path, toml) as gateway:
            await gateway.editor.pause("crm")
            for _ in range(300):
                await publish(gateway)
        async with running(tmp_path, SOURCE) as gateway:
            assert gateway.active.destinations["crm"].pause_reason == "left_file"
            assert (await counters(gateway))["crm"]["pending"] == 300
            number = gateway.active.destinations["crm"].number
            await gateway.reload(prune=True)
            assert "crm" not in gateway.active.destinations

            async def canceled():
                await gateway.deliver.settler.flush()
                lanes = (await gateway.store.deliveries.load()).lanes
                return [lane.canceled for lane in lanes if lane.destination == number] == [300]

            await until(canceled)
            assert server.requests == []


async def test_a_test_send_is_signed_and_changes_no_counter(tmp_path):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            attempt = await gateway.deliver.test("crm")
            assert (attempt.outcome, attempt.status) == (Outcome.OK, 200)
            Webhook(gateway.active.destinations["crm"].secrets[0]).verify(
                server.requests[0].body, server.requests[0].headers
            )
            assert (await counters(gateway))["crm"]["owed"] == 0


async def test_a_lane_that_begins_to_lag_with_nothing_open_keeps_its_offset_when_the_mark_moves_on(tmp_path):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            await publish(gateway)
            await until(lambda: counters_are(gateway, delivered=1))
            sender = gateway.deliver.senders[gateway.active.destinations["crm"].number]
            sender.lane.unsettled = WINDOW  # as while a settle of a whole window is under way
            offset = await publish(gateway)
            await gateway.deliver.settler.flush()
            standing = await gateway.store.deliveries.load()
            assert standing.high_water_mark_of(sender.number) >= offset
            assert [lane.committed_offset for lane in standing.lanes if lane.destination == sender.number] == [
                offset - 1
            ]
            sender.lane.unsettled = 0
            sender.pump()
            await until(lambda: counters_are(gateway, delivered=2, pending=0))


async def test_partitions_that_leave_and_come_back_lose_and_repeat_nothing(tmp_path):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            deliver, every = gateway.deliver, frozenset(range(PARTITIONS))
            for _ in range(3):
                await publish(gateway)
            await until(lambda: counters_are(gateway, delivered=3))
            await deliver.leave(every)
            away = [await publish(gateway, json.dumps(n).encode()) for n in range(300)]
            await asyncio.sleep(IDLE_SECONDS + 0.2)  # a settle that only the log made due must not pass them
            assert (await state(gateway, away[0])).state is DeliveryState.PENDING
            await deliver.take(every)
            await until(lambda: counters_are(gateway, delivered=303, pending=0))
            assert len(server.requests) == 303


async def test_a_node_that_lost_its_lease_sends_and_writes_nothing_until_it_takes_again(tmp_path):
    async with ScriptedServer(silence) as server:
        async with running(tmp_path, SOURCE + destination(server) + route()) as gateway:
            deliver, every = gateway.deliver, frozenset(range(PARTITIONS))
            offset = await publish(gateway)
            await until(lambda: server.requests)
            deliver.lost()
            await publish(gateway)
            await deliver.settler.flush()
            assert len(server.requests) == 1
            lanes = (await gateway.store.deliveries.load()).lanes
            assert all(lane.delivered == lane.exhausted == 0 for lane in lanes)
            server.script = OKAY
            await deliver.take(every)
            await until(lambda: counters_are(gateway, delivered=2, pending=0))
            assert [a.number for a in (await state(gateway, offset)).attempts] == [1], (
                "a request that was cut off is not an attempt"
            )


async def test_events_for_a_destination_that_another_node_made_wait_in_a_durable_lane(tmp_path):
    async with ScriptedServer(OKAY) as server, ScriptedServer(OKAY) as late:
        toml = SOURCE + destination(server) + destination(late, "late") + route(["crm", "late"])
        async with running(tmp_path, toml) as gateway:
            number, known = gateway.active.destinations["late"].number, gateway.active.by_number
            gateway.active.by_number = {n: one for n, one in known.items() if n != number}
            offsets = [await publish(gateway) for _ in range(3)]
            await until(lambda: len(server.requests) == 3)
            await gateway.deliver.settler.flush()
            standing = await gateway.store.deliveries.load()
            assert standing.high_water_mark_of(number) >= offsets[-1], "the mark goes on"
            assert [lane.committed_offset for lane in standing.lanes if lane.destination == number] == [offsets[0] - 1]
            every = frozenset(range(PARTITIONS))
            gateway.deliver.lost()  # as when the node dies here; the next one reads the row
            await gateway.deliver.take(every)
            assert late.requests == []
            gateway.active.by_number = known
            gateway.deliver._configured()
            await until(lambda: counters_are(gateway, "late", delivered=3, pending=0))
            assert len(late.requests) == 3


async def test_a_lane_that_was_settled_far_ahead_reads_on_after_a_crash(tmp_path):
    async with ScriptedServer(OKAY) as server:
        toml = SOURCE + destination(server) + route()
        async with running(tmp_path, toml) as gateway:
            await gateway.editor.pause("crm")
            for n in range(300):
                await publish(gateway, json.dumps(n).encode())
        store = await open_sqlite(tmp_path / "data")
        number = 2  # source, destination, route, in the order of the file
        ahead = tuple(range(2, WINDOW))  # the crash came while the first of a full window was in flight
        await store.deliveries.settle(Settlement(300, [Lane(number, 0, ahead, delivered=len(ahead))]))
        await store.close()
        async with running(tmp_path, toml) as gateway:
            assert gateway.active.destinations["crm"].number == number
            await gateway.editor.resume("crm")
            await until(lambda: counters_are(gateway, delivered=300, pending=0))
            assert sorted(json.loads(one.body)["data"] for one in server.requests) == [0, *range(WINDOW - 1, 300)]
