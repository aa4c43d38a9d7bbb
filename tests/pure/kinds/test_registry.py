"""The registry of destination kinds: each kind declares everything that the rest of the program reads from it."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.receiver.kinds import EVENT_ID, event
from tidegate.config.checks import check_item
from tidegate.config.export import decode_destination, export_tree, hide_secrets, to_toml
from tidegate.config.load import load_text
from tidegate.config.problems import Problems
from tidegate.config.schema import DESCRIPTIONS
from tidegate.config.spec import ApiInput, Config, Source
from tidegate.core.spec import Destination, Operation
from tidegate.kinds import KINDS, decode
from tidegate.kinds.base import Kind
from tidegate.kinds.chat import ChatKind

SOURCE = Path(__file__).parents[3] / "src" / "tidegate"
TRANSPORTS = {"http", "operation", "smtp"}
HUSH = "https://chat.example.com/services/T0/hush-address?key=hush-query"


def example(kind: Kind[Any]) -> Destination:
    """A destination of the kind with every secret filled in."""
    keys = {name: tomllib.loads(f"value = {value}")["value"] for name, value in kind.examples.items()}
    keys |= dict.fromkeys(kind.secret_fields, "hush-secret-of-16+")
    address = {"url": HUSH} if "url" in {field.name for field in msgspec.structs.fields(kind.spec)} else {}
    return msgspec.convert({"type": kind.name, **keys, **address}, kind.spec)


each = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


@each
def test_a_kind_is_complete(kind: Kind[Any]) -> None:
    assert kind.spec.__struct_config__.tag == kind.name
    assert issubclass(kind.spec, Destination)
    assert kind.title and kind.help.endswith(".")
    assert kind.transport in TRANSPORTS
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind.spec)}
    shared = {field.encode_name for field in msgspec.structs.fields(Destination)}
    assert set(fields) - shared <= set(kind.keys) <= set(fields)
    assert {name for name, field in fields.items() if field.required} <= set(kind.examples) <= set(fields)
    assert set(DESCRIPTIONS[kind.spec.__name__]) == {*fields, "type"}
    assert kind.signs == ("secret" in kind.secret_fields)


@each
def test_a_kind_checks_its_example_and_refuses_an_address_that_is_none(kind: Kind[Any]) -> None:
    address = next(name for name in ("url", "host", "operation") if name in kind.spec.__struct_fields__)
    for spec, wrong in ((example(kind), 0), (msgspec.structs.replace(example(kind), **{address: "no where"}), 1)):
        problems = Problems()
        check_item("destination", "d", spec, problems)
        assert len(problems) == wrong, problems.errors()


@each
def test_no_secret_of_a_kind_is_shown_or_exported(kind: Kind[Any]) -> None:
    spec = example(kind)
    shown = hide_secrets(spec)
    assert "hush" not in repr(shown).replace("hush-address", "" if not kind.secret_address else "hush-address")
    assert decode_destination("d", shown, spec) == spec, "what is hidden is kept when it is sent back"
    source, operation = kind.calls(spec)
    api = ApiInput(base_url="https://api.example.com")
    called = {source: Source(api=api, operations={operation: Operation(path="/c")})} if source else {}
    config = Config(sources=called, destinations={"d": spec})
    text = to_toml(config)
    assert "hush-secret" not in text and "hush-query" not in text
    assert ("hush-address" in text) is not (kind.secret_address or not hasattr(spec, "url"))
    assert load_text(text, "t.toml", export_tree(config)[1]).config == config
    assert "hush" not in kind.shown_address(spec).replace("hush-address", "hush" * kind.secret_address)
    assert "hush" not in repr(kind.settings(spec))


@each
def test_a_test_send_needs_no_field_of_an_event_but_the_name(kind: Kind[Any]) -> None:
    spec = example(kind)
    request = kind.prepare_test(spec, kind.secrets(spec))(event({"destination": "crm"}), EVENT_ID, 1, 1)
    assert b"crm" in request.body
    assert "hush" not in repr(kind.shown_request(spec, request).headers)


@each
def test_a_stored_destination_reads_back(kind: Kind[Any]) -> None:
    spec = example(kind)
    assert decode(msgspec.json.encode(spec)) == spec


@each
def test_the_address_of_a_chat_is_a_secret(kind: Kind[Any]) -> None:
    """Anyone who knows the address of a chat's webhook can post."""
    assert kind.secret_address or not isinstance(kind, ChatKind)


def test_a_destination_without_a_type_is_a_webhook() -> None:
    assert decode(b'{"url":"https://d.example.com"}') == KINDS["webhook"].spec(url="https://d.example.com")


def compared_names(tree: ast.AST, names: set[str]) -> list[int]:
    """Lines that compare something with the name of a kind, or ask for the struct of one."""
    found = []
    for node in ast.walk(tree):
        values: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            values = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            values = [node.value]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            values = [ast.Constant(one.id) for one in ast.walk(node.args[1]) if isinstance(one, ast.Name)]
        parts = [part for value in values for part in ast.walk(value)]
        if any(isinstance(part, ast.Constant) and part.value in names for part in parts):
            found.append(node.lineno if isinstance(node, ast.expr) else 0)
    return found


def lines_that_compare(text: str, names: set[str]) -> list[int]:
    """The same for a text, which is only parsed when one of the names is in it."""
    return compared_names(ast.parse(text), names) if any(name in text for name in names) else []


def test_no_code_outside_the_kinds_decides_by_the_name_of_a_kind() -> None:
    names = {*KINDS, *(kind.spec.__name__ for kind in KINDS.values())} - {"webhook"}
    found = {
        str(path.relative_to(SOURCE)): lines
        for path in SOURCE.rglob("*.py")
        if path.parent.name != "kinds" and (lines := lines_that_compare(path.read_text(), names))
    }
    assert found == {}
    planted = 'if spec.type == "slack":\n    pass\nisinstance(spec, SlackDestination)'
    assert lines_that_compare(planted, names) == [1, 3]
