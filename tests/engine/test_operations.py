"""A CRM that is called as a destination and on demand: with its credential, its rate, and its ids remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.gateway.api import served
from support.gateway.running import publish, running, until
from support.receiver.scripted import Request, ScriptedServer
from support.upstream.authorization_server import AuthorizationServer
from tidegate.core.model import DeliveryState, Outcome
from tidegate.process.gateway import Gateway

Answer = tuple[int, Any]


class Crm:
    """An API with contacts. `on` replaces the answer of a request, by its number from 1."""

    def __init__(self) -> None:
        self.contacts: dict[str, dict[str, Any]] = {}
        self.on: Callable[[Request, int], Answer | None] = lambda request, number: None
        self.calls: list[tuple[str, str, Any]] = []
        self.server = ScriptedServer(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        method, target, _ = request.line.split(" ")
        body = json.loads(request.body) if request.body else None
        self.calls.append((method, target, body))
        status, answer = self.on(request, len(self.calls)) or self._answer(method, target, body)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        kind = "text/html" if isinstance(answer, bytes) else "application/json"
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n".encode())
        writer.write(data)

    def _answer(self, method: str, target: str, body: Any) -> Answer:
        path, _, query = target.partition("?")
        if path == "/search":
            email = query.partition("email=")[2].replace("%40", "@")
            return 200, {"results": [one for one in self.contacts.values() if one["email"] == email]}
        if method == "POST":
            number = str(100 + len(self.contacts))
            self.contacts[number] = {"id": number, **body}
            return 201, self.contacts[number]
        number = path.rpartition("/")[2]
        if number not in self.contacts:
            return 404, {"message": "no such contact"}
        self.contacts[number].update(body or {})
        return 200, self.contacts[number]


FILE = """
[sources.site.publish]
[sources.crm.api]
base_url = "{url}"
auth = {{ type = "bearer", token = "t0ken" }}
[sources.crm.resources.contacts]
path = "/search"
data_selector = "results"
[sources.crm.operations.create]
path = "/contacts"
json = {{ email = "{{{{ data.email }}}}", name = "{{{{ data.name }}}}" }}
remember = {{ id = "id" }}
idempotency_header = "Idempotency-Key"
{create}
[sources.crm.operations.update]
method = "PATCH"
path = "/contacts/{{{{ remembered.id }}}}"
json = {{ name = "{{{{ data.name }}}}" }}
[destinations.new]
type = "operation"
operation = "crm/create"
retry = ["10ms", "10ms"]
{destination}
[destinations.changed]
type = "operation"
operation = "crm/update"
retry = ["50ms", "50ms", "50ms"]
[routes.new]
from = "site"
types = ["lead.new"]
to = "new"
[routes.changed]
from = "site"
types = ["lead.changed"]
to = "changed"
"""


def toml(crm: Crm, create: str = "", destination: str = "") -> str:
    return FILE.format(url=crm.server.url, create=create, destination=destination)


async def lead(gateway: Gateway, kind: str = "new", key: str = "lead-1", **data: Any) -> int:
    body = json.dumps({"email": "ada@example.com", "name": "Ada", **data}).encode()
    return await publish(gateway, body, source="site", type=f"lead.{kind}", key=key)


async def state(gateway: Gateway, offset: int, destination: str = "new") -> Any:
    number = gateway.active.destinations[destination].number
    return (await gateway.deliver.states([(offset, number)]))[offset, number]


async def settled(gateway: Gateway, offset: int, destination: str = "new") -> Any:
    ended = (DeliveryState.DELIVERED, DeliveryState.EXHAUSTED)

    async def over() -> bool:  # two looks, because a state is read in parts while the sender goes on
        looks = []
        for _ in range(2):
            looks.append((await state(gateway, offset, destination)).state in ended)
            await asyncio.sleep(0.05)
        return all(looks)

    await until(over)
    return await state(gateway, offset, destination)


async def test_a_lead_becomes_a_contact_and_a_later_change_finds_it(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server, running(tmp_path, toml(crm)) as gateway:
        first = await lead(gateway)
        assert (await settled(gateway, first)).state is DeliveryState.DELIVERED
        second = await lead(gateway, "changed", name="Ada Lovelace")
        assert (await settled(gateway, second, "changed")).state is DeliveryState.DELIVERED
        assert crm.contacts == {"100": {"id": "100", "email": "ada@example.com", "name": "Ada Lovelace"}}
        assert crm.calls[1][:2] == ("PATCH", "/contacts/100")
        sent = crm.server.requests[0].headers
        assert sent["authorization"] == "Bearer t0ken" and sent["idempotency-key"].startswith("evt_")


async def test_remembered_ids_outlive_a_restart(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server:
        async with running(tmp_path, toml(crm)) as gateway:
            await settled(gateway, await lead(gateway))
        async with running(tmp_path, toml(crm)) as gateway:
            await settled(gateway, await lead(gateway, "changed", name="B"), "changed")
        assert crm.contacts["100"]["name"] == "B"


async def test_a_change_that_overtakes_its_creation_waits_for_it(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server, running(tmp_path, toml(crm)) as gateway:
        changed = await lead(gateway, "changed", name="Later")
        await until(lambda: gateway.deliver.health(gateway.active.destinations["changed"].number).last_error != "")
        assert crm.calls == []
        await settled(gateway, await lead(gateway))
        view = await settled(gateway, changed, "changed")
        assert view.state is DeliveryState.DELIVERED and "nothing is remembered" in view.attempts[0].error
        assert crm.contacts["100"]["name"] == "Later"


async def test_an_error_of_the_api_is_read_and_retried_with_the_same_id(tmp_path: Path) -> None:
    crm = Crm()
    crm.on = lambda request, number: (200, {"ok": False, "error": "busy"}) if number == 1 else None
    async with crm.server, running(tmp_path, toml(crm, create='error_path = "error"')) as gateway:
        view = await settled(gateway, await lead(gateway))
        assert view.state is DeliveryState.DELIVERED and len(view.attempts) == 2
        assert view.attempts[0].outcome is Outcome.HTTP_ERROR and "error is busy" in view.attempts[0].error
        keys = {one.headers["idempotency-key"] for one in crm.server.requests}
        assert len(keys) == 1


async def test_an_answer_without_the_id_to_remember_is_a_failure_that_says_so(tmp_path: Path) -> None:
    crm = Crm()
    crm.on = lambda request, number: (201, {"contact": number})
    async with crm.server, running(tmp_path, toml(crm)) as gateway:
        view = await settled(gateway, await lead(gateway))
        assert view.state is DeliveryState.EXHAUSTED
        assert "nothing to remember at 'id'" in view.attempts[-1].error


async def test_a_look_up_finds_what_exists_and_nothing_is_created_twice(tmp_path: Path) -> None:
    crm = Crm()
    crm.contacts["7"] = {"id": "7", "email": "ada@example.com", "name": "old"}
    look_up = (
        'method = "PUT"\nlook_up = { path = "/search", params = { email = "{{ data.email }}" }, '
        'result = { id = "results.0.id" } }\n'
    )
    async with crm.server:
        file = toml(crm, create=look_up).replace('path = "/contacts"', 'path = "/contacts/{{ remembered.id }}"')
        await _twice(tmp_path, file, crm)


async def _twice(tmp_path: Path, file: str, crm: Crm) -> None:
    async with running(tmp_path, file) as gateway:
        view = await settled(gateway, await lead(gateway))
        assert view.state is DeliveryState.DELIVERED
        assert [one[:2] for one in crm.calls] == [("GET", "/search?email=ada%40example.com"), ("PUT", "/contacts/7")]
        await settled(gateway, await lead(gateway))
        assert crm.calls[-1][0] == "PUT" and len(crm.calls) == 3  # the id is remembered now


async def test_what_the_look_up_of_a_create_finds_is_not_created_again(tmp_path: Path) -> None:
    crm = Crm()
    crm.contacts["7"] = {"id": "7", "email": "ada@example.com", "name": "old"}
    look_up = (
        'look_up = { path = "/search", params = { email = "{{ data.email }}" }, result = { id = "results.0.id" } }'
    )
    async with crm.server, running(tmp_path, toml(crm, create=look_up)) as gateway:
        assert (await settled(gateway, await lead(gateway))).state is DeliveryState.DELIVERED
        assert (await settled(gateway, await lead(gateway))).state is DeliveryState.DELIVERED
        assert [one[0] for one in crm.calls] == ["GET"]  # the id is remembered for the second one
        await settled(gateway, await lead(gateway, key="lead-2", email="bob@example.com"))
        assert [one[0] for one in crm.calls] == ["GET", "GET", "POST"]
        await settled(gateway, await lead(gateway, "changed", name="new"), "changed")
        assert crm.contacts["7"]["name"] == "new"


async def test_calls_and_polls_share_the_rate_of_their_source(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server:
        file = toml(crm).replace('token = "t0ken" }', 'token = "t0ken" }\nrate = "1/h"\ntimeout = "200ms"')
        async with running(tmp_path, file) as gateway:
            await gateway.pull.pull("crm", "contacts", None, [], max_age=None, no_cache=True, if_none_match=None)
            await lead(gateway)
            number = gateway.active.destinations["new"].number
            await until(lambda: "rate limited" in gateway.deliver.health(number).last_error)
            assert [one[0] for one in crm.calls] == ["GET"]


async def test_a_call_uses_the_token_of_its_source_and_refreshes_it_once(tmp_path: Path) -> None:
    async with AuthorizationServer() as server:
        file = f"""
