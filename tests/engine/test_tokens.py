"""Tokens are refreshed once, early, and durably; what goes wrong is said, stored and never repeated without end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.gateway import token_worker
from support.postgres.server import database_for
from support.upstream.authorization_server import AuthorizationServer
from tidegate.auth import KINDS
from tidegate.auth.oauth2_client_credentials import ClientCredentialsAuth
from tidegate.auth.oauth2_refresh_token import RefreshTokenAuth
from tidegate.core.clock import ManualClock
from tidegate.core.errors import CredentialDead, CredentialFailed, TidegateError
from tidegate.core.findings import Findings
from tidegate.outbound import tokens as module
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.http import PullClient
from tidegate.outbound.token_client import TokenClient
from tidegate.outbound.tokens import TokenManager, TokenPorts
from tidegate.rules.outbound.addresses import parse_allow
from tidegate.store.sqlite import open_sqlite
from tidegate.vault import Vault

SECRETS = ("s3cret", "refresh-", "access-")


class Node:
    """`async with Node(folder) as node:` one process with a store, as far as tokens need it. Its clock is manual."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.clock = ManualClock()
        self.findings = Findings(self.clock)

    async def __aenter__(self) -> Node:
        self.store = await open_sqlite(self._folder / "data")
        self.client = PullClient(Dialer(Guard(parse_allow(["127.0.0.1/32"])), self.clock), self.clock)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self.store.close()

    def manager(self, server: AuthorizationServer, auth: Any = None, owner: str = "one") -> TokenManager:
        auth = auth or refresh_token(server)
        kind: Any = KINDS[auth.__struct_config__.tag]
        send = TokenClient(self.client).send
        ports = TokenPorts(self.store.credentials, Vault(b"k" * 32), send, self.clock, self.findings, owner)
        return TokenManager("credential/crm", kind, auth, ports)

    def codes(self) -> list[str]:
        return [one.code for one in self.findings.listed()]


def refresh_token(server: AuthorizationServer, **more: Any) -> RefreshTokenAuth:
    values: dict[str, Any] = {"client_id": "app", "client_secret": "s3cret", "refresh_token": "refresh-0", **more}
    return RefreshTokenAuth(access_token_url=f"{server.url}/token", **values)


