"""The JSON Schema (draft 2020-12) of `tidegate.toml` for editors, generated from the structs.

Reads the descriptions of keys where the structs have them. Pure. Invariant: the schema accepts everything that the
loader accepts; it is looser only where a value can come from `${...}`, and where one key depends on another. Crash:
nothing is kept.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import msgspec

from tidegate import auth, kinds
from tidegate.config import spec as config_spec
from tidegate.config.spec import Config
from tidegate.core import spec
from tidegate.rules.sync import paginators
from tidegate.rules.sync import spec as resource_spec

SCHEMA_FILE = "tidegate.schema.json"
_PLACEHOLDER = r"\$\{(env|file):[^{}]+\}"
_TYPE_OF_DESTINATION = "Type of the receiver."


def _described_keys(struct: type[msgspec.Struct]) -> dict[str, str]:
    """key -> description, as the struct has it beside the member."""
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    documented = {one.encode_name: one.type for one in info.fields if isinstance(one.type, msgspec.inspect.Metadata)}
    texts = {key: (kind.extra_json_schema or {}).get("description", "") for key, kind in documented.items()}
    return {key: text for key, text in texts.items() if text}


def descriptions_of(*modules: ModuleType) -> dict[str, dict[str, str]]:
    """struct -> key -> description, of the structs that modules name. Kinds have theirs in a table."""
    named = [one for module in modules for one in vars(module).values()]
    structs = {one for one in named if isinstance(one, type) and issubclass(one, msgspec.Struct)}
    found = {one.__name__: keys for one in structs if (keys := _described_keys(one))}
    return found | {one.spec.__name__: {"type": one.help, **one.keys} for one in paginators.KINDS.values()}


def _descriptions() -> dict[str, dict[str, str]]:
    """Those of the whole configuration."""
    found = descriptions_of(spec, config_spec, resource_spec)
    found["Destination"]["type"] = _TYPE_OF_DESTINATION
    found |= {one.spec.__name__: {**found["Destination"], **one.keys} for one in kinds.KINDS.values()}
    return found | {one.spec.__name__: {"type": one.help, **one.keys} for one in auth.KINDS.values()}


DESCRIPTIONS = _descriptions()


def json_schema() -> dict[str, Any]:
    """The whole schema, as `tidegate config schema` prints it."""
    schema = msgspec.json.schema(Config, ref_template="#/$defs/{name}")
    definitions = schema["$defs"]
    for name, definition in definitions.items():
        definition.pop("title", None)
        described(definition, DESCRIPTIONS.get(name, {}))
    definitions[kinds.KINDS[kinds.DEFAULT].spec.__name__]["required"].remove("type")  # the default
    for name, key in (("ApiInput", "base_url"), ("Resource", "path"), ("Operation", "path")):
        definitions[name]["required"].remove(key)  # a provider file can give it
    _loosen(definitions)
    # Only an object at the top, so that editors find the keys without following a reference.
    root = definitions.pop("Config")
    root.pop("description", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tidegate.toml",
        "description": "The configuration of a Tidegate gateway.",
        **root,
        "$defs": definitions,
    }


def schema_text() -> str:
    """`json_schema` as a file: two spaces, one newline at the end."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"


def described(definition: dict[str, Any], words: dict[str, str]) -> None:
    """Put the descriptions of its keys into the schema of a struct."""
    for key, prop in definition.get("properties", {}).items():
        definition["properties"][key] = _described(prop, words.get(key, ""))


def _described(prop: dict[str, Any], words: str) -> dict[str, Any]:
    prop = _without_null(prop)
    return {"description": words} | prop | {"description": words} if words else prop


def _without_null(prop: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null: an absent key is left out."""
    members = prop.get("anyOf")
    if not members or {"type": "null"} not in members:
        return prop
    rest = [member for member in members if member != {"type": "null"}]
    out = {key: value for key, value in prop.items() if key not in ("anyOf", "default")}
    return {**out, **rest[0]} if len(rest) == 1 else {**out, "anyOf": rest}


def _loosen(node: Any) -> None:
    """Allow `${...}` wherever a string has a format. Children first, so that new nodes are not visited again."""
    if isinstance(node, list):
        for value in node:
            _loosen(value)
    if not isinstance(node, dict):
        return
    for value in node.values():
        _loosen(value)
    if isinstance(node.get("pattern"), str) and node.get("type") == "string":
        node["pattern"] = f"{node['pattern']}|{_PLACEHOLDER}"
    words = node.get("enum")
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        del node["enum"]
        node["anyOf"] = [{"enum": words}, {"type": "string", "pattern": _PLACEHOLDER}]
