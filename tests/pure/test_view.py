"""Bodies of anybody's making become plain values or None, and nothing raises."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.model import Event, NewEvent, Origin
from tidegate.rules.language.body import read_body
from tidegate.rules.language.numbers import encode_hook
from tidegate.rules.language.view import MAX_DEPTH, MISSING, dig, event_view, parse_body, payload


def event(body: bytes = b"", content_type: str = "application/json", **parts: object) -> Event:
    return Event(1, "payments", "a.b", Origin.WEBHOOK, 0, 0, body, content_type, **parts)


@pytest.mark.parametrize(
    ("content_type", "body", "wanted"),
    [
        ("application/json", b'{"a":1}', {"a": 1}),
        ("Application/JSON; charset=utf-8", b"[1,true,null]", [1, True, None]),
        ("application/cloudevents+json", b'"text"', "text"),
        ("text/json", b"5", 5),
        ("application/json", b"null", None),
        ("application/json", b"", None),
        ("application/json", b"{", None),
        ("application/json", b"NaN", None),
        ("application/json", b"[1e999]", [float("inf")]),
        ("application/json", b'{"a":"\xff"}', None),
        ("application/json", b"9" * 30, int("9" * 30)),
        ("application/json", b"9" * 100_000, None),
        ("application/json", b"\xef\xbb\xbf[1]", [1]),
        ("application/json", b'{"a":"x\\ud83d"}', {"a": "x\ufffd"}),
        ("application/json", b'["\\uDC00",1e999]', ["\ufffd", float("inf")]),
        ("application/json", b'["\\uDC00",NaN]', None),
        ("application/json", b'["\\ud83d\\ude00"]', ["\U0001f600"]),
        ("", b'  {"a":1}', {"a": 1}),
        ("text/plain", b"[1]", [1]),
        ("text/plain", b"5", None),
        ("", b"hello", None),
        ("application/x-www-form-urlencoded", b"a=1&b=x+y&a=2&a=3&c=", {"a": ["1", "2", "3"], "b": "x y", "c": ""}),
        ("application/x-www-form-urlencoded", b"a=%ff&%zz", {"a": "\xff", "%zz": ""}),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(2000)), None),
        ("application/x-www-form-urlencoded", b'{"a": "x&y=1"}', {"a": "x&y=1"}),  # as `curl -d` labels JSON
        ("application/x-www-form-urlencoded", b"{a=1", {"{a": "1"}),
        ("multipart/form-data; boundary=x", b"--x", None),
    ],
)
def test_a_body_is_read_by_its_type_or_its_look(content_type, body, wanted):
    assert payload(event(body, content_type)) == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"payload=%7B%22action%22%3A%22opened%22%2C%22n%22%3A+1%7D", {"action": "opened", "n": 1}),
        (b"payload=%5B1%5D", [1]),
        (b"payload=%7Bopened", {"payload": "{opened"}),
        (b"payload=%7B%7D&token=x", {"payload": {}, "token": "x"}),
        (b"payload=%5B1%5D&payload=%5B2%5D", {"payload": [[1], [2]]}),
        (b"payload=7", {"payload": "7"}),
    ],
)
def test_a_webhook_whose_only_field_is_a_payload_of_json_is_that_json(body, wanted):
    received = event(body, "application/x-www-form-urlencoded")
    assert received.origin is Origin.WEBHOOK and payload(received) == wanted
    assert parse_body(received).as_written is False, "the bytes are a form's"
    filled_in = msgspec.structs.replace(received, origin=Origin.FORM)
    assert "payload" in payload(filled_in), "a page's form is what was filled in"


@pytest.mark.parametrize(("depth", "read"), [(1, True), (MAX_DEPTH, True), (MAX_DEPTH + 1, False), (200_000, False)])
def test_nesting_is_read_down_to_the_limit(depth, read):
    assert (payload(event(b"[" * depth + b"]" * depth)) is not None) is read
    objects = b'{"a":' * depth + b"1" + b"}" * depth
    assert (payload(event(objects)) is not None) is read


@pytest.mark.parametrize(("depth", "read"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_the_limit_is_the_same_among_many_brackets(depth, read):
    body = b"[" * depth + b"],[" * 100 + b"]" * depth
    assert (payload(event(body)) is not None) is read


def test_many_brackets_side_by_side_are_not_deep():
    assert payload(event(b"[" + b",".join([b"{}"] * 500) + b"]")) == [{}] * 500


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("", {"data": {"a": [1, {"b": 2}]}}),
        ("data", {"a": [1, {"b": 2}]}),
        ("data.a.1.b", 2),
        ("nope.x", {"data": {"a": [1, {"b": 2}]}}),
    ],
)
def test_data_path_names_the_part_that_is_data_and_a_body_without_it_is_data_itself(path, wanted):
    assert payload(event(b'{"data":{"a":[1,{"b":2}]}}', data_path=path)) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("", {"a": [10, None], "0": {"b": False}, "": 3}),
        ("a.0", 10),
        ("a.1", None),
        ("a.2", MISSING),
        ("a.-1", MISSING),
        ("a.\u00b2", MISSING),
        ("a.99999999999999999999", MISSING),
        ("a." + "9" * 5000, MISSING),
        ("0.b", False),
        ("0.b.c", MISSING),
        ("a.x", MISSING),
        ("a..0", MISSING),
        ("x.", MISSING),
    ],
)
def test_dig_tells_null_from_missing(path, wanted):
    assert dig({"a": [10, None], "0": {"b": False}, "": 3}, path) == wanted


def test_a_view_names_the_parts_of_an_event():
    headers = msgspec.json.encode([["X-Kind", "a"], ["x-kind", "b"]])
    change = b'{"resource":"orders","number":1}'
    seen = event_view(event(b"[]", key="k", headers=headers, change=change))
    assert seen == {
        "type": "a.b",
        "source": "payments",
        "origin": "webhook",
        "key": "k",
        "data": [],
        "body": [],
        "context": {},
        "headers": {"x-kind": "a, b"},
        "query": {},
        "change": {"resource": "orders", "number": 1},
        "test": False,
        "schema_error": None,
    }
    new = NewEvent("s", "t", Origin.POLL, 0, 0, b"{}")
    assert event_view(new)["origin"] == "poll"
    assert event_view(new)["change"] is None


bodies = st.one_of(
    st.binary(max_size=200),
    st.text(st.characters(exclude_categories=())).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(alphabet='{}[]",:\\ud8cDfF0123e9.-tn').map(str.encode),
)
types = st.sampled_from(["", "application/json", "application/x-www-form-urlencoded", "text/plain", ";;", "\ud800"])


@given(bodies, types, st.sampled_from(["", "a", "0.a", "..", "data.object"]), st.binary(max_size=20))
def test_a_view_never_raises_and_can_always_be_written_as_json(body, content_type, path, noise):
    seen = event_view(event(body, content_type, data_path=path, headers=noise, change=noise))
    msgspec.json.encode(seen, enc_hook=encode_hook)


@given(bodies)
def test_what_is_as_written_means_the_same_when_read_again(body):
    parsed = parse_body(event(body))
    if parsed.as_written:
        assert msgspec.json.decode(msgspec.json.encode({"data": msgspec.Raw(body)}))["data"] == parsed.value


# -- bounds ----------------------------------------------------------------------------------------------

BIG = "more than 1048576 bytes when"
MANY = b"[" + b"[]," * 400_000 + b"0]"


@pytest.mark.parametrize(
    ("make", "content_type", "encoding", "why"),
    [
        (lambda: gzip.compress(b"[" + b"[]," * 5_000_000 + b"0]"), "application/json", "gzip", BIG),
        (lambda: gzip.compress(b'{"a":"' + b"x" * (16 << 20) + b'"}'), "application/json", "gzip", BIG),
        (lambda: gzip.compress(b"x=1&" * (4 << 20)), "application/x-www-form-urlencoded", "", BIG),
        (lambda: MANY, "application/json", "", "more than 250000 lists and objects"),
        (lambda: b"\n".join([MANY[:300_000]] * 5), "application/x-ndjson", "", "more than 250000 lists and objects"),
    ],
)
def test_a_small_request_cannot_hold_the_loop_with_what_it_unpacks_or_parses_to(
    make: Callable[[], bytes], content_type: str, encoding: str, why: str
) -> None:
    body = make()
    began = time.thread_time()
    parsed = read_body(body, content_type, encoding)
    assert time.thread_time() - began < 0.15, "packed, this held the loop for 3 s"
    assert why in parsed.why


def test_an_honest_compressed_body_is_read() -> None:
    rows = [{"id": n, "name": f"customer {n}", "city": "Hamburg"} for n in range(40_000)]
    body = json.dumps(rows).encode()
    assert len(body) > 2 * len(gzip.compress(body)) > 1 << 18
    assert len(read_body(gzip.compress(body), "application/json", "gzip").value) == 40_000
