"""Operations: what a call holds, what an answer means, and what cannot leave its place."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.core.errors import ConfigError
from tidegate.core.spec import LookUp, Operation
from tidegate.rules.language.templates import RenderFailed
from tidegate.rules.outbound.operations import ApiCall, CompiledOperation

VIEW: dict[str, Any] = {
    "type": "lead.new", "source": "site", "key": "k/1", "delivery_id": "evt_1", "remembered": {"id": "77"},
    "data": {"name": "Ada", "age": 36, "tags": ["a", "b"], "none": None, "evil": "../../admin?x=1#y\r\nX: 1"},
}  # fmt: skip


def call(**keys: Any) -> ApiCall:
    return CompiledOperation(Operation(**{"path": "/c", **keys})).request(VIEW)


def test_a_body_keeps_the_types_of_its_values_and_leaves_out_nulls() -> None:
    fields = {"n": "{{ data.name }}", "age": "{{ data.age }}", "t": "{{ data.tags }}", "gone": "{{ data.x }}"}
    more = {"text": "{{ data.name }} is {{ data.age }}", "in": {"none": "{{ data.none }}"}, "fixed": True}
    made = call(json={**fields, **more})
    assert made.body == b'{"n":"Ada","age":36,"t":["a","b"],"text":"Ada is 36","in":{},"fixed":true}'
    assert made.headers["Content-Type"] == "application/json"
    assert call(json={"none": "{{ data.none }}"}, nulls="send").body == b'{"none":null}'


def test_a_form_and_parameters_are_encoded() -> None:
    made = call(form={"email": "a+b@example.com", "n": "{{ data.age }}", "gone": "{{ data.x }}"})
    assert made.body == b"email=a%2Bb%40example.com&n=36"
    assert call(params={"q": "{{ data.tags }}", "e": "x&y=z", "gone": "{{ data.x }}"}).path == "/c?q=a&q=b&e=x%26y%3Dz"


def test_a_value_cannot_leave_its_place() -> None:
    assert call(path="/c/{{ data.evil }}/x").path == "/c/..%2F..%2Fadmin%3Fx%3D1%23y%0D%0AX%3A%201/x"
    assert call(path="/c/{{ key }}").path == "/c/k%2F1"
    (value,) = call(headers={"X-A": "{{ data.evil }}"}).headers.values()
    assert "\r" not in value and "\n" not in value


@pytest.mark.parametrize("place", ["data.none", "data.missing", "data.dots"])
def test_a_path_without_a_value_is_not_sent(place: str) -> None:
    view = {**VIEW, "data": {**VIEW["data"], "dots": ".."}}
    with pytest.raises(RenderFailed, match="no value for its place"):
        CompiledOperation(Operation(path=f"/c/{{{{ {place} }}}}")).request(view)


def test_the_idempotency_header_gets_the_delivery_id_and_remembered_ids_take_part() -> None:
    made = call(path="/c/{{ remembered.id }}", method="PATCH", idempotency_header="Idempotency-Key")
    assert made == ApiCall("PATCH", "/c/77", {"Idempotency-Key": "evt_1"}, None)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"path": "contacts"}, "does not begin with '/'"),
        ({"path": "/c/{{ data.id"}, "unmatched"),
        ({"path": "/c/{{ dat.id }}"}, "must start with one of"),
        ({"path": "/c d"}, "is not a path"),
        ({"json": {"a": "{{ b }}"}}, "must start with one of"),
    ],
)
def test_an_operation_that_cannot_work_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CompiledOperation(Operation(**{"path": "/c", **keys}))


@pytest.mark.parametrize(
    ("keys", "status", "body", "problem"),
    [
        ({}, 201, b'{"id": 1}', ""),
        ({}, 204, b"", ""),
        ({}, 400, b'{"message": "email is taken"}', 'answered 400: {"message": "email is taken"}'),
        ({"ok": [409]}, 409, b"{}", ""),
        ({"ok": [201]}, 200, b"{}", "answered 200"),
        ({"ok_path": "ok"}, 200, b'{"ok": false, "error": "no_channel"}', "ok is not true"),
        ({"ok_path": "ok"}, 200, b'{"ok": true}', ""),
        ({"ok_path": "ok"}, 200, b"<html>", "not JSON"),
        ({"error_path": "error"}, 200, b'{"error": "nope"}', "error is nope"),
        ({"error_path": "error"}, 200, b'{"error": null}', ""),
        ({"json": {"query": "mutation"}}, 200, b'{"data": null, "errors": [{"message": "bad id"}]}', "bad id"),
        ({}, 200, b'{"data": {}, "errors": [{"message": "partly"}]}', "partly"),
        ({}, 200, b'{"errors": []}', ""),
        ({"items_path": "results"}, 207, b'{"results": [{"status": 201}, {"status": 201}]}', ""),
        ({"items_path": "results"}, 207, b'{"results": [{"status": 201}, {"status": 422, "m": "x"}]}',
         "1 of 2 items failed"),
        ({"items_path": "results"}, 207, b'{"results": [{"status": "error"}]}', "1 of 1 items failed"),
        ({"items_path": "results"}, 207, b"{}", "results is not a list"),
    ],
)  # fmt: skip
def test_an_answer_means_what_its_api_says(keys: dict[str, Any], status: int, body: bytes, problem: str) -> None:
    reading = CompiledOperation(Operation(path="/c", **keys)).read(status, body)
    assert reading.ok == (problem == "") and problem in reading.problem


def test_what_is_remembered_is_a_scalar_of_the_answer() -> None:
    one = CompiledOperation(Operation(path="/c", remember={"id": "data.0.id", "etag": "v"}))
    assert one.remembered({"data": [{"id": 9}], "v": "x"}) == {"id": "9", "etag": "x"}
    with pytest.raises(RenderFailed, match="nothing to remember at 'v'"):
        one.remembered({"data": [{"id": 9}], "v": {}})


def test_a_look_up_finds_ids_or_nothing() -> None:
    spec = LookUp(path="/c", params={"email": "{{ data.name }}"}, result={"id": "items.0.id"})
    one = CompiledOperation(Operation(path="/c", look_up=spec)).look_up
    assert one is not None and one.request(VIEW).path == "/c?email=Ada"
    assert one.found(b'{"items": [{"id": 5}]}') == {"id": "5"}
    assert one.found(b'{"items": []}') == {} == one.found(b"<html>")
