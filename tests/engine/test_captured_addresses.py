"""An API whose address comes with the token: requests go there, and the credential goes nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gateway.running import running
from support.receiver.scripted import ScriptedServer, answer
from support.upstream.authorization_server import AuthorizationServer
from tidegate.core.errors import ConfigError, TidegateError
from tidegate.core.model import Outcome
from tidegate.process.gateway import Gateway

LIST = answer(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n[{"id":"1"}]')


def config(server: AuthorizationServer, *, capture: str = '["instance_url", "tenant"]', headers: str = "") -> str:
    return f"""
[credentials.crm.auth]
type = "oauth2_refresh_token"
access_token_url = "{server.url}/token"
client_id = "app"
client_secret = "s3cret"
refresh_token = "refresh-0"
capture = {capture}
[sources.crm.api]
base_url = "{{credential.instance_url}}/data"
auth = {{ credential = "crm" }}
headers = {{ tenant = "{{credential.tenant}}" {headers} }}
[sources.crm.resources.contacts]
path = "/contacts"
item_path = "/contacts/{{id}}"
poll = "1h"
[sources.crm.operations.create]
path = "/contacts"
json = {{ name = "{{{{ data.name }}}}" }}
"""


async def pull(gateway: Gateway, key: str | None = None) -> None:
    await gateway.pull.pull("crm", "contacts", key, [], max_age=None, no_cache=True, if_none_match=None)


async def test_pulls_polls_and_operations_go_to_the_captured_address(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, ScriptedServer(LIST) as api:
        server.more = {"instance_url": f"{api.url}/eu7", "tenant": "t1"}
        async with running(tmp_path, config(server)) as gateway:
            await pull(gateway)
            await gateway.pull.poll_now("crm", "contacts")
            result = await gateway.operations.run("crm", "create", {"data": {"name": "Ada"}, "key": None})
            assert result.outcome is Outcome.OK and result.sent is not None
            assert result.sent.line == f"POST {api.url}/eu7/data/contacts" and b"tenant: t1" in result.sent.head
        lines = {one.line.rpartition(" ")[0] for one in api.requests}
        assert lines == {"GET /eu7/data/contacts", "POST /eu7/data/contacts"}
        assert all(one.headers["authorization"] == "Bearer access-1" for one in api.requests)
        assert all(one.headers["tenant"] == "t1" for one in api.requests)


async def test_a_new_address_after_a_refresh_is_used(tmp_path: Path) -> None:
    async with AuthorizationServer() as server, ScriptedServer(LIST) as old, ScriptedServer(LIST) as new:
        server.more = {"instance_url": old.url, "tenant": "t1"}
        async with running(tmp_path, config(server).replace('poll = "1h"\n', "")) as gateway:
            await pull(gateway)
            server.more = {"instance_url": new.url, "tenant": "t2"}
            manager = next(iter(gateway.credentials._managers.values()))
            assert await manager.refused("access-1")
            await pull(gateway)
        assert len(old.requests) == 1 and [one.headers["tenant"] for one in new.requests] == ["t2"]


async def test_without_the_value_nothing_is_sent_and_the_finding_names_it(tmp_path: Path) -> None:
    async with AuthorizationServer() as server:
        server.more = {"tenant": "t1"}
        async with running(tmp_path, config(server)) as gateway:
            with pytest.raises(TidegateError, match=r"\{credential.instance_url\} has no value"):
                await pull(gateway)
            result = await gateway.operations.run("crm", "create", {"data": {"name": "Ada"}, "key": None})
            assert result.outcome is Outcome.CREDENTIAL and result.sent is None
            found = [one for one in gateway.findings.listed() if one.code == "credential_capture"]
            assert [one.subject for one in found] == ["credential:crm"] and "instance_url" in found[0].samples[0]
            server.more["instance_url"] = server.url
            manager = next(iter(gateway.credentials._managers.values()))
            assert await manager.refused("access-1")
            assert "credential_capture" not in [one.code for one in gateway.findings.listed()]


async def test_before_consent_the_error_says_to_sign_in(tmp_path: Path) -> None:
    async with AuthorizationServer() as server:
        text = config(server).replace("oauth2_refresh_token", "oauth2_authorization_code")
        text = text.replace('refresh_token = "refresh-0"', f'authorization_url = "{server.url}/authorize"')
        async with running(tmp_path, text) as gateway:
            with pytest.raises(TidegateError, match="nobody signed in") as caught:
                await pull(gateway)
            assert "tidegate auth connect crm" in caught.value.hint
            result = await gateway.operations.run("crm", "create", {"data": {"name": "Ada"}, "key": None})
            assert result.outcome is Outcome.CREDENTIAL
        assert server.token_requests == []


@pytest.mark.parametrize(
    ("capture", "headers", "said"),
    [
        ('["tenant"]', "", "does not capture 'instance_url'"),
        ('["instance_url", "tenant"]', ', more = "{credential.tenat}"', "does not capture 'tenat'"),
    ],
)
async def test_what_is_not_captured_is_named_by_the_check(
    tmp_path: Path, capture: str, headers: str, said: str
) -> None:
    async with AuthorizationServer() as server:
        with pytest.raises(ConfigError, match=said):
            async with running(tmp_path, config(server, capture=capture, headers=headers)):
                pass
