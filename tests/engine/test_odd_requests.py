"""Requests that are accepted although something about them is odd: it is reported and explained, over a real socket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.gateway.api import Served, served
from tidegate.rules.inbound.cloudevents import why_not_valid
from tidegate.rules.inbound.places import compile_paths
from tidegate.rules.language.body import read_body

TOML = """
[sources.ce.webhook]
verify = "cloudevents"
secret = "tok"
[sources.open.webhook]
verify = "none"
type_path = "type"
"""
STRUCTURED, BATCH, JSON = "application/cloudevents+json", "application/cloudevents-batch+json", "application/json"
VALID = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}


def without(values: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if key != name}


EVENTS = [
    (VALID, STRUCTURED, {}, ""),
    ({**VALID, "data": 1}, f"{STRUCTURED}; charset=utf-8", {}, ""),
    ({**VALID, "data_base64": "aGk="}, STRUCTURED, {}, ""),
    ([VALID, VALID], BATCH, {}, ""),
    ([], BATCH, {}, ""),
    ({}, JSON, BINARY, ""),
    ({**VALID, "specversion": "0.3"}, STRUCTURED, {}, "specversion is '0.3', and 1.0 is read"),
    ({**VALID, "specversion": 1.0}, STRUCTURED, {}, "specversion is 1.0, and 1.0 is read"),
    (without(VALID, "specversion"), STRUCTURED, {}, "it has no specversion"),
    (without(VALID, "source"), STRUCTURED, {}, "it has no source"),
    ({**VALID, "id": ""}, STRUCTURED, {}, "id is '', not text"),
    (
        {**VALID, "type": {"a": "b" * 99}},
        STRUCTURED,
        {},
        f"type is {{'a': '{'b' * 33}..., not text",
    ),
    ({**VALID, "data": 1, "data_base64": "aGk="}, STRUCTURED, {}, "it has both data and data_base64"),
    ({**VALID, "data_base64": "!"}, STRUCTURED, {}, "data_base64 is not base64"),
    ({**VALID, "data_base64": [1]}, STRUCTURED, {}, "data_base64 is not base64"),
    ([VALID, 1], BATCH, {}, "event 1 of the batch: it is not a JSON object"),
    ([VALID, without(VALID, "id")], BATCH, {}, "event 1 of the batch: it has no id"),
    ({}, BATCH, {}, "the body of its batch is not a JSON list"),
    ([], STRUCTURED, {}, "its body is not a JSON object"),
    ({}, JSON, {**BINARY, "ce-specversion": "7"}, "specversion is '7', and 1.0 is read"),
    ({}, JSON, without(BINARY, "ce-id"), "it has no id"),
    ({}, JSON, {}, "it has neither ce- headers nor the content type application/cloudevents+json"),
]


@pytest.mark.parametrize(("body", "kind", "headers", "why"), EVENTS, ids=range(len(EVENTS)))
def test_what_a_cloudevent_lacks_is_named(body: object, kind: str, headers: dict[str, str], why: str) -> None:
    raw = {name.encode(): value.encode() for name, value in {**headers, "content-type": kind}.items()}
    assert why_not_valid(raw, json.dumps(body).encode()) == why


async def explained(gate: Served, source: str, body: bytes, headers: dict[str, str]) -> tuple[str, str]:
    """(the notes of the event, its findings)."""
    sent = await gate.api("POST", f"/in/{source}", body, headers={"Authorization": "Bearer tok", **headers})
    assert sent.status == 202, sent
    made = sent.json()
    found = await gate.api.get(f"/explain/{made['id'] if 'id' in made else made['data'][-1]['id']}")
    codes = " ".join(f"{one['code']}: {one['samples'][-1]}" for one in found["findings"] if one["samples"])
    return " ".join(found["notes"]), codes


async def test_a_cloudevent_that_is_not_valid_is_stored_reported_and_explained(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        body = json.dumps({**VALID, "data": {"n": 1}}).encode()
        assert await explained(gate, "ce", body, {"content-type": STRUCTURED}) == ("", "")
        notes, codes = await explained(gate, "ce", body.replace(b"1.0", b"2.0"), {"content-type": STRUCTURED})
        assert "it is not a valid CloudEvent 1.0: specversion is '2.0', and 1.0 is read; a receiver may" in notes
        assert "cloudevent_invalid: specversion is '2.0', and 1.0 is read" in codes
        notes, _ = await explained(gate, "ce", b"{}", {"content-type": JSON, **without(BINARY, "ce-source")})
        assert "it has no source" in notes
        batch = json.dumps([VALID, without(VALID, "id")]).encode()
        notes, codes = await explained(gate, "ce", batch, {"content-type": BATCH})
        assert "it is not a valid CloudEvent 1.0: it has no id" in notes
        assert "event 1 of the batch: it has no id" in codes


LABELS = [
    ({"content-encoding": "gzip"}, "labeled gzip and is not"),
    ({"content-encoding": "br"}, "labeled br and is not"),
    ({"content-encoding": "lz4"}, "only gzip, deflate, br and zstd are"),
    ({"content-type": "application/xml"}, "not XML that can be read"),
    ({"content-type": "multipart/form-data"}, "names no boundary"),
    ({"content-type": "application/json; charset=utf-16"}, "not JSON"),
    ({"content-type": "application/json; charset=cp037"}, "not JSON"),
]


@pytest.mark.parametrize(("headers", "why"), LABELS, ids=range(len(LABELS)))
async def test_json_with_a_label_that_is_wrong_is_reported_as_filters_see_it(
    tmp_path: Path, headers: dict[str, str], why: str
) -> None:
    async with served(tmp_path, TOML) as gate:
        notes, codes = await explained(gate, "open", b'{"type":"a"}', {"content-type": JSON, **headers})
        assert why in notes
        assert "body_unreadable" in codes and why in codes


KINDS = [
    "", JSON, "text/html", "application/x-ndjson", "application/x-www-form-urlencoded", "text/plain; charset=x",
    f"{JSON}; charset=iso-8859-1", f"{JSON}; charset=klingon", "application/octet-stream",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_places_and_filters_agree_on_what_can_be_read(kind: str) -> None:
    body = b'{"type":"a"}'
    found = compile_paths(["type"])({b"content-type": kind.encode()}, body)
    assert (found.values, found.why) == (["a"], "")
    assert read_body(body, kind).why == ""
