"""Chats over real sockets: what was cut, what a chat answered and how long it asks to wait end in the attempt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.gateway.running import publish, running, until
from support.receiver.scripted import Script, ScriptedServer, answer
from tidegate.core.model import Attempt, DeliveryState, Outcome
from tidegate.kinds import KINDS
from tidegate.kinds.chat import ChatKind
from tidegate.process.gateway import Gateway

CHATS = sorted(name for name, kind in KINDS.items() if isinstance(kind, ChatKind))
FILE = """
[sources.shop.publish]
[destinations.chat]
type = "{type}"
url = "http://127.0.0.1:{port}/services/T0/hush"
text = "{{{{ data.name }}}}"
retry = []
[routes.all]
from = "shop"
to = "chat"
"""


def response(status: bytes, body: bytes = b"", headers: bytes = b"") -> Script:
    return answer(b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (status, headers, len(body), body))


def with_chat(
    tmp_path: Path, type: str, script: Script, work: Callable[[Gateway, ScriptedServer], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with (
            ScriptedServer(script) as server,
            running(tmp_path, FILE.format(type=type, port=server.port)) as gateway,
        ):
            await work(gateway, server)

    asyncio.run(main())


async def settled(gateway: Gateway, data: Any) -> tuple[DeliveryState, str, Attempt]:
    """(state, cause, last attempt) of the delivery of an event, once it is settled."""
    offset = await publish(gateway, json.dumps(data).encode())
    key = (offset, gateway.active.destinations["chat"].number)

    async def view() -> Any:
        return (await gateway.deliver.states([key])).get(key)

    async def done() -> bool:
        found = await view()
        return found is not None and found.state in (DeliveryState.DELIVERED, DeliveryState.EXHAUSTED)

    await until(done)
    found = await view()
    return found.state, found.cause, found.attempts[-1]


@pytest.mark.parametrize("type", CHATS)
def test_a_cut_text_is_delivered_and_its_attempt_says_so(tmp_path: Path, type: str) -> None:
    async def work(gateway: Gateway, server: ScriptedServer) -> None:
        state, _, attempt = await settled(gateway, {"name": "x" * 50_000})
        assert (state, attempt.outcome, attempt.status) == (DeliveryState.DELIVERED, Outcome.OK, 200)
        assert attempt.error.startswith("the text was cut to ")
        assert b"x" * 1_500 in server.requests[0].body
        assert (await settled(gateway, {"name": "short"}))[2].error == ""

    with_chat(tmp_path, type, response(b"200 OK", b"ok"), work)


@pytest.mark.parametrize("type", CHATS)
def test_an_empty_text_is_never_sent(tmp_path: Path, type: str) -> None:
    async def work(gateway: Gateway, server: ScriptedServer) -> None:
        state, cause, attempt = await settled(gateway, {"other": 1})
        assert (state, cause, attempt.outcome) == (DeliveryState.EXHAUSTED, "render", Outcome.RENDER)
        assert "the text is empty" in attempt.error
        assert server.requests == []

    with_chat(tmp_path, type, response(b"200 OK", b"ok"), work)


@pytest.mark.parametrize(
    ("type", "status", "body", "said"),
    [
        ("slack", b"404 Not Found", b"channel_not_found", "channel_not_found: the channel is gone"),
        ("slack", b"200 OK", b"no_text", "no_text: the message has no text"),
        ("discord", b"404 Not Found", b'{"code":10015,"message":"Unknown Webhook"}', "10015: the webhook was deleted"),
        ("teams", b"200 OK", b"Webhook message delivery failed with error: x HTTP error 413 y", "HTTP 413"),
    ],
)
def test_an_error_in_the_words_of_a_chat_is_a_failed_attempt(
    tmp_path: Path, type: str, status: bytes, body: bytes, said: str
) -> None:
    async def work(gateway: Gateway, server: ScriptedServer) -> None:
        state, cause, attempt = await settled(gateway, {"name": "ada"})
        assert (state, cause, attempt.outcome) == (DeliveryState.EXHAUSTED, "http_error", Outcome.HTTP_ERROR)
        assert said in attempt.error
        assert attempt.status == int(status[:3]), "the attempt keeps the status that came"
        assert attempt.url == "http://127.0.0.1:" + str(server.port) + "/..."

    with_chat(tmp_path, type, response(status, body), work)


def test_the_wait_in_the_body_of_a_429_holds_the_destination(tmp_path: Path) -> None:
    async def work(gateway: Gateway, server: ScriptedServer) -> None:
        await publish(gateway, b'{"name":"ada"}')
        number = gateway.active.destinations["chat"].number
        await until(lambda: gateway.deliver.health(number).hold_until_us)
        left = gateway.deliver.health(number).hold_until_us - gateway.clock.now_us()
        assert 20_000_000 < left < 31_000_000

    body = b'{"message":"You are being rate limited.","retry_after":30.5,"global":false}'
    with_chat(tmp_path, "discord", response(b"429 Slow", body, b"retry-after: 1\r\n"), work)


@pytest.mark.parametrize("type", CHATS)
def test_a_test_send_posts_a_sentence_whatever_the_text_needs(tmp_path: Path, type: str) -> None:
    async def work(gateway: Gateway, server: ScriptedServer) -> None:
        attempt = await gateway.deliver.test("chat")
        assert attempt.outcome is Outcome.OK
        assert b"A test message from Tidegate for the destination chat." in server.requests[0].body

    with_chat(tmp_path, type, response(b"200 OK", b"ok"), work)
