"""`tidegate trigger`: the sample of each provider file goes through the real ingress, signed and marked."""

from __future__ import annotations

import base64

import msgspec
import pytest

from support.gateway.ingress import with_ingress
from support.upstream.signed_samples import sign
from tidegate.config.spec import Source
from tidegate.core.errors import BadRequest
from tidegate.core.spec import CustomScheme, WebhookInput
from tidegate.providers import webhook_names
from tidegate.providers.shape import load_provider
from tidegate.receive import trigger
from tidegate.receive.inputs import compile_input
from tidegate.receive.samples import Wanted
from tidegate.rules.language.view import event_view, is_test

URL = "https://gate.example.com"
KEY = b"0123456789abcdef0123456789abcdef"
SAMPLES = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name in webhook_names()
    for number in range(len(load_provider(name).samples))
]


def secret_of(name):
    """A secret as the provider shows it; a public key where there is one."""
    provider = load_provider(name)
    if not provider.schemes:
        return ""
    scheme = provider.schemes[0]
    if scheme.kind in ("ed25519", "ecdsa", "rsa"):
        return sign(provider, provider.samples[0], 1_800_000_000, f"{URL}/in/s").secret
    text = {"hex": KEY.hex(), "base64": base64.b64encode(KEY).decode()}.get(scheme.secret_encoding, "user:s3cret-text")
    return scheme.secret_prefix + text


def source_of(verify, secret="", **more):
    return Source(webhook=WebhookInput(verify=verify, secret=secret, **more))


async def send(gate, source, wanted):
    one = trigger.prepare("s", source, URL, wanted, gate.clock.now_us())
    return one, await trigger.send(gate.door, one)


@pytest.mark.parametrize(("name", "number"), SAMPLES)
def test_the_sample_of_every_provider_is_stored_marked_and_new_each_time(tmp_path, name, number):
    async def work(gate):
        provider = load_provider(name)
        source = source_of(name, secret_of(name))
        type_ = provider.samples[number].type
        for _ in range(2):
            one, answer = await send(gate, source, Wanted(type_))
            assert answer.status // 100 == 2, (answer, gate.rejections)
            gate.clock.advance(1)
        events = await gate.events()
        assert all(is_test(event) and event_view(event)["test"] is True for event in events)
        if not provider.split or name == "cloudevents":
            assert {event.type for event in events} == {type_}
        assert len(events) == 2, "each is a new event"
        assert one.note == ""
        assert gate.findings.listed() == []

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("name", ["discord", "sendgrid", "highlevel", "aws-sns", "paypal", "google-pubsub"])
def test_a_throwaway_key_accepts_the_one_request_and_is_no_key_of_the_source(tmp_path, name):
    async def work(gate):
        provider = load_provider(name)
        source = source_of(name, secret_of(name))
        one, answer = await send(gate, source, Wanted(provider.samples[0].type))
        assert answer.status // 100 == 2
        assert one.throwaway
        gate.extra = {"s": compile_input("s", source, URL)}
        headers = [(key.decode(), value.decode()) for key, value in one.headers]
        outside = await gate.call("s", one.body, headers, query=one.query)
        assert outside.status in (401, 503)
        assert len(await gate.events()) == 1
        other = trigger.prepare("s", source, URL, Wanted(provider.samples[0].type), gate.clock.now_us())
        mixed = msgspec.structs.replace(one, input=other.input)
        assert (await trigger.send(gate.door, mixed)).status == 401, "the key of another request"

    with_ingress(tmp_path, work)


def test_values_are_set_in_json_and_in_forms_and_the_signature_covers_them(tmp_path):
    async def work(gate):
        stripe = source_of("stripe", "whsec_x")
        await send(gate, stripe, Wanted("charge.succeeded", {"data.object.amount": 1, "data.object.tags.0": "new"}))
        slack = source_of("slack", "s")
        await send(gate, slack, Wanted("block_actions", {"user.id": "U9"}))
        twilio = source_of("twilio", "s")
        await send(gate, twilio, Wanted("delivered", {"To": "+1 555", "N": 7}))
        views = [event_view(event) for event in await gate.events()]
        assert views[0]["data"]["object"] == {
            "id": "ch_1", "object": "charge", "amount": 1, "currency": "eur", "tags": ["new"],
        }  # fmt: skip
        assert views[1]["body"]["user"] == {"id": "U9"}
        assert views[2]["data"]["To"] == "+1 555"
        assert views[2]["data"]["N"] == "7"

    with_ingress(tmp_path, work)


def test_a_type_without_a_sample_is_made_from_another_and_says_so(tmp_path):
    async def work(gate):
        for name, type_ in (("stripe", "invoice.paid"), ("github", "push"), ("linear", "Issue.remove")):
            one, answer = await send(gate, source_of(name, secret_of(name)), Wanted(type_))
            assert answer.status // 100 == 2
            assert "no sample of" in one.note
        assert [event.type for event in await gate.events()] == ["invoice.paid", "push", "Issue.remove"]

    with_ingress(tmp_path, work)


def test_a_scheme_of_one_s_own_and_no_scheme_need_no_sample(tmp_path):
    async def work(gate):
        table = CustomScheme(header="X-Sig", prefix="sha256=", signed="{timestamp}.{body}", timestamp_header="X-Time")
        own = source_of(table, "sekret", type_header="X-Event", id_header="X-Id", key_path="order.id")
        await send(gate, own, Wanted("order.paid", body=b'{"order":{"id":"77"}}'))
        await send(gate, source_of("none"), Wanted("thing.made", {"n": 1}))
        first, second = await gate.events()
        assert (first.type, first.key, first.body) == ("order.paid", "77", b'{"order":{"id":"77"}}')
        assert (second.type, second.body) == ("thing.made", b'{"type":"thing.made","n":1}')

    with_ingress(tmp_path, work)


def test_what_cannot_be_set_or_read_is_refused_with_the_place(tmp_path):
    async def work(gate):
        stripe = source_of("stripe", "whsec_x")
        for wanted, words in (
            (Wanted("charge.succeeded", {"data.object.amount.x": 1}), "not an object"),
            (Wanted("charge.succeeded", body=b"{"), "not JSON"),
            (Wanted("charge.succeeded", {f"f{n}": n for n in range(101)}), "101 values"),
        ):
            with pytest.raises(BadRequest, match=words):
                await send(gate, stripe, wanted)
        with pytest.raises(BadRequest, match="no secret"):
            await send(gate, source_of("stripe"), Wanted("charge.succeeded"))
        with pytest.raises(BadRequest, match="would read the type"):
            await send(gate, source_of("stripe", "s", event_type="fixed"), Wanted("charge.succeeded"))
        assert await gate.events() == ()

    with_ingress(tmp_path, work)


def test_a_sender_outside_cannot_mark_an_event_as_a_test(tmp_path):
    async def work(gate):
        await gate.call("open", b'{"type":"x","test":true}', [("test", "1"), ("tidegate-test", "1")])
        (event,) = await gate.events()
        assert event_view(event)["test"] is False

    with_ingress(tmp_path, work)
