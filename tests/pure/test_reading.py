"""What a request says about itself: places, their order, and the bounds on what comes from outside."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.spec import WebhookInput
from tidegate.providers.shape import Place, Provider, load_provider, provider_of
from tidegate.receive.reading import as_text, compile_paths, compile_reader, instant_us
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
    found = compile_paths(paths)(json.dumps(value).encode())
    walked = [value_at(value, path) for path in paths]
    assert [as_text(one) for one in found] == [as_text(one) for one in walked]


def test_a_path_inside_another_does_not_hide_it():
    assert compile_paths(["data", "data.id"])(b'{"data":{"id":"x"}}') == [{"id": "x"}, "x"]


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
    fixed = provider_of(WebhookInput(verify="stripe", event_type="payment.told"))
    assert compile_reader(fixed)({}, b'{"type":"t"}').type == "payment.told"


@pytest.mark.parametrize(
    ("headers", "found"),
    [({b"x-github-delivery": b"p", b"webhook-id": b"w", b"idempotency-key": b"i"}, "p"),
     ({b"webhook-id": b"w", b"idempotency-key": b"i"}, "w"), ({b"idempotency-key": b"i"}, "i"), ({}, None)],
)  # fmt: skip
def test_the_providers_id_comes_before_webhook_id_before_idempotency_key(headers, found):
    assert compile_reader(load_provider("github"))(headers, b"").delivery_id == found


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
