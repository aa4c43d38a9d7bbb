"""A signature that is right but for the scheme: the rejection says which key of the scheme is to be set how."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from pathlib import Path

import pytest

from support.gateway.ingress import IngressSetup, with_ingress
from tidegate.config.spec import Source
from tidegate.core.spec import CustomScheme, WebhookInput
from tidegate.receive.diagnosis import Request
from tidegate.receive.inputs import compile_input
from tidegate.receive.other_schemes import fitting_scheme
from tidegate.rules.inbound.signatures import Scheme, Verification, compile_verifier

KEY = b"0123456789abcdef"
BODY = b'{"type":"a","n":1}'
NOW = 1_796_000_000
CONFIGURED = Scheme(
    header="x-sig", prefix="v1=", signed="{timestamp}.{body}", timestamp_header="x-time", id_header="x-id"
)


def signed(text: bytes, digest: str = "sha256", key: bytes = KEY, encoding: str = "hex") -> str:
    made = hmac.digest(key, text, digest)
    return "v1=" + (made.hex() if encoding == "hex" else base64.b64encode(made).decode())


def request(signature: str, body: bytes = BODY) -> Request:
    headers = {b"x-sig": signature.encode(), b"x-time": b"%d" % NOW, b"x-id": b"m1"}
    return Request(headers, body, "https://gate.example.com/in/s", "POST", NOW)


TEXT = b"%d.%b" % (NOW, BODY)
CASES = [
    (signed(TEXT), ""),
    (signed(b"%d:%b" % (NOW, BODY)), 'signed = "{timestamp}:{body}"'),
    (signed(b"%d%b" % (NOW, BODY)), 'signed = "{timestamp}{body}"'),
    (signed(BODY), 'signed = "{body}"'),
    (signed(b"m1.%d.%b" % (NOW, BODY)), 'signed = "{id}.{timestamp}.{body}"'),
    (signed(TEXT, "sha1"), 'digest = "sha1"'),
    (signed(TEXT, encoding="base64"), 'encoding = "base64"'),
    (signed(TEXT, key=base64.b64decode(KEY)), 'secret_encoding = "base64"'),
    (signed(TEXT, key=bytes.fromhex(KEY.decode())), 'secret_encoding = "hex"'),
    (signed(BODY, encoding="base64"), 'signed = "{body}", encoding = "base64"'),
    (signed(TEXT, key=b"another"), None),
    (hashlib.sha256(KEY + BODY).hexdigest(), None),
]


@pytest.mark.parametrize(("signature", "words"), CASES, ids=range(len(CASES)))
def test_the_keys_with_which_it_fits_are_named(signature: str, words: str | None) -> None:
    verify, one = compile_verifier((CONFIGURED,), [KEY.decode()]), request(signature)
    checked = verify.check(one.headers, one.body, one.url, one.now_s, one.method)
    assert (checked.result is Verification.OK) is (words == "")
    assert fitting_scheme(verify, (CONFIGURED,), one) == (words or "")


def test_what_fits_nothing_costs_little_and_is_compiled_once() -> None:
    verify, one = compile_verifier((CONFIGURED,), [KEY.decode()]), request(signed(b"?"), b"x" * 8192)
    fitting_scheme(verify, (CONFIGURED,), one)
    spent = []
    for _ in range(5):
        began = time.thread_time()
        assert fitting_scheme(verify, (CONFIGURED,), one) == ""
        spent.append(time.thread_time() - began)
    assert min(spent) < 0.02, "20 rejections a second are diagnosed"


def test_the_operator_reads_it_and_the_sender_does_not(tmp_path: Path) -> None:
    async def work(setup: IngressSetup) -> None:
        scheme = CustomScheme(type="hmac", header="X-Sig", prefix="v1=")
        webhook = WebhookInput(verify=scheme, secret=KEY.decode())
        setup.extra = {"s": compile_input("s", Source(webhook=webhook), "https://gate.example.com")}
        wrong = await setup.call("s", BODY, [("x-sig", signed(BODY, "sha512"))])
        assert setup.rejections[-1].detail == (
            'the secret is right and the scheme is not: the signature fits it with digest = "sha512"'
        )
        assert KEY.decode() not in setup.rejections[-1].detail
        other = await setup.call("s", BODY, [("x-sig", signed(BODY, key=b"another"))])
        assert "no secret of this source fits" in setup.rejections[-1].detail
        assert (wrong.status, wrong.body) == (401, other.body)

    with_ingress(tmp_path, work)
