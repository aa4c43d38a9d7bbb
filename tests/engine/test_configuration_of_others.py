"""A change that another node made is taken up, also when it falls into the reading of the change before it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from support.gateway.running import running, until
from tidegate.core.errors import StoreBusy

TOML = "[sources.shop.publish]\n"


async def test_a_change_that_falls_into_a_reading_is_read_after_it(tmp_path: Path) -> None:
    async with running(tmp_path, TOML) as gateway:
        load, begun, go_on = gateway.active.load, 0, asyncio.Event()

        async def held() -> None:
            nonlocal begun
            begun += 1
            await load()
            await go_on.wait()

        gateway.active.load = held  # type: ignore[method-assign]
        gateway._changed_elsewhere()
        await until(lambda: begun == 1)
        for _ in range(3):
            gateway._changed_elsewhere()  # the reading under way may have passed what changed now
        go_on.set()
        await until(lambda: begun == 2)
        await asyncio.sleep(0.05)
        assert begun == 2, "three changes during one reading are one reading more"


async def test_a_reading_that_failed_for_the_moment_is_done_again(tmp_path: Path) -> None:
    async with running(tmp_path, TOML) as gateway:
        load, failures = gateway.active.load, [StoreBusy("the database does not answer")]
        read = asyncio.Event()

        async def shaky() -> None:
            if failures:
                raise failures.pop()
            await load()
            read.set()

        gateway.active.load = shaky  # type: ignore[method-assign]
        gateway._changed_elsewhere()
        async with asyncio.timeout(30):
            await read.wait()
