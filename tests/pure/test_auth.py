"""The registry of credentials: each kind declares its keys, its secrets, its checks, and what it adds to a request."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import msgspec
import pytest

from support.keys import rsa_key
from tidegate.auth import KINDS, SECRET_FIELDS, Added, AuthKind, kind_of
from tidegate.auth.api_key import ApiKeyAuth
from tidegate.auth.bearer import BearerAuth
from tidegate.auth.http_basic import BasicAuth
from tidegate.config.export import hide_secrets, to_toml
from tidegate.config.problems import Problems
from tidegate.config.spec import ApiInput, Config, Source
from tidegate.config.validate import Validator
from tidegate.core.spec import Auth
from tidegate.kinds.webhook import WebhookDestination

SECRETS = ("hush", "BEGIN PRIVATE KEY")
each = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


def example(kind: AuthKind[Any]) -> Auth:
    def value(name: str) -> Any:
        if name == "private_key":
            return rsa_key()
        return kind.examples.get(name, "hush-secret" if name in kind.secret_fields else "X-Name")

    required = [field.name for field in msgspec.structs.fields(kind.spec) if field.required]
    more = ["client_secret"] if "client_secret" in kind.secret_fields else []
    auth: Auth = kind.spec(**{name: value(name) for name in [*required, *more]})
    return auth


def problems_of(auth: Auth, headers: dict[str, str] | None = None) -> list[str]:
    problems = Problems()
    Validator(problems).auth(("auth",), auth, headers or {})
    return [error.message for error in problems.errors()]


@each
def test_a_kind_is_complete(kind: AuthKind[Any]) -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(kind.spec)}
    assert kind.spec.__struct_config__.tag == kind.name
    assert kind.help.endswith(".") and set(kind.keys) == fields
    assert kind.secret_fields <= fields and (kind.secret_fields or kind.name == "credential")
    assert kind_of(example(kind)) is kind
    if not kind.for_http:
        assert problems_of(example(kind)) == [f"auth of type '{kind.name}' is for mail servers"]
    elif kind.name != "mtls":  # its values must be certificates: tests/pure/test_connection_checks.py
        assert problems_of(example(kind)) == []


@each
def test_no_secret_of_a_kind_is_shown_or_exported(kind: AuthKind[Any]) -> None:
    auth = example(kind)
    source = Source(api=ApiInput(base_url="https://s.example.com", auth=auth))
    destination = WebhookDestination(url="https://d.example.com", auth=auth)
    assert kind.secret_fields <= SECRET_FIELDS
    for shown in (hide_secrets(source), hide_secrets(destination)):
        assert not any(secret in repr(shown) for secret in SECRETS)
        assert "'set': True" in repr(shown) or not kind.secret_fields
    exported = to_toml(Config(sources={"s": source}, destinations={"d": destination}))
    assert not any(secret in exported for secret in SECRETS)


@pytest.mark.parametrize(
    ("auth", "added"),
    [
        (BearerAuth(token="t"), Added(headers=(("Authorization", "Bearer t"),))),
        (BasicAuth(username="u", password="p"), Added(headers=(("Authorization", "Basic dTpw"),))),
        (ApiKeyAuth(name="X-Key", api_key="k"), Added(headers=(("X-Key", "k"),))),
        (ApiKeyAuth(name="key", api_key="k&", location="query"), Added(params=(("key", "k&"),))),
        (ApiKeyAuth(name="X", api_key="k", location="basic"), Added(headers=(("Authorization", "Basic azpY"),))),
        (ApiKeyAuth(name="", api_key="k", location="basic"), Added(headers=(("Authorization", "Basic azo="),))),
        (ApiKeyAuth(name="sid", api_key="a+/=%", location="cookie"), Added(headers=(("Cookie", "sid=a+/=%"),))),
        (ApiKeyAuth(name="sid", api_key='a b;c,"\\é', location="cookie"),
         Added(headers=(("Cookie", "sid=a%20b%3Bc%2C%22%5C%C3%A9"),))),
    ],
)  # fmt: skip
def test_what_a_credential_adds(auth: Auth, added: Added) -> None:
    assert kind_of(auth).add(auth) == added


@pytest.mark.parametrize("key", ["plain", "a;b=c", "x, y", "Zm9v+/==", 'q"q', "é"])
def test_a_key_in_a_cookie_cannot_start_another_cookie(key: str) -> None:
    ((_, value),) = KINDS["api_key"].add(ApiKeyAuth(name="sid", api_key=key, location="cookie")).headers
    assert list(SimpleCookie(value)) == ["sid"]


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (BearerAuth(token=""), "'token' is empty"),
        (BearerAuth(token="a\r\nb: c"), "'token' has a control character"),
        (BasicAuth(username="a:b", password=""), "a user name has no ':' (RFC 7617)"),
        (ApiKeyAuth(name="a b", api_key="k"), "'a b' is not a header name"),
        (ApiKeyAuth(name="x", api_key=""), "'api_key' is empty"),
        (ApiKeyAuth(name="", api_key="k"), "'name' is empty"),
        (ApiKeyAuth(name="X", api_key="a:b", location="basic"), "a user name has no ':' (RFC 7617)"),
    ],
)
def test_a_credential_that_cannot_work_is_refused(auth: Auth, message: str) -> None:
    assert problems_of(auth) == [message]


@each
def test_a_header_of_the_credential_may_not_be_configured_beside_it(kind: AuthKind[Any]) -> None:
    auth = example(kind)
    for name in kind.header_names(auth):
        wrong = (
            f"auth and headers both set '{name}'" if kind.for_http else "auth of type 'password' is for mail servers"
        )
        assert problems_of(auth, {name.lower(): "x"}) == [wrong]
