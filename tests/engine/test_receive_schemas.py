"""JSON Schema for event types: what does not fit is marked or refused, and nothing is fetched."""

from __future__ import annotations

import json

import pytest

from support.gateway.ingress import with_ingress
from tidegate.config.load import load_text
from tidegate.config.spec import Source
from tidegate.core.errors import ConfigError
from tidegate.core.spec import WebhookInput
from tidegate.receive.inputs import compile_input
from tidegate.rules.language.view import event_view

ORDER = json.dumps(
    {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "s": {"pattern": "^a+$"}}}
)


def input_of(**more):
    webhook = WebhookInput(verify="none", schemas={"order.*": ORDER}, **more)
    return compile_input("s", Source(webhook=webhook), "")


def test_an_event_that_does_not_fit_is_stored_and_marked(tmp_path):
    async def work(gate):
        gate.extra = {"s": input_of()}
        for body in (b'{"type":"order.paid","id":1}', b'{"type":"order.paid","id":"x"}', b'{"type":"other"}'):
            assert (await gate.call("s", body)).status == 202
        marks = [event_view(event)["schema_error"] for event in await gate.events()]
        assert marks == [None, 'id: "x" is not of type "integer"', None]
        assert [one.code for one in gate.findings.listed()] == ["schema_invalid"]

    with_ingress(tmp_path, work)


def test_with_refuse_it_is_422_and_only_the_operator_learns_why(tmp_path):
    async def work(gate):
        gate.extra = {"s": input_of(on_invalid="refuse"), "b": input_of(on_invalid="refuse", split="items")}
        answer = await gate.call("s", b'{"type":"order.paid"}')
        assert (answer.status, answer.json["code"]) == (422, "schema_invalid")
        assert "required" not in answer.body.decode()
        assert '"id" is a required property' in gate.rejections[0].detail
        items = b'{"items":[{"type":"order.paid","id":1},{"type":"order.paid"}]}'
        assert (await gate.call("b", items)).status == 422, "all items or none"
        assert await gate.events() == ()

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 5000, b'{"id":1e999}', b'{"id":' + b"9" * 5000 + b"}"])
def test_any_body_gets_an_answer(tmp_path, body):
    async def work(gate):
        gate.extra = {"s": input_of(event_type="order.x")}
        assert (await gate.call("s", body)).status == 202
        (event,) = await gate.events()
        event_view(event)

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{", "not a JSON Schema"),
        ('{"type":"objec"}', "not a JSON Schema"),
        ('{"$ref":"http://127.0.0.1:9/x"}', "not fetched"),
    ],
)
def test_check_rejects_what_is_no_schema_and_fetches_nothing(schema, words):
    text = f'[sources.s.webhook]\nverify = "none"\n[sources.s.webhook.schemas]\n"order.*" = \'{schema}\'\n'
    with pytest.raises(ConfigError, match=words):
        load_text(text, "t.toml", {})
