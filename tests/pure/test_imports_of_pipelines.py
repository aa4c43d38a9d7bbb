"""Imports from tools that copy data: dlt REST configurations and a subset of Airbyte manifests.

The documents here are small and handwritten. Public ones are read where `.ci/api-documents` has brought them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.imports import ALL, accepted, imported, noted
from support.upstream.program import TOOLS, missing
from tidegate.rules.imports import Choice, ImportRejected, import_document

# -- dlt -------------------------------------------------------------------------------------------------


def test_a_dlt_configuration_is_imported_with_parents_paginators_and_cursors() -> None:
    since = {"type": "incremental", "cursor_path": "updated_at", "initial_value": "2026-01-01", "lag": 60, "convert": 1}
    document = {
        "client": {
            "base_url": "https://api.pets.example/v1/", "auth": {"type": "bearer", "token": "s3cret"},
            "headers": {"X-Version": "2", "X-Api-Key": "s3cret"}, "paginator": "header_link", "session": "x",
        },
        "resource_defaults": {"primary_key": "id", "endpoint": {"params": {"per_page": 100}}},
        "resources": [
            "shops",
            {"name": "pets", "processing_steps": [], "endpoint": {
                "path": "shops/{shop}/pets", "data_selector": "$.data[*]", "response_actions": [],
                "paginator": {"type": "offset", "limit": 50, "maximum_offset": 20},
                "params": {"shop": {"type": "resolve", "resource": "shops", "field": "id"}, "since": since}}},
            {"name": "odd", "endpoint": {"path": "odd", "data_selector": "$..x", "paginator": {"type": "mine"}}},
        ],
    }  # fmt: skip
    result = imported("dlt", document)
    tree = accepted(result)
    assert tree["api"] == {
        "base_url": "https://api.pets.example/v1", "headers": {"X-Version": "2"},
        "auth": {"type": "bearer", "token": "${env:SHOP_TOKEN}"},
    }  # fmt: skip
    assert tree["resources"]["shops"]["paginator"] == {"type": "header_link"}
    assert tree["resources"]["pets"] == {
        "path": "/shops/{resources.shops.id}/pets", "data_selector": "data", "primary_key": "id", "poll": "5m",
        "paginator": {"type": "offset", "limit": 50}, "params": {"per_page": 100},
        "incremental": {"cursor_path": "updated_at", "param": "since", "initial_value": "2026-01-01", "lag": "60s"},
        "parent": {"resource": "shops", "with": ["id"]},
    }  # fmt: skip
    left = noted(result, "left_out")
    for words in ("session", "X-Api-Key", "processing_steps", "response_actions", "maximum_offset", "convert", "'$..x'",
                  "the paginator 'mine'", "deletes"):  # fmt: skip
        assert words in left, words
    assert "s3cret" not in json.dumps(result.provider()) + json.dumps(tree) + left
    assert list(imported("dlt", document, Choice(resources=("pets",))).resources) == ["shops", "pets"]
    text = b'[client]\nbase_url = "https://a.example"\n[[resources]]\nname = "pets"\n'
    assert list(import_document("dlt", text, "rest.toml", ALL).resources) == ["pets"]


@pytest.mark.parametrize(
    "document", [{}, {"client": {}, "resources": ["a"]}, {"client": {"base_url": "https://a.example"}, "resources": []}]
)
def test_a_dlt_configuration_that_cannot_be_imported_is_rejected(document: Any) -> None:
    with pytest.raises(ImportRejected):
        imported("dlt", document)


# -- Airbyte ---------------------------------------------------------------------------------------------


def manifest(*streams: Any, **more: Any) -> dict[str, Any]:
    spec = {"properties": {"region": {"default": "eu", "title": "Region"}, "token": {"airbyte_secret": True}}}
    return {"version": "1.0.0", "check": {}, "streams": list(streams), "definitions": {"stream": STREAM},
            "spec": {"connection_specification": spec}, **more}  # fmt: skip


STREAM: dict[str, Any] = {
    "type": "DeclarativeStream", "primary_key": ["id"], "transformations": [{}],
    "retriever": {
        "type": "SimpleRetriever",
        "requester": {"type": "HttpRequester", "url_base": "https://{{ config['region'] }}.pets.example",
                      "authenticator": {"type": "BearerAuthenticator", "api_token": "{{ config['token'] }}"}},
        "record_selector": {"extractor": {"type": "DpathExtractor", "field_path": ["{{ parameters.name }}", "*"]}},
        "paginator": {
            "type": "DefaultPaginator",
            "page_token_option": {"inject_into": "request_parameter", "field_name": "after"},
            "page_size_option": {"inject_into": "request_parameter", "field_name": "limit"},
            "pagination_strategy": {"type": "CursorPagination", "page_size": 50,
                                    "cursor_value": "{{ response.get('meta', {})['next'] }}"},
        },
    },
    "incremental_sync": {
        "type": "DatetimeBasedCursor", "cursor_field": "updated_at", "datetime_format": "%s", "step": "P1M",
        "start_time_option": {"inject_into": "request_parameter", "field_name": "since"}, "lookback_window": "P2D",
    },
}  # fmt: skip


def test_an_airbyte_stream_is_imported_with_its_references_and_parameters() -> None:
    stream = {"$ref": "#/definitions/stream", "$parameters": {"name": "pets", "path": "/pets"}}
    router = {**STREAM, "name": "toys", "retriever": {**STREAM["retriever"], "partition_router": {"type": "Sub"}}}
    cycle = {"$ref": "#/definitions/loop"}
    result = imported("airbyte", manifest(stream, router, cycle, definitions={"stream": STREAM, "loop": {"x": cycle}}))
    tree = accepted(result)
    assert tree["api"]["base_url"] == "https://eu.pets.example" and tree["api"]["auth"]["type"] == "bearer"
    assert tree["resources"] == {
        "pets": {
            "path": "/pets", "data_selector": "pets", "primary_key": "id", "params": {"limit": 50}, "poll": "5m",
            "paginator": {"type": "cursor", "cursor_path": "meta.next", "cursor_param": "after"},
            "incremental": {"cursor_path": "updated_at", "param": "since", "format": "epoch_s", "lag": "2d"},
        }
    }  # fmt: skip
    left = noted(result, "left_out")
    for text in ("transformations", "step", "toys: it has a partition router (Sub)"):
        assert text in left
    with pytest.raises(ImportRejected, match="partition router"):
        imported("airbyte", manifest(router), Choice(resources=("toys",)))


def test_credentials_in_headers_of_an_airbyte_stream_are_taken_and_elsewhere_they_are_not() -> None:
    secret = {"properties": {"id": {"airbyte_secret": True, "title": "The id"}, "key": {"airbyte_secret": True}}}
    headers = {"X-Id": "{{ config['id'] }}", "X-Key": "{{ config.key }}", "X-Client": "tidegate"}
    page = {"type": "CursorPagination", "page_size": 9, "cursor_value": "{{ response['paging']['page'] + 1 }}"}

    def stream(name: str, **requester: Any) -> dict[str, Any]:
        retriever = STREAM["retriever"]
        own = {"type": "HttpRequester", "url_base": "https://pets.example", "path": name, **requester}
        pages = {**retriever["paginator"], "pagination_strategy": page}
        one = {**retriever, "requester": own, "paginator": pages}
        return {"name": name, "primary_key": "id", "$parameters": {"name": name}, "retriever": one}

    streams = [stream("pets", request_headers=headers), stream("bad", request_parameters={"k": "{{ config['key'] }}"})]
    result = imported("airbyte", manifest(*streams, spec={"connection_specification": secret}))
    tree = accepted(result)
    assert tree["api"]["headers"] == {"X-Id": "${env:SHOP_X_ID}"}
    assert tree["api"]["auth"] == {
        "type": "api_key", "name": "X-Key", "location": "header", "api_key": "${env:SHOP_API_KEY}"
    }  # fmt: skip
    assert tree["resources"]["pets"]["headers"] == {"X-Client": "tidegate"}
    assert tree["resources"]["pets"]["paginator"] == {"type": "page_number", "page_param": "after", "base_page": 1}
    assert "bad: it puts the secret key where no credential goes" in noted(result, "left_out")


@pytest.mark.parametrize(
    ("requester", "base", "path"),
    [
        ({"url": "https://pets.example/v2/pets"}, "https://pets.example", "/v2/pets"),
        ({"url": "https://pets.example"}, "https://pets.example", "/"),
        ({"url": "https://pets.example/v2", "path": "pets"}, "https://pets.example/v2", "/pets"),
        ({"url_base": "https://pets.example/v2/", "path": "/pets"}, "https://pets.example/v2", "/pets"),
    ],
)
def test_a_whole_address_of_a_newer_airbyte_manifest_is_taken_apart(
    requester: dict[str, str], base: str, path: str
) -> None:
    retriever = {"type": "SimpleRetriever", "requester": {"type": "HttpRequester", **requester}}
    result = imported("airbyte", {**manifest({"name": "pets", "primary_key": "id", "retriever": retriever}),
                                  "dynamic_streams": [{"type": "DynamicDeclarativeStream"}]})  # fmt: skip
    tree = accepted(result)
    assert (tree["api"]["base_url"], tree["resources"]["pets"]["path"]) == (base, path)
    assert "dynamic_streams: 1 kinds of streams" in noted(result, "left_out")


@pytest.mark.parametrize("document", [{}, {"streams": [], "check": {}}, {"streams": ["#/nowhere"], "check": {}}])
def test_an_airbyte_manifest_that_cannot_be_imported_is_rejected(document: Any) -> None:
    with pytest.raises(ImportRejected):
        imported("airbyte", document, Choice())


@pytest.mark.skipif(bool(missing("api-documents")), reason=missing("api-documents"))
def test_two_public_manifests_are_imported_or_say_why_not() -> None:
    folder = TOOLS / "api-documents"
    result = import_document("airbyte", (folder / "aircall.yaml").read_bytes(), "aircall.yaml", ALL)
    assert len(accepted(result)["resources"]) == 9 and "incremental_sync" in noted(result, "left_out")
    other = import_document("airbyte", (folder / "babelforce.yaml").read_bytes(), "babelforce.yaml", ALL)
    tree = accepted(other)
    assert tree["api"]["headers"] == {"X-Auth-Access-ID": "${env:SHOP_X_AUTH_ACCESS_ID}"}
    assert (tree["api"]["auth"]["type"], tree["api"]["auth"]["name"]) == ("api_key", "X-Auth-Access-Token")
    calls = tree["resources"]["calls"]
    assert calls["paginator"] == {"type": "page_number", "page_param": "page", "base_page": 1}
    assert calls["incremental"]["param"] == "filters.dateCreated.from" and calls["data_selector"] == "items"
    assert "dateCreated shows new records, and no changes" in noted(other, "guessed")
