"""A base URL with captured values leads where the token service said, and nowhere else."""

from __future__ import annotations

import pytest

from tidegate.rules.sync.base_urls import BaseUrl, filled_headers, place_of

CAPTURED = {
    "url": "https://eu7.api.example.com/v1/", "plain": "http://10.0.0.1", "dc": "us6", "evil": "evil.example/x?",
    "id": "a/b", "user": "https://u@evil.example", "query": "https://evil.example/?a=1", "dots": "..",
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("{credential.url}", "https://eu7.api.example.com/v1"),
        ("{credential.url}/services", "https://eu7.api.example.com/v1/services"),
        ("https://{credential.dc}.api.example.com/3.0", "https://us6.api.example.com/3.0"),
        ("https://{credential.dc}", "https://us6"),
        ("https://api.example.com/ex/{credential.id}", "https://api.example.com/ex/a%2Fb"),
    ],
)
def test_what_a_captured_value_becomes(template: str, url: str) -> None:
    assert BaseUrl(template).filled(CAPTURED) == url


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{credential.none}", "has no value"),
        ("{credential.plain}", "not https"),
        ("{credential.dc}", "not the address of an API"),
        ("{credential.user}", "not the address of an API"),
        ("{credential.query}", "not the address of an API"),
        ("https://{credential.evil}.example.com", "not a host name"),
        ("https://api.example.com/{credential.dots}", "a path cannot carry"),
    ],
)
def test_what_a_captured_value_cannot_be(template: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        BaseUrl(template).filled(CAPTURED)


def test_a_redirect_names_no_host_and_may_name_a_segment() -> None:
    with pytest.raises(ValueError, match="redirect"):
        BaseUrl("{credential.url}").filled(CAPTURED, unproven=("url",))
    assert BaseUrl("https://a.example/{credential.dc}").filled(CAPTURED, unproven=("dc",)) == "https://a.example/us6"


def test_a_token_service_on_http_may_name_http() -> None:
    assert BaseUrl("{credential.plain}").filled(CAPTURED, http=True) == "http://10.0.0.1"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://Api.example.com/v1", "https://api.example.com:443"),
        ("https://api.example.com/{credential.id}", "https://api.example.com:443"),
        ("{credential.url}/services", "{credential.url}"),
        ("https://{credential.dc}.example.com/3.0", "https://{credential.dc}.example.com"),
    ],
)
def test_what_a_token_belongs_to(url: str, place: str) -> None:
    assert place_of(url) == place


def test_headers_have_captured_values_and_keep_other_braces() -> None:
    given = {"xero-tenant-id": "t-{credential.dc}", "x": '{"a": 1}'}
    assert filled_headers(given, CAPTURED) == {"xero-tenant-id": "t-us6", "x": '{"a": 1}'}
    with pytest.raises(ValueError, match="header x has no value"):
        filled_headers({"x": "{credential.none}"}, CAPTURED)
