"""Logins, logouts and keys at the same moment: who was let in is in, who was put out stays out.

"Another node" is a second set of sessions over the same store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.faults.paused_call import PausedCall, meanwhile
from support.gateway.api import Served
from support.gateway.deployment import DEPLOYMENTS, Deployment
from support.gateway.running import run
from tidegate.api import endpoint
from tidegate.api.sessions import Sessions
from tidegate.core.errors import StoreBusy, Unauthorized
from tidegate.query.events import EventFilter

TOML = "[sources.shop.publish]\n"


@pytest.fixture(params=DEPLOYMENTS)
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    return DEPLOYMENTS[request.param](tmp_path)


def on(deployment: Deployment, work: Callable[[Served], Awaitable[None]]) -> None:
    async def main() -> None:
        async with deployment.served(TOML) as gate:
            await work(gate)

    run(main)


def elsewhere(gate: Served) -> Sessions:
    return Sessions(gate.gateway.store.settings, gate.context.keyring, gate.gateway.clock)


async def log_in(sessions: Sessions) -> str:
    return await sessions.by_link(sessions.new_link())


async def is_in(gate: Served, cookie: str) -> bool:
    return await elsewhere(gate).of_cookie(cookie) is not None


@pytest.mark.parametrize("same_node", [True, False])
def test_two_who_log_in_at_once_are_both_in_and_a_logout_between_them_stands(
    deployment: Deployment, same_node: bool
) -> None:
    async def work(gate: Served) -> None:
        here = gate.context.sessions
        there = here if same_node else elsewhere(gate)
        leaving = await log_in(here)
        async with PausedCall(gate.gateway.store.settings, "value", after=True) as held:
            first = asyncio.ensure_future(log_in(here))
            await held.reached.wait()
            second, end = await meanwhile(log_in(there), there.end(leaving))
            held.go.set()
            cookies = [await first, await second]
            await end
        assert [await is_in(gate, cookie) for cookie in cookies] == [True, True]
        assert not await is_in(gate, leaving)
        assert await here.of_cookie(cookies[0]) is not None and await there.of_cookie(cookies[1]) is not None

    on(deployment, work)


def test_a_reading_of_sessions_that_is_late_does_not_bring_back_one_that_ended(deployment: Deployment) -> None:
    async def work(gate: Served) -> None:
        sessions = gate.context.sessions
        cookie = await log_in(sessions)
        async with PausedCall(gate.gateway.store.settings, "value", after=True) as held:
            reading = asyncio.ensure_future(sessions._load(refresh=True))
            await held.reached.wait()
            (end,) = await meanwhile(sessions.end(cookie))
            held.go.set()
            await asyncio.gather(reading, end)
        assert await sessions.of_cookie(cookie) is None

    on(deployment, work)


def test_a_reading_of_keys_that_is_late_does_not_bring_back_a_revoked_one(deployment: Deployment) -> None:
    async def work(gate: Served) -> None:
        keyring = gate.context.keyring
        key, token = await keyring.create("ci", ["read"])
        async with PausedCall(gate.gateway.store.settings, "keys", after=True) as held:
            reading = asyncio.ensure_future(keyring.reload())
            await held.reached.wait()
            (gone,) = await meanwhile(keyring.delete(key.id))
            held.go.set()
            await asyncio.gather(reading, gone)
        assert keyring.known(token) is None
        with pytest.raises(Unauthorized):
            await keyring.check(token)

    on(deployment, work)


def test_a_login_link_is_not_used_up_by_a_store_that_is_away(deployment: Deployment) -> None:
    async def work(gate: Served) -> None:
        sessions, settings = gate.context.sessions, gate.gateway.store.settings
        link = sessions.new_link()

        async def busy(*_: object) -> bytes:
            raise StoreBusy("the database does not answer")

        settings.value = busy  # type: ignore[method-assign,assignment]
        with pytest.raises(StoreBusy):
            await sessions.by_link(link)
        del settings.value  # type: ignore[method-assign]
        assert await is_in(gate, await sessions.by_link(link))
        with pytest.raises(Unauthorized):
            await sessions.by_link(link)

    on(deployment, work)


async def follow(gate: Served, headers: dict[str, str]) -> aiohttp.ClientResponse:
    answer = await gate.api.http.get(f"{gate.url}/api/v1/events/stream", headers=headers)
    assert answer.status == 200
    await answer.content.readline()
    return answer


def test_a_stream_ends_with_the_key_or_the_session_that_opened_it(deployment: Deployment, monkeypatch: Any) -> None:
    monkeypatch.setattr(endpoint, "RECHECK_SECONDS", 0.1)

    async def work(gate: Served) -> None:
        key, token = await gate.context.keyring.create("ci", ["read"])
        cookie = await log_in(gate.context.sessions)
        by_key = await follow(gate, {"Authorization": f"Bearer {token}"})
        by_session = await follow(gate, {"Cookie": f"tidegate_session={cookie}"})
        stays = await follow(gate, {"Authorization": f"Bearer {gate.api.key}"})
        await asyncio.sleep(0.3)
        assert len(gate.context.hub) == 3
        await gate.context.keyring.delete(key.id)
        await gate.context.sessions.end(cookie)
        async with asyncio.timeout(20):
            assert b"reconnect" in await by_key.read()
            assert b"reconnect" in await by_session.read()
        assert len(gate.context.hub) == 1
        stays.close()

    on(deployment, work)


def test_a_stream_that_nobody_began_to_read_is_not_counted(deployment: Deployment) -> None:
    async def work(gate: Served) -> None:

        gate.context.hub.open(EventFilter(), last_event_id=None, allowed=None).close()
        assert len(gate.context.hub) == 0

    on(deployment, work)
