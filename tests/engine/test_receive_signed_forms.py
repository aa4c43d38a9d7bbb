"""Providers that sign forms and addresses, with signatures that their own packages made, and handshakes that sign."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.gateway.ingress import with_ingress
from tidegate.config.spec import Source
from tidegate.core.spec import CustomScheme, WebhookInput
from tidegate.receive.inputs import compile_input

FORM = ("content-type", "application/x-www-form-urlencoded")
JSON = ("content-type", "application/json")


def input_of(verify, secret, **more):
    webhook = WebhookInput(verify=verify, secret=secret, **more)
    return compile_input("s", Source(webhook=webhook), "https://gate.example.com")


# -- Plivo: plivo 4.63.0 made the signatures, with this nonce and token ------------------------------------------

NONCE, TOKEN = "20260712345678901234567", "my_auth_token"
CALL = b"To=15550002&From=15550001&CallUUID=c-1&CallStatus=completed&Digits="
PLIVO = [
    ("POST", b"", CALL, "RA2V6l3Aaekdo/PmxsdLfth/QaxRjL3GuZ37ffdVNaw="),
    ("POST", b"b=2&a=1%20x&b=10", b"To=15550002&CallStatus=completed", "JdHB8pHcPla1GDulHIQlBEDIeLxnsvUs7UeNXLG2BVU="),
    ("GET", b"To=15550002&CallUUID=c-1&CallStatus=ringing", b"", "6xZdy/5qNsK0qhraFTlU0H7nEq87PVsmi3I+MT09Hzg="),
    ("GET", b"", b"", "hfelYCyPq1e9lrw9rlKAiMBQlHIyKyn5KaAbLZe7SuE="),
    ("POST", b"z=1&a=2", b"", "znXYypAgUj65qIux/WoTLxOQowf9i/ViMyjwwsBHbEM="),
]


def plivo(signature, nonce=NONCE, *more):
    return [FORM, ("x-plivo-signature-v3", signature), ("x-plivo-signature-v3-nonce", nonce), *more]


@pytest.mark.parametrize(("method", "query", "body", "signature"), PLIVO)
def test_a_plivo_request_of_version_3_is_accepted_and_no_changed_one(tmp_path, method, query, body, signature):
    async def work(setup):
        setup.extra = {"s": input_of("plivo", TOKEN), "t": input_of("plivo", "another token")}

        async def status(body=body, query=query, headers=None):
            return (await setup.call("s", body, headers or plivo(signature), method, query)).status

        assert await status() == 200, setup.rejections
        two = f"{base64.b64encode(b'x' * 32).decode()},{signature}"  # of two tokens during a rotation
        assert await status(headers=plivo(two)) == 200
        assert len(await setup.events()) == 2
        assert await status(body=body + b"&Extra=1") == 401
        assert await status(query=query + b"&extra=1") == 401
        assert await status(headers=plivo(signature, NONCE + "1")) == 401
        assert await status(headers=[FORM, ("x-plivo-signature-v3", signature)]) == 401
        assert (await setup.call("t", body, plivo(signature), method, query)).status == 401
        assert len(await setup.events()) == 2

    with_ingress(tmp_path, work)


def test_the_end_of_a_plivo_form_cannot_move_into_the_nonce(tmp_path):
    async def work(setup):
        setup.extra = {"s": input_of("plivo", TOKEN)}
        text = b"https://gate.example.com/in/s?Amount1.50." + NONCE.encode()
        signature = base64.b64encode(hmac.digest(TOKEN.encode(), text, "sha256")).decode()
        assert (await setup.call("s", b"Amount=1", plivo(signature, f"50.{NONCE}"))).status == 401
        assert (await setup.call("s", b"Amount=1.50", plivo(signature))).status == 200

    with_ingress(tmp_path, work)


def test_version_2_of_plivo_counts_only_where_it_is_named_and_the_rejection_says_so(tmp_path):
    async def work(setup):
        setup.extra = {"s": input_of("plivo", TOKEN), "t": input_of("plivo-v2", TOKEN)}

        text = b"https://gate.example.com/in/s12345"
        signature = base64.b64encode(hmac.digest(TOKEN.encode(), text, "sha256")).decode()
        second = [("x-plivo-signature-v2", signature), ("x-plivo-signature-v2-nonce", "12345")]
        assert (await setup.call("s", CALL, [FORM, *second])).status == 401
        assert 'verify = "plivo-v2"' in setup.rejections[-1].detail
        assert "x-plivo-signature-v2" in setup.rejections[-1].detail
        assert (await setup.call("t", CALL, [FORM, *second])).status == 200
        assert (await setup.call("t", CALL, plivo("AAAA", NONCE, *second))).status == 401
        assert 'verify = "plivo"' in setup.rejections[-1].detail

    with_ingress(tmp_path, work)


# -- Twilio: a webhooks rule signs with a shared key and SHA-256, and says so in a header --------------------------


def test_twilio_with_a_shared_key_signs_by_sha256_and_sha1_no_longer_counts(tmp_path):
    async def work(setup):
        setup.extra = {"s": input_of("twilio", "shared key")}
        body, text = b"MessageSid=SM1", b"https://gate.example.com/in/sMessageSidSM1"
        settings = ("x-twilio-webhooks-signature-settings", "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")

        def signed(digest):
            return ("x-twilio-signature", base64.b64encode(hmac.digest(b"shared key", text, digest)).decode())

        assert (await setup.call("s", body, [FORM, settings, signed("sha256")])).status == 200
        assert (await setup.call("s", body, [FORM, settings, signed("sha1")])).status == 401
        assert (await setup.call("s", body, [FORM, signed("sha1")])).status == 200

    with_ingress(tmp_path, work)


def test_the_blank_behind_a_separator_of_a_list_may_be_left_out(tmp_path):
    async def work(setup):
        setup.extra = {"s": input_of("workos", "secret")}
        at = setup.now * 1000
        signature = hmac.digest(b"secret", f"{at}.{{}}".encode(), "sha256").hex()
        for header in (f"t={at}, v1={signature}", f"t={at},v1={signature}"):
            assert (await setup.call("s", b"{}", [JSON, ("workos-signature", header)])).status == 200

    with_ingress(tmp_path, work)


# -- Braintree: braintree 4.48.0 made the notification; the answer to the challenge is in its tests ---------------

PUBLIC, PRIVATE = "integration_public_key", "integration_private_key"
SIGNATURE = "ff5abe42c39aef043ec77bc810bc9c68c7732863"
PAYLOAD = (
    "CiAgICAgICAgICAgIDxub3RpZmljYXRpb24+CiAgICAgICAgICAgICAgICA8dGltZXN0YW1wIHR5\n"
    "cGU9ImRhdGV0aW1lIj4yMDI2LTExLTMwVDE4OjUzOjU1WjwvdGltZXN0YW1wPgogICAgICAgICAg\n"
    "ICAgICAgPGtpbmQ+Y2hlY2s8L2tpbmQ+CiAgICAgICAgICAgICAgICAKICAgICAgICAgICAgICAg\n"
    "IDxzdWJqZWN0PgogICAgICAgICAgICA8Y2hlY2sgdHlwZT0iYm9vbGVhbiI+CiAgICAgICAgICAg\n"
    "ICAgdHJ1ZQogICAgICAgICAgICA8L2NoZWNrPgogICAgICAgIDwvc3ViamVjdD4KICAgICAgICAg\n"
    "ICAgPC9ub3RpZmljYXRpb24+CiAgICAgICAg\n"
)
CHALLENGE = "20f9f8ed05f77439fe955c977e4c8a53"


def braintree(signature=f"{PUBLIC}|{SIGNATURE}", payload=PAYLOAD):
    return urlencode({"bt_signature": signature, "bt_payload": payload}).encode()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (braintree(), 200),
        (braintree(f"another_key|{'0' * 40}&{PUBLIC}|{SIGNATURE}"), 200),
        (braintree(SIGNATURE), 401),
        (braintree(f"{PUBLIC}|"), 401),
        (braintree(f"{PUBLIC}|{'0' * 40}"), 401),
        (braintree(payload="bad" + PAYLOAD), 401),
        (braintree(signature=""), 401),
    ],
)
def test_a_braintree_notification_is_accepted_with_a_right_signature_behind_a_name(tmp_path, body, status):
    async def work(setup):
        setup.extra = {"s": input_of("braintree", PRIVATE, handshake_token=PUBLIC)}
        assert (await setup.call("s", body, [FORM])).status == status
        assert [event.body for event in await setup.events()] == ([body] if status == 200 else [])

    with_ingress(tmp_path, work)


def test_the_challenge_of_braintree_is_answered_and_its_answer_signs_no_notification(tmp_path):
    async def work(setup):
        setup.extra = {"s": input_of("braintree", PRIVATE, handshake_token=PUBLIC)}

        async def ask(challenge):
            return await setup.call("s", b"", method="GET", query=urlencode({"bt_challenge": challenge}).encode())

        answer = await ask(CHALLENGE)
        assert (answer.status, answer.body) == (200, b"integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4")
        for other in (PAYLOAD, "{token}", "0" * 19, "0" * 33, CHALLENGE + "\n", CHALLENGE.upper()):
            assert (await ask(other)).status == 405, other
        assert (await setup.call("s", braintree(answer.body.decode(), CHALLENGE), [FORM])).status == 401
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


def test_a_challenge_of_braintree_without_the_public_key_says_what_is_missing(tmp_path):
    async def work(setup):
        setup.extra = {"s": input_of("braintree", PRIVATE)}
        query = f"bt_challenge={CHALLENGE}".encode()
        assert (await setup.call("s", b"", method="GET", query=query)).status == 405
        assert "set handshake_token to the public key" in setup.rejections[-1].detail

    with_ingress(tmp_path, work)


# -- X: the challenge answers anybody with an HMAC of the same key ------------------------------------------------


def test_the_answer_to_a_challenge_of_x_signs_no_event(tmp_path):
    async def work(setup):
        setup.extra = {"s": input_of("x", "consumer secret")}

        async def ask(token):
            return await setup.call("s", b"", method="GET", query=urlencode({"crc_token": token}).encode())

        assert (await ask('{"for_user_id":"1"}')).status == 405
        answer = await ask("12345678")
        assert answer.status == 200
        headers = [JSON, ("x-twitter-webhooks-signature", answer.json["response_token"])]
        assert (await setup.call("s", b"12345678", headers)).status == 401
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


# -- Zoho: what is signed is in the examples of the page of Zoho Billing ------------------------------------------

ZOHO_BODY = b'{"created_date":"2019-03-06","event_id":"5675"}'
ZOHO = [
    (b"subscription_id=90343&name=basic", ZOHO_BODY, JSON, b"namebasicsubscription_id90343" + ZOHO_BODY),
    (b"", ZOHO_BODY, JSON, ZOHO_BODY),
    (b"name=basic", b"customer=A%20B&amount=5", FORM, b"amount5customerA Bnamebasic"),
]


@pytest.mark.parametrize(("query", "body", "kind", "text"), ZOHO)
def test_a_zoho_request_is_signed_by_its_sorted_parameters_and_its_body(tmp_path, query, body, kind, text):
    async def work(setup):
        setup.extra = {"s": input_of("zoho-billing", "token0123456789")}
        headers = [kind, ("x-zoho-webhook-signature", hmac.digest(b"token0123456789", text, "sha256").hex())]
        assert (await setup.call("s", body, headers, query=query)).status == 202, setup.rejections
        assert (await setup.call("s", body + b"&b=1", headers, query=query)).status == 401
        assert (await setup.call("s", body, headers, query=query + b"&b=1")).status == 401
        assert len(await setup.events()) == 1

    with_ingress(tmp_path, work)


def test_a_scheme_of_your_own_can_sign_the_same_way(tmp_path):
    async def work(setup):
        scheme = CustomScheme(header="x-sig", name_separator=":", signed="{query_and_form}")
        setup.extra = {"s": input_of(scheme, "k")}
        signature = hmac.digest(b"k", b"a1{}", "sha256").hex()
        assert (await setup.call("s", b"{}", [("x-sig", f"key-1:{signature}")], query=b"a=1")).status == 202
        assert (await setup.call("s", b"{}", [("x-sig", signature)], query=b"a=1")).status == 401

    with_ingress(tmp_path, work)


# -- HighLevel and Grafana: a newer header beside an older one ------------------------------------------------------


def test_highlevel_signs_by_ed25519_and_rsa_counts_only_where_that_header_is_absent(tmp_path):
    async def work(setup):
        new, old = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)
        keys = [one.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for one in (new, old)]
        setup.extra = {"s": input_of("highlevel", [one.decode() for one in keys])}
        body = b'{"type":"ContactCreate","webhookId":"w1"}'
        by_new = ("x-ghl-signature", base64.b64encode(new.sign(body)).decode())
        by_old = ("x-wh-signature", base64.b64encode(old.sign(body, PKCS1v15(), SHA256())).decode())
        for header in (by_new, by_old):
            assert (await setup.call("s", body, [JSON, header])).status in (200, 202)  # 200: a repeat
        assert (await setup.call("s", body, [JSON, ("x-ghl-signature", by_new[1][:-4] + "AAA="), by_old])).status == 401
        assert (await setup.call("s", body + b" ", [JSON, by_new])).status == 401

    with_ingress(tmp_path, work)


def test_grafana_signs_the_time_where_it_is_sent_and_else_the_body_alone(tmp_path):
    async def work(setup):
        setup.extra = {"s": input_of("grafana", "k")}
        alone = ("x-grafana-alerting-signature", hmac.digest(b"k", b"{}", "sha256").hex())
        timed = ("x-grafana-alerting-signature", hmac.digest(b"k", f"{setup.now}:{{}}".encode(), "sha256").hex())
        time = ("x-grafana-alerting-signature-timestamp", str(setup.now))
        assert (await setup.call("s", b"{}", [JSON, alone])).status == 202
        assert (await setup.call("s", b"{}", [JSON, timed, time])).status == 202
        assert (await setup.call("s", b"{}", [JSON, alone, time])).status == 401

    with_ingress(tmp_path, work)
