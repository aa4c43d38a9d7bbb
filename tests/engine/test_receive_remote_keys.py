"""Signatures with keys that the provider publishes: fetched once, from pinned hosts only, trusted by their chain."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.gateway.ingress import with_ingress
from tidegate.config.spec import Source
from tidegate.core.clock import ManualClock
from tidegate.core.errors import UpstreamError
from tidegate.core.findings import Findings
from tidegate.core.spec import WebhookInput
from tidegate.providers.shape import load_provider
from tidegate.receive.inputs import compile_input
from tidegate.receive.remote_keys import RemoteKeys
from tidegate.rules.inbound.signatures import certificates

KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
NOW = datetime.fromtimestamp(1_800_000_000, UTC)
CERTS = "https://www.googleapis.com/oauth2/v3/certs"


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_set(kid: str = "k1") -> bytes:
    numbers = KEY.public_key().public_numbers()
    n, e = (b64url(one.to_bytes((one.bit_length() + 7) // 8)) for one in (numbers.n, numbers.e))
    return json.dumps({"keys": [{"kid": kid, "kty": "RSA", "n": n, "e": e, "alg": "RS256"}]}).encode()


def token(key=KEY, alg: str = "RS256", kid: str = "k1", **claims: object) -> str:
    content = {"iss": "https://accounts.google.com", "aud": "https://a", "exp": 1_800_000_060, **claims}
    signed = ".".join(b64url(json.dumps(one).encode()) for one in ({"alg": alg, "kid": kid}, content))
    return f"{signed}.{b64url(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


class Published:
    """What can be fetched, and what was."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.asked: list[str] = []

    async def get(self, url: str) -> bytes:
        self.asked.append(url)
        await asyncio.sleep(0)
        if url not in self.content:
            raise UpstreamError("not there")
        return self.content[url]


def with_keys(setup, published, name, secret, token=""):
    setup.door._keys = keys = RemoteKeys(published.get, setup.clock, setup.findings)
    webhook = WebhookInput(verify=name, secret=secret, handshake_token=token)
    input = compile_input("s", Source(webhook=webhook), "", keys.content)
    setup.extra = {"s": input}


def test_keys_are_fetched_when_a_token_needs_them_and_then_kept(tmp_path):
    async def work(setup):
        published = Published({CERTS: key_set()})
        with_keys(setup, published, "google-pubsub", "https://a")

        async def send(text):
            return (await setup.call("s", headers=[("authorization", f"Bearer {text}")])).status

        assert await asyncio.gather(*(send(token()) for _ in range(10))) == [204] * 10
        assert published.asked == [CERTS], "one request for all that waited"
        assert await send(token(aud="https://b")) == 401
        assert await send(token(iss="https://evil.example")) == 401
        assert await send(token(exp=1_799_999_000)) == 401
        assert await send(token(key=OTHER)) == 401
        assert published.asked == [CERTS]
        assert await send(token(kid="k2")) == 401, "an unknown key, and the set was fetched just now"
        published.content[CERTS] = key_set("k2")
        setup.clock.advance(61)
        assert await send(token(kid="k2", exp=1_800_000_200)) == 204, "a new key is found after a minute"
        assert published.asked == [CERTS, CERTS]

    with_ingress(tmp_path, work)


def test_an_audience_is_not_a_key(tmp_path):
    async def work(setup):
        with_keys(setup, Published({CERTS: key_set()}), "google-pubsub", "https://a")
        import hmac

        claims = {"iss": "https://accounts.google.com", "aud": "https://a", "exp": 1_800_000_060}
        signed = ".".join(b64url(json.dumps(one).encode()) for one in ({"alg": "HS256", "kid": "k1"}, claims))
        forged = f"{signed}.{b64url(hmac.digest(b'https://a', signed.encode(), 'sha256'))}"
        none = ".".join(b64url(json.dumps(one).encode()) for one in ({"alg": "none"}, claims)) + "."
        for text in (forged, none):
            assert (await setup.call("s", headers=[("authorization", f"Bearer {text}")])).status == 401
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


def test_while_keys_cannot_be_fetched_the_provider_is_asked_to_try_again(tmp_path):
    async def work(setup):
        with_keys(setup, Published({}), "google-pubsub", "https://a")
        answer = await setup.call("s", headers=[("authorization", f"Bearer {token()}")])
        assert (answer.status, answer.headers["retry-after"]) == (503, "60")
        assert setup.rejections[0].reason == "key_unknown"
        assert [one.code for one in setup.findings.listed()] == ["keys_not_fetched"]
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


