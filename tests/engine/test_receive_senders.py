"""Who sends a request: allow lists beside a signature, trusted proxies, client certificates, and what was signed."""

from __future__ import annotations

import gzip
import hmac
import json
from typing import Any

import brotli
import pytest

from support.gateway.ingress import BODY, IngressSetup, with_ingress
from tidegate.config.load import load_text
from tidegate.config.spec import Source
from tidegate.core.errors import ConfigError
from tidegate.core.spec import CustomScheme, FormInput, WebhookInput
from tidegate.receive.inputs import compile_input
from tidegate.rules.inbound.senders import parse_networks, sender_of
from tidegate.rules.language.view import payload

try:
    from compression import zstd
except ImportError:
    from backports import zstd

PEER = "192.0.2.7"  # of the requests of these tests


def give(setup: IngressSetup, **webhook: Any) -> None:
    source = Source(webhook=WebhookInput(**{"verify": "none", **webhook}))
    setup.extra = {"s": compile_input("s", source, "https://gate.example.com")}


@pytest.mark.parametrize(
    ("proxies", "forwarded", "sender"),
    [
        ([], "203.0.113.9", PEER),
        ([PEER], "", PEER),
        ([PEER], "203.0.113.9", "203.0.113.9"),
        ([PEER], "10.9.9.9, 203.0.113.9", "203.0.113.9"),  # the first was made up by the sender
        ([PEER, "10.0.0.0/8"], "203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ([PEER], "203.0.113.9:4711", "203.0.113.9"),
        ([PEER], "[2001:db8::1]:4711", "2001:db8::1"),
        (["198.51.100.1"], "203.0.113.9", PEER),
        ([PEER], PEER, PEER),
        ([PEER], "unknown", "unknown"),
    ],
)
def test_only_a_trusted_proxy_is_believed_about_the_sender(proxies: list[str], forwarded: str, sender: str) -> None:
    assert sender_of(PEER, forwarded, parse_networks(proxies)) == sender
    assert sender_of(f"::ffff:{PEER}", forwarded, parse_networks(proxies)).removeprefix("::ffff:") == sender


def test_a_source_takes_requests_from_its_networks_only(tmp_path) -> None:
    async def work(setup: IngressSetup) -> None:
        give(setup, allow_from=["192.0.2.0/24", "2001:db8::/32"])
        assert (await setup.call("s")).status == 202
        give(setup, allow_from=["198.51.100.0/24"])
        refused = await setup.call("s", headers=[("x-forwarded-for", "198.51.100.1")])
        assert (refused.status, refused.json["code"]) == (401, "signature_rejected"), "the sender learns nothing"
        setup.door.trust(parse_networks([PEER]))
        assert (await setup.call("s", headers=[("x-forwarded-for", "198.51.100.1")])).status == 202
        assert (await setup.call("s", headers=[("x-forwarded-for", "198.51.100.1, 203.0.113.9")])).status == 401
        assert [(one.reason, one.remote, one.detail) for one in setup.rejections] == [
            ("address_not_allowed", PEER, f"{PEER} is not in allow_from"),
            ("address_not_allowed", "203.0.113.9", "203.0.113.9 is not in allow_from"),
        ]

    with_ingress(tmp_path, work)


def test_the_subject_of_a_certificate_counts_from_a_trusted_proxy_only(tmp_path) -> None:
    async def work(setup: IngressSetup) -> None:
        subject = "CN=erp.example.com,O=Example, Inc."
        give(setup, verify=CustomScheme(type="mtls", header="X-Client-Subject"), secret=["CN=old", subject])
        headers = [("x-client-subject", subject)]
        assert (await setup.call("s", headers=headers)).status == 401
        setup.door.trust(parse_networks([PEER]))
        assert (await setup.call("s", headers=headers)).status == 202
        assert (await setup.call("s", headers=[("x-client-subject", "CN=other")])).status == 401
        assert (await setup.call("s")).status == 401
        assert [one.reason for one in setup.rejections] == ["not_from_proxy", "signature_wrong", "signature_missing"]

    with_ingress(tmp_path, work)


def test_forms_behind_a_proxy_are_counted_by_sender(tmp_path) -> None:
    async def work(setup: IngressSetup) -> None:
        setup.extra = {"f": compile_input("f", Source(form=FormInput(rate="1/m")), "")}
        setup.door.trust(parse_networks([PEER]))

        async def send(sender: str) -> int:
            headers = [("content-type", "application/x-www-form-urlencoded"), ("x-forwarded-for", sender)]
            return (await setup.call("f", b"a=1", headers)).status

        assert [await send(f"203.0.113.{number}") for number in (1, 2, 1)] == [202, 202, 429]

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(
    ("signed", "sent", "encoding", "status"),
    [
        (gzip.compress(BODY), gzip.compress(BODY), "gzip", 202),
        (BODY, gzip.compress(BODY), "gzip", 202),
        (BODY, brotli.compress(BODY), "br", 202),
        (BODY, zstd.compress(BODY), "zstd", 202),
        (zstd.compress(BODY), zstd.compress(BODY), "zstd", 202),
        (BODY, zstd.compress(BODY), "br", 401),
        (BODY, gzip.compress(BODY + b" "), "gzip", 401),
        (BODY * 100, gzip.compress(BODY * 100), "gzip", 401),  # more than the source takes
        (BODY * 100, brotli.compress(BODY * 100), "br", 401),
    ],
    ids=[
        "as sent", "unpacked", "unpacked br", "unpacked zstd", "zstd as sent", "labeled wrongly", "another body",
        "larger than max_body", "larger than max_body, br",
    ],
)  # fmt: skip
def test_a_signature_may_be_over_the_unpacked_bytes(tmp_path, signed, sent, encoding, status) -> None:
    async def work(setup: IngressSetup) -> None:
        give(setup, verify="github", secret="s", max_body="1KiB")
        mac = hmac.digest(b"s", signed, "sha256").hex()
        headers = [("x-hub-signature-256", f"sha256={mac}"), ("content-encoding", encoding)]
        assert (await setup.call("s", sent, headers)).status == status
        events = await setup.events()
        assert [event.body for event in events] == ([sent] if status == 202 else [])
        assert all(payload(event) == json.loads(BODY) for event in events)

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(
    ("webhook", "gateway", "words"),
    [
        ('verify = "none"\nallow_from = ["192.0.2.0/33"]', "", "'192.0.2.0/33' is not a network"),
        ('verify = { type = "mtls" }\nsecret = "CN=a"', 'trusted_proxies = ["10.0.0.1"]', "'mtls' needs `header`"),
        ('verify = { type = "mtls", header = "X-S" }\nsecret = "CN=a"', "", "no proxy is trusted"),
        ('verify = "none"', 'trusted_proxies = ["proxy.example.com"]', "'proxy.example.com' is not a network"),
    ],
)
def test_check_names_what_is_missing(webhook: str, gateway: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(f"[gateway]\n{gateway}\n[sources.s.webhook]\n{webhook}\n", "tidegate.toml", {})
    problems = getattr(caught.value, "errors", None) or getattr(caught.value, "problems", None) or [caught.value]
    assert any(words in str(one) for one in problems)
