"""The ask door while something else happens: webhooks into a poll, a fault into a run, a rejection into a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.faults.paused_call import PausedCall, meanwhile
from support.receiver.scripted import OK, ScriptedServer, answer
from support.upstream.pull import PullSetup, pull_setup, until
from tidegate.core.clock import Clock
from tidegate.core.errors import Conflict, UpstreamError
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.http import PullClient
from tidegate.pull import resource
from tidegate.rules.outbound.addresses import parse_allow

LOOPBACK = parse_allow(["127.0.0.1/32"])
WEBHOOK = {"types": ["orders/*"]}


def run(path: Path, work: Callable[[PullSetup], Awaitable[None]], **how: Any) -> None:
    async def main() -> None:
        async with pull_setup(path, **{"poll": "1d", "initial": "events", **how}) as one:
            await one.poll()
            await work(one)

    asyncio.run(main())


def test_the_etag_of_a_page_is_dropped_when_a_webhook_came_into_it(tmp_path: Path) -> None:
    """The webhook was late and carried an old state. Were the list's ETag kept, 304 would hide that forever."""

    async def work(one: PullSetup) -> None:
        for number in range(501):  # two slices
            one.shop.put(str(number), amount=1)
        async with PausedCall(one.store.records, "known") as held:
            poll = asyncio.ensure_future(one.poll())
            await held.reached.wait()
            await one.webhook({"id": "1", "amount": 2})
            await asyncio.sleep(0.05)  # the feed waits for the slice
            held.go.set()
            await poll
        await one.settle()
        assert (await one.records())["1"]["amount"] == 2
        await one.poll()
        assert (await one.records())["1"]["amount"] == 1

    run(tmp_path, work, versions=False, validators=True, item_path=None, webhook=WEBHOOK)


def test_a_hint_that_comes_into_the_fetch_for_the_hint_before_is_fetched_for(tmp_path: Path) -> None:
    """Though its instant is the lower one, as of a node whose clock is behind."""

    async def work(one: PullSetup) -> None:
        one.shop.put("1", amount=1)
        answered, go_on = asyncio.Event(), asyncio.Event()

        async def late(_target: str) -> None:
            answered.set()
            await go_on.wait()

        one.shop.on_answer = late
        at_us = one.clock.now_us()
        await one.webhook({"id": "1"}, at_us=at_us)
        await answered.wait()
        one.shop.put("1", amount=2)
        await one.webhook({"id": "1"}, at_us=at_us - 500_000)
        engine = one.engine._engines["shop", "orders"]
        await until(lambda: engine.writer.state.committed_offset == one._last_webhook)
        go_on.set()
        await one.settle()
        assert (await one.records())["1"]["amount"] == 2

    run(tmp_path, work, webhook=WEBHOOK)


def test_a_run_by_hand_ends_with_the_work_that_an_error_ended(tmp_path: Path, monkeypatch: Any) -> None:
    """Else two would write one resource's records, each by what it knows, and one change would be lost."""
    monkeypatch.setattr(resource, "RESTART_SECONDS", 0.05)

    async def work(one: PullSetup) -> None:
        one.shop.put("1", amount=1)
        await one.poll()
        engine = one.engine._engines["shop", "orders"]
        first = engine.writer
        one.shop.put("1", amount=2)
        async with PausedCall(one.store.records, "commit") as held:
            poll = asyncio.ensure_future(one.engine.poll_now("shop", "orders"))
            await held.reached.wait()

            async def fault() -> None:
                del engine.catch_up  # type: ignore[method-assign]
                raise RuntimeError("an internal error")

            engine.catch_up = fault  # type: ignore[method-assign]
            engine._wake.set()
            await meanwhile(until(lambda: engine.writer is not first))
            held.go.set()
            with pytest.raises(Conflict) as error:
                await poll
            assert error.value.code == "reconfigured" and error.value.retryable
        await until(lambda: engine.writer is not first)
        one.shop.put("1", amount=3)
        await one.poll()
        changes = await one.changes()
        assert [(one["number"], one["data"]["amount"]) for one in changes] == [(1, 1), (2, 2), (3, 3)]
        assert engine.writer.statistics.changes == 3

    run(tmp_path, work, webhook=WEBHOOK)


def test_a_source_that_says_stop_is_not_asked_by_those_who_wait_already(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        asked = len(one.shop.asked)
        answered, go_on = asyncio.Event(), asyncio.Event()

        async def late(_target: str) -> None:
            answered.set()
            await go_on.wait()

        one.shop.extra = {"retry-after": "120"}
        one.shop.break_next = [429]
        one.shop.on_answer = late
        pulls = [asyncio.ensure_future(pull(one, "1"))]
        await answered.wait()
        pulls += [asyncio.ensure_future(pull(one, key)) for key in "23"]  # they wait for the rate
        await asyncio.sleep(0.05)
        go_on.set()
        outcomes = await asyncio.gather(*pulls, return_exceptions=True)
        codes = [one.code for one in outcomes if isinstance(one, UpstreamError)]
        assert codes == ["upstream_failed", "upstream_rate_limited", "upstream_rate_limited"], outcomes
        assert len(one.shop.asked) == asked + 1

    async def pull(one: PullSetup, key: str) -> Any:
        return await one.engine.pull("shop", "orders", key, [], max_age=None, no_cache=True, if_none_match=None)

    run(tmp_path, work, clock=Clock(), api={"rate": "1/s"}, poll="1d")


async def test_a_session_is_not_closed_under_a_request_that_is_about_to_use_it() -> None:
    clock = Clock()
    guard = Guard(LOOPBACK)
    client = PullClient(Dialer(guard, clock), clock)

    async def ask(server: ScriptedServer) -> int:
        return (await client.request("GET", server.url, headers={}, timeout_seconds=10)).status

    async with ScriptedServer(answer(OK)) as server:
        assert await ask(server) == 200
        guard.update(allow=parse_allow(["127.0.0.0/8"]))
        async with PausedCall(client._pools.current[""].session._connector, "close") as held:
            first = asyncio.ensure_future(ask(server))
            await held.reached.wait()  # it closes the session of the old rules
            guard.update(allow=LOOPBACK)  # and again others, meanwhile
            assert await ask(server) == 200
            held.go.set()
            assert await first == 200
    await client.close()
