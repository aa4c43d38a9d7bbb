"""Asks the packages of providers on PyPI whether they accept requests: JSON on stdin, JSON on stdout.

Runs in an environment of its own that has these packages and not Tidegate; `record.py` calls it. Each function verifies
one request as the package's documentation says, and returns whether it is accepted; an exception is a rejection.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

Request = dict[str, Any]


def stripe(one: Request) -> bool:
    import stripe

    return bool(stripe.Webhook.construct_event(one["body"], one["headers"]["stripe-signature"], one["secret"]))


def slack(one: Request) -> bool:
    from slack_sdk.signature import SignatureVerifier

    return SignatureVerifier(one["secret"]).is_valid_request(one["body"], one["headers"])


def twilio(one: Request) -> bool:
    from urllib.parse import parse_qsl

    from twilio.request_validator import RequestValidator

    fields = dict(parse_qsl(one["body"], keep_blank_values=True))
    return RequestValidator(one["secret"]).validate(one["url"], fields, one["headers"]["x-twilio-signature"])


def svix(one: Request) -> bool:
    from svix.webhooks import Webhook

    Webhook(one["secret"]).verify(one["body"], one["headers"])
    return True


def standard(one: Request) -> bool:
    from standardwebhooks import Webhook

    return bool(Webhook(one["secret"]).verify(one["body"], one["headers"]))


def resend(one: Request) -> bool:
    import resend

    names = ("svix-id", "svix-timestamp", "svix-signature")
    headers = dict(zip(("id", "timestamp", "signature"), (one["headers"][name] for name in names), strict=True))
    resend.Webhooks.verify({"payload": one["body"], "headers": headers, "webhook_secret": one["secret"]})
    return True


def github(one: Request) -> bool:
    from gidgethub.sansio import validate_event

    signature = one["headers"]["x-hub-signature-256"]
    validate_event(one["body"].encode(), signature=signature, secret=one["secret"])
    return True


def razorpay(one: Request) -> bool:
    import razorpay

    utility = razorpay.Client(auth=("id", "secret")).utility
    return bool(utility.verify_webhook_signature(one["body"], one["headers"]["x-razorpay-signature"], one["secret"]))


def square(one: Request) -> bool:
    from square.utils.webhooks_helper import verify_signature

    return verify_signature(
        request_body=one["body"],
        signature_header=one["headers"]["x-square-hmacsha256-signature"],
        signature_key=one["secret"],
        notification_url=one["url"],
    )


def adyen(one: Request) -> bool:
    from Adyen.util import is_valid_hmac_notification

    return bool(is_valid_hmac_notification(json.loads(one["body"]), one["secret"]))


def adyen_platform(one: Request) -> bool:
    from Adyen.util import is_valid_hmac_payload

    return is_valid_hmac_payload(one["headers"]["hmacsignature"], one["secret"], one["body"].encode())


def hubspot(one: Request) -> bool:
    from hubspot.utils.signature import Signature

    headers = one["headers"]
    return Signature.is_valid(
        signature=headers["x-hubspot-signature-v3"],
        client_secret=one["secret"],
        request_body=one["body"],
        http_uri=one["url"],
        signature_version="v3",
        timestamp=headers["x-hubspot-request-timestamp"],
    )


def paddle(one: Request) -> bool:
    from paddle_billing.Notifications import Secret, Verifier

    headers = {"Paddle-Signature": one["headers"]["paddle-signature"]}
    request = SimpleNamespace(body=one["body"].encode(), data=one["body"].encode(), headers=headers)
    return bool(Verifier(300).verify(request, Secret(one["secret"])))


def sendgrid(one: Request) -> bool:
    from sendgrid.helpers.eventwebhook import EventWebhook

    name = "x-twilio-email-event-webhook-"
    headers = one["headers"]
    return EventWebhook(one["secret"]).verify_signature(
        one["body"], headers[f"{name}signature"], headers[f"{name}timestamp"]
    )


def gocardless(one: Request) -> bool:
    from gocardless_pro import webhooks

    return bool(webhooks.parse(one["body"], one["secret"], one["headers"]["webhook-signature"]))


def mollie(one: Request) -> bool:
    from mollie.utils.webhooks.signature_validator import SignatureValidator

    return SignatureValidator.validate(one["body"], one["secret"], one["headers"]["x-mollie-signature"])


def messagebird(one: Request) -> bool:
    from messagebird.request_validator import RequestValidator

    signature = one["headers"]["messagebird-signature-jwt"]
    return bool(RequestValidator(one["secret"]).validate_signature(signature, one["url"], one["body"].encode()))


def sinch(one: Request) -> bool:
    from sinch.domains.authentication.sinch_events.v1.authentication_validation import (
        validate_sinch_event_signature_with_nonce,
    )

    return validate_sinch_event_signature_with_nonce(one["secret"], one["headers"], one["body"])


def telnyx(one: Request) -> bool:
    from telnyx.lib.webhook_verification import verify_webhook_signature

    verify_webhook_signature(one["body"], one["headers"], one["secret"])
    return True


def workos(one: Request) -> bool:
    from workos.webhooks._verification import verify_header

    signature = one["headers"]["workos-signature"]
    verify_header(event_body=one["body"].encode(), event_signature=signature, secret=one["secret"])
    return True


def easypost(one: Request) -> bool:
    from easypost.util import validate_webhook

    headers = {"X-Hmac-Signature": one["headers"]["x-hmac-signature"]}
    return bool(validate_webhook(one["body"].encode(), headers, one["secret"]))


def line(one: Request) -> bool:
    from linebot.v3.webhook import SignatureValidator

    return SignatureValidator(one["secret"]).validate(one["body"], one["headers"]["x-line-signature"])


def airtable(one: Request) -> bool:
    from pyairtable.models.webhook import WebhookNotification

    header = one["headers"]["x-airtable-content-mac"]
    return bool(WebhookNotification.from_request(one["body"], header, one["secret"]))


def dropbox_sign(one: Request) -> bool:
    from dropbox_sign import EventCallbackHelper, EventCallbackRequest

    callback = EventCallbackRequest.init(json.loads(one["body"]))
    return EventCallbackHelper.is_valid(one["secret"], callback)


def discord(one: Request) -> bool:
    from discord_interactions import verify_key

    headers = one["headers"]
    signature, at = headers["x-signature-ed25519"], headers["x-signature-timestamp"]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it rejects
        return verify_key(one["body"].encode(), signature, at, one["secret"])


def coinbase(one: Request) -> bool:
    from coinbase_commerce.webhook import Webhook

    signature = one["headers"]["x-cc-webhook-signature"]
    return bool(Webhook.construct_event(one["body"], signature, one["secret"]))


def openai(one: Request) -> bool:
    from openai import OpenAI

    OpenAI(api_key="-").webhooks.verify_signature(one["body"], one["headers"], secret=one["secret"])
    return True


def lithic(one: Request) -> bool:
    from lithic import Lithic

    Lithic(api_key="-").webhooks.verify_signature(one["body"], one["headers"], secret=one["secret"])
    return True


def increase(one: Request) -> bool:
    from increase import Increase

    return bool(Increase(api_key="-").events.unwrap(one["body"], headers=one["headers"], key=one["secret"]))


def modern_treasury(one: Request) -> bool:
    from modern_treasury import ModernTreasury

    client = ModernTreasury(api_key="-", organization_id="-")
    return client.webhooks.validate_signature(one["body"], one["headers"], key=one["secret"])


def replicate(one: Request) -> bool:
    from replicate.webhook import Webhooks, WebhookSigningSecret

    secret = WebhookSigningSecret(key=one["secret"])
    Webhooks.validate(headers=one["headers"], body=one["body"], secret=secret, tolerance=300)
    return True


def elevenlabs(one: Request) -> bool:
    from elevenlabs.client import ElevenLabs

    signature = one["headers"]["elevenlabs-signature"]
    return bool(ElevenLabs(api_key="-").webhooks.construct_event(one["body"], signature, one["secret"]))


def meta(one: Request) -> bool:
    from pywa.utils import webhook_updates_validator

    return webhook_updates_validator(one["secret"], one["body"].encode(), one["headers"]["x-hub-signature-256"])


def plivo(one: Request) -> bool:
    from urllib.parse import parse_qsl

    from plivo.utils import validate_v3_signature

    headers, fields = one["headers"], dict(parse_qsl(one["body"], keep_blank_values=True))
    nonce, signature = headers["x-plivo-signature-v3-nonce"], headers["x-plivo-signature-v3"]
    return bool(validate_v3_signature("POST", one["url"], nonce, one["secret"], signature, fields))


def plivo_v2(one: Request) -> bool:
    from plivo.utils import validate_signature

    headers = one["headers"]
    nonce, signature = headers["x-plivo-signature-v2-nonce"], headers["x-plivo-signature-v2"]
    return bool(validate_signature(one["url"], nonce, signature, one["secret"]))


def _django() -> Any:
    import django
    from django.conf import settings
    from django.test import RequestFactory

    if not settings.configured:
        settings.configure(SECRET_KEY="-", ALLOWED_HOSTS=["*"], ANYMAIL={}, DEFAULT_CHARSET="utf-8")
        django.setup()
    return RequestFactory()


def mailgun(one: Request) -> bool:
    factory = _django()
    from anymail.webhooks.mailgun import MailgunTrackingWebhookView

    view = MailgunTrackingWebhookView(webhook_signing_key=one["secret"])
    view.validate_request(factory.post("/", one["body"], content_type="application/json"))
    return True


def mandrill(one: Request) -> bool:
    from urllib.parse import parse_qsl

    factory = _django()
    from anymail.webhooks.mandrill import MandrillCombinedWebhookView

    view = MandrillCombinedWebhookView(webhook_key=one["secret"], webhook_url=one["url"])
    fields = dict(parse_qsl(one["body"], keep_blank_values=True))
    view.validate_request(
        factory.post("/", fields, headers={"x-mandrill-signature": one["headers"]["x-mandrill-signature"]})
    )
    return True


def polar(one: Request) -> bool:
    from polar.webhooks import validate_event

    types = frozenset({json.loads(one["body"])["type"]})
    return bool(validate_event(one["body"], one["headers"], one["secret"], types, lambda payload: payload))


CHECKS = {
    "adyen": ("Adyen", adyen),
    "adyen-platform": ("Adyen", adyen_platform),
    "airtable": ("pyairtable", airtable),
    "coinbase-commerce": ("coinbase-commerce", coinbase),
    "discord": ("discord-interactions", discord),
    "dropbox-sign": ("dropbox-sign", dropbox_sign),
    "easypost": ("easypost", easypost),
    "elevenlabs": ("elevenlabs", elevenlabs),
    "github": ("gidgethub", github),
    "gocardless": ("gocardless_pro", gocardless),
    "hubspot": ("hubspot-api-client", hubspot),
    "hubspot-v3": ("hubspot-api-client", hubspot),
    "increase": ("increase", increase),
    "line": ("line-bot-sdk", line),
    "lithic": ("lithic", lithic),
    "mailgun": ("django-anymail", mailgun),
    "mandrill": ("django-anymail", mandrill),
    "messagebird": ("messagebird", messagebird),
    "meta": ("pywa", meta),
    "modern-treasury": ("modern-treasury", modern_treasury),
    "mollie": ("mollie-api-py", mollie),
    "openai": ("openai", openai),
    "paddle": ("paddle-python-sdk", paddle),
    "plivo": ("plivo", plivo),
    "plivo-v2": ("plivo", plivo_v2),
    "polar": ("polar-sdk", polar),
    "razorpay": ("razorpay", razorpay),
    "replicate": ("replicate", replicate),
    "resend": ("resend", resend),
    "sendgrid": ("sendgrid", sendgrid),
    "sinch": ("sinch", sinch),
    "slack": ("slack_sdk", slack),
    "square": ("squareup", square),
    "standard-webhooks": ("standardwebhooks", standard),
    "stripe": ("stripe", stripe),
    "svix": ("svix", svix),
    "telnyx": ("telnyx", telnyx),
    "twilio": ("twilio", twilio),
    "workos": ("workos", workos),
}


def main() -> None:
    verdicts = []
    for one in json.load(sys.stdin):
        if one["provider"] not in CHECKS:
            continue
        package, check = CHECKS[one["provider"]]
        try:
            accepted, why = check(one), ""
        except Exception as error:  # noqa: BLE001 - whatever a package raises is its rejection
            accepted, why = False, f"{type(error).__name__}: {error}"
        named = f"{package} {version(package)} (PyPI)"
        verdicts.append({"id": one["id"], "package": named, "accepted": bool(accepted), "why": why[:300]})
    json.dump(verdicts, sys.stdout)


if __name__ == "__main__":
    main()
