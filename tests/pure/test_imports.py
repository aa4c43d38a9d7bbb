"""Imports: a description of an API by another tool becomes a source that the checks accept, with a report of the rest.

The documents here are small and handwritten. Public ones are read where `.ci/api-documents` has brought them.
"""

from __future__ import annotations

import cProfile
import json
import resource
import sys
import time
from typing import Any

import pytest

from support.imports import ALL, accepted, imported, noted
from support.upstream.program import TOOLS, missing
from tidegate.rules.imports import Choice, ImportRejected, import_document
from tidegate.rules.imports.document import MAX_DEPTH, parse

# -- OpenAPI ---------------------------------------------------------------------------------------------


def openapi(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    bearer = {"components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}}
    base = {"openapi": "3.1.0", "info": {"title": "Pet Shop"}, "servers": [{"url": "https://api.pets.example/v1"}]}
    return {**base, **bearer, "paths": paths, **more}


def answers(schema: Any, **more: Any) -> dict[str, Any]:
    return {"responses": {"200": {"content": {"application/json": {"schema": schema}}, **more}}}


def query(*names: str, **schema: Any) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": schema or {"type": "string"}} for name in names]


PET = {"type": "object", "properties": {"id": {"type": "integer"}, "updated_at": {"type": "string"}}}
PETS = {"type": "array", "items": PET}


def test_a_list_becomes_a_resource_with_its_item_its_pages_its_version_and_its_cursor() -> None:
    params = [*query("limit", type="integer", maximum=50), *query("cursor", "color"),
              *query("updated_since", type="string", format="date-time")]  # fmt: skip
    body = {"type": "object", "properties": {"pets": PETS, "meta": {"properties": {"next_cursor": {}}}}}
    paths = {
        "/pets": {"get": {**answers(body), "parameters": params}},
        "/pets/{petId}": {"get": answers(PET)},
    }
    result = imported("openapi", openapi(paths))
    tree = accepted(result)
    assert tree["api"] == {
        "base_url": "https://api.pets.example/v1",
        "auth": {"type": "bearer", "token": "${env:SHOP_TOKEN}"},
    }
    assert tree["resources"] == {
        "pets": {
            "path": "/pets", "item_path": "/pets/{id}", "data_selector": "pets", "primary_key": "id",
            "version": "updated_at", "params": {"limit": 50}, "poll": "5m",
            "paginator": {"type": "cursor", "cursor_path": "meta.next_cursor", "cursor_param": "cursor"},
            "incremental": {"cursor_path": "updated_at", "param": "updated_since", "format": "iso8601", "lag": "1m"},
        }
    }  # fmt: skip
    assert "optional parameters: color" in noted(result, "left_out")
    assert "deletes" in noted(result, "left_out")
    assert "updated_since takes updated_at" in noted(result, "guessed")


@pytest.mark.parametrize(
    ("params", "fields", "headers", "paginator"),
    [
        (["page", "per_page"], [], ["Link"], {"type": "header_link"}),
        (["page"], ["total_pages"], [], {"type": "page_number", "page_param": "page", "total_path": "total_pages"}),
        (["offset", "limit"], [], [],
         {"type": "offset", "offset_param": "offset", "limit_param": "limit", "limit": 100}),
        (["starting_after"], ["has_more"], [],
         {"type": "cursor", "cursor_from_last": "id", "cursor_param": "starting_after", "has_more_path": "has_more"}),
        (["pageToken"], ["nextPageToken"], [],
         {"type": "cursor", "cursor_path": "nextPageToken", "cursor_param": "pageToken"}),
        ([], ["next_url"], [], {"type": "json_link", "next_url_path": "next_url"}),
        (["limit"], [], [], {"type": "auto"}),
        ([], [], [], {"type": "single_page"}),
    ],
)  # fmt: skip
def test_the_paginator_is_guessed_from_names(
    params: list[str], fields: list[str], headers: list[str], paginator: dict[str, Any]
) -> None:
    body = {"type": "object", "properties": {"data": PETS, **{one: {"type": "string"} for one in fields}}}
    call = {**answers(body, headers={one: {} for one in headers}), "parameters": query(*params)}
    result = imported("openapi", openapi({"/pets": {"get": call}}))
    assert accepted(result)["resources"]["pets"]["paginator"] == paginator
    assert ("paginator" in noted(result, "guessed")) is (paginator["type"] != "single_page")


def test_an_item_that_is_named_by_another_field_makes_that_field_the_key() -> None:
    issue = {"properties": {"id": {}, "number": {}}}
    paths = {
        "/repos/{owner}/issues": {"get": answers({"type": "array", "items": issue})},
        "/repos/{owner}/issues/{issue_number}": {"get": answers(issue)},
        "/tags": {"get": answers({"type": "array", "items": issue})},
        "/tags/{tag_name}": {"get": answers(issue)},
    }
    result = imported("openapi", openapi(paths))
    tree = accepted(result, owner="acme")["resources"]
    assert tree["issues"]["item_path"] == "/repos/{with.owner}/issues/{id}"
    assert tree["issues"]["primary_key"] == "number" and tree["issues"]["with"] == {"owner": "acme"}
    assert tree["tags"]["primary_key"] == "id" and "item_path" not in tree["tags"]
    result.source("shop", {})
    assert "--set owner=VALUE" in noted(result, "to_do")


def test_a_call_becomes_an_operation_with_its_required_fields() -> None:
    body = {"required": ["name"], "properties": {"name": {}, "color": {}, "id": {"readOnly": True}}}
    post = {
        "operationId": "createPet", "requestBody": {"content": {"application/json": {"schema": body}}},
        "parameters": [{"name": "Idempotency-Key", "in": "header"}], **answers(PET),
    }  # fmt: skip
    paths = {"/pets": {"get": answers(PETS), "post": post}, "/pets/{petId}": {"delete": {}}}
    result = imported("openapi", openapi(paths), Choice(operations=("create_pet", "delete_pets_pet_id")))
    tree = accepted(result)
    assert "resources" not in tree
    assert tree["operations"]["create_pet"] == {
        "method": "POST", "path": "/pets", "json": {"name": "{{ data.name }}"},
        "idempotency_header": "Idempotency-Key", "remember": {"id": "id"},
    }  # fmt: skip
    assert tree["operations"]["delete_pets_pet_id"]["path"] == "/pets/{{ data.petId }}"
    assert "optional fields of the body: color" in noted(result, "left_out")


def test_credentials_are_taken_in_the_order_of_need_and_ask_for_no_other_scope() -> None:
    flows = {"clientCredentials": {"tokenUrl": "https://pets.example/token", "scopes": {"read": "", "admin": ""}}}
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"}, "login": {"type": "oauth2", "flows": flows},
        "odd": {"type": "openIdConnect"},
    }  # fmt: skip
    paths = {"/pets": {"get": {**answers(PETS), "security": [{"login": ["read"]}, {"key": []}, {"odd": []}]}}}
    result = imported("openapi", openapi(paths, components={"securitySchemes": schemes}))
    auth = accepted(result)["api"]["auth"]
    assert auth["type"] == "oauth2_client_credentials" and auth["scopes"] == ["read"]
    assert [one.kind for one in result.credentials] == ["oauth2_client_credentials", "api_key"]
    assert "openIdConnect" in noted(result, "left_out")


def test_what_the_document_leaves_open_is_asked_for() -> None:
    needed = {"name": "account", "in": "query", "required": True, "schema": {"type": "string"}}
    variables = {"region": {"default": "eu"}, "tenant": {"description": "Your tenant"}}
    server = {"url": "https://{tenant}.{region}.pets.example", "variables": variables}
    paths = {"/pets": {"get": {**answers(PETS), "parameters": [needed]}}}
    result = imported("openapi", openapi(paths, servers=[server]))
    tree = accepted(result, tenant="acme", account="7")
    assert tree["api"]["base_url"] == "https://acme.eu.pets.example"
    assert tree["resources"]["pets"]["params"] == {"account": "{with.account}"}
    assert tree["resources"]["pets"]["with"] == {"account": "7"}
    assert noted(result, "to_do") == ""
    accepted(result)
    assert "tenant: Your tenant" in noted(result, "to_do")


def test_references_may_have_cycles_lead_nowhere_or_into_other_files() -> None:
    node = {
        "type": "object", "allOf": [{"$ref": "#/components/schemas/Node"}],
        "properties": {"id": {}, "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
                       "a": {"$ref": "#/components/schemas/A"}, "b": {"$ref": "#/nowhere"}, "c": {"$ref": "x.yaml#/C"}},
    }  # fmt: skip
    schemas = {
        "Node": node,
        "A0": {"$ref": "#/components/schemas/Node"},
        "A": {"$ref": "#/components/schemas/B"},
        "B": {"$ref": "#/components/schemas/A"},
    }
    nodes = {"type": "object", "properties": {"nodes": {"type": "array", "items": {"$ref": "#/components/schemas/A0"}},
                                              "a": {"$ref": "#/components/schemas/A"}, "b": {"$ref": "#/nowhere"},
                                              "c": {"$ref": "x.yaml#/C"}}}  # fmt: skip
    result = imported("openapi", openapi({"/nodes": {"get": answers(nodes)}}, components={"schemas": schemas}))
    assert accepted(result)["resources"]["nodes"]["primary_key"] == "id"
    assert "1 references into other files: x.yaml#/C" in noted(result, "left_out")
    assert "#/nowhere" in noted(result, "left_out")


def test_the_time_of_an_import_grows_with_the_document_and_not_with_its_square() -> None:
    """Lists and items that all have the same last name. Calls are counted, not seconds."""

    def steps(count: int) -> int:
        paths = {f"/p{n}/pets": {"get": answers(PETS)} for n in range(count)}
        paths |= {f"/p{n}/pets/{{id}}": {"get": answers(PET)} for n in range(count)}
        profile = cProfile.Profile()
        profile.runcall(imported, "openapi", openapi(paths))
        return sum(entry.callcount for entry in profile.getstats())

    assert steps(800) < 6 * steps(200)


def test_a_list_without_a_key_is_named_and_can_be_taken_with_one() -> None:
    words = {"type": "array", "items": {"properties": {"word": {}}}}
    paths = {"/pets": {"get": answers(PETS)}, "/words": {"get": answers(words)}}
    result = imported("openapi", openapi(paths))
    assert list(result.resources) == ["pets"] and "--resource words --key words=FIELD" in noted(result, "left_out")
    with pytest.raises(ImportRejected, match="no field that is a key") as caught:
        imported("openapi", openapi(paths), Choice(resources=("words",)))
    assert caught.value.hint == "--key words=FIELD names the key"
    taken = imported("openapi", openapi(paths), Choice(resources=("words",), keys={"words": "word"}))
    assert accepted(taken)["resources"]["words"]["primary_key"] == "word"


def test_what_is_taken_may_be_named_by_its_path_and_a_misspelled_name_finds_those_near_it() -> None:
    document = openapi({"/pets": {"get": answers(PETS)}, "/shops/pets": {"get": answers(PETS)}})
    for name in ("pets", "/pets", "GET /pets"):
        assert list(imported("openapi", document, Choice(resources=(name,))).resources) == ["pets"]
    with pytest.raises(ImportRejected) as caught:
        imported("openapi", document, Choice(resources=("shop_pet",)))
    assert "near it: shops_pets" in caught.value.hint


@pytest.mark.parametrize(
    ("document", "choice", "message"),
    [
        ({"swagger": "2.0", "paths": {}}, ALL, "Swagger 2.0"),
        ({"openapi": "3.0.0"}, ALL, "no paths"),
        ({"openapi": "3.1.0", "webhooks": {"petAdded": {"post": {}}}}, ALL, "no paths, but webhooks: petAdded"),
        ({"hello": 1}, ALL, "does not say openapi"),
        (openapi({"/pets": {"get": answers(PETS)}}), Choice(resources=("cats",)), "no resource 'cats'"),
        (openapi({"/pets": {"get": answers(PETS)}}), Choice(operations=("x",)), "no operation 'x'"),
        (openapi({"/pets": {"get": {}}}), Choice(), "no GET of the document"),
        (openapi({f"/p{n}": {"get": answers(PETS)} for n in range(26)}), Choice(), "26 lists"),
    ],
)
def test_what_cannot_be_imported_is_rejected_with_a_hint(document: Any, choice: Choice, message: str) -> None:
    with pytest.raises(ImportRejected, match=message) as caught:
        imported("openapi", document, choice)
    assert caught.value.hint


def test_what_a_document_says_and_an_import_cannot_take_is_noted() -> None:
    """GETs of one object, paths without calls, and values that nobody chose."""
    paths = {"/pets": {"get": answers(PETS)}, "/pets/{petId}": {"get": answers(PET)}, "/me": {"get": answers(PET)}}
    server = {"url": "https://{tenant}.pets.example", "variables": {"tenant": {"default": "demo"}}}
    result = imported("openapi", openapi({**paths, "/odd": None, "pets": {"get": {}}}, servers=[server]))
    tree = accepted(result)
    assert tree["api"]["base_url"] == "https://demo.pets.example"
    assert "tenant: it is demo, the default of the document -> --set tenant=VALUE" in noted(result, "guessed")
    left_out = noted(result, "left_out")
    assert "GET: the answer has no list of objects: /me ->" in left_out, "and not the item of the list"
    assert "paths: no call can be read there: /odd, pets ->" in left_out
    again = imported("openapi", openapi(paths, servers=[server]))
    again.source("shop", {"tenant": "acme"})
    assert "tenant" not in noted(again, "guessed")


@pytest.mark.parametrize(
    ("document", "command"),
    [
        ({"swagger": "2.0"}, "openapi"),
        ({"info": {"schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}}, "postman"),
        ({"client": {}, "resources": []}, "dlt"),
        ({"check": {}, "streams": []}, "airbyte"),
    ],
)
def test_a_document_of_another_format_is_named_with_its_command(document: Any, command: str) -> None:
    for format in {"openapi", "postman", "dlt", "airbyte"} - {command}:
        with pytest.raises(ImportRejected, match=r", not an? ") as caught:
            imported(format, document)
        assert caught.value.hint == f"tidegate import {command} api.json"


def test_odd_values_in_a_document_are_never_an_internal_error() -> None:
    """Every value of a small document is replaced by values of other types."""
    post = {"requestBody": {"content": {"application/json": {"schema": PET}}}, "parameters": query("a"), "security": []}
    base = json.dumps(openapi({"/pets": {"get": {**answers(PETS), "parameters": query("limit")}, "post": post}}))

    def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        return [path, *(place for key, one in pairs for place in places(one, (*path, key)))]

    for place in places(json.loads(base))[1:]:
        for odd in (None, 7, "x", [], {}, [None], {"$ref": "#"}, {"": 0}, True):
            document = json.loads(base)
            node = document
            for part in place[:-1]:
                node = node[part]
            node[place[-1]] = odd
            try:
                imported("openapi", document).source("shop", {})
            except ImportRejected:
                continue


# -- documents -------------------------------------------------------------------------------------------


def test_yaml_is_read_as_plain_values() -> None:
    text = b"a: &x {n: 1, t: 2026-01-01, on: yes}\nb: [*x, ~, 1.5, 'true']\nc: {<<: *x, n: 2}\n012: 0x1F\n"
    merged = b"a: &a {n: 1, x: 1}\nb: &b {n: 2, y: 2}\nc:\n  <<: [*a, *b]\n  z: 3\nd: {<<: [*a, 1]}\n"
    found = parse(merged, "x.yaml")
    assert found["c"] == {"n": 1, "x": 1, "y": 2, "z": 3}, "the first map counts"
    assert found["d"] == {"<<": [{"n": 1, "x": 1}, 1]}, "what cannot be merged stays"
    plain = {"n": 1, "t": "2026-01-01", "on": "yes"}
    assert parse(text, "x.yaml") == {
        "a": plain, "b": [plain, None, 1.5, "true"], "c": {**plain, "n": 2}, "012": "0x1F"
    }  # fmt: skip


BOMB = b"a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BOMB, "with what its aliases repeat"),
        (b"a: &a [*a]", "not complete there"),
        (b"a: *b", "YAML|not complete"),
        (b"a: !!python/object/apply:os.system [id]", "has the tag"),
        (b"a: !!python/name:os.system x", "has the tag"),
        (b"? {a: 1}\n: 2", "key that is not text"),
        (b"a: 1\n---\nb: 2", "second document"),
        (b"a: [" * 300 + b"]" * 300, "nested|YAML"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested"),
        (b"{", "not valid"),
        (b"- 1", "no object"),
        (b"\xff\xfe", "not UTF-8"),
        (b" " * ((32 << 20) + 1), "bytes"),
    ],
    ids=range(14),
)
def test_a_hostile_document_is_rejected_within_bounds(data: bytes, message: str) -> None:
    began = time.monotonic()
    with pytest.raises(ImportRejected, match=message):
        import_document("openapi", data, "api.yaml", ALL)
    assert time.monotonic() - began < 5


# -- Postman ---------------------------------------------------------------------------------------------


def postman(*items: Any, **more: Any) -> dict[str, Any]:
    schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    variables = [{"key": "baseUrl", "value": "https://api.pets.example/v1"}, {"key": "token", "value": "s3cret"}]
    return {"info": {"name": "Pets", "schema": schema}, "variable": variables, "item": list(items), **more}


def request(name: str, method: str, url: Any, answer: Any = None, **more: Any) -> dict[str, Any]:
    saved = [{"code": 200, "body": json.dumps(answer)}] if answer is not None else []
    return {"name": name, "request": {"method": method, "url": url, **more}, "response": saved}


def test_a_postman_collection_is_imported_by_its_saved_answers_and_without_its_secrets() -> None:
    page = {"pets": [{"id": 1, "updated_at": "2026-01-01"}], "total_pages": 3}
    url = {"raw": "{{baseUrl}}/shops/{{shop}}/pets?page=1&color=red",
           "query": [{"key": "page", "value": "1"}, {"key": "color", "value": "red"}]}  # fmt: skip
    body = {"mode": "raw", "raw": '{"name": "Rex", "owner": {"age": {{age}}}}'}
    headers = [{"key": "X-Api-Token", "value": "s3cret"}, {"key": "X-Client", "value": "me"}]
    auth = {"type": "bearer", "bearer": [{"key": "token", "value": "s3cret"}]}
    folder = {"name": "Pets", "item": [
        request("List pets", "GET", url, page, header=headers),
        request("Get pet", "GET", "{{baseUrl}}/shops/{{shop}}/pets/:petId", {"id": 1}),
        request("Create pet", "POST", "{{baseUrl}}/pets", body=body),
        request("Upload", "POST", "{{baseUrl}}/files", body={"mode": "file"}),
        request("Elsewhere", "GET", "https://other.example/x"),
        request("No answer", "GET", "{{baseUrl}}/cats"),
    ], "event": [{"listen": "prerequest"}]}  # fmt: skip
    result = imported("postman", postman(folder, auth=auth))
    tree = accepted(result, shop="main")
    assert tree["api"]["base_url"] == "https://api.pets.example/v1"
    assert tree["api"]["auth"] == {"type": "bearer", "token": "${env:SHOP_TOKEN}"}
    assert tree["resources"] == {
        "list_pets": {
            "path": "/shops/{with.shop}/pets", "item_path": "/shops/{with.shop}/pets/{id}", "data_selector": "pets",
            "primary_key": "id", "version": "updated_at", "params": {"color": "red"}, "headers": {"X-Client": "me"},
            "paginator": {"type": "page_number", "page_param": "page", "total_path": "total_pages"},
            "with": {"shop": "main"}, "poll": "5m",
        }
    }  # fmt: skip
    create = tree["operations"]["create_pet"]
    assert create["json"] == {"name": "{{ data.name }}", "owner": {"age": "{{ data.owner.age }}"}}
    left = noted(result, "left_out")
    for words in ("its scripts", "X-Api-Token", "its body, which is file", "other.example", "no saved JSON answer"):
        assert words in left
    assert "s3cret" not in json.dumps(result.provider()) + json.dumps(tree) + left + noted(result, "guessed")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"info": {"schema": "https://schema.getpostman.com/json/collection/v2.0.0/collection.json"}}, "v2.1"),
        (postman(), "no requests"),
        (postman(request("x", "GET", "{{baseUrl}}/a")), "ignored"),
    ],
)
def test_a_postman_collection_that_cannot_be_imported_is_rejected(document: Any, message: str) -> None:
    choice = Choice() if message == "ignored" else ALL
    with pytest.raises(ImportRejected, match="no GET of the collection" if message == "ignored" else message):
        imported("postman", document, choice)


# -- public documents ------------------------------------------------------------------------------------


@pytest.mark.skipif(bool(missing("api-documents")), reason=missing("api-documents"))
@pytest.mark.parametrize(
    ("file", "resources", "operations"), [("directus.json", 10, 60), ("figma.yaml", 15, 10), ("github.json", 200, 400)]
)
def test_everything_in_a_public_openapi_document_is_accepted(file: str, resources: int, operations: int) -> None:
    """GitHub's has 13 MB."""
    data = (TOOLS / "api-documents" / file).read_bytes()
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = import_document("openapi", data, file, ALL)
    assert time.monotonic() - began < 10
    if sys.platform == "linux":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 400 << 10
    assert len(result.resources) >= resources and len(result.operations) >= operations
    accepted(result)
    assert result.notes
