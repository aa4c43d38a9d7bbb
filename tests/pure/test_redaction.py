"""Which headers are credentials, what is kept, and what a user may set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.rules.inbound import redaction
from tidegate.rules.inbound.redaction import MAX_BYTES, MAX_HEADERS, egress_safe, keep_headers, value_safe
from tidegate.rules.language.stored_headers import read_headers


def kept(*pairs: tuple[bytes, bytes]) -> list[list[str]]:
    return [list(pair) for pair in read_headers(keep_headers(list(pairs)))]


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "ApiKey", "X_API_KEY",
        "X-Gitlab-Token", "X-Auth", "X-Auth-Token", "X-Forwarded-Authorization", "X-Access-Key", "x-functions-key",
        "Ocp-Apim-Subscription-Key", "X-Session-Id", "X-Password", "X-Amz-Security-Token", "X-Hook-Secret",
        "X-Telegram-Bot-Api-Secret-Token", "X-CSRFToken", "X-XSRF-Token", "Authentication", "X-Jwt-Assertion",
        "X-Sid", "X-Otp", "X-User-Pin", "X-Pwd", "X-Client-Pass", "X-Bearer", "X-Private", "X-Credential",
    ],
)  # fmt: skip
def test_credentials_never_reach_the_disk(name):
    for spelled in (name, name.lower(), name.upper()):
        assert kept((spelled.encode(), b"hunter2")) == [[name.lower(), "[redacted]"]]
        assert b"hunter2" not in keep_headers([(spelled.encode(), b"hunter2")])


@pytest.mark.parametrize(
    "name",
    [
        "Stripe-Signature", "X-Hub-Signature-256", "webhook-id", "webhook-signature", "Idempotency-Key", "User-Agent",
        "X-Author", "X-Shopify-Hmac-SHA256", "Content-Type", "PayPal-Auth-Algo", "X-Monkey", "traceparent",
    ],
)  # fmt: skip
def test_other_headers_are_kept(name):
    assert kept((name.encode(), b"v")) == [[name.lower(), "v"]]


def test_order_and_repeats_stand_and_bytes_are_latin_1():
    assert kept((b"X-B", b"1"), (b"x-a", b"\xe9\xff"), (b"x-b", b"2")) == [["x-b", "1"], ["x-a", "éÿ"], ["x-b", "2"]]
    assert keep_headers([]) == b"[]"


def test_a_header_that_does_not_fit_is_left_out_and_smaller_ones_stay():
    assert kept((b"x-huge", b"a" * 9000), (b"x-small", b"b")) == [["x-small", "b"]]
    assert len(kept(*[(b"x-%d" % number, b"") for number in range(500)])) == MAX_HEADERS


def test_headers_that_came_first_stay_when_room_runs_out():
    names = [name for name, _value in kept(*[(b"x-%d" % number, b"v" * 1000) for number in range(20)])]
    assert names == [f"x-{number}" for number in range(8)]


@given(st.lists(st.tuples(st.binary(max_size=60), st.binary(max_size=3000)), max_size=80))
def test_what_is_kept_is_bounded_whatever_comes(pairs):
    encoded = keep_headers(pairs)
    assert len(encoded) <= MAX_BYTES
    kept = [value for _, value in read_headers(encoded)]
    came = [value.decode("latin-1") for _, value in pairs]
    assert all(value == "[redacted]" or value in came for value in kept)


def test_escapes_do_not_burst_the_bound():
    assert len(keep_headers([(b"x-%d" % number, b"\x01" * 120) for number in range(60)])) <= MAX_BYTES


def test_remembered_names_are_bounded(monkeypatch):
    monkeypatch.setattr(redaction, "_MAX_NAMES", 20)
    for number in range(200):
        keep_headers([(b"x-token-%d" % number, b"v"), (b"x" * 1000 + b"%d" % number, b"v")])
        assert len(redaction._names) <= 20


@pytest.mark.parametrize(
    "name", ["X-Team", "Authorization", "X-Api-Key", "Accept", "User-Agent", "x_y", "Content-Language"]
)
def test_headers_a_user_may_set(name):
    assert egress_safe(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "X Team", "X-Team:", "X\r\nY", "X\nY", "X\0", "X\n", "\u0130", "Ünï", "Host", "Content-Length",
        "transfer-encoding", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Authorization",
        "Webhook-Id", "webhook-signature", "Tidegate-Hops", "x" * 300,
    ],
)  # fmt: skip
def test_headers_a_user_may_not_set(name):
    assert not egress_safe(name)


def test_a_header_value_holds_no_control_characters():
    assert value_safe("plain\ttext é")
    for bad in ("a\rb", "a\nb", "a\0b", "\x7f", "\x85", "\u4e2d", "\u2028"):
        assert not value_safe(bad)
