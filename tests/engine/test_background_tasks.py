"""What runs by itself beside the doors goes on after a fault, and ends with the gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from support.faults.paused_call import PausedCall
from support.gateway.running import running, until
from tidegate.process.gateway import Gateway
from tidegate.retention import engine as maintenance
from tidegate.store import Rejection

TOML = "[sources.shop.publish]\n"


async def test_maintenance_goes_on_after_a_fault_and_the_gateway_stops_whole(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(maintenance, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(maintenance, "LOOK_SECONDS", 0.01)

    async with running(tmp_path, TOML) as gateway:
        give_up, runs = gateway.deliver.give_up, 0

        async def faulty() -> None:
            nonlocal runs
            runs += 1
            if runs == 1:
                raise RuntimeError("an internal error")
            await give_up()

        gateway.deliver.give_up = faulty  # type: ignore[method-assign]
        await until(lambda: runs >= 3)
    async with running(tmp_path, TOML):
        pass  # the directory is free


def reject(gateway: Gateway, detail: str) -> None:
    gateway.rejections.add(Rejection(1, "shop", "signature_wrong", detail, "127.0.0.1"))


async def kept(gateway: Gateway) -> set[str]:
    return {one.detail for one in await gateway.store.settings.rejections()}


async def test_rejections_are_all_kept_when_the_gateway_stops_while_it_writes_some(tmp_path: Path) -> None:
    async def nothing() -> None:
        """It has stopped."""

    async with running(tmp_path, TOML) as gateway:
        async with PausedCall(gateway.store.settings, "rejections") as held:
            reject(gateway, "first")
            await held.reached.wait()
            reject(gateway, "second")
            stopping = asyncio.ensure_future(gateway.stop())
            await asyncio.sleep(0.05)
            held.go.set()
            await stopping
        gateway.stop = nothing  # type: ignore[method-assign]
    async with running(tmp_path, TOML) as gateway:
        assert await kept(gateway) == {"first", "second"}
