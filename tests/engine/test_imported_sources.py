"""An imported source is polled to the end: each format describes one API, and a double of that API is read by it.

What the import writes is loaded as a user's file is, and polled through changes, failures and page sizes as every
provider file is. Nothing is added to what was imported but the credential, and the address of the double.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.catalog.auth import SECRET, bearer
from support.catalog.calls import Item, Listing
from support.catalog.driver import polled
from support.catalog.pages import Numbered, Pager, Tokens
from support.catalog.shape import Double, State, Table
from support.catalog.times import iso_ms, read_iso
from support.catalog.where import hides_gone, param
from tidegate.config.export import source_toml
from tidegate.config.load import load_text
from tidegate.config.spec import Source
from tidegate.rules.imports import Choice, import_document

CHANGES = 50
URL = "https://api.pets.example/v1"


def pet(state: State) -> dict[str, Any]:
    return {"id": state.number, "name": state.mark, "updated_at": iso_ms(state.at_us)}


def double(pages: Pager, **listing: Any) -> Double:
    since = param("updated_since", ">=", "updated", read_iso)
    rows = Listing(path="/pets", table="pets", pages=pages, where=(since, hides_gone()), order=(("updated", False),),
                   **listing)  # fmt: skip
    return Double(
        name="pets", sources=("this test",), auth=bearer(), resources={"pets": "pets"},
        tables=(Table(name="pets", row=pet, changes="cu", resolution_us=1000, first=60),),
        calls=(rows, Item(path="/pets/{id}", table="pets")),
    )  # fmt: skip


NUMBERED = Numbered(size="per_page", default=20, maximum=50, pages="total_pages")
TOKENS = Tokens(token="cursor", out="meta.next_cursor", size="limit", default=20, maximum=50)

# -- the documents -----------------------------------------------------------------------------------------

PET = {"type": "object", "properties": {"id": {"type": "integer"}, "name": {}, "updated_at": {"type": "string"}}}
PAGE = {"type": "object", "properties": {"pets": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}},
                                         "meta": {"properties": {"next_cursor": {"type": "string"}}}}}  # fmt: skip


def answer(schema: Any) -> dict[str, Any]:
    return {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}


def query(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


OPENAPI = {
    "openapi": "3.1.0", "info": {"title": "Pets"}, "servers": [{"url": URL}],
    "components": {"schemas": {"Pet": PET}, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    "security": [{"key": []}],
    "paths": {
        "/pets": {"get": {**answer(PAGE), "parameters": [
            query("limit", type="integer", maximum=50), query("cursor", type="string"),
            query("updated_since", type="string", format="date-time"),
        ]}},
        "/pets/{petId}": {"get": answer({"$ref": "#/components/schemas/Pet"})},
    },
}  # fmt: skip
SINCE = {"inject_into": "request_parameter", "field_name": "updated_since"}
AIRBYTE = {
    "version": "1.0.0", "check": {"stream_names": ["pets"]},
    "streams": [{
        "type": "DeclarativeStream", "name": "pets", "primary_key": "id",
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {"type": "HttpRequester", "url_base": URL, "path": "/pets",
                          "authenticator": {"type": "BearerAuthenticator", "api_token": "{{ config['token'] }}"}},
            "record_selector": {"extractor": {"type": "DpathExtractor", "field_path": ["pets"]}},
            "paginator": {
                "type": "DefaultPaginator",
                "page_token_option": {"inject_into": "request_parameter", "field_name": "page"},
                "page_size_option": {"inject_into": "request_parameter", "field_name": "per_page"},
                "pagination_strategy": {"type": "PageIncrement", "page_size": 50, "start_from_page": 1},
            },
        },
        "incremental_sync": {"type": "DatetimeBasedCursor", "cursor_field": "updated_at",
                             "datetime_format": "%Y-%m-%dT%H:%M:%SZ", "start_time_option": SINCE},
    }],
    "spec": {"connection_specification": {"properties": {"token": {"airbyte_secret": True}}}},
}  # fmt: skip
DLT = {
    "client": {"base_url": URL, "auth": {"type": "bearer", "token": "x"}},
    "resources": [{"name": "pets", "primary_key": "id", "endpoint": {
        "path": "pets", "data_selector": "pets", "params": {"limit": 50, "updated_since": {
            "type": "incremental", "cursor_path": "updated_at", "initial_value": "2020-01-01T00:00:00Z"}},
        "paginator": {"type": "cursor", "cursor_path": "meta.next_cursor", "cursor_param": "cursor"},
    }}],
}  # fmt: skip
LISTED = {"pets": [{"id": 1, "name": "Rex", "updated_at": "2026-01-01T00:00:00Z"}], "total_pages": 3}
POSTMAN = {
    "info": {"name": "Pets", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
    "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "x"}]},
    "variable": [{"key": "baseUrl", "value": URL}],
    "item": [
        {"name": "pets",
         "request": {"method": "GET", "url": "{{baseUrl}}/pets?page=1&per_page=50&updated_since=2026-01-01"},
         "response": [{"code": 200, "body": json.dumps(LISTED)}]},
        {"name": "pet", "request": {"method": "GET", "url": "{{baseUrl}}/pets/:id"}},
    ],
}  # fmt: skip

FORMATS: list[tuple[str, dict[str, Any], Double]] = [
    ("openapi", OPENAPI, double(TOKENS, put="pets")),
    ("airbyte", AIRBYTE, double(NUMBERED, put="pets")),
    ("dlt", DLT, double(TOKENS, put="pets")),
    ("postman", POSTMAN, double(NUMBERED, put="pets")),
]


def imported(format: str, document: dict[str, Any]) -> Source:
    """The source as `tidegate import` prints it, loaded as a file with the credential in its environment."""
    result = import_document(format, json.dumps(document).encode(), "pets.json", Choice(resources=("pets",)))
    tree, variables = result.source("pets", {})
    text = source_toml("pets", tree)
    return load_text(text, "tidegate.toml", dict.fromkeys(variables, SECRET)).config.sources["pets"]


@pytest.mark.parametrize(("format", "document", "api"), FORMATS, ids=[one[0] for one in FORMATS])
async def test_an_imported_source_misses_and_invents_nothing(
    tmp_path: Path, format: str, document: dict[str, Any], api: Double
) -> None:
    source = imported(format, document)
    rule = source.resources["pets"].incremental
    assert rule is not None and rule.param == "updated_since", "each poll asks for what changed"
    async with polled(tmp_path, api, source) as one:
        await one.live(CHANGES)
        counts = await one.check("pets")
    assert counts["records"] >= 60 and counts["updated"] > 0
