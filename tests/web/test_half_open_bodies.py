"""Bodies that do not end: how much of them is held, who gives way, and that whole events still come in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from support.gateway.api import Served, served
from support.gateway.process import GatewayProcess, free_port
from support.gateway.running import until
from tidegate.receive import body_budget
from tidegate.receive.body_budget import BodyBudget, Lease

TOML = """
[sources.a.webhook]
verify = "none"
max_body = "4MiB"
[sources.b.webhook]
verify = "none"
max_body = "4MiB"
[sources.p.publish]
max_body = "4MiB"
"""
MIB = 1 << 20


async def _half_open(port: int, source: str, count: int) -> socket.socket:
    """A connection that sent `count` bytes of a 2 MiB body."""
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", port))
    head = f"POST /in/{source} HTTP/1.1\r\nhost: a\r\ncontent-length: {2 * MIB}\r\n\r\n".encode()
    await loop.sock_sendall(client, head + b"x" * count)
    return client


async def _answer(client: socket.socket) -> bytes:
    async with asyncio.timeout(10):
        return await asyncio.get_running_loop().sock_recv(client, 65536)


def _port(gate: Served) -> int:
    return int(gate.url.rpartition(":")[2])


async def test_half_open_bodies_of_one_source_are_bounded_and_its_oldest_gives_way(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        async with served(tmp_path, TOML) as gate:
            budget = gate.gateway.ingress.budget = BodyBudget(8 * MIB, 4 * MIB, MIB)
            half = []
            for _ in range(6):
                half.append(stack.enter_context(await _half_open(_port(gate), "a", MIB)))
                await until(lambda: budget.by_source.get("a", 0) >= min(len(half), 3) * MIB - 65536)
            for oldest in half[:3]:
                refused = await _answer(oldest)
                assert refused.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in refused.lower()
            assert budget.held <= 4 * MIB
            for source in ("a", "b"):  # a whole event comes in, also of the source that is crowded
                assert (await gate.api("POST", f"/in/{source}", b"{}")).status == 202
            large = b'"' + b"y" * (2 * MIB) + b'"'
            assert (await gate.api("POST", "/in/b", large)).status == 202, "the other source has its own budget"
            found = {one.code for one in gate.gateway.findings.listed()}
            assert "bodies_full" in found
            await asyncio.get_running_loop().sock_sendall(half[-1], b"x" * MIB)
            assert (await _answer(half[-1])).startswith(b"HTTP/1.1 202"), "what was not crowded out is accepted"
            for one in half:
                one.close()
            await until(lambda: budget.held == 0)
            assert budget.by_source == {}


async def test_with_the_whole_budget_used_the_source_that_holds_the_most_gives_way(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        with contextlib.ExitStack() as stack:
            budget = gate.gateway.ingress.budget = BodyBudget(4 * MIB, 4 * MIB, MIB)
            first = stack.enter_context(await _half_open(_port(gate), "b", MIB // 2))
            await until(lambda: budget.held >= MIB // 2)
            half = [stack.enter_context(await _half_open(_port(gate), "a", MIB)) for _ in range(2)]
            await until(lambda: budget.held >= 2 * MIB)
            large = b'"' + b"y" * (3 * MIB // 2) + b'"'
            assert (await gate.api("POST", "/in/b", large)).status == 202
            assert (await _answer(half[0])).startswith(b"HTTP/1.1 503")
            await asyncio.get_running_loop().sock_sendall(first, b"x" * (3 * MIB // 2))
            assert (await _answer(first)).startswith(b"HTTP/1.1 202")


async def test_a_publish_that_would_hold_too_much_is_503_with_retry_after(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        gate.gateway.ingress.budget = BodyBudget(4 * MIB, MIB, MIB // 2)
        answer = await gate.api("POST", "/api/v1/events", {"source": "p", "type": "t", "data": "x" * (2 * MIB)})
        assert (answer.status, answer.json()["code"]) == (503, "over_capacity")
        assert "retry-after" in answer.headers
        await gate.api.post("/events", {"source": "p", "type": "t", "data": "x"})
        await until(lambda: gate.gateway.ingress.budget.held == 0)


def test_the_largest_body_that_may_be_configured_fits_a_budget_that_is_not_used() -> None:
    largest = 64 * MIB
    assert BodyBudget().crowded("a", largest, whole=False) is None
    budget = BodyBudget()
    with Lease(budget, "a") as lease:
        lease.add(largest)
        assert budget.crowded("a", 65536, whole=False) == "a"
        assert budget.crowded("a", body_budget.RESERVED_BYTES, whole=True) is None
        assert budget.crowded("b", largest, whole=False) is None
    assert (budget.held, budget.by_source) == (0, {})


def _resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("the system does not say")


@pytest.mark.parametrize("sources", [("a",), ("a", "b")])
async def test_400_half_open_bodies_do_not_take_462_mib(tmp_path: Path, sources: tuple[str, ...]) -> None:
    file = tmp_path / "tidegate.toml"
    file.write_text(TOML)
    gateway = await GatewayProcess(file, tmp_path / "data", free_port()).start()
    try:
        before = _resident_kib(gateway.pid)
        with contextlib.ExitStack() as stack:
            for number in range(400):
                source = sources[number % len(sources)]
                with contextlib.suppress(OSError):
                    stack.enter_context(await _half_open(gateway.port, source, 1_200_000))
            growth = _resident_kib(gateway.pid) - before
        limit = body_budget.SOURCE_BYTES if len(sources) == 1 else body_budget.TOTAL_BYTES
        assert growth < limit // 1024 * 1.5, growth
    finally:
        await gateway.end(15)
