"""Promise 5: memory is bounded whatever the backlog, disk by retention; overload is answered 503 quickly.

The backlog of dead destinations grows by three times what the gateway may hold, and its memory stays where it was;
what a sender has in hand is counted one by one. With the disk held still every request is answered in time, and none
that was acknowledged is missing afterwards. Retention by age and by size trims for real, settles first what a lane
owes, and the counters still balance.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

from support.gateway.deployment import Deployment
from support.gateway.process import call, free_port
from support.gateway.running import counters, publish, until
from support.receiver.scripted import ScriptedServer, answer, silence
from tidegate.core.clock import ManualClock
from tidegate.core.model import DeliveryState

BATCH = 100
BODY_BYTES = 8000
GROWTH_LIMIT_KIB = 24 * 1024
HOUR = 3600.0


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")
async def test_a_growing_backlog_does_not_grow_the_memory(deployment: Deployment) -> None:
    async with ScriptedServer(silence) as silent:
        gateway = deployment.process(
            f"""
[egress]
allow = ["127.0.0.1/32"]
[sources.shop.publish]
[destinations.silent]
url = "http://127.0.0.1:{silent.port}/"
timeout = "4m"
[destinations.refusing]
url = "http://127.0.0.1:{free_port()}/"
retry = ["1s", "1h"]
[destinations.ordered]
url = "http://127.0.0.1:{silent.port}/"
ordered_by = "type"
timeout = "4m"
[routes.all]
from = "shop"
to = ["silent", "refusing", "ordered"]
"""
        )
        await gateway.start()
        chance = random.Random(5)

        async def fill(calls: int) -> int:
            for _ in range(calls):
                text = chance.randbytes(BODY_BYTES // 2).hex()
                events = [{"source": "shop", "type": "t", "data": text} for _ in range(BATCH)]
                await call(gateway.url, "/api/v1/events", gateway.key, "POST", events)
            return resident_kib(gateway.pid)

        before = await fill(60)  # 48 MB: the tail of the log is full
        after = await fill(120)  # 96 MB more
        pending = (await call(gateway.url, "/api/v1/stats", gateway.key))["totals"]["pending"]
        await gateway.end(9)
    print(f"{pending} deliveries pending, {before // 1024} MiB, then {after // 1024} MiB")
    assert pending == 3 * 180 * BATCH
    assert after - before < GROWTH_LIMIT_KIB


def in_hand(sender: Any) -> int:
    """Offsets that one sender holds in memory, wherever."""
    lane = sender.lane
    held = (lane.open, lane.settled_ahead, sender.backlog.ready, sender.backlog.deferred.known, sender.flights)
    return sum(map(len, held)) + int(lane.unsettled) + len(sender.backlog.key_queues)


async def test_what_a_sender_has_in_hand_does_not_grow_with_its_backlog(deployment: Deployment) -> None:
    async with ScriptedServer(silence) as silent, ScriptedServer(no) as bad:
        toml = f"""
