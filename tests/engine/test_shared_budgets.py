"""One budget: polls, operations and webhook deliveries of a credential stay within its rate, on all nodes together."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from support.gateway.cluster import MASTER
from support.gateway.process import GatewayProcess, free_port
from support.gateway.running import ALLOW, publish, running, until
from support.postgres.server import server
from support.receiver.scripted import Request, ScriptedServer
from tidegate.core.errors import TidegateError

RATE = 40


class Counting(ScriptedServer):
    """Notes when each request came."""

    def __init__(self) -> None:
        super().__init__(self._note)
        self.at: list[float] = []

    async def _note(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        self.at.append(time.monotonic())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]")


def toml(url: str, rate: str) -> str:
    return f"""
[credentials.crm]
rate = "{rate}"
auth = {{ type = "bearer", token = "t0ken" }}
[sources.app.webhook]
verify = "none"
[sources.app.publish]
[sources.crm.api]
base_url = "{url}"
auth = {{ credential = "crm" }}
[sources.crm.resources.contacts]
path = "/contacts"
[sources.crm.operations.create]
path = "/contacts"
json = {{ name = "x" }}
[destinations.hook]
url = "{url}/hook"
auth = {{ credential = "crm" }}
[destinations.operation]
type = "operation"
operation = "crm/create"
[routes.r]
from = "app"
to = ["hook", "operation"]
"""


def most_above_the_rate(at: list[float]) -> float:
    """How many requests more than the rate and one burst came in any period."""
    return max(
        last - first + 1 - RATE - RATE * (at[last] - at[first]) for first in range(len(at)) for last in range(len(at))
    )


async def test_two_processes_on_postgresql_stay_within_one_rate(tmp_path: Path) -> None:
    database = server().new_database()
    async with Counting() as api:
        file = tmp_path / "tidegate.toml"
        file.write_text(ALLOW + toml(api.url, f"{RATE}/s"))
        key = {"TIDEGATE_SECRET_KEY": MASTER}
        nodes: list[GatewayProcess] = []
        try:
            for name in ("a", "b"):
                place = GatewayProcess(file, tmp_path / name, free_port(), more=("--database", database), environ=key)
                nodes.append(await place.start())
            async with aiohttp.ClientSession() as http:
                for number in range(60):
                    async with http.post(f"{nodes[number % 2].url}/in/app", json={"n": number}) as answered:
                        assert answered.status == 202
            await until(lambda: len(api.at) >= 120, 20)
        finally:
            for node in nodes:
                await node.end(signal.SIGKILL)
    kinds = [one.line.split(" ")[0:2] for one in api.requests]
    assert kinds.count(["POST", "/hook"]) >= 60 and kinds.count(["POST", "/contacts"]) >= 60
    assert most_above_the_rate(api.at) <= 4  # the way to the receiver is not equally long for all
    assert api.at[-1] - api.at[0] <= 2 * (len(api.at) - RATE) / RATE  # and the rate is used


async def test_a_webhook_delivery_spends_what_pulls_of_the_credential_have(tmp_path: Path) -> None:
    async with Counting() as api, running(tmp_path, toml(api.url, "1/h")) as gateway:
        await gateway.pull.pull("crm", "contacts", None, [], max_age=None, no_cache=True, if_none_match=None)
        await publish(gateway, source="app")
        hook = gateway.active.destinations["hook"]
        await until(lambda: gateway.deliver.health(hook.number).waiting == 1)
        await asyncio.sleep(0.2)
        assert [one.line.split(" ")[1] for one in api.requests] == ["/contacts"]


async def test_the_rate_of_a_source_counts_beside_that_of_its_credential(tmp_path: Path) -> None:
    text = toml("URL", "1000/s").replace('base_url = "URL"', 'base_url = "URL"\nrate = "1/h"\ntimeout = "200ms"')
    async with Counting() as api, running(tmp_path, text.replace("URL", api.url)) as gateway:
        await gateway.pull.pull("crm", "contacts", None, [], max_age=None, no_cache=True, if_none_match=None)
        try:
            await gateway.pull.pull("crm", "contacts", None, [], max_age=None, no_cache=True, if_none_match=None)
            code = ""
        except TidegateError as error:
            code = error.code
        assert code == "upstream_rate_limited" and len(api.at) == 1


class Refusing(ScriptedServer):
    """A token service, and a receiver that rejects the first token."""

    def __init__(self) -> None:
        super().__init__(self._grant)
        self.hooks = 0

    async def _grant(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        status, body = 200, b'{"access_token": "t%d", "expires_in": 3600}' % len(self.requests)
        if " /hook" in request.line:
            self.hooks += 1
            status, body = (401, b"") if self.hooks == 1 else (200, b"")
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)


@pytest.mark.parametrize(("rate", "sent"), [("1/h", 1), ("1000/s", 2)])
@pytest.mark.parametrize("of", ["credential", "destination"])
async def test_the_repetition_after_a_401_spends_the_rate_too(tmp_path: Path, rate: str, sent: int, of: str) -> None:
    auth = (
        '{ type = "oauth2_client_credentials", access_token_url = "URL/token", client_id = "a", client_secret = "b" }'
    )
    one, other = (f'rate = "{rate}"', "") if of == "credential" else ("", f'rate = "{rate}"')
    text = f"""
[sources.app.publish]
[credentials.crm]
{one}
auth = {auth}
[destinations.hook]
url = "URL/hook"
auth = {{ credential = "crm" }}
{other}
[routes.r]
from = "app"
to = "hook"
"""
    async with Refusing() as api, running(tmp_path, text.replace("URL", api.url)) as gateway:
        await publish(gateway, source="app")
        hook = gateway.active.destinations["hook"]
        await until(lambda: api.hooks == sent and not gateway.deliver.health(hook.number).in_flight)
        await gateway.deliver.settler.flush()
        attempts = await gateway.store.deliveries.attempts([(1, hook.number)])
        assert [attempt.status for attempt in attempts[1, hook.number]] == [401 if sent == 1 else 200]
        assert api.hooks == sent