async def test_a_fresh_token_is_used_again_without_a_request_and_costs_no_time(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        manager = node.manager(server)
        assert await manager.get() == "access-1"
        before = time.process_time()
        for _ in range(10_000):
            manager.current()
        assert (time.process_time() - before) / 10_000 < 20e-6
        assert server.refreshes == 1


async def test_many_callers_wait_for_one_refresh(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        manager = node.manager(server)
        assert set(await asyncio.gather(*(manager.get() for _ in range(50)))) == {"access-1"}
        assert server.refreshes == 1


async def test_a_token_is_refreshed_before_it_ends_while_it_is_still_used(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        manager = node.manager(server)
        await manager.get()
        node.clock.advance(3600 - 299)
        assert manager.current() == "access-1"  # still good for a while: nobody waits
        await manager.stop()
        assert manager.current() == "access-2" and server.refreshes == 2
        node.clock.advance(3600)
        assert manager.current() is None
        assert await manager.get() == "access-3"


async def test_a_rotated_refresh_token_outlives_the_process(tmp_path: Path) -> None:
    async with AuthorizationServer() as server:
        async with Node(tmp_path) as node:
            await node.manager(server).get()
        async with Node(tmp_path) as node:
            manager = node.manager(server)
            assert await manager.get() == "access-1" and server.refreshes == 1
            assert await manager.refused("access-1")
            assert await manager.get() == "access-2" and server.reused == 0


async def test_a_new_refresh_token_in_the_configuration_replaces_the_stored_one(tmp_path: Path) -> None:
    async with AuthorizationServer(rotates=False) as server, Node(tmp_path) as node:
        await node.manager(server).get()
        server.refresh_token = "refresh-new"
        manager = node.manager(server, refresh_token(server, refresh_token="refresh-new"))
        assert await manager.get() == "access-2"
        assert server.token_requests[-1]["refresh_token"] == "refresh-new"


async def test_invalid_grant_is_dead_for_good_and_says_how_to_go_on(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        server.revoked = True
        manager = node.manager(server)
        for _ in range(5):
            with pytest.raises(CredentialDead) as caught:
                await manager.get()
            node.clock.advance(60)
        assert caught.value.cause == "invalid_grant" and "check the keys of auth" in caught.value.hint
        assert server.refreshes == 1  # a dead credential asks no more
        assert node.codes() == ["credential_dead"]
        with pytest.raises(CredentialDead):  # and the next process knows it
            await node.manager(server).get()
        assert server.refreshes == 1


async def test_invalid_grant_is_not_believed_when_somebody_signed_in_meanwhile(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        manager, other = node.manager(server), node.manager(server, owner="two")
        await manager.get()
        real = manager._ports.send

        async def meanwhile(*given: Any) -> Any:
            answer = await real(*given)
            # The lock of this process ends while it waits, and the other one refreshes.
            await node.store._engine.write(lambda c: c.execute("UPDATE credentials SET locked_until = 0").fetchall())
            server.revoked = False
            assert await other.refused("access-1")
            return answer

        object.__setattr__(manager, "_ports", TokenPorts(
            node.store.credentials, manager._ports.vault, meanwhile, node.clock, node.findings, "one"
        ))  # fmt: skip
        server.revoked = True
        with pytest.raises(CredentialFailed, match="took over"):
            await manager.refused("access-1")
        node.clock.advance(10)
        assert await manager.refused("access-1")  # the token of the other one is there
        assert await manager.get() == "access-2" and server.issued == 2
        assert "credential_dead" not in node.codes()


@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        ("html", "it answered 200 with HTML"),
        ("error_with_200", "it answered 200 invalid_client: no such app"),
        ("503", "it answered 503"),
        ("redirect http://127.0.0.1:1/", "redirects"),
        ("redirect http://10.0.0.1/token", "redirects"),
        ("redirect http://169.254.169.254/latest/meta-data", "redirects"),
    ],
)
async def test_a_hostile_token_service_gives_a_clear_error_and_nothing_is_lost(
    tmp_path: Path, hostile: str, said: str
) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        server.hostile = hostile
        manager = node.manager(server)
        with pytest.raises(TidegateError) as caught:
            await manager.get()
        assert said in caught.value.message and not any(one in caught.value.message for one in SECRETS)
        with pytest.raises(TidegateError):  # not asked again at once
            await manager.get()
        seen = len(server.requests)
        assert seen == 1 and node.codes() == ["credential_failing"]
        assert not any(one in repr(node.findings.listed()) for one in SECRETS)
        server.hostile = ""
        node.clock.advance(400)
        assert await manager.get() == "access-1" and node.codes() == []


async def test_a_token_service_that_hangs_is_left_and_asked_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.outbound.token_client.TOKEN_SECONDS", 0.2)
    async with AuthorizationServer(grace=True) as server, Node(tmp_path) as node:
        server.hostile = "hang"
        manager = node.manager(server)
        with pytest.raises(TidegateError, match="did not answer"):
            await manager.get()
        assert (await manager.kept()).uncertain
        server.hostile = ""
        node.clock.advance(400)
        assert await manager.get() == "access-1"
        assert not (await manager.kept()).uncertain


async def test_no_request_goes_to_a_token_service_at_a_forbidden_address(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        node.client = PullClient(Dialer(Guard(parse_allow([])), node.clock), node.clock)
        manager = node.manager(server)
        with pytest.raises(CredentialFailed, match="cannot be reached") as caught:
            await manager.get()
        assert "[egress]" in caught.value.hint and server.requests == []
        assert (await node.store.credentials.get("credential/crm")).attempts == 0  # type: ignore[union-attr]


async def test_tokens_that_are_refused_from_the_start_are_not_refreshed_without_end(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        manager = node.manager(server)
        for _ in range(100):
            used = await manager.get()
            await manager.refused(used)
            node.clock.advance(0.1)
        assert server.refreshes <= 4
        assert "credential_refused" in node.codes()


async def test_a_token_is_not_used_before_it_is_stored(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        manager = node.manager(server)

        class Broken:
            def __getattr__(self, name: str) -> Any:
                return getattr(node.store.credentials, name)

            async def put(self, *_: Any) -> bool:
                raise CredentialFailed("the disk is full")

        good, manager._ports = manager._ports, TokenPorts(
            Broken(), manager._ports.vault, manager._ports.send, node.clock, node.findings, "one"
        )  # fmt: skip
        with pytest.raises(CredentialFailed, match="disk is full"):
            await manager.get()
        assert manager.current() is None
        manager._ports = good
        node.clock.advance(400)
        with pytest.raises(CredentialDead) as caught:  # the provider has rotated, and nobody knows the new token
            await manager.get()
        assert caught.value.cause == "refresh_interrupted"


async def test_nothing_of_a_token_is_plain_on_disk(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        await node.manager(server).get()
        await node.store.credentials.names()
    for file in (tmp_path / "data").iterdir():
        content = file.read_bytes()
        assert b"access-1" not in content and b"refresh-1" not in content, file


@pytest.mark.parametrize(
    ("more", "lifetime", "usable_after", "gone_after"),
    [
        ({}, 60, 50, 60),
        ({"expires_in": "120"}, None, 100, 120),
        ({}, None, 10**7, None),
        ({"expires_in": 0}, None, 10**7, None),
        ({"expires_in": "soon"}, None, 10**7, None),
        ({"expires_in": 10**15}, None, 10**7, None),
        ({"expires_in": -5}, None, 10**7, None),
    ],
)
async def test_lifetimes_are_read_as_services_write_them(
    tmp_path: Path, more: dict[str, Any], lifetime: int | None, usable_after: int, gone_after: int | None
) -> None:
    async with AuthorizationServer(lifetime=lifetime) as server, Node(tmp_path) as node:
        server.more = more
        auth = ClientCredentialsAuth(access_token_url=f"{server.url}/token", client_id="a", client_secret="s3cret")
        manager = node.manager(server, auth)
        await manager.get()
        manager._refreshing = asyncio.get_running_loop().create_future()  # type: ignore[assignment]  # none in background
        node.clock.advance(usable_after)
        assert manager.current() == "access-1"
        if gone_after is not None:
            node.clock.advance(gone_after - usable_after)
            assert manager.current() is None
        manager._refreshing = None


async def test_scopes_that_were_not_granted_are_a_finding(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        server.scope = "read offline"
        await node.manager(server, refresh_token(server, scopes=["read", "write"])).get()
        (finding,) = node.findings.listed()
        assert finding.code == "credential_scopes" and finding.samples == ["not granted: write"]


# -- processes -------------------------------------------------------------------------------------------


async def worker(**job: Any) -> dict[str, Any]:
    """Run a worker to its end; `{"ended": "killed"}` when it killed itself."""
    env = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent.parent}:{os.environ.get('PYTHONPATH', '')}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, token_worker.__file__, json.dumps(job), env=env, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    if process.returncode == -9:
        return {"ended": "killed"}
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize(
    ("step", "rotates", "grace", "ended"),
    [
        ("locked", True, False, "ok"),
        ("announced", True, False, "ok"),
        ("answered", True, False, "refresh_interrupted"),
        ("answered", True, True, "ok"),
        ("answered", False, False, "ok"),
        ("stored", True, False, "ok"),
    ],
)
async def test_after_kill_9_at_any_step_the_credential_works_or_is_dead_and_says_why(
    tmp_path: Path, step: str, rotates: bool, grace: bool, ended: str
) -> None:
    async with AuthorizationServer(rotates=rotates, grace=grace) as server:
        job = {"store": str(tmp_path / "data"), "url": server.url}
        assert (await worker(**job, kill_at=step))["ended"] == "killed"
        found = await worker(**job)
        if ended == "ok":
            assert found == {"answered": {"200": 1}, "ended": "ok"}
            return
        assert (found["ended"], found["cause"]) == ("credential_dead", ended)
        assert found["findings"] == ["credential_dead"] and "auth" in found["hint"]
        asked = server.refreshes
        assert (await worker(**job))["ended"] == "credential_dead" and server.refreshes == asked


async def test_two_crashes_in_a_row_end_a_credential_without_another_request(tmp_path: Path) -> None:
    async with AuthorizationServer(grace=True) as server:
        job = {"store": str(tmp_path / "data"), "url": server.url}
        for _ in range(2):
            await worker(**job, kill_at="announced")
        asked = len(server.token_requests)
        found = await worker(**job)
        assert (found["ended"], found["cause"]) == ("credential_dead", "refresh_interrupted")
        assert len(server.token_requests) == asked


async def test_two_processes_that_race_make_exactly_the_refreshes_that_are_needed(tmp_path: Path) -> None:
    """The server ends each token as soon as both have used it. A refresh token that comes twice is refused."""
    async with AuthorizationServer() as server:
        server.together = 2
        job = {"store": database_for(tmp_path), "url": server.url, "rounds": 200}
        found = await asyncio.gather(worker(**job), worker(**job))
        assert [one["ended"] for one in found] == ["ok", "ok"], found
        assert server.api_status[200] == 400
        assert (server.refreshes, server.reused) == (200, 0)


async def test_two_callers_on_sqlite_that_race_make_exactly_the_refreshes_that_are_needed(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, Node(tmp_path) as node:
        managers = [node.manager(server, owner=name) for name in ("one", "two")]
        for number in range(1, 101):
            used = [await manager.get() for manager in managers]
            assert used == [f"access-{number}"] * 2
            for manager in managers:
                manager.accepted(manager.current() or "")
            assert all(
                await asyncio.gather(*(manager.refused(one) for manager, one in zip(managers, used, strict=True)))
            )
        assert server.refreshes == 101 and server.reused == 0


def test_the_lock_lasts_longer_than_a_token_request() -> None:
    from tidegate.outbound.token_client import TOKEN_SECONDS

    assert module.LOCK_SECONDS > TOKEN_SECONDS + 5
