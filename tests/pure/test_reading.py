"""What a request says about itself: places, their order, and the bounds on what comes from outside."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.spec import WebhookInput
from tidegate.providers.shape import Place, Provider, load_provider, provider_of
from tidegate.receive.reading import compile_reader
from tidegate.rules.inbound.places import compile_paths
from tidegate.rules.inbound.values import as_text, instant_us
from tidegate.rules.language.paths import parse_path
from tidegate.rules.language.view import value_at

PATHS = ["type", "data.id", "data.object.id", "list.0.id", "a"]
NAMES = st.sampled_from(["type", "data", "object", "id", "list", "a", "0"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


@given(value=VALUES, paths=st.lists(st.sampled_from(PATHS), unique=True, min_size=1))
def test_the_quick_way_through_a_body_finds_what_a_walk_finds(value, paths):
    found = compile_paths(paths)({}, json.dumps(value).encode()).values
    walked = [value_at(value, path) for path in paths]
    assert [as_text(one) for one in found] == [as_text(one) for one in walked]


def test_a_path_inside_another_does_not_hide_it():
    assert compile_paths(["data", "data.id"])({}, b'{"data":{"id":"x"}}').values == [{"id": "x"}, "x"]


@given(
    body=st.binary(max_size=60),
    headers=st.dictionaries(st.sampled_from([b"webhook-id", b"x-github-event"]), st.binary(max_size=20)),
)
def test_any_bytes_give_a_reading(body, headers):
    for name in ("stripe", "github", "okta", "slack"):
        reading = compile_reader(load_provider(name))(headers, body)
        assert 0 < len(reading.type) <= 200
        assert reading.type.isprintable()


@pytest.mark.parametrize(
    "body",
    [b'{"id":"evt_1","type":"charge.ok","data":{"object":{"id":"ch_1","name":"\\ud83d"}}}',
     b'\xef\xbb\xbf{"id":"evt_1","type":"charge.ok","data":{"object":{"id":"ch_1"}}}'],
)  # fmt: skip
def test_half_an_emoji_or_a_byte_order_mark_does_not_hide_type_and_id(body):
    reading = compile_reader(load_provider("stripe"))({}, body)
    assert (reading.type, reading.key, reading.delivery_id) == ("charge.ok", "ch_1", "evt_1")


def test_the_first_place_that_holds_something_wins():
    provider = Provider(type=(Place(header="X-Type"), Place(path="kind"), Place(constant="thing.happened")))
    read = compile_reader(provider)
    assert read({b"x-type": b"a"}, b'{"kind":"b"}').type == "a"
    assert read({b"x-type": b""}, b'{"kind":"b"}').type == "b"
    assert read({}, b'{"kind":{}}').type == "thing.happened"


@pytest.mark.parametrize("place", ["a.²", "a.٣", "a.0x1", "a.-1", "a.99999999999999999999"])
def test_a_place_that_is_no_index_finds_nothing_in_a_list(place):
    assert compile_reader(Provider(key=(Place(path=place),)))({}, b'{"a": ["x", "y", "z", "w"]}').key is None


def test_a_users_own_places_come_before_the_presets():
    input = WebhookInput(verify="stripe", type_path="kind", id_header="X-Id", key_path="ref")
    reading = compile_reader(provider_of(input))({b"x-id": b"mine"}, b'{"kind":"k","type":"t","id":"evt_1","ref":5}')
    assert (reading.type, reading.delivery_id, reading.key) == ("k", "mine", "5")
    fixed = provider_of(WebhookInput(verify="stripe", event_type="payment.sent"))
    assert compile_reader(fixed)({}, b'{"type":"t"}').type == "payment.sent"


@pytest.mark.parametrize(
    ("headers", "found"),
    [({b"x-id": b"p", b"webhook-id": b"w", b"idempotency-key": b"i"}, "p"),
     ({b"webhook-id": b"w", b"idempotency-key": b"i"}, "w"), ({b"idempotency-key": b"i"}, "i"), ({}, None)],
)  # fmt: skip
def test_the_providers_id_comes_before_webhook_id_before_idempotency_key(headers, found):
    unsigned = provider_of(WebhookInput(verify="none", id_header="x-id"))
    assert compile_reader(unsigned)(headers, b"").delivery_id == found


def test_a_signed_source_takes_no_id_from_a_header_that_no_signature_covers():
    headers = {b"webhook-id": b"w", b"idempotency-key": b"i"}
    assert compile_reader(load_provider("github"))(headers, b"").delivery_id is None
    assert compile_reader(load_provider("standard-webhooks"))(headers, b"").delivery_id == "w"
    named = provider_of(WebhookInput(verify="github", secret="s", id_header="Idempotency-Key"))
    assert compile_reader(named)(headers, b"").delivery_id == "i"


FORM = b"application/x-www-form-urlencoded"
BODIES = {
    "json": ({}, b'{"a":{"type":"t.x","id":"7","key":"k"}}'),
    "form": ({b"content-type": FORM}, b"a=%7B%22type%22%3A%22t.x%22%2C%22id%22%3A%227%22%2C%22key%22%3A%22k%22%7D&z=1"),
    "payload": (
        {b"content-type": FORM},
        b"payload=%7B%22a%22%3A%7B%22type%22%3A%22t.x%22%2C%22id%22%3A%227%22%2C%22key%22%3A%22k%22%7D%7D",
    ),
    "multipart": (
        {b"content-type": b"multipart/form-data; boundary=X"},
        b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n{"type":"t.x","id":"7","key":"k"}\r\n--X--\r\n',
    ),
    "gzip": ({b"content-encoding": b"gzip"}, gzip.compress(b'{"a":{"type":"t.x","id":"7","key":"k"}}')),
    "utf-16": ({b"content-type": b"application/json"}, '{"a":{"type":"t.x","id":"7","key":"k"}}'.encode("utf-16")),
    "xml": ({b"content-type": b"text/xml"}, b"<a><type>t.x</type><id>7</id><key>k</key></a>"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_path_reads_every_format_alike(name):
    headers, body = BODIES[name]
    input = WebhookInput(verify="none", type_path="a.type", id_path="a.id", key_path="a.key")
    reading = compile_reader(provider_of(input))(headers, body)
    assert (reading.type, reading.delivery_id, reading.key, reading.unreadable) == ("t.x", "7", "k", "")


def test_a_place_can_be_a_header_or_the_query_too():
    input = WebhookInput(verify="none", type_path="query:kind", id_path="header:X-Id", key_path="query:order")
    reading = compile_reader(provider_of(input))({b"x-id": b"7"}, b"", b"kind=a.b&order=77&order=78")
    assert (reading.type, reading.delivery_id, reading.key) == ("a.b", "7", "78")


@pytest.mark.parametrize(
    "path",
    ['labels."app.kubernetes.io/name"', '"a\\"b"', '"a\\\\b"', '"a\\nb"', "$set", '"$"', '""', "é.ü", "a b", "list.0"],
)
def test_a_path_that_check_accepts_is_read(path):
    names = parse_path(path)
    value: object = "found"
    for name in reversed(names):
        value = ["found"] if name == "0" else {name: value}
    reading = compile_reader(provider_of(WebhookInput(verify="none", key_path=path)))({}, json.dumps(value).encode())
    assert reading.key == "found"


@pytest.mark.parametrize("key", ["k" * 513, "", "a\x00b", "a\nb", True, None, [], {"a": 1}])
def test_what_cannot_be_a_key_is_none(key):
    body = json.dumps({"id": key}).encode()
    assert compile_reader(Provider(key=(Place(path="id"),)))({}, body).key is None


@pytest.mark.parametrize(
    ("value", "at_us"),
    [
        (1_700_000_000, 1_700_000_000_000_000),
        (1_700_000_000.25, 1_700_000_000_250_000),
        (1_700_000_000_123, 1_700_000_000_123_000),
        ("1700000000", 1_700_000_000_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000_000_000),
        ("2023-11-14T22:13:20.037339943Z", 1_700_000_000_037_339),
        ("yesterday", None),
        ("0001-01-01T00:00:00Z", None),
        (-1, None),
        (1e300, None),
        (True, None),
        ("²", None),
        (None, None),
    ],
)
def test_times_are_seconds_milliseconds_or_rfc_3339(value, at_us):
    assert instant_us(value) == at_us
