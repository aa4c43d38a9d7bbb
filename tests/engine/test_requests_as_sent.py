"""The request as it was sent: what is kept, what is masked, and what a reader gets back."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
from typing import Any

import pytest

from engine.test_deliver import OKAY, SOURCE, destination, fails, route
from support.gateway.running import ALLOW, publish, running, until
from support.receiver.scripted import ScriptedServer
from tidegate.config.load import load_text
from tidegate.deliver import ReplayQuery
from tidegate.query.deliveries import delivery_by_id, list_deliveries
from tidegate.query.schemas import DeliverySchema, RequestSchema
from tidegate.query.sent_requests import copied
from tidegate.rules.outbound import sent_requests

BEARER = {"auth": {"type": "bearer", "token": "hush-hush"}}


async def the_delivery(gateway: Any, attempts: int = 1) -> DeliverySchema:
    async def done() -> bool:
        page = await list_deliveries(gateway, limit=1)
        return bool(page.data) and len(page.data[0].attempts) >= attempts

    await until(done)
    page = await list_deliveries(gateway, limit=1)
    return await delivery_by_id(gateway, page.data[0].id)


def toml(server: ScriptedServer, **keys: Any) -> str:
    auth = keys.pop("auth", None)
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items() if key != "headers")
    if "headers" in keys:
        lines += "".join(f"headers.{name} = {json.dumps(value)}\n" for name, value in keys["headers"].items())
    table = '[destinations.crm.auth]\ntype = "bearer"\ntoken = "hush-hush"\n' if auth else ""
    return f'{SOURCE}{route()}[destinations.crm]\nurl = "http://127.0.0.1:{server.port}/hook"\n{lines}{table}'


def sent_headers(request: Any) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}


async def test_an_attempt_shows_exactly_what_the_receiver_got_with_credentials_masked(tmp_path):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, toml(server, auth=True)) as gateway:
            await publish(gateway, b'{"amount": 7}', key="k")
            (attempt,) = (await the_delivery(gateway)).attempts
            request = attempt.request
            assert isinstance(request, RequestSchema)
            shown = {name.lower(): value for name, value in request.headers}
            assert shown.pop("authorization") == "[redacted]"
            got = sent_headers(server.requests[0])
            assert got.pop("authorization") == "Bearer hush-hush"
            assert shown == got
            assert request.body is not None
            assert request.body.encode() == server.requests[0].body
            assert (request.method, request.url) == ("POST", f"http://127.0.0.1:{server.port}/hook")


async def test_what_was_sent_stays_true_after_the_configuration_changed(tmp_path):
    async with ScriptedServer(OKAY) as server:
        text = toml(server, headers={"x-team": "one"}, body="cloudevents")
        async with running(tmp_path, text) as gateway:
            await publish(gateway, b'{"amount": 7}')
            await the_delivery(gateway)
            changed = toml(server, headers={"x-team": "two"}, body="envelope").replace("/hook", "/other")
            await gateway.editor.apply(load_text(ALLOW + changed, "changed.toml", {}).config)
            await gateway.deliver.replay(ReplayQuery(destination="crm"))
            first, second = (await the_delivery(gateway, 2)).attempts
            assert isinstance(first.request, RequestSchema)
            assert isinstance(second.request, RequestSchema)
            assert [dict(one.request.headers)["x-team"] for one in (first, second)] == ["one", "two"]
            assert first.request.url.endswith("/hook")
            for attempt, request in zip((first, second), server.requests, strict=True):
                assert attempt.request.body.encode() == request.body


@pytest.mark.parametrize("fmt", ["curl", "python"])
async def test_a_copied_command_sends_the_same_bytes_again(tmp_path, fmt):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, toml(server)) as gateway:
            await publish(gateway, '{"name": "it\'s \\"é\\" $HOME `x` \\\\ %s"}'.encode())
            (attempt,) = (await the_delivery(gateway)).attempts
            assert isinstance(attempt.request, RequestSchema)
            text = copied(attempt.request, fmt)
            command = ["bash", "-c", text] if fmt == "curl" else [sys.executable, "-c", text]
            ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20, check=False)
            if fmt == "curl" and ran.returncode == 127:
                pytest.skip("curl is not installed")
            assert ran.returncode == 0, ran.stderr
            first, again = server.requests
            assert again.body == first.body
            assert again.headers["webhook-signature"] == first.headers["webhook-signature"]


def test_httpie_gets_the_same_arguments() -> None:
    request = RequestSchema(
        method="POST", url="https://x.example.com/a b", headers=[("x-a", "it's")], body="{'a'}", body_encoding="utf-8",
        body_bytes=5, body_cut=False,
    )  # fmt: skip
    words = shlex.split(copied(request, "httpie").replace("\\\n", ""))
    assert words == ["printf", "%s", "{'a'}", "|", "http", "POST", "https://x.example.com/a b", "x-a:it's"]


async def test_a_large_body_of_its_own_is_cut_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sent_requests, "KEPT_BODY_BYTES", 1000)

    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, toml(server, body="cloudevents")) as gateway:
            await publish(gateway, json.dumps({"a": "é" * 2000}, ensure_ascii=False).encode())
            request = (await the_delivery(gateway)).attempts[0].request
            assert isinstance(request, RequestSchema)
            assert request.body_cut
            assert request.body_bytes == len(server.requests[0].body)
            assert server.requests[0].body.decode().startswith(request.body)


async def test_equal_heads_are_stored_once_and_bodies_of_the_event_not_at_all(tmp_path):
    async with ScriptedServer(fails(2)) as server:
        async with running(tmp_path, SOURCE + destination(server, retry=["1ms"] * 5) + route()) as gateway:
            body = b'{"padding": "' + b"x" * 3000 + b'"}'
            for _ in range(5):
                await publish(gateway, body)
            await the_delivery(gateway)
            await until(lambda: len(server.requests) >= 7)
            await gateway.deliver.settler.flush()
            number = gateway.active.destinations["crm"].number
            pairs = [(offset, number) for offset in range(1, 6)]
            attempts = [one for made in (await gateway.store.deliveries.attempts(pairs)).values() for one in made]
            assert len(attempts) == 7
            assert len({one.head for one in attempts}) == 1
            assert max(len(one.request) for one in attempts) < 500
