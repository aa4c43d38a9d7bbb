"""Settings of a webhook over a real socket: method, body kinds, success statuses, conditions on a response, signing."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs

import pytest
from twilio.request_validator import RequestValidator

from engine.test_deliver import OKAY, SOURCE, counters_are, destination, route, state
from support.gateway.running import publish, running, until
from support.receiver.scripted import ScriptedServer, answer
from tidegate.core.model import DeliveryState, Outcome
from tidegate.providers.shape import load_provider
from tidegate.rules.inbound.signatures import Verification, compile_verifier

SECRET = "whsec_stripe_like_text"


def sent(tmp_path, data: bytes, script=OKAY, **keys):
    """The request that a destination with these keys gets for one published event, and the delivery's state."""

    async def main():
        async with ScriptedServer(script) as server:
            async with running(tmp_path, SOURCE + destination(server, **keys) + route()) as gateway:
                offset = await publish(gateway, data, key="k")
                await until(lambda: server.requests)
                await gateway.deliver.settler.flush()

                async def attempted():
                    return (await state(gateway, offset)).attempts

                await until(attempted)
                return server.requests[0], await state(gateway, offset)

    return asyncio.run(main())


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
def test_the_method_is_sent(tmp_path, method):
    request, view = sent(tmp_path, b'{"a": 1}', method=method)
    assert request.line == f"{method} /hook HTTP/1.1"
    assert view.state is DeliveryState.DELIVERED


def test_a_form_has_the_fields_of_the_data(tmp_path):
    data = {"a": "x & y", "n": 7, "b": True, "none": None, "list": [1, "two"], "deep": {"c": 1}}
    request, _ = sent(tmp_path, json.dumps(data).encode(), body="form")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.body.decode(), strict_parsing=True) == {
        "a": ["x & y"], "n": ["7"], "b": ["true"], "list": ["1", "two"], "deep": ['{"c":1}']
    }  # fmt: skip


async def test_a_form_of_what_is_not_an_object_cannot_be_rendered(tmp_path):
    async with ScriptedServer(OKAY) as server:
        async with running(tmp_path, SOURCE + destination(server, body="form") + route()) as gateway:
            await publish(gateway, b"[1]")
            await until(lambda: counters_are(gateway, exhausted=1, pending=0))
            (finding,) = [one for one in gateway.findings.listed() if one.code == "cannot_render"]
            assert "a form needs an object" in finding.samples[0]


def test_binary_cloudevents_have_attributes_as_headers_and_the_data_as_body(tmp_path):
    request, _ = sent(tmp_path, b'{"a": 1}', body="cloudevents-binary")
    assert json.loads(request.body) == {"a": 1}
    assert request.headers["content-type"] == "application/json"
    shown = {name: value for name, value in request.headers.items() if name.startswith("ce-")}
    assert shown.pop("ce-time")
    assert shown.pop("ce-id") == request.headers["webhook-id"]
    assert shown == {"ce-specversion": "1.0", "ce-source": "shop", "ce-type": "t", "ce-subject": "k"}


def test_a_named_status_is_a_success(tmp_path):
    conflict = answer(b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n")
    _, view = sent(tmp_path, b"{}", script=conflict, ok=[200, 409])
    assert (view.state, view.attempts[0].outcome, view.attempts[0].status) == (DeliveryState.DELIVERED, Outcome.OK, 409)


async def test_a_200_whose_body_says_error_is_retried(tmp_path):
    body = b'{"ok": false, "error": "quota"}'
    script = answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async with ScriptedServer(script) as server:
        text = SOURCE + destination(server, retry=["1h"]) + "ok_body = { ok = true }\n" + route()
        async with running(tmp_path, text) as gateway:
            offset = await publish(gateway)
            await until(lambda: server.requests)

            async def attempted():
                return (await state(gateway, offset)).attempts

            await until(attempted)
            view = await state(gateway, offset)
            assert (view.state, view.attempts[0].outcome) == (DeliveryState.PENDING, Outcome.HTTP_ERROR)
            assert "`ok_body` does not match" in view.attempts[0].error


async def test_a_wait_in_the_body_holds_the_whole_destination(tmp_path):
    body = b'{"extras": {"wait_seconds": 500}}'
    script = answer(b"HTTP/1.1 429 Slow\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    async with ScriptedServer(script) as server:
        text = SOURCE + destination(server, retry=["10ms"], retry_after_path="extras.wait_seconds") + route()
        async with running(tmp_path, text) as gateway:
            await publish(gateway)
            number = gateway.active.destinations["crm"].number
            await until(lambda: gateway.deliver.health(number).hold_until_us)
            left = gateway.deliver.health(number).hold_until_us / 1e6 - gateway.clock.now_us() / 1e6
            assert 400 < left <= 500
            assert len(server.requests) == 1


def test_a_receiver_that_verifies_stripe_accepts_what_tidegate_signs_with_its_own_secret(tmp_path):
    request, _ = sent(tmp_path, b'{"a": 1}', sign="stripe", secret=SECRET)
    headers = {name.encode(): value.encode() for name, value in request.headers.items()}
    verify = compile_verifier(load_provider("stripe").schemes, [SECRET])
    timestamp = int(request.headers["webhook-timestamp"])
    assert verify(headers, request.body, "", timestamp) is Verification.OK
    assert "webhook-signature" not in request.headers


def test_a_receiver_that_verifies_twilio_accepts_json_by_its_hash_in_the_address(tmp_path):
    request, view = sent(tmp_path, b'{"a": 1}', sign="twilio", secret="auth-token")
    url = f"http://{request.headers['host']}{request.line.split()[1]}"
    signature, body = request.headers["x-twilio-signature"], request.body.decode()
    assert "?bodySHA256=" in url
    assert RequestValidator("auth-token").validate(url, body, signature)
    assert not RequestValidator("auth-token").validate(url, body + " ", signature)
    assert not RequestValidator("another").validate(url, body, signature)
    assert view.state is DeliveryState.DELIVERED


def test_a_receiver_that_verifies_twilio_accepts_a_form_by_its_fields(tmp_path):
    data = {"MessageSid": "SM1", "Body": "café & more"}
    request, _ = sent(tmp_path, json.dumps(data).encode(), body="form", sign="twilio", secret="auth-token")
    url, signature = f"http://{request.headers['host']}/hook", request.headers["x-twilio-signature"]
    assert request.line == "POST /hook HTTP/1.1"
    assert RequestValidator("auth-token").validate(url, data, signature)
    assert not RequestValidator("auth-token").validate(url, data | {"Body": "other"}, signature)
