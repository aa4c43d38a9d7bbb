"""Every published signature through the live receiver, with its clock set to the time of the sample."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from support.gateway.ingress import Answered, IngressSetup, scope
from support.stores import with_store
from tidegate.config.spec import Source
from tidegate.core.clock import ManualClock
from tidegate.core.spec import CustomScheme, WebhookInput
from tidegate.receive.ingress import Ingress
from tidegate.receive.inputs import compile_input
from tidegate.rules.inbound.signatures.message import digest_fits
from tidegate.store.sqlite import open_sqlite

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text())["vectors"]
DIGESTS = [one for one in VECTORS if one["provider"] == "rfc9530"]
REQUESTS = [one for one in VECTORS if one["provider"] != "rfc9530"]
# What the samples call by another name than the provider files, or what is not a provider.
VERIFY = {
    "generic": CustomScheme(header="X-Convoy-Signature", digest="sha512"),
    "rfc9421": CustomScheme(type="message", secret_encoding="base64"),
}
FILES = {"adyen-hmac-header": "adyen-platform"}
REASONS = {"timestamp": {"too_old", "too_new"}}


def body_of(vector):
    return base64.b64decode(vector["body_base64"]) if "body_base64" in vector else vector["body"].encode()


def input_of(vector):
    verify = VERIFY.get(vector["provider"]) or FILES.get(vector["scheme"]) or vector["provider"]
    webhook = WebhookInput(verify=verify, secret=vector["secret"], methods=["POST", "GET"])
    url = (vector["url"] or "").partition("?")[0]
    return msgspec.structs.replace(compile_input("s", Source(webhook=webhook), ""), url=url)


async def ask(setup, vector, body):
    clock = ManualClock(int((vector["now"] or 0) * 1_000_000))
    input = input_of(vector)
    rejections = []
    door = Ingress(setup.store.log, {"s": input}.get, setup.router, clock, rejections.append, setup.door._capacity)
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    query = urlsplit(vector["url"] or "").query.encode()
    await door(scope("s", vector["headers"].items(), vector["method"], query), receive, send)
    answer = Answered(sent[0]["status"], {}, b"".join(part["body"] for part in sent[1:]))
    return answer, [one.reason for one in rejections]


def on_store(tmp_path, work):
    async def main(store):
        await work(IngressSetup(store))

    with_store(open_sqlite, tmp_path, main)


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda v: v["id"])
def test_a_published_request_is_accepted_or_rejected_as_published(tmp_path, vector):
    async def work(setup):
        answer, reasons = await ask(setup, vector, body_of(vector))
        if vector["expected"] == "valid":
            assert (answer.status // 100, reasons) == (2, [])
            (event,) = await setup.events()
            assert event.body == body_of(vector)
        else:
            assert answer.status == 401
            assert len(reasons) == 1
            assert reasons[0] in REASONS.get(vector.get("reason", ""), {reasons[0]})
            assert await setup.events() == ()

    on_store(tmp_path, work)


# What these schemes do not sign is written in their files: Dropbox Sign signs time and type, RFC 9421 what it names.
PARTLY_SIGNED = {"dropbox-sign", "rfc9421"}


@pytest.mark.parametrize("vector", [one for one in REQUESTS if one["expected"] == "valid"], ids=lambda v: v["id"])
def test_a_published_request_with_a_changed_byte_is_rejected(tmp_path, vector):
    async def work(setup):
        body = body_of(vector)
        if not body or vector["provider"] in PARTLY_SIGNED:
            pytest.skip("its body is empty or not covered by the signature")
        places = (
            range(len(body))
            if vector["scheme"] != "adyen-standard-item"
            else [body.index(b"1130" if b"1130" in body else b"1000")]
        )
        for place in list(places)[:: max(1, len(places) // 8)]:
            changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
            answer, _ = await ask(setup, vector, changed)
            assert answer.status == 401, place
        assert await setup.events() == ()

    on_store(tmp_path, work)


@pytest.mark.parametrize("vector", DIGESTS, ids=lambda v: v["id"])
def test_a_content_digest_is_of_the_body_or_not(vector):
    fits = digest_fits(vector["headers"]["Content-Digest"].encode(), body_of(vector))
    assert fits is (vector["expected"] == "valid")


def test_the_table_holds_what_it_says():
    counts = Counter(one["expected"] for one in VECTORS)
    assert sum(counts.values()) == 69
    assert len({one["provider"] for one in VECTORS}) >= 20
