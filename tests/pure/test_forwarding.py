"""Which request headers go on to receivers: the named ones, never a credential, never one of the connection."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import ConfigError
from tidegate.core.spec import WebhookInput
from tidegate.providers import webhook_names
from tidegate.providers.shape import load_provider, provider_of
from tidegate.rules.inbound.redaction import keep_headers
from tidegate.rules.outbound.forwarding import NOTHING, HeaderNames, check_names


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("github", "X-GitHub-Event"), ("github", "X-Hub-Signature-256"), ("shopify", "X-Shopify-Hmac-SHA256"),
        ("github", "x-github-hook-installation-target-id"), ("shopify", "X-Shopify-Topic"),
        ("stripe", "Stripe-Signature"), ("standard-webhooks", "svix-id"), ("github", "Content-Encoding"),
    ],
)  # fmt: skip
def test_a_webhook_names_the_headers_that_go_on(provider, name):
    names = HeaderNames(load_provider(provider).forward_headers)
    assert names.of(keep_headers([(name.encode(), b"v")])) == ((name.lower(), "v"),)
    assert names.of(keep_headers([(b"x-webauth-user", b"admin")])) == ()


@pytest.mark.parametrize("provider", webhook_names())
def test_the_names_of_every_provider_file_can_go_on(provider):
    check_names(load_provider(provider).forward_headers)


def test_a_source_names_more_and_a_header_of_the_destination_wins():
    named = provider_of(WebhookInput(verify="github", secret="s", forward_headers=["X-Tenant", "Ce-*"]))
    names = HeaderNames(named.forward_headers)
    kept = keep_headers([(b"x-tenant", b"sender"), (b"ce-type", b"t"), (b"x-github-event", b"push"), (b"x-b", b"1")])
    assert [name for name, _ in names.of(kept)] == ["x-tenant", "ce-type", "x-github-event"]
    assert [name for name, _ in names.of(kept, frozenset({"x-tenant"}))] == ["ce-type", "x-github-event"]
    assert names.left(kept) == ["x-b"]


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X-Gitlab-Token", "X-Auth-Request-User",
        "X-Telegram-Bot-Api-Secret-Token", "X-Hook-Secret", "X-Session-Id", "X-Amz-Security-Token", "X-CSRF",
        "Host", "Content-Length", "Connection", "Transfer-Encoding",
        "webhook-signature", "webhook-id", "tidegate-hops", "tidegate-signature",
    ],
)  # fmt: skip
def test_credentials_and_headers_of_the_connection_never_go_on(name):
    for names in (HeaderNames([name]), HeaderNames(["*"]), HeaderNames([f"{name[:3]}*"])):
        assert names.of(keep_headers([(name.encode(), b"v")])) == ()
        assert names.of(msgspec.json.encode([[name.lower(), "v"]])) == ()
    assert NOTHING.left(keep_headers([(name.encode(), b"v")])) == []
    with pytest.raises(ConfigError):
        check_names([name])


@pytest.mark.parametrize("name", ["", "*", "a*b", "x y", "x:", "x*"])
def test_a_name_that_could_never_go_on_is_rejected(name):
    with pytest.raises(ConfigError):
        check_names([name])


@given(st.lists(st.tuples(st.text(), st.text())) | st.lists(st.tuples(st.sampled_from(["x-a", "x-b\r"]), st.text())))
def test_no_stored_header_can_break_a_request(pairs):
    for name, value in HeaderNames(["x-*"]).of(msgspec.json.encode(pairs) if _encodable(pairs) else b"[["):
        assert name.startswith("x-")
        assert not set(name + value) & set("\r\n\0")
        value.encode("latin-1")


def _encodable(pairs) -> bool:
    try:
        msgspec.json.encode(pairs)
    except UnicodeEncodeError:
        return False
    return True
