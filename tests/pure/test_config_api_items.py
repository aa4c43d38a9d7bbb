"""What the API shows holds no secret, and what it shows may be sent back."""

from __future__ import annotations

import msgspec
import pytest

from support.gateway.sample_config import ENVIRON, SAMPLE
from tidegate.auth.bearer import BearerAuth
from tidegate.auth.http_basic import BasicAuth
from tidegate.config.export import decode_destination, decode_route, decode_source, hide_secrets, to_json
from tidegate.config.load import load_text
from tidegate.config.spec import Source
from tidegate.core.errors import ConfigError, NotBuilt
from tidegate.kinds.webhook import WebhookDestination

CONFIG = load_text(SAMPLE, "t.toml", ENVIRON).config
CRM = msgspec.structs.replace(
    CONFIG.destinations["crm"],
    secret=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "an-older-secret-of-ours"],
    headers={"X-Team": "sales", "X-Api-Key": "hush"},
    auth=BearerAuth(token="hush-token"),
)


def test_secrets_are_shown_as_set() -> None:
    shown = hide_secrets(CRM)
    assert shown["secret"] == {"set": True, "count": 2}
    assert shown["headers"] == {"X-Team": "sales", "X-Api-Key": {"set": True}}
    assert shown["auth"] == {"type": "bearer", "token": {"set": True}}
    assert hide_secrets(CONFIG.destinations["sales-channel"])["url"] == "https://hooks.slack.com/..."
    assert b"shop-token" not in to_json(CONFIG.sources["shop"])


def test_what_is_shown_can_be_sent_back() -> None:
    for name, source in CONFIG.sources.items():
        assert decode_source(name, to_json(source), source) == source
    for name, destination in [*CONFIG.destinations.items(), ("crm", CRM)]:
        assert (
            decode_destination(name, {"name": name, "owner": "api", **hide_secrets(destination)}, destination)
            == destination
        )
    for name, route in CONFIG.routes.items():
        assert decode_route(name, to_json(route), route) == route


def test_a_put_without_the_secret_keeps_it() -> None:
    kept = decode_destination("crm", {"url": "https://crm.example.com/other"}, CRM)
    assert kept.secret == CRM.secret
    moved = decode_destination("crm", {"url": "https://elsewhere.example.com"}, CRM)
    assert moved.secret == CRM.secret  # it signs and is never sent
    auth = decode_destination("crm", {"url": CRM.url, "auth": {"type": "bearer"}}, CRM)
    assert auth.auth == CRM.auth


def test_a_put_can_replace_and_remove() -> None:
    new = decode_destination(
        "crm", {"url": CRM.url, "secret": "a-new-secret-of-ours", "headers": {"X-Api-Key": "new"}}, CRM
    )
    assert new.secret == "a-new-secret-of-ours"
    assert new.headers == {"X-Api-Key": "new"}
    assert new.auth is None
    assert decode_destination("crm", {"url": CRM.url, "secret": ""}, CRM).secret == ""


def test_another_kind_of_credential_takes_nothing_of_the_old_one() -> None:
    basic = {"type": "http_basic", "username": "u", "password": "p"}
    assert decode_destination("crm", {"url": CRM.url, "auth": basic}, CRM).auth == BasicAuth(username="u", password="p")
    with pytest.raises(ConfigError, match="password"):
        decode_destination("crm", {"url": CRM.url, "auth": {"type": "http_basic", "username": "u"}}, CRM)


def test_a_header_that_is_left_out_is_gone() -> None:
    assert decode_destination("crm", {"url": CRM.url, "headers": {"X-Team": "ops"}}, CRM).headers == {"X-Team": "ops"}


@pytest.mark.parametrize("part", [{"auth": {"type": "bearer"}}, {"headers": {"X-Api-Key": {"set": True}}}])
def test_a_credential_stays_with_its_origin(part: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"the credential is for https://crm.example.com"):
        decode_destination("crm", {"url": "https://evil.example.net/", **part}, CRM)


def test_a_credential_of_an_api_stays_with_its_origin() -> None:
    shop = CONFIG.sources["shop"]
    shown = hide_secrets(shop)
    shown["api"]["base_url"] = "https://evil.example.net"
    with pytest.raises(ConfigError, match=r"the credential is for https://shop.example.com"):
        decode_source("shop", shown, shop)
    shown["api"]["base_url"] = "https://shop.example.com/v2"
    api = decode_source("shop", shown, shop).api
    assert api is not None
    assert api.auth == BearerAuth(token="shop-token-1")


MAIL_AUTH = {"type": "password", "username": "u", "password": "hush"}
MAILBOX = {"imap": {"host": "imap.example.com", "auth": MAIL_AUTH}}
BY_MAIL = {
    "type": "email", "host": "smtp.example.com", "auth": MAIL_AUTH, "from": "a@example.com", "to": "b@example.com",
    "subject": "s",
}  # fmt: skip


