"""The stored token of a credential that left the configuration is deleted after a day, and not before."""

from __future__ import annotations

from pathlib import Path

from support.gateway.running import running
from support.upstream.authorization_server import AuthorizationServer
from tidegate.retention.unused_credentials import KEPT_US, UnusedCredentials

SOURCE = "[sources.app.publish]\n"


def with_credential(server: AuthorizationServer) -> str:
    return f"""
[credentials.crm.auth]
type = "oauth2_refresh_token"
access_token_url = "{server.url}/token"
client_id = "app"
refresh_token = "refresh-0"
[sources.crm.api]
base_url = "{server.url}"
auth = {{ credential = "crm" }}
[sources.crm.resources.contacts]
path = "/contacts"
"""


async def test_a_token_outlives_its_configuration_by_a_day(tmp_path: Path) -> None:
    async with AuthorizationServer() as server:
        async with running(tmp_path, SOURCE + with_credential(server)) as gateway:
            await gateway.pull.pull("crm", "contacts", None, [], max_age=None, no_cache=True, if_none_match=None)
            assert await gateway.store.credentials.names() == ["credential/crm"]
            assert await gateway.maintenance._unused.run() == []
            file = gateway.options.config
            assert file is not None
            file.write_text(file.read_text().partition("[credentials")[0])
            await gateway.reload(prune=True)
            assert "crm" not in gateway.active.credentials
            assert await gateway.maintenance._unused.run() == []  # noted
        async with running(tmp_path, SOURCE) as gateway:
            now_us = gateway.clock.now_us()
            gateway.clock.now_us = lambda: now_us + KEPT_US - 60_000_000  # type: ignore[method-assign]
            later = UnusedCredentials(gateway.store, gateway.active, gateway.clock)
            assert await later.run() == [] and await gateway.store.credentials.names() == ["credential/crm"]
            gateway.clock.now_us = lambda: now_us + KEPT_US + 60_000_000  # type: ignore[method-assign]
            assert await later.run() == ["credential/crm"] and await gateway.store.credentials.names() == []
            assert await later.run() == []


async def test_the_token_service_of_a_shared_credential_is_reached_by_its_own_proxy(tmp_path: Path) -> None:
    async with AuthorizationServer() as server:
        text = with_credential(server).replace(
            "[credentials.crm.auth]", '[credentials.crm]\nproxy = "http://127.0.0.1:9"\n[credentials.crm.auth]'
        )
        async with running(tmp_path, SOURCE + text) as gateway:
            (owner,) = gateway.credentials._shared.values()
            assert owner.options is not None and owner.options.proxy is not None
            found = gateway.credentials.of("source/crm", gateway.active.sources["crm"].spec.api.auth)  # type: ignore[union-attr]
            assert found.manager.options == owner.options  # type: ignore[attr-defined]
        assert server.token_requests == []