[sources.site.publish]
[sources.crm.api]
base_url = "{server.url}"
[sources.crm.api.auth]
type = "oauth2_refresh_token"
access_token_url = "{server.url}/token"
client_id = "app"
refresh_token = "refresh-0"
[sources.crm.operations.create]
path = "/contacts"
json = {{ name = "{{{{ data.name }}}}" }}
[destinations.new]
type = "operation"
operation = "crm/create"
[routes.new]
from = "site"
to = "new"
"""
        async with running(tmp_path, file) as gateway:
            await settled(gateway, await lead(gateway))
            server.access_token = "revoked"
            view = await settled(gateway, await lead(gateway))
            assert view.state is DeliveryState.DELIVERED and len(view.attempts) == 1
            assert server.refreshes == 2


async def test_the_attempt_shows_the_request_as_sent_and_hides_the_credential(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server, served(tmp_path, toml(crm)) as gate:
        offset = await lead(gate.gateway)
        await settled(gate.gateway, offset)
        (one,) = (await gate.api.get("/deliveries?destination=new"))["data"]
        detail = await gate.api.get(f"/deliveries/{one['id']}")
        request = detail["attempts"][0]["request"]
        assert (request["method"], request["url"]) == ("POST", f"{crm.server.url}/contacts")
        assert json.loads(request["body"]) == {"email": "ada@example.com", "name": "Ada"}
        headers = dict(request["headers"])
        assert headers["Authorization"] == "[redacted]" and headers["Content-Type"] == "application/json"
        assert "t0ken" not in json.dumps(detail)
        tested = await gate.api.post("/destinations/new/test")
        assert tested["request"]["url"] == f"{crm.server.url}/contacts"


async def test_a_call_on_demand_answers_what_the_api_answered(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server, served(tmp_path, toml(crm)) as gate:
        body = {"data": {"email": "b@example.com", "name": "B"}, "key": "lead-9"}
        found = await gate.api.post("/call/crm/create", body)
        assert found["status"] == 201 and found["body"]["name"] == "B" and found["remembered"] == {"id": "100"}
        assert found["request"] == f"POST {crm.server.url}/contacts"
        changed = await gate.api.post("/call/crm/update", {"data": {"name": "C"}, "key": "lead-9"})
        assert changed["status"] == 200 and crm.contacts["100"]["name"] == "C"
        crm.on = lambda request, number: (422, {"message": "email is taken"})
        failed = await gate.api("POST", "/api/v1/call/crm/create", body)
        assert (
            failed.status == 502
            and "email is taken" in failed.json()["message" if "message" in failed.json() else "detail"]
        )
        assert (await gate.api("POST", "/api/v1/call/crm/other", body)).status == 404
        assert (await gate.api("POST", "/api/v1/call/crm/update", {"data": {}, "key": "nobody"})).status == 502


WAIT_IN_BODY = '[sources.crm.api.limits]\nwait_path = "extras.wait_seconds"\n'


async def test_a_wait_in_the_body_of_an_answer_holds_the_calls_of_the_source(tmp_path: Path) -> None:
    crm = Crm()
    crm.on = lambda request, number: (429, {"errors": ["slow down"], "extras": {"wait_seconds": 500}})
    async with crm.server, served(tmp_path, toml(crm, create=WAIT_IN_BODY)) as gate:
        body = {"data": {"email": "b@example.com", "name": "B"}, "key": "lead-9"}
        for _ in range(2):
            failed = await gate.api("POST", "/api/v1/call/crm/create", body)
            assert 490 <= int(failed.headers["retry-after"]) <= 501
        assert len(crm.server.requests) == 1, "the second call did not leave"


async def test_a_wait_in_the_body_of_an_answer_holds_the_deliveries(tmp_path: Path) -> None:
    crm = Crm()
    crm.on = lambda request, number: (429, {"errors": ["slow down"], "extras": {"wait_seconds": 500}})
    async with crm.server, running(tmp_path, toml(crm, create=WAIT_IN_BODY)) as gateway:
        await lead(gateway)
        number = gateway.active.destinations["new"].number
        await until(lambda: gateway.deliver.health(number).hold_until_us)
        left = gateway.deliver.health(number).hold_until_us / 1e6 - gateway.clock.now_us() / 1e6
        assert 400 < left < 502


async def test_a_call_with_an_idempotency_key_is_made_once(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server, served(tmp_path, toml(crm)) as gate:
        body, key = {"data": {"email": "b@example.com", "name": "B"}}, {"Idempotency-Key": "abc"}

        async def call(body: Any = body) -> Any:
            return await gate.api("POST", "/api/v1/call/crm/create", body, headers=key)

        first, second = await call(), await call()
        assert first.json()["repeated"] is False and second.json()["repeated"] is True
        assert second.json()["body"] == first.json()["body"] and len(crm.calls) == 1
        assert crm.server.requests[0].headers["idempotency-key"] == "abc"
        other = await call({"data": {"email": "c@example.com"}})
        assert other.status == 422 and other.json()["code"] == "idempotency_key_used"
        crm.on = lambda request, number: (500, {})
        key["Idempotency-Key"] = "def"
        assert (await call()).status == 502
        crm.on = lambda request, number: None
        assert (await call()).json()["repeated"] is False  # a call that failed may be made again


async def test_a_call_needs_the_scope_and_the_source(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server, served(tmp_path, toml(crm)) as gate:
        body = {"data": {"email": "b@example.com"}}
        assert (await (await gate.key("read", "write"))("POST", "/api/v1/call/crm/create", body)).status == 403
        assert (
            await (await gate.key("call", sources=("site",)))("POST", "/api/v1/call/crm/create", body)
        ).status == 403
        assert crm.calls == []
        assert (
            await (await gate.key("call", "read", sources=("crm",)))("POST", "/api/v1/call/crm/create", body)
        ).status == 200


async def test_a_destination_of_the_api_names_an_operation_that_exists(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server, served(tmp_path, toml(crm)) as gate:
        put = await gate.api("PUT", "/api/v1/destinations/x", {"type": "operation", "operation": "crm/creat"})
        assert put.status == 422 and "did you mean 'crm/create'" in put.json()["hint"]
        assert (
            await gate.api("PUT", "/api/v1/destinations/x", {"type": "operation", "operation": "crm/create"})
        ).status == 201
        assert (
            await gate.api("PUT", "/api/v1/destinations/x", {"type": "operation", "operation": "crm"})
        ).status == 422