[sources.shop.publish]
[destinations.silent]
url = "http://127.0.0.1:{silent.port}/"
[destinations.dead]
url = "http://127.0.0.1:{bad.port}/"
retry = ["10h"]
[destinations.ordered]
url = "http://127.0.0.1:{silent.port}/"
ordered_by = "type"
[routes.all]
from = "shop"
to = ["silent", "dead", "ordered"]
"""
        async with deployment.running(toml) as gateway:
            seen = []
            for _ in range(3):
                for _ in range(16):
                    await asyncio.gather(*(publish(gateway) for _ in range(100)))
                await asyncio.sleep(0.3)
                senders = {one.destination.name: one for one in gateway.deliver.senders.values()}
                seen.append({name: in_hand(one) for name, one in senders.items()})
            assert (await counters(gateway))["silent"]["pending"] == 4800
            for name in ("silent", "dead"):
                assert max(one[name] for one in seen) < 1500, seen
            assert seen[2]["ordered"] < 3000, seen  # also deliveries behind their key, which has a limit of its own
            for sender in senders.values():
                sender.abort_all()


async def test_while_the_disk_stands_still_everything_is_answered_503_in_time_and_nothing_is_lost(
    deployment: Deployment,
) -> None:
    toml = '[gateway]\nmax_waiting = 40\n[sources.plain.webhook]\nverify = "none"\n[sources.shop.publish]\n'
    async with deployment.served(toml) as gateway:

        async def one(number: int, path: str) -> tuple[int, str | None, float, dict[str, Any]]:
            body: Any = {"source": "shop", "type": "t", "data": number}
            began = time.monotonic()
            reply = await gateway.api("POST", path, body if path != "/in/plain" else b"%d" % number)
            return reply.status, reply.headers.get("retry-after"), time.monotonic() - began, reply.json()

        assert (await one(0, "/in/plain"))[0] == 202
        paths = ["/in/plain", "/api/v1/events"]
        async with deployment.disk_held(gateway.gateway):
            await asyncio.sleep(0.05)
            calls = asyncio.gather(*(one(n, paths[n % 2]) for n in range(200)))
            waiting = 0
            while not calls.done():
                waiting = max(waiting, gateway.gateway.store.log.waiting)
                await asyncio.sleep(0.005)
            first = await calls
            late = await asyncio.gather(*(one(n, paths[n % 2]) for n in range(200)))
        assert 10 < waiting < 100  # the limit is 40, and 200 knocked at once
        for status, wait, seconds, _ in [*first, *late]:
            assert status == 503
            assert wait is not None and int(wait) >= 1
            assert seconds < 5  # well under one on a machine of its own
        # Once it is known that the disk stands still, nobody waits for it.
        assert sorted(seconds for _, _, seconds, _ in late)[100] < 1.0

        async def again() -> bool:
            return (await one(1, "/in/plain"))[0] == 202

        await until(again)
        found = await asyncio.gather(*(one(n, paths[n % 2]) for n in range(30)))
        for status, _, _, content in found:
            assert status == 202
            assert (await gateway.api("GET", f"/api/v1/events/{content['id']}")).status == 200


def retained(good: ScriptedServer, bad: ScriptedServer, events: str, size: str) -> str:
    return f"""
