"""The packages of providers as senders and verifiers: each agrees with what Tidegate verifies and signs.

Senders go through the real ingress; what Tidegate signs is given to the package's own verification.

PyGithub 2.10 is not among them: it has neither a sender nor a verifier of webhooks (nothing in it computes an HMAC), it
only registers hooks and lists their deliveries. GitHub's scheme is tried with gidgethub here, and with
@octokit/webhooks-methods in `tests/provider_packages`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import gidgethub
import gidgethub.sansio
import pytest
import slack_sdk.signature
import standardwebhooks
import stripe
import twilio.request_validator

from support.gateway.ingress import with_ingress
from tidegate.config.spec import Source
from tidegate.core.spec import WebhookInput
from tidegate.providers.shape import load_provider
from tidegate.receive.inputs import compile_input
from tidegate.rules.outbound.scheme_signing import Message, compile_scheme_signer

URL = "https://gate.example.com"
WHSEC = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BODY = b'{"id":"evt_1","object":"event","type":"charge.succeeded","created":1764000000,"data":{"n":10.50}}'
FORM = b"MessageSid=SM1&MessageStatus=delivered&Body=caf%C3%A9+%26+more&To=%2B15550001"
FIELDS = {"MessageSid": "SM1", "MessageStatus": "delivered", "Body": "café & more", "To": "+15550001"}


def svix_webhook(secret):
    import svix.webhooks  # takes a third of a second, also in each process that only collects this file

    return svix.webhooks.Webhook(secret)


def from_stripe(secret, body, now):
    signed = stripe.WebhookSignature._compute_signature(f"{now}.{body.decode()}", secret)
    return [("stripe-signature", f"t={now},v1={signed},v0=ignored")]


def from_slack(secret, body, now):
    verifier = slack_sdk.signature.SignatureVerifier(secret)
    signature = verifier.generate_signature(timestamp=str(now), body=body)
    return [("x-slack-request-timestamp", str(now)), ("x-slack-signature", signature)]


def from_twilio(secret, body, now):
    signature = twilio.request_validator.RequestValidator(secret).compute_signature(f"{URL}/in/s", FIELDS)
    return [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature)]


def from_standard(secret, body, now):
    at = datetime.fromtimestamp(now, UTC)
    signature = standardwebhooks.Webhook(secret).sign("msg_1", at, body.decode())
    return [("webhook-id", "msg_1"), ("webhook-timestamp", str(now)), ("webhook-signature", signature)]


def from_svix(secret, body, now):
    at = datetime.fromtimestamp(now, UTC)
    signature = svix_webhook(secret).sign("msg_1", at, body.decode())
    return [("svix-id", "msg_1"), ("svix-timestamp", str(now)), ("svix-signature", signature)]


SENDERS = {
    "stripe": (from_stripe, "whsec_any text", BODY),
    "slack": (from_slack, "8f742231b10e8888abcd99yyyzzz85a5", BODY),
    "twilio": (from_twilio, "12345", FORM),
    "standard-webhooks": (from_standard, WHSEC, BODY),
    "openai": (from_standard, WHSEC, BODY),
    "svix": (from_svix, WHSEC, BODY),
    "clerk": (from_svix, WHSEC, BODY),
    "resend": (from_svix, WHSEC, BODY),
}


@pytest.mark.parametrize("name", SENDERS)
def test_what_the_package_signs_is_accepted_and_a_changed_byte_is_not(tmp_path, name):
    async def work(gate):
        sender, secret, body = SENDERS[name]
        source = Source(webhook=WebhookInput(verify=name, secret=secret))
        gate.extra = {"s": compile_input("s", source, URL)}
        headers = sender(secret, body, gate.now)
        assert (await gate.call("s", body, headers)).status // 100 == 2, gate.rejections
        assert (await gate.call("s", body.replace(b"1", b"2", 1), headers)).status == 401
        assert (
            await gate.call("s", body, sender(secret + "x" if secret != WHSEC else WHSEC[:-4] + "AAA=", body, gate.now))
        ).status == 401
        (event,) = await gate.events()
        assert event.body == body

    with_ingress(tmp_path, work)


# -- what Tidegate signs ---------------------------------------------------------------------------------


def signed_by(name, secret, body, url=f"{URL}/hook"):
    signer = compile_scheme_signer(name, load_provider(name).schemes, [secret])
    now = int(datetime.now(UTC).timestamp())
    return dict(signer(Message("msg_1", now, "POST", url, body)))


def test_the_packages_accept_what_is_signed_by_their_schemes():
    headers = signed_by("stripe", "whsec_any text", BODY)
    assert (
        stripe.Webhook.construct_event(BODY, headers["stripe-signature"], "whsec_any text").type == "charge.succeeded"
    )
    headers = signed_by("slack", "sekret", BODY)
    assert slack_sdk.signature.SignatureVerifier("sekret").is_valid_request(BODY, headers)
    headers = {name.lower(): value for name, value in signed_by("standard-webhooks", WHSEC, BODY).items()}
    assert standardwebhooks.Webhook(WHSEC).verify(BODY, headers)["id"] == "evt_1"
    svix_webhook(WHSEC).verify(BODY, headers)
    headers = signed_by("svix", WHSEC, BODY)
    svix_webhook(WHSEC).verify(BODY, headers)
    headers = signed_by("github", "s3cret", BODY)
    gidgethub.sansio.validate_event(BODY, signature=headers["x-hub-signature-256"], secret="s3cret")


def test_the_packages_reject_what_is_signed_with_another_secret():
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(BODY, signed_by("stripe", "other", BODY)["stripe-signature"], "whsec_any text")
    assert not slack_sdk.signature.SignatureVerifier("sekret").is_valid_request(BODY, signed_by("slack", "other", BODY))
    with pytest.raises(gidgethub.ValidationFailure):
        signature = signed_by("github", "other", BODY)["x-hub-signature-256"]
        gidgethub.sansio.validate_event(BODY, signature=signature, secret="s3cret")


def test_a_github_event_signed_here_is_read_by_the_package_in_both_content_types():
    form = b"payload=" + json.dumps({"action": "opened"}).encode()
    for body, content_type in (
        (b'{"action":"opened"}', "application/json"),
        (form, "application/x-www-form-urlencoded"),
    ):
        headers = {name.lower(): value for name, value in signed_by("github", "s", body).items()}
        headers |= {"content-type": content_type, "x-github-event": "issues", "x-github-delivery": "d-1"}
        assert gidgethub.sansio.Event.from_http(headers, body, secret="s").data == {"action": "opened"}
