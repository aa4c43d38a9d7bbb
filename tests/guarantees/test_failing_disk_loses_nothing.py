"""Promises 1 and 5 on a failing disk: what cannot be made durable is answered 503, never 2xx, and nothing that was
acknowledged is lost.

A full disk is passing: the gateway goes on when there is room again. After a failed fsync or a refused write the state
is unknown: it stops by itself with exit 1, and the next start recovers from disk.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.gateway.process import GatewayProcess, free_port
from support.gateway.running import until

PROGRAM = (str(Path(__file__).with_name("planted_failing_disk.py")),)
TOML = '[sources.plain.webhook]\nverify = "none"\n[sources.shop.publish]\n'


class Publisher:
    """Sends on both doors and keeps what was answered."""

    def __init__(self, http: aiohttp.ClientSession, gateway: GatewayProcess) -> None:
        self._http = http
        self._gateway = gateway
        self.number = 0
        self.acknowledged: list[str] = []
        self.refused: list[tuple[int, str | None]] = []

    async def one(self) -> int:
        self.number += 1
        body: dict[str, Any] = {"source": "shop", "type": "t", "data": self.number}
        url = f"{self._gateway.url}{'/in/plain' if self.number % 2 else '/api/v1/events'}"
        headers = {"authorization": f"Bearer {self._gateway.key}", "content-type": "application/json"}
        async with self._http.post(url, json=body, headers=headers) as answer:
            if answer.status in (200, 202):
                self.acknowledged.append((await answer.json())["id"])
            else:
                self.refused.append((answer.status, answer.headers.get("retry-after")))
            return answer.status

    async def some(self, count: int) -> list[int]:
        return [await self.one() for _ in range(count)]

    async def missing(self) -> list[str]:
        """Acknowledged events that the gateway does not have."""
        headers = {"authorization": f"Bearer {self._gateway.key}"}
        gone = []
        for id_ in self.acknowledged:
            async with self._http.get(f"{self._gateway.url}/api/v1/events/{id_}", headers=headers) as answer:
                if answer.status != 200:
                    gone.append(id_)
        return gone


def gateway_on(folder: Path, fault: Path) -> tuple[GatewayProcess, GatewayProcess]:
    """One on the disk that fails on demand, one on the same data and port and the disk as it is."""
    file = folder / "tidegate.toml"
    file.write_text(TOML)
    port = free_port()
    environ = {"TEST_DISK_FAULT": str(fault)}
    failing = GatewayProcess(file, folder / "data", port, PROGRAM, environ=environ)
    return failing, GatewayProcess(file, folder / "data", port)


async def test_a_full_disk_is_answered_503_and_passes_without_a_restart(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    gateway, later = gateway_on(tmp_path, fault)
    async with aiohttp.ClientSession() as http:
        await gateway.start()
        publisher = Publisher(http, gateway)
        assert set(await publisher.some(20)) == {202}
        for _ in range(3):
            fault.write_text("full")
            assert set(await publisher.some(10)) == {503}
            assert all(wait is not None and int(wait) >= 1 for _, wait in publisher.refused)
            fault.write_text("")

            async def again() -> bool:
                return await publisher.one() == 202

            await until(again)
            assert set(await publisher.some(10)) == {202}
        assert gateway.running
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
        await later.start()
        assert await publisher.missing() == []
        assert await later.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("kind", ["fsync", "read_only"])
async def test_a_disk_that_cannot_confirm_is_answered_503_and_the_gateway_stops_and_recovers(
    tmp_path: Path, kind: str
) -> None:
    fault = tmp_path / "fault"
    gateway, later = gateway_on(tmp_path, fault)
    async with aiohttp.ClientSession() as http:
        await gateway.start()
        publisher = Publisher(http, gateway)
        assert set(await publisher.some(20)) == {202}
        fault.write_text(kind)
        tries = await asyncio.gather(*(publisher.one() for _ in range(20)), return_exceptions=True)
        assert 503 in tries
        assert {one for one in tries if isinstance(one, int)} == {503}
        await until(lambda: not gateway.running, 30)
        assert await gateway.end(signal.SIGTERM) == 1  # it had ended by itself
        assert b"store_unavailable" in gateway.stderr
        fault.write_text("")
        await later.start()
        assert await publisher.missing() == []
        assert set(await publisher.some(5)) == {202}
        assert await later.end(signal.SIGTERM) == 0


def test_a_data_directory_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    command = [sys.executable, "-m", "tidegate", "serve", "--data", str(tmp_path / "file" / "data"), "--port", "0"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"error[store_" in done.stderr
    assert b"hint: " in done.stderr
    assert b"Traceback" not in done.stderr