[retention]
events = "{events}"
size = "{size}"
[sources.shop.publish]
[destinations.good]
url = "http://127.0.0.1:{good.port}/"
[destinations.dead]
url = "http://127.0.0.1:{bad.port}/"
retry = ["10h", "10h"]
[destinations.hanging]
url = "http://127.0.0.1:{bad.port}/hang"
timeout = "4m"
[routes.all]
from = "shop"
to = ["good", "dead", "hanging"]
"""


async def no(reader: Any, writer: Any, request: Any) -> None:
    if "/hang" in request.line:
        await reader.read()
        return
    writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")


OKAY = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


async def delivered(gateway: Any, count: int) -> None:
    async def all_of_them() -> bool:
        return (await counters(gateway))["good"]["delivered"] == count

    await until(all_of_them, 30)


async def test_past_its_age_what_is_owed_is_exhausted_as_expired_and_then_trimmed(deployment: Deployment) -> None:
    clock = ManualClock(1_800_000_000_000_000)
    async with ScriptedServer(OKAY) as good, ScriptedServer(no) as bad:
        async with deployment.running(retained(good, bad, "2h", "1GiB"), clock) as gateway:
            old = [await publish(gateway, b'{"old": true}') for _ in range(700)]
            await delivered(gateway, 700)
            clock.advance(1.5 * HOUR)
            assert await gateway.maintenance.run_once() == 0  # not past its age: nothing is touched
            new = [await publish(gateway, b'{"old": false}') for _ in range(50)]
            await delivered(gateway, 750)
            assert (await counters(gateway))["dead"]["exhausted"] == 0
            seen: list[dict[str, int]] = []
            trim = gateway.store.log.trim

            async def watched(upto: int, limit: int) -> int:
                # Before an event goes, every lane has settled it: visibly, as expired.
                for name in ("dead", "hanging"):
                    number = gateway.active.destinations[name].number
                    view = (await gateway.deliver.states([(old[0], number)])).get((old[0], number))
                    if view is not None:
                        assert (view.state, view.cause) == (DeliveryState.EXHAUSTED, "expired")
                        seen.append({name: number})
                assert upto < new[0]
                return await trim(upto, limit)

            gateway.store.log.trim = watched
            clock.advance(1.0 * HOUR)
            assert await gateway.maintenance.run_once() == 700
            assert len(seen) >= 2
            assert (await gateway.store.log.oldest())[0] == new[0]
            found = await counters(gateway)
            for name in ("dead", "hanging"):
                assert found[name]["exhausted"] == 700
                assert found[name]["pending"] == 50
            assert found["good"] == {"delivered": 750, "exhausted": 0, "canceled": 0, "pending": 0, "owed": 750}
            assert [event.offset for event in await gateway.store.log.read(old)] == []
            deliveries = gateway.store.deliveries  # what was noted of them went too
            assert await deliveries.deferred(offsets=old[:500], limit=1000) == []
            numbers = [one.number for one in gateway.active.destinations.values()]
            pairs = [(offset, number) for offset in old[:200] for number in numbers]
            assert not any((await deliveries.attempts(pairs)).values())
            for sender in gateway.deliver.senders.values():
                sender.abort_all()


async def test_what_a_lane_still_owes_is_never_trimmed(deployment: Deployment) -> None:
    clock = ManualClock(1_800_000_000_000_000)
    async with ScriptedServer(OKAY) as good, ScriptedServer(no) as bad:
        async with deployment.running(retained(good, bad, "2h", "1GiB"), clock) as gateway:
            await gateway.editor.pause("hanging")  # a request in flight would time out when the clock moves
            offsets = [await publish(gateway) for _ in range(5)]
            await delivered(gateway, 5)
            await until(lambda: len(bad.requests) >= 5)

            async def not_ours(upto: int, cause: str = "expired") -> None:
                """As when another node holds the lanes and has not expired them yet."""

            expire, gateway.deliver.expire = gateway.deliver.expire, not_ours
            clock.advance(3 * HOUR)
            assert await gateway.maintenance.run_once() == 0
            assert len(await gateway.store.log.read(offsets)) == 5
            gateway.deliver.expire = expire
            assert await gateway.maintenance.run_once() == 5
            for sender in gateway.deliver.senders.values():
                sender.abort_all()


async def test_a_delivery_id_is_remembered_for_its_time_and_no_longer(deployment: Deployment) -> None:
    clock = ManualClock(1_800_000_000_000_000)
    toml = '[retention]\ndedupe = "2h"\n[sources.shop.publish]\n'
    async with deployment.running(toml, clock) as gateway:

        async def come() -> int:
            return await publish(gateway, dedupe_id="d1", body_hash=b"h" * 16)

        first = await come()
        await gateway.maintenance.run_once()
        clock.advance(1.5 * HOUR)
        await gateway.maintenance.run_once()
        assert await come() == first
        clock.advance(3 * HOUR)
        await gateway.maintenance.run_once()
        assert await come() > first


async def test_over_its_size_the_oldest_go_until_it_fits_and_the_file_stops_growing(deployment: Deployment) -> None:
    if deployment.database is not None:
        pytest.skip("the size of a shared server's tables is its own matter")
    clock = ManualClock(1_800_000_000_000_000)
    limit = 16 << 20
    async with ScriptedServer(OKAY) as good, ScriptedServer(no) as bad:
        toml = retained(good, bad, "30d", "16MiB").replace('to = ["good", "dead", "hanging"]', 'to = "good"')
        async with deployment.running(toml, clock) as gateway:
            sizes, free = [], []
            for round_ in range(1, 7):
                last = [await publish(gateway, random.Random(n).randbytes(80_000)) for n in range(120)][-1]
                await delivered(gateway, 120 * round_)

                async def fits() -> bool:
                    await gateway.deliver.settler.flush()
                    while await gateway.maintenance.run_once():
                        pass
                    return (await gateway.store.facts()).used_bytes <= limit

                await until(fits)
                facts = await gateway.store.facts()
                if round_ > 2:  # and no more went than had to: a tenth at a time
                    assert (facts.page_count - facts.free_pages) * facts.page_bytes > limit * 0.75
                    free.append(facts.free_pages * facts.page_bytes)
                sizes.append(sum(file.stat().st_size for file in deployment.data.glob("tidegate.db")))
                assert (await gateway.store.log.oldest())[0] <= last  # the newest stay
            print(f"file after each 9.6 MB: {sizes}, free in it {free}")
            assert max(free) < limit * 0.5  # what is free goes back, little by little
            assert sizes[-1] <= limit * 2.5
            assert sizes[-1] <= sizes[2] * 1.25
            for sender in gateway.deliver.senders.values():
                sender.abort_all()