async def test_keys_are_asked_for_again_after_a_day_and_the_cache_is_bounded():
    clock = ManualClock()
    published = Published({f"https://a/{n}": b"%d" % n for n in range(100)})
    keys = RemoteKeys(published.get, clock, Findings(clock))
    for n in range(100):
        assert await keys.fetch(f"https://a/{n}")
    assert len(keys._entries) <= 32
    assert keys.content("https://a/99") == b"99"
    clock.advance(86_401)
    assert keys.content("https://a/99") is None


# -- certificates ----------------------------------------------------------------------------------------


def issue(name: str, key, issuer_key, issuer: str, *, ca: bool, days: int = 10):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=20))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if ca:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


AUTHORITY = issue("authority", OTHER, OTHER, "authority", ca=True)
URL = "https://api.paypal.com/v1/notifications/certs/CERT-1"
BODY = b'{"id":"WH-1","event_type":"PAYMENT.SALE.COMPLETED","resource":{"id":"r1"}}'


def pem(certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def trusted(monkeypatch):
    der = AUTHORITY.public_bytes(serialization.Encoding.DER)
    monkeypatch.setattr(certificates, "_machine_authorities", lambda: (der,))
    certificates._trusted_key.cache_clear()


def paypal(body: bytes = BODY, webhook: str = "WEBHOOK-1", url: str = URL, key=KEY) -> list[tuple[str, str]]:
    stamp = "2027-01-15T08:00:00Z"
    signed = f"t-1|{stamp}|{webhook}|{zlib.crc32(body)}".encode()
    signature = base64.b64encode(key.sign(signed, padding.PKCS1v15(), hashes.SHA256())).decode()
    return [
        ("paypal-transmission-id", "t-1"), ("paypal-transmission-time", stamp), ("paypal-cert-url", url),
        ("paypal-transmission-sig", signature), ("paypal-auth-algo", "SHA256withRSA"),
    ]  # fmt: skip


NAME = "messageverificationcerts.paypal.com"
GOOD = issue(NAME, KEY, OTHER, "authority", ca=False)


def test_a_certificate_of_the_provider_signs(tmp_path, trusted):
    async def work(setup):
        published = Published({URL: pem(GOOD)})
        with_keys(setup, published, "paypal", "WEBHOOK-1")
        assert (await setup.call("s", BODY, paypal())).status == 202
        assert (await setup.call("s", BODY + b" ", paypal())).status == 401
        assert (await setup.call("s", BODY, paypal(webhook="WEBHOOK-2"))).status == 401
        assert (await setup.call("s", BODY, paypal(key=OTHER))).status == 401
        assert published.asked == [URL]

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/c", "https://evil.example/c", "https://api.paypal.com.evil.example/c",
        "https://u@api.paypal.com/c", "https://api.paypal.com:8443/c", "https://[::1]/c", "", "https://api.paypal.com\\@evil/c",
    ],
)  # fmt: skip
def test_no_other_host_is_asked_for_a_certificate(tmp_path, trusted, url):
    async def work(setup):
        published = Published({url: pem(GOOD)})
        with_keys(setup, published, "paypal", "WEBHOOK-1")
        assert (await setup.call("s", BODY, paypal(url=url))).status == 401
        assert published.asked == []

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(
    "certificate",
    [
        issue("www.example.com", KEY, OTHER, "authority", ca=False),
        issue(NAME, KEY, KEY, "somebody", ca=False),
        issue(NAME, KEY, OTHER, "authority", ca=False, days=-1),
    ],
    ids=["another name", "another authority", "expired"],
)
def test_a_certificate_that_is_not_trusted_signs_nothing(tmp_path, trusted, certificate):
    async def work(setup):
        with_keys(setup, Published({URL: pem(certificate)}), "paypal", "WEBHOOK-1")
        assert (await setup.call("s", BODY, paypal())).status == 401
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation"])
def test_the_text_that_sns_signs_has_a_line_for_each_field_that_is_there(tmp_path, trusted, version, kind):
    async def work(setup):
        url = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
        certificate = issue("sns.amazonaws.com", KEY, OTHER, "authority", ca=False)
        with_keys(setup, Published({url: pem(certificate)}), "aws-sns", "")
        fields = {
            "Type": kind,
            "MessageId": "m1",
            "TopicArn": "arn:1",
            "Message": "hi",
            "Timestamp": "2027-01-15T08:00:00.000Z",
        }
        if kind == "Notification":
            fields["Subject"] = "s"
            order = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
        else:
            fields |= {"Token": "t", "SubscribeURL": "https://x"}
            order = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        signed = "".join(f"{name}\n{fields[name]}\n" for name in order).encode()
        digest = hashes.SHA1() if version == "1" else hashes.SHA256()
        signature = base64.b64encode(KEY.sign(signed, padding.PKCS1v15(), digest)).decode()
        fields |= {"SignatureVersion": version, "Signature": signature, "SigningCertURL": url}
        headers = [("content-type", "text/plain; charset=UTF-8")]
        assert (await setup.call("s", json.dumps(fields).encode(), headers)).status == 202
        for extra in ({"Subject": "other"}, {"SubscribeURL": "https://evil"}, {"Message": "ho"}):
            assert (await setup.call("s", json.dumps(fields | extra).encode(), headers)).status == 401
        (event,) = await setup.events()
        assert (event.type, event.key) == (kind, "arn:1")

    with_ingress(tmp_path, work)


