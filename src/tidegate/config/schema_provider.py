"""The JSON Schema (draft 2020-12) of provider files for editors, generated from the structs. Pure.

Owns the struct of a whole file, which is only needed here. Invariant: the schema accepts everything that
`config/checks_provider.py` accepts. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tidegate.config.schema import described, descriptions_of
from tidegate.core.spec import Name, Operation, Strict, doc
from tidegate.providers import api, shape
from tidegate.providers.api import ApiHalf, ProviderResource
from tidegate.providers.shape import Provider


class ProviderFile(Strict, frozen=True):
    title: Annotated[str, doc("The name of the system.")] = ""
    docs: Annotated[str, doc("URL of the documentation of its webhooks.")] = ""
    sources: Annotated[list[str], doc("Where the facts about its webhooks can be checked.")] = []
    unconfirmed: Annotated[list[str], doc("Facts about its webhooks that are known not to be confirmed.")] = []
    webhook: Annotated[Provider | None, doc("How its webhooks are verified and read.")] = None
    api: Annotated[ApiHalf | None, doc("How its API is called.")] = None
    resources: Annotated[dict[Name, ProviderResource], doc("Lists of records of its API, by name.")] = {}
    operations: Annotated[dict[Name, Operation], doc("Calls that change something, by name.")] = {}


def provider_schema() -> dict[str, Any]:
    """The whole schema, as `tidegate providers schema` prints it."""
    schema = msgspec.json.schema(ProviderFile, ref_template="#/$defs/{name}")
    definitions = schema["$defs"]
    words = descriptions_of(api, shape) | {"ProviderResource": descriptions_of(api)["ProviderResource"]}
    for name, definition in definitions.items():
        definition.pop("title", None)
        described(definition, words.get(name, {}))
    for key in ("title", "docs", "sources", "unconfirmed"):
        definitions["Provider"]["properties"].pop(key)  # at the top of the file
    root = definitions.pop("ProviderFile")
    root.pop("description", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A provider file of Tidegate",
        "description": "How the webhooks and the API of an outside system work.",
        **root,
        "$defs": definitions,
    }


def provider_schema_text() -> str:
    """`provider_schema` as a file: two spaces, one newline at the end."""
    return msgspec.json.format(msgspec.json.encode(provider_schema()), indent=2).decode() + "\n"