@pytest.mark.parametrize("change", [{"host": "evil.example.net"}, {"port": 2525}, {"tls": "none"}, {"ca": "x"}])
def test_a_password_of_mail_stays_with_its_server(change: dict[str, object]) -> None:
    box = decode_source("box", MAILBOX, None)
    by_mail = decode_destination("d", BY_MAIL, None)
    shown = hide_secrets(box)
    shown["imap"] |= change
    with pytest.raises(ConfigError, match=r"the credential (is for|could be read)"):
        decode_source("box", shown, box)
    with pytest.raises(ConfigError, match=r"the credential (is for|could be read)"):
        decode_destination("d", {**hide_secrets(by_mail), **change}, by_mail)
    assert decode_destination("d", {**hide_secrets(by_mail), "subject": "t"}, by_mail).auth == by_mail.auth


def test_a_hidden_secret_without_one_to_keep_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        decode_destination("new", {"url": "https://d.example.com", "secret": {"set": True}})
    assert caught.value.path == "$.secret"


@pytest.mark.parametrize(
    ("name", "url"),
    [("sales-channel", "https://other.example.com/..."), ("new", "https://hooks.slack.com/...")],
)
def test_a_hidden_chat_address_without_one_to_keep_is_refused(name: str, url: str) -> None:
    old = CONFIG.destinations["sales-channel"]
    with pytest.raises(ConfigError, match="the URL is hidden") as caught:
        decode_destination(name, {**hide_secrets(old), "url": url}, old if name == "sales-channel" else None)
    assert caught.value.path == "$.url"


ADDRESS = "https://crm.example.com/hooks?token=hush&v=2"


def test_the_query_of_an_address_is_hidden_and_kept_when_it_is_sent_back() -> None:
    old = WebhookDestination(url=ADDRESS)
    shown = hide_secrets(old)
    assert shown == {"type": "webhook", "url": "https://crm.example.com/hooks?..."}
    assert decode_destination("crm", {**shown, "rate": "5/s"}, old).url == ADDRESS
    assert decode_destination("crm", {"timeout": "5s"}, old).url == ADDRESS
    assert (
        decode_destination("crm", {"url": "https://crm.example.com/hooks"}, old).url == "https://crm.example.com/hooks"
    )
    assert hide_secrets(WebhookDestination(url="https://d.example.com/a")) == {
        "type": "webhook",
        "url": "https://d.example.com/a",
    }


@pytest.mark.parametrize(
    "url",
    ["https://evil.example.net/hooks?...", "https://crm.example.com/other?...", "https://CRM.example.com/hooks?..."],
)
def test_the_query_of_an_address_does_not_go_to_another_one(url: str) -> None:
    with pytest.raises(ConfigError, match="the URL is hidden"):
        decode_destination("crm", {"url": url}, WebhookDestination(url=ADDRESS))
    with pytest.raises(ConfigError, match="the URL is hidden"):
        decode_destination(
            "crm", {"url": ADDRESS.partition("?")[0] + "?..."}, WebhookDestination(url="https://d.example.com")
        )


def test_the_hidden_address_of_another_type_is_not_kept() -> None:
    with pytest.raises(ConfigError, match="the URL is hidden"):
        decode_destination(
            "crm", {"url": "https://crm.example.com/...", "type": "slack"}, WebhookDestination(url=ADDRESS)
        )


@pytest.mark.parametrize(
    "payload",
    [
        {"url": "https://${env:HOST}/"},
        {"url": "https://d.example.com", "secret": "${file:/etc/passwd}"},
        {"url": "https://d.example.com", "headers": {"X-A": "${x}"}},
    ],
)
def test_the_api_reads_no_placeholder(payload: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="cannot be used through the API"):
        decode_destination("d", payload)


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (b"{", "$"),
        (b"[]", "$"),
        (b"[" * 100_000, "$"),
        (b'{"url": "\xff"}', "$"),
        ({"url": "https://d.example.com", "rat": "5/s"}, "$.rat"),
        ({"url": "https://d.example.com", "rate": None, "timeout": 5}, "$.timeout"),
        ({"url": "https://d.example.com", "name": "other"}, "$.name"),
        ({"url": "file:///etc/passwd"}, "$.url"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_with_its_path(payload: object, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode_destination("d", payload)  # type: ignore[arg-type]
    assert caught.value.path == path


def test_deep_payloads_are_refused_and_do_not_crash() -> None:
    deep: object = 1
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(ConfigError):
        decode_route("r", {"from": "a", "to": "b", "filter": {"data": deep}})


@pytest.mark.parametrize("name", ["", "Crm", "a/b", "../x", "a" * 64, "x\n"])
def test_a_name_fits_a_path(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a valid name"):
        decode_destination(name, {"url": "https://d.example.com"})


def test_what_is_not_built_is_refused_by_name_in_the_api_too() -> None:
    with pytest.raises(NotBuilt):
        decode_destination("d", {"url": "https://d.example.com", "type": "kafka"})


def test_structs_are_what_the_file_gives() -> None:
    assert decode_source("app", {"publish": {}}) == Source(publish=CONFIG.sources["crm"].publish)
    assert isinstance(decode_destination("d", {"url": "https://d.example.com"}), WebhookDestination)
