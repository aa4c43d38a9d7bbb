"""Promise 5: memory is bounded whatever the backlog, disk by retention; overload is answered 503 quickly.

The backlog of dead destinations grows by three times what the gateway may hold, and its memory stays where it was. With
the disk held still every request is answered in time, and none that was acknowledged is missing afterwards. Retention
by age and by size trims for real, settles first what a lane owes, and the books still balance.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

from support.farside import FarSide, answer, silence
from support.homes import Home
from support.process import call, free_port
from support.running import books, publish, run, until
from tidegate.clock import ManualClock
from tidegate.model import DeliveryState

BATCH = 100
BODY_BYTES = 8000
GROWTH_LIMIT_KIB = 24 * 1024
HOUR = 3600.0


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")
def test_a_growing_backlog_does_not_grow_the_memory(home: Home) -> None:
    async def main() -> None:
        async with FarSide(silence) as silent:
            gateway = home.process(
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

    asyncio.run(main())


def test_while_the_disk_stands_still_everything_is_answered_503_in_time_and_nothing_is_lost(home: Home) -> None:
    async def main() -> None:
        toml = '[gateway]\nmax_waiting = 40\n[sources.plain.webhook]\nverify = "none"\n[sources.shop.publish]\n'
        async with home.served(toml) as gateway:

            async def one(number: int, path: str) -> tuple[int, str | None, float, dict[str, Any]]:
                body: Any = {"source": "shop", "type": "t", "data": number}
                began = time.monotonic()
                reply = await gateway.api("POST", path, body if path != "/in/plain" else b"%d" % number)
                return reply.status, reply.headers.get("retry-after"), time.monotonic() - began, reply.json()

            assert (await one(0, "/in/plain"))[0] == 202
            paths = ["/in/plain", "/api/v1/events"]
            async with home.disk_held(gateway.gateway):
                await asyncio.sleep(0.05)
                first = await asyncio.gather(*(one(n, paths[n % 2]) for n in range(200)))
                late = await asyncio.gather(*(one(n, paths[n % 2]) for n in range(200)))
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

    run(main)


def retained(good: FarSide, bad: FarSide, events: str, size: str) -> str:
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
        return (await books(gateway))["good"]["delivered"] == count

    await until(all_of_them, 30)


def test_past_its_age_what_is_owed_is_exhausted_as_expired_and_then_trimmed(home: Home) -> None:
    async def main() -> None:
        clock = ManualClock(1_800_000_000_000_000)
        async with FarSide(OKAY) as good, FarSide(no) as bad:
            async with home.running(retained(good, bad, "2h", "1GiB"), clock) as gateway:
                old = [await publish(gateway, b'{"old": true}') for _ in range(700)]
                await delivered(gateway, 700)
                clock.advance(1.5 * HOUR)
                assert await gateway.maintenance.run_once() == 0  # not past its age: nothing is touched
                new = [await publish(gateway, b'{"old": false}') for _ in range(50)]
                await delivered(gateway, 750)
                assert (await books(gateway))["dead"]["exhausted"] == 0
                seen: list[dict[str, int]] = []
                trim = gateway.store.log.trim

                async def watched(upto: int, limit: int) -> int:
                    # Before an event goes, every lane has settled it: visibly, as expired.
                    for name in ("dead", "hanging"):
                        number = gateway.live.destinations[name].number
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
                found = await books(gateway)
                for name in ("dead", "hanging"):
                    assert found[name]["exhausted"] == 700
                    assert found[name]["pending"] == 50
                assert found["good"] == {"delivered": 750, "exhausted": 0, "cancelled": 0, "pending": 0, "owed": 750}
                assert [event.offset for event in await gateway.store.log.read(old)] == []
                for sender in gateway.deliver.senders.values():
                    sender.abort_all()

    run(main)


def test_over_its_size_the_oldest_go_until_it_fits_and_the_file_stops_growing(home: Home) -> None:
    if home.database is not None:
        pytest.skip("the size of a shared server's tables is its own matter")

    async def main() -> None:
        clock = ManualClock(1_800_000_000_000_000)
        limit = 16 << 20
        async with FarSide(OKAY) as good, FarSide(no) as bad:
            async with home.running(retained(good, bad, "30d", "16MiB"), clock) as gateway:
                sizes = []
                for round_ in range(1, 7):
                    last = [await publish(gateway, random.Random(n).randbytes(80_000)) for n in range(120)][-1]
                    await delivered(gateway, 120 * round_)
                    for _ in range(60):
                        if not await gateway.maintenance.run_once():
                            break
                    assert (await gateway.store.facts())["used_bytes"] <= limit
                    sizes.append(sum(file.stat().st_size for file in home.data.glob("tidegate.db")))
                    assert (await gateway.store.log.oldest())[0] <= last  # the newest stay
                found = await books(gateway)
                assert found["dead"]["exhausted"] > 120
                assert found["dead"]["exhausted"] + found["dead"]["pending"] == 720
                print(f"file after each 9.6 MB: {sizes}")
                assert sizes[-1] <= limit * 2.5
                assert sizes[-1] <= sizes[2] * 1.25
                for sender in gateway.deliver.senders.values():
                    sender.abort_all()

    run(main)
