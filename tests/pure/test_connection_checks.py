"""`check` refuses an authority, a client certificate or a proxy that cannot work; none of their secrets is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from support.receiver.scripted import TestAuthority
from tidegate.auth import added_by, client_certificate, request_auth
from tidegate.auth.bearer import BearerAuth
from tidegate.auth.mtls import MtlsAuth
from tidegate.config.export import decode_destination, export_tree, hide_secrets, to_toml
from tidegate.config.load import Loaded, load_text
from tidegate.config.problems import ConfigRejected
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Proxy
from tidegate.kinds import kind_of
from tidegate.kinds.webhook import WebhookDestination

URL = "https://bank.example.com/hooks"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """ca.pem, client.pem, client.key, and others that do not fit."""
    authority = TestAuthority(tmp_path)
    for name, days in (("client", 1), ("other", 1), ("late", -1)):
        certificate, key = authority.pair(host=name, days=days)
        (tmp_path / f"{name}.pem").write_text(certificate)
        (tmp_path / f"{name}.key").write_text(key)
    locked = serialization.load_pem_private_key(key.encode(), None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    (tmp_path / "locked.key").write_bytes(locked)
    (tmp_path / "broken.pem").write_text(certificate.replace("A", "B", 200))
    (tmp_path / "both.pem").write_text(certificate + key)
    return tmp_path


def load(files: Path, keys: str, url: str = URL) -> Loaded:
    return load_text(f'[destinations.bank]\nurl = "{url}"\n{keys}', "t.toml", {}, base=files)


def mtls(certificate: str, key: str, more: str = "") -> str:
    return f'auth = {{ type = "mtls", certificate = "${{file:{certificate}}}", private_key = "${{file:{key}}}"{more} }}'


def test_the_keys_make_the_options_of_the_connection(files: Path) -> None:
    beside = ', auth = { type = "bearer", token = "t" }'
    keys = (
        f'ca = "${{file:ca.pem}}"\nproxy = "http://proxy.example.com:3128"\n{mtls("client.pem", "client.key", beside)}'
    )
    loaded = load(files, keys)
    spec = loaded.config.destinations["bank"]
    options = kind_of(spec).connect_options(spec)
    assert options is not None and options.proxy is not None and options.certificate is not None
    assert options.ca == (files / "ca.pem").read_text().strip()
    assert options.certificate.private_key == (files / "client.key").read_text().strip()
    assert (options.proxy.host, options.proxy.port, options.proxy.resolves) == ("proxy.example.com", 3128, False)
    assert isinstance(spec, WebhookDestination) and request_auth(spec.auth) == BearerAuth(token="t")
    assert added_by(spec.auth).headers == (("Authorization", "Bearer t"),)
    assert loaded.warnings == ()
    for shown in (repr(options), repr(options.proxy), repr(options.certificate)):
        assert "BEGIN" not in shown


REFUSED = [
    ('ca = "ca.pem"', URL, "$.destinations.bank.ca", "it is not a certificate in PEM"),
    ('ca = "${file:broken.pem}"', URL, "$.destinations.bank.ca", "it has a certificate that cannot be read"),
    ('ca = "${file:both.pem}"', URL, "$.destinations.bank.ca", "it holds a private key"),
    ('ca = "${file:ca.pem}"', "http://bank.example.com/", "$.destinations.bank.ca",
     "`ca` has no effect, because the URL is http"),
    (mtls("client.pem", "client.key"), "http://bank.example.com/", "$.destinations.bank.auth",
     "the client certificate has no effect, because the URL is http"),
    (mtls("client.pem", "other.key"), URL, "$.destinations.bank.auth.private_key",
     "the private key does not belong to the certificate"),
    (mtls("client.pem", "locked.key"), URL, "$.destinations.bank.auth.private_key", "the private key has a passphrase"),
    (mtls("client.pem", "client.pem"), URL, "$.destinations.bank.auth.private_key", "the private key cannot be read"),
    (mtls("broken.pem", "client.key"), URL, "$.destinations.bank.auth.certificate",
     "it has a certificate that cannot be read"),
    (mtls("client.pem", "client.key", ', auth = { type = "bearer", token = "" }'), URL,
     "$.destinations.bank.auth.auth.token", "'token' is empty"),
    ('proxy = "socks5://p.example.com"', URL, "$.destinations.bank.proxy", "'socks5' proxies are not supported"),
    ('proxy = "http://u:hush@p.example.com:1"', URL, "$.destinations.bank.proxy",
     "the URL of the proxy has a user or password"),
    ('proxy = "http://p.example.com/path"', URL, "$.destinations.bank.proxy", "the URL of the proxy has a path"),
    ('proxy = "p.example.com:3128"', URL, "$.destinations.bank.proxy",
     "the URL of the proxy has no scheme"),
    ('proxy = { url = "http://p.example.com", password = "hush" }', URL, "$.destinations.bank.proxy",
     "the proxy has a password and no username"),
    ('proxy = { url = "http://p.example.com", ca = "${file:ca.pem}" }', URL, "$.destinations.bank.proxy",
     "`ca` of the proxy has no effect, because its URL is http"),
    ('proxy = { url = "https://p.example.com", ca = "x" }', URL, "$.destinations.bank.proxy.ca",
     "it is not a certificate in PEM"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "url", "path", "message"), REFUSED, ids=[one[3][:50] for one in REFUSED])
def test_what_cannot_work_is_refused(files: Path, keys: str, url: str, path: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(files, keys, url)
    assert not isinstance(raised.value, ConfigRejected), raised.value.problems
    assert (raised.value.path, raised.value.message) == (path, message)
    assert raised.value.hint and "hush" not in raised.value.message + raised.value.hint


def test_a_client_certificate_inside_another_is_refused(files: Path) -> None:
    inner = ", " + mtls("client.pem", "client.key")
    with pytest.raises(ConfigError, match="a client certificate inside a client certificate"):
        load(files, mtls("client.pem", "client.key", inner))


def test_the_same_keys_are_checked_for_sources(files: Path) -> None:
    text = '[sources.bank.api]\nbase_url = "http://bank.example.com"\nca = "${file:ca.pem}"\nproxy = "ftp://p"'
    with pytest.raises(ConfigRejected) as raised:
        load_text(text, "t.toml", {}, base=files)
    assert [one.path for one in raised.value.problems] == ["$.sources.bank.api.ca", "$.sources.bank.api.proxy"]


def test_what_may_fail_later_is_a_warning(files: Path) -> None:
    """An expired certificate, and a proxy at an address that is not allowed, do not stop a gateway from starting."""
    warnings = load(files, f'{mtls("late.pem", "late.key")}\nproxy = "http://10.0.0.8:3128"').warnings
    assert [one.split(" - at ")[1].split(" ")[0] for one in warnings] == [
        "$.destinations.bank.auth.certificate",
        "$.destinations.bank.proxy",
    ]
    assert "this certificate expired on" in warnings[0]
    assert "requests to this private address are blocked" in warnings[1]


# -- secrets ---------------------------------------------------------------------------------------------


def full(files: Path, **changes: Any) -> WebhookDestination:
    auth = MtlsAuth(
        certificate=(files / "client.pem").read_text(),
        private_key=(files / "client.key").read_text(),
        auth=BearerAuth(token="hush-token"),
    )
    proxy = Proxy(url="http://p.example.com:3128", username="u", password="hush-password")
    return WebhookDestination(url=URL, auth=auth, proxy=proxy, **changes)


def test_no_secret_is_shown_or_exported_and_an_export_reads_back(files: Path) -> None:
    from tidegate.config.spec import Config

    spec = full(files)
    config = Config(destinations={"bank": spec})
    for text in (repr(hide_secrets(spec)), to_toml(config)):
        assert "hush" not in text and "PRIVATE KEY" not in text
    variables = export_tree(config)[1]
    assert set(variables) == {"TO_BANK_PRIVATE_KEY", "TO_BANK_TOKEN", "TO_BANK_PROXY_PASSWORD"}
    assert load_text(to_toml(config), "export.toml", variables).config == config


def test_an_update_keeps_hidden_secrets_and_the_password_only_for_its_proxy(files: Path) -> None:
    old = full(files)
    hidden = hide_secrets(old)
    assert decode_destination("bank", hidden, old) == old
    moved = hidden | {"proxy": hidden["proxy"] | {"url": "http://evil.example.com:3128"}}
    with pytest.raises(ConfigError, match=r"the credential is for http://p\.example\.com:3128"):
        decode_destination("bank", moved, old)
    elsewhere = hidden | {"url": "https://evil.example.com/"}
    with pytest.raises(ConfigError, match=r"the credential is for https://bank\.example\.com"):
        decode_destination("bank", elsewhere, old)

    for change in ({"ca": (files / "ca.pem").read_text()}, {"proxy": "http://evil.example.com:3128"}):
        with pytest.raises(ConfigError, match="could be read on the new way"):
            decode_destination("bank", hidden | change, old)
    assert decode_destination("bank", {**hidden, "proxy": ""}, old).proxy == ""


def test_a_certificate_alone_adds_nothing_to_requests(files: Path) -> None:
    auth = MtlsAuth(certificate="c", private_key="k")
    assert request_auth(auth) is None and added_by(auth).headers == ()
    assert client_certificate(auth) is not None and client_certificate(BearerAuth(token="t")) is None
