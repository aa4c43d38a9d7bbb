"""Every provider file through the live receiver: signed samples are read as the file says, unsigned ones rejected."""

from __future__ import annotations

import msgspec
import pytest

from support.gateway.ingress import with_ingress
from support.upstream.signed_samples import sign
from tidegate.config.spec import Source
from tidegate.core.spec import WebhookInput
from tidegate.providers import provider_data, webhook_names
from tidegate.providers.shape import Sample, load_provider
from tidegate.receive.inputs import compile_input

URL = "https://gate.example.com/in/s"
# Signed with keys that only the provider has and that are fetched from it.
KEYS_OF_THE_PROVIDER = {"google-pubsub", "paypal", "aws-sns"}
# The body is not signed, or the sample is not JSON of which a byte could be changed.
SAMPLES = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name in webhook_names()
    if name not in KEYS_OF_THE_PROVIDER
    for number in range(len(load_provider(name).samples))
]


def input_of(name, secret, **more):
    return compile_input(
        "s", Source(webhook=WebhookInput(verify=name, secret=secret, **more)), "https://gate.example.com"
    )


@pytest.mark.parametrize(("name", "number"), SAMPLES)
def test_a_sample_is_accepted_read_and_stored_once(tmp_path, name, number):
    async def work(setup):
        provider = load_provider(name)
        sample = provider.samples[number]
        signed = sign(provider, sample, setup.now, URL)
        setup.extra = {"s": input_of(name, signed.secret)}
        headers = list(signed.headers.items())
        answer = await setup.call("s", signed.body, headers, query=signed.query.encode())
        assert answer.status // 100 == 2, setup.rejections
        again = await setup.call("s", signed.body, headers, query=signed.query.encode())
        assert again.status // 100 == 2
        events = await setup.events()
        assert events[0].body == signed.body
        if not provider.split or name == "cloudevents":
            assert events[0].type == sample.type
        lowered = {name.lower().encode(): value.encode() for name, value in headers}
        has_id = setup.extra["s"].read(lowered, signed.body).delivery_id is not None
        assert len(events) == (1 if has_id else 2)
        assert setup.findings.listed() == []

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(("name", "number"), SAMPLES)
def test_a_sample_with_another_secret_or_without_its_signature_is_401(tmp_path, name, number):
    async def work(setup):
        provider = load_provider(name)
        signed = sign(provider, provider.samples[number], setup.now, URL)
        scheme = provider.schemes[0]
        wrong = {"hex": "ab" * 32, "base64": "QUJDRA=="}.get(scheme.secret_encoding, "not-it")
        if scheme.kind in ("ed25519", "ecdsa", "rsa"):
            wrong = (
                sign(provider, provider.samples[number], setup.now, URL).secret if scheme.kind != "ed25519" else wrong
            )
        setup.extra = {"s": input_of(name, scheme.secret_prefix + wrong), "t": input_of(name, signed.secret)}
        headers = list(signed.headers.items())
        query = signed.query.encode()
        assert (await setup.call("s", signed.body, headers, query=query)).status == 401
        places = {scheme.header.lower() for scheme in provider.schemes} | {"signature", "signature-input"}
        bare = [(name, value) for name, value in headers if name.lower() not in places]
        body = b"{}" if any(scheme.path for scheme in provider.schemes) else signed.body
        assert (await setup.call("t", body, bare)).status == 401
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("name", [name for name in webhook_names() if load_provider(name).split])
def test_the_items_of_a_sample_are_events_with_ids_of_their_own(tmp_path, name):
    async def work(setup):
        provider = load_provider(name)
        sample = provider.samples[0]
        signed = sign(provider, sample, setup.now, URL)
        setup.extra = {"s": input_of(name, signed.secret, split="auto")}
        headers, query = list(signed.headers.items()), signed.query.encode()
        first = await setup.call("s", signed.body, headers, query=query)
        assert first.status // 100 == 2, setup.rejections
        (event,) = await setup.events()
        if name not in ("cloudevents", "quickbooks"):
            assert event.type == sample.type
            assert event.body != signed.body
        assert msgspec.json.decode(event.body)

    with_ingress(tmp_path, work)


# The sample of a webhook event of Discord has the type 1 too: it is stored, as the samples above show.
@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ('{"id":"9","application_id":"1","type":1,"token":"t","version":1}', 200, b'{"type":1}'),
        ('{"version":1,"application_id":"1","type":0}', 204, b""),
    ],
)
def test_each_ping_of_discord_gets_its_own_answer_and_is_not_stored(tmp_path, body, status, answer):
    async def work(setup):
        provider = load_provider("discord")
        signed = sign(provider, Sample(type="ping", body=body), setup.now, URL)
        setup.extra = {"s": input_of("discord", signed.secret)}
        given = await setup.call("s", signed.body, list(signed.headers.items()))
        assert (given.status, given.body) == (status, answer)
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("name", webhook_names())
def test_a_file_says_what_people_need_and_where_it_was_read(name):
    provider = load_provider(name)
    assert provider.sources, "a fact without a source"
    assert provider.secret_help
    assert provider.samples
    assert "api" not in provider_data(name) or isinstance(provider_data(name)["api"], dict)


# Formats that anybody sends: each sender has limits and retries of its own.
OF_ANYBODY = {"cloudevents", "http-message-signatures"}


@pytest.mark.parametrize("name", sorted(set(webhook_names()) - OF_ANYBODY))
def test_a_file_has_the_time_limit_and_the_retries_or_says_that_they_are_not_known(name):
    provider = load_provider(name)
    unknown = " ".join(provider.unconfirmed)
    assert provider.answer_within or "time limit" in unknown
    assert provider.retries or "retries" in unknown


def test_at_least_sixty_providers_ship():
    assert len(webhook_names()) >= 60
