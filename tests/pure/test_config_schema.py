"""The schema for editors accepts what the loader accepts, refuses unknown keys, and says a word about every key."""

from __future__ import annotations

import tomllib
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from support.gateway.sample_config import SAMPLE
from tidegate.cli.check import STARTER
from tidegate.config.schema import DESCRIPTIONS, json_schema, schema_text
from tidegate.core import spec as model
from tidegate.rules.sync import spec as resource_model

SCHEMA = json_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)


def test_the_schema_is_one_of_draft_2020_12() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(SCHEMA)


@pytest.mark.parametrize("text", [SAMPLE, STARTER, ""], ids=["sample", "starter", "empty"])
def test_the_schema_accepts_what_the_loader_accepts(text: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(tomllib.loads(text))] == []


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ((), "retentoin"),
        (("destinations", "crm"), "urll"),
        (("sources", "shop", "resources", "orders"), "pol"),
        (("sources", "shop", "resources", "orders", "paginator"), "next"),
        (("routes", "big-sales", "transform"), "drop"),
    ],
)
def test_the_schema_refuses_unknown_keys(place: tuple[str, ...], key: str) -> None:
    tree: dict[str, Any] = tomllib.loads(SAMPLE)
    node = tree
    for part in place:
        node = node[part]
    node[key] = 1
    assert not VALIDATOR.is_valid(tree)


@pytest.mark.parametrize(
    ("value", "fits"), [("5s", True), ("5", False), ("${env:T}", True), ("${file:t}", True), (5, False)]
)
def test_a_duration_has_its_form_or_a_placeholder(value: object, fits: bool) -> None:
    tree = {"destinations": {"d": {"url": "https://d.example.com", "timeout": value}}}
    assert VALIDATOR.is_valid(tree) is fits


def test_a_kind_may_come_from_a_placeholder() -> None:
    tree = {"destinations": {"d": {"url": "https://d.example.com", "type": "${env:KIND}"}}}
    assert VALIDATOR.is_valid(tree)
    tree["destinations"]["d"]["type"] = "carrier-pigeon"
    assert not VALIDATOR.is_valid(tree)


# Kinds of auth and pages explain themselves by their type; their keys are those of the source's documentation.
UNDESCRIBED = ("Auth", "Paginator", "Page")


def test_every_key_is_described_beside_its_member() -> None:
    everything = {**vars(model), **vars(resource_model)}
    structs = {
        name: one for name, one in everything.items() if isinstance(one, type) and issubclass(one, msgspec.Struct)
    }
    for name, struct in structs.items():
        if name.startswith(("_", "Struct")) or name.endswith(UNDESCRIBED):
            continue
        keys = {field.encode_name for field in msgspec.structs.fields(struct)}
        if struct.__struct_config__.tag_field:
            keys.add(struct.__struct_config__.tag_field)
        assert set(DESCRIPTIONS.get(name, {})) == keys, name


def test_the_schema_as_a_file_is_stable() -> None:
    assert schema_text() == schema_text()
    assert schema_text().endswith("}\n")
