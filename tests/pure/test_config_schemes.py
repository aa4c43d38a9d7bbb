"""A scheme that passes `check` compiles: no request can meet an error of its paths."""

from __future__ import annotations

import pytest

from tidegate.config.load import load_text
from tidegate.core.errors import ConfigError
from tidegate.providers import _OTHER_NAMES, near_provider, webhook_names
from tidegate.receive.inputs import compile_input


def loaded(scheme: str):
    text = f"[sources.s.webhook]\nverify = {{ type = 'hmac', {scheme} }}\nsecret = 'sekret'\n"
    return load_text(text, "tidegate.toml", {}).config.sources["s"]


@pytest.mark.parametrize("path", ["a..b", 'a."b', "$", "$.a", "a\\n", "a" * 1001])
@pytest.mark.parametrize("key", ["path", "timestamp_path", "items"])
def test_check_reads_the_paths_of_a_scheme_as_the_running_gateway_does(key: str, path: str) -> None:
    place = "path = 'sig'" if key == "items" else "" if key == "path" else "header = 'X-Sig'"
    quoted = '"' + path.replace('"', '\\"') + '"'
    with pytest.raises(ConfigError):
        loaded(", ".join(one for one in (place, f"{key} = {quoted}") if one))


def test_a_scheme_with_quoted_paths_compiles() -> None:
    source = loaded("path = '\"a.b\".sig', timestamp_path = 'meta.\"x.y\"', signed = '{body}'")
    assert compile_input("s", source, "").verify is not None


@pytest.mark.parametrize(
    ("name", "hint"),
    [("asaas", ""), ("openapi", ""), ("linode", ""), ("twitter", "x"), ("sns", "aws-sns"), ("shopfiy", "shopify")],
)
def test_a_hint_names_the_same_system_or_none(name: str, hint: str) -> None:
    assert near_provider(name) == hint


def test_every_other_name_is_one_of_a_file_that_ships() -> None:
    assert set(_OTHER_NAMES.values()) <= set(webhook_names())
    assert not _OTHER_NAMES.keys() & set(webhook_names())
