"""A file becomes a configuration, or every reason why not is named with its line and the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gateway.sample_config import API, CHAT, DESTINATION, ENVIRON, MINIMAL, SAMPLE, rejections
from tidegate.auth.bearer import BearerAuth
from tidegate.config.load import load_file, load_text
from tidegate.core.errors import ConfigError
from tidegate.rules.sync.paginators.header_link import HeaderLink


def test_an_address_that_nothing_may_go_to_is_a_warning_at_its_path() -> None:
    text = MINIMAL + '[destinations.own]\nurl = "http://localhost:9000/x"\n[destinations.near]\nurl = "${env:NEAR}"\n'
    text += '[sources.s.api]\nbase_url = "http://[::1]:90"\n'
    environ = {"NEAR": "http://10.1.2.3/hooks"}
    assert load_text(text, "t.toml", environ).warnings == tuple(
        f"requests to this {word} address are blocked; add it to `allow` in [egress] - at $.{place} (t.toml:{line})"
        for word, place, line in (
            ("loopback", "destinations.own.url", 5),
            ("private", "destinations.near.url", 7),
            ("loopback", "sources.s.api.base_url", 9),
        )
    )
    allowed = '[egress]\nallow = ["127.0.0.1/32:9000", "10.0.0.0/8", "::1/128"]\n'
    assert load_text(allowed + text, "t.toml", environ).warnings == ()


def test_the_sample_of_the_contract_loads() -> None:
    config = load_text(SAMPLE, "tidegate.toml", ENVIRON).config
    shop = config.sources["shop"]
    assert shop.api is not None
    assert shop.api.auth == BearerAuth(token="shop-token-1")
    assert shop.resources["orders"].paginator == HeaderLink()
    assert config.sources["crm"].publish is not None
    assert config.destinations["sales-channel"].url == ENVIRON["SLACK_WEBHOOK_URL"]
    assert config.routes["big-sales"].from_ == "payments"
    assert list(config.routes) == ["big-sales", "order-changes"]


def test_a_feed_without_a_webhook_input_is_a_warning() -> None:
    warnings = load_text(SAMPLE, "tidegate.toml", ENVIRON).warnings
    assert len(warnings) == 1
    assert "$.sources.shop.resources.orders.webhook (tidegate.toml:35)" in warnings[0]


def test_a_missing_secret_is_a_warning() -> None:
    (warning,) = load_text('[sources.p.webhook]\nverify = "stripe"\n', "t.toml", {}).warnings
    assert warning == (
        "verify = 'stripe' has no secret yet, so every request is answered 401; add `secret`"
        " - at $.sources.p.webhook (t.toml:1)"
    )


def test_an_empty_file_is_a_configuration() -> None:
    assert load_text("", "t.toml", {}).config.sources == {}


@pytest.mark.parametrize(
    ("held", "read"),
    [("from-a-file\n", "from-a-file"), ("a b\r\n", "a b"), (" padded \t\n", " padded \t")],
)
def test_a_file_placeholder_is_read_beside_the_configuration_without_its_last_line_end(
    tmp_path: Path, held: str, read: str
) -> None:
    (tmp_path / "token").write_bytes(held.encode())
    file = tmp_path / "tidegate.toml"
    file.write_text(API + 'auth = { type = "bearer", token = "${file:token}" }\n')
    api = load_file(file, {}).config.sources["s"].api
    assert api is not None
    assert api.auth == BearerAuth(token=read)


def test_two_dollars_stand_for_a_literal_placeholder() -> None:
    text = CHAT + 'text = "costs $${amount}"\n'
    assert load_text(text, "t.toml", {}).config.destinations["c"].text == "costs ${amount}"


def test_a_native_time_is_taken_as_text() -> None:
    text = DESTINATION + "start = 2026-11-24T12:00:00Z\n"
    assert load_text(text, "t.toml", {}).config.destinations["c"].start == "2026-11-24T12:00:00Z"


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_file(tmp_path / "none.toml", {})
    assert (caught.value.code, caught.value.hint) == ("config_unreadable", "tidegate init")


def test_bytes_that_are_not_text_have_a_line(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_bytes(b"[gateway]\npublic_url = '\xff'\n")
    with pytest.raises(ConfigError) as caught:
        load_file(file, {})
    assert caught.value.where == f"{file}:2"
    assert "0xff" in caught.value.message


@pytest.mark.parametrize("text", ["a = " + "[" * 5000 + "]" * 5000, "x = " + "{a=" * 200 + "1" + "}" * 200])
def test_deep_nesting_is_refused(text: str) -> None:
    assert rejections(text)[0].startswith("error[config_invalid]")


def test_numbers_json_does_not_have_are_refused() -> None:
    text = MINIMAL + '[routes.r]\nfrom = "app"\nto = "crm"\nfilter = { data = { x = inf } }\n'
    assert "inf is not a JSON number" in rejections(text)[0]