SNS = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
CONFIRM = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:1"


def sns_confirmation(url: str = CONFIRM, topic: str = "arn:1") -> bytes:
    fields = {
        "Message": "hi", "MessageId": "m1", "SubscribeURL": url, "Timestamp": "2027-01-15T08:00:00.000Z", "Token": "t",
        "TopicArn": topic, "Type": "SubscriptionConfirmation",
    }  # fmt: skip
    signed = "".join(f"{name}\n{value}\n" for name, value in fields.items()).encode()
    signature = base64.b64encode(KEY.sign(signed, padding.PKCS1v15(), hashes.SHA1())).decode()
    return json.dumps(fields | {"SignatureVersion": "1", "Signature": signature, "SigningCertURL": SNS}).encode()


def test_the_subscription_of_the_configured_topic_is_confirmed_before_the_answer(tmp_path, trusted):
    async def work(setup):
        certificate = pem(issue("sns.amazonaws.com", KEY, OTHER, "authority", ca=False))
        published = Published({SNS: certificate})
        with_keys(setup, published, "aws-sns", "", "arn:1")
        setup.door.visit = published.get
        failed = await setup.call("s", sns_confirmation())
        assert (failed.status, failed.headers["retry-after"]) == (503, "60"), "SNS sends it again"
        published.content[CONFIRM] = b"<ConfirmSubscriptionResponse/>"
        assert (await setup.call("s", sns_confirmation())).status == 200
        assert published.asked == [SNS, CONFIRM, CONFIRM]
        assert await setup.events() == ()
        assert [(one.code, one.samples) for one in setup.findings.listed()] == [("subscription_confirmed", ["arn:1"])]
        assert [(one.reason, one.detail) for one in setup.rejections] == [("visit_failed", "arn:1: not there")]

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(
    ("token", "body"),
    [
        ("", sns_confirmation()),
        ("arn:1", sns_confirmation(topic="arn:of-somebody")),
        ("arn:1", sns_confirmation(url="https://sns.eu-west-1.amazonaws.com.evil.example/")),
        ("arn:1", sns_confirmation(url="http://169.254.169.254/")),
    ],
    ids=["no topic is configured", "another topic", "another host", "an address inside"],
)
def test_no_other_subscription_is_confirmed_and_the_operator_learns_of_it(tmp_path, trusted, token, body):
    async def work(setup):
        published = Published({SNS: pem(issue("sns.amazonaws.com", KEY, OTHER, "authority", ca=False))})
        with_keys(setup, published, "aws-sns", "", token)
        setup.door.visit = published.get
        assert (await setup.call("s", body)).status == 202
        assert published.asked == [SNS]
        assert [one.type for one in await setup.events()] == ["SubscriptionConfirmation"]
        assert [one.code for one in setup.findings.listed()] == ["subscription_unconfirmed"]

    with_ingress(tmp_path, work)


def test_the_files_of_these_providers_say_that_they_were_not_tried_for_real():
    for name in ("google-pubsub", "paypal", "aws-sns"):
        assert any("not tried" in text for text in load_provider(name).unconfirmed)
