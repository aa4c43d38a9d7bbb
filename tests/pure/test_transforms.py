"""What a route keeps, renames and sets."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import ConfigError
from tidegate.core.spec import Transform
from tidegate.rules.language.transforms import compile_transform

VIEW: dict[str, Any] = {
    "type": "charge.succeeded",
    "source": "payments",
    "origin": "webhook",
    "key": "k1",
    "data": {
        "object": {"id": "ch_1", "amount": 950, "customer": {"name": "Ada", "mail": "a@x"}},
        "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}, "odd"],
        "none": None,
    },
    "headers": {"x-topic": "t"},
    "change": {"resource": "orders", "before": {"iban": "secret"}},
}
BASE = {"type": "charge.succeeded", "source": "payments", "origin": "webhook", "key": "k1"}


def apply(view=VIEW, **parts):
    return compile_transform(Transform(**parts))(view)


@pytest.mark.parametrize(
    ("pick", "data"),
    [
        (["data.object.id"], {"object": {"id": "ch_1"}}),
        (["data.object.id", "data.object.customer.name"], {"object": {"id": "ch_1", "customer": {"name": "Ada"}}}),
        (["data.object", "data.object.id"], VIEW["data"]["object"] and {"object": VIEW["data"]["object"]}),
        (["data.object.id", "data"], VIEW["data"]),
        (["data.missing.x"], {}),
        (["data.object.id.x"], {"object": {}}),
        (["data.none"], {"none": None}),
        (["data.lines.sku"], {"lines": [{"sku": "a"}, {"sku": "b"}]}),
        (["data.lines.1.sku"], {"lines": [{"sku": "b"}]}),
        (["data.lines.9"], {"lines": []}),
        (["key"], None),
    ],
)
def test_pick_keeps_the_named_paths_only(pick, data):
    assert apply(pick=pick) == {**BASE, "data": data}


def test_pick_drops_what_was_before_a_change_unless_named():
    assert "change" not in apply(pick=["data.object.id"])
    assert apply(pick=["data.object.id", "change.resource"])["change"] == {"resource": "orders"}


def test_pick_of_a_payload_that_is_no_object_leaves_nothing():
    for data in (None, 5, "text", [1, 2]):
        assert apply({**VIEW, "data": data}, pick=["data.a"])["data"] in (None, [])


@pytest.mark.parametrize(
    ("rename", "data"),
    [
        ({"data.a": "data.b"}, {"b": 1, "c": {"d": 2}, "l": [1, 2]}),
        ({"data.c.d": "data.e.f"}, {"a": 1, "c": {}, "e": {"f": 2}, "l": [1, 2]}),
        ({"data.a": "data.c", "data.c": "data.a"}, {"a": {"d": 2}, "c": 1, "l": [1, 2]}),
        ({"data.x": "data.y"}, {"a": 1, "c": {"d": 2}, "l": [1, 2]}),
        ({"data.c": "data"}, {"d": 2}),
        ({"data.l.0": "data.first"}, {"a": 1, "c": {"d": 2}, "l": [None, 2], "first": 1}),
        ({"key": "data.key"}, {"a": 1, "c": {"d": 2}, "l": [1, 2], "key": "k1"}),
        ({"data.a": "data.a"}, {"a": 1, "c": {"d": 2}, "l": [1, 2]}),
        ({"data.c": "data.a", "data.c.d": "data.z"}, {"a": {"d": 2}, "l": [1, 2], "z": 2}),
    ],
)
def test_rename_moves_values(rename, data):
    assert apply({**VIEW, "data": {"a": 1, "c": {"d": 2}, "l": [1, 2]}}, rename=rename)["data"] == data


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("sale", "sale"),
        (5, 5),
        (None, None),
        (["a", {"b": "{{ data.object.id }}"}], ["a", {"b": "ch_1"}]),
        ("{{ data.object.amount }}", 950),
        ("{{data.object}}", VIEW["data"]["object"]),
        (" {{ data.object.amount }} ", 950),
        ("{{ data.nope }}", None),
        ("{{ data.lines[?n > `1`].sku | [0] }}", "b"),
        ("{{ length(data.lines) }}", 3),
        ("{{ sum(data.lines) }}", None),
        ("{{ sort_by(data.lines[:2], &n)[-1].sku }}", "b"),
        ("#{{ data.object.id }}: {{ data.object.amount }}{{ data.nope }}!", "#ch_1: 950!"),
        ("{{ data.object.customer }}/{{ data.none }}", '{"name":"Ada","mail":"a@x"}/'),
    ],
)
def test_set_writes_constants_values_and_texts(value, wanted):
    assert apply(set={"data.out": value})["data"]["out"] == wanted


def test_set_reads_the_event_as_it_came_even_what_pick_left_out():
    out = apply(
        pick=["data.object.id"],
        rename={"data.object.id": "data.id"},
        set={"data.who": "{{ data.object.customer.name }}", "data.again": "{{ data.who }}"},
    )
    assert out == {**BASE, "data": {"object": {}, "id": "ch_1", "who": "Ada", "again": None}}


@pytest.mark.parametrize(
    ("target", "data", "wanted"),
    [
        ("data.a.b", None, {"a": {"b": 1}}),
        ("data.a.b", {"a": "text"}, {"a": {"b": 1}}),
        ("data.a.0.b", {"a": [{"c": 2}]}, {"a": [{"c": 2, "b": 1}]}),
        ("data.a.3", {"a": [0]}, {"a": {"3": 1}}),
        ("data", {"a": 2}, 1),
    ],
)
def test_set_makes_the_objects_on_the_way(target, data, wanted):
    assert apply({**VIEW, "data": data}, set={target: 1})["data"] == wanted


def test_type_and_key_stay_texts():
    out = apply(set={"type": "sale.{{ data.object.id }}", "key": "{{ data.object.amount }}"})
    assert (out["type"], out["key"]) == ("sale.ch_1", "950")
    out = apply(set={"type": "{{ data.nope }}", "key": "{{ data.nope }}"})
    assert (out["type"], out["key"]) == ("charge.succeeded", None)


DOUBLED = " | [@, @]"


@pytest.mark.parametrize(
    "expressions",
    [
        ["data" + DOUBLED * 10],
        ["data" + DOUBLED * 60],
        ["length(data" + DOUBLED * 5 + "[]" + DOUBLED * 5 + ")"],
        ["to_string(data" + DOUBLED * 30 + ")"],
        ["data" + ".{a: @, b: @}" * 10],
        ["map(&[@, @]" + DOUBLED * 9 + ", data)"],
        ["data[?a" + DOUBLED * 10 + "]"],
        ["data.a[*].[b, c].[d, e][].[@, @].[@, @].[@, @].[@, @].[@, @].[@, @].[@, @].[@, @]"],
        ["data" + DOUBLED * 9] * 2,
    ],
)
def test_an_expression_that_would_explode_is_refused_at_load(expressions):
    values = {f"data.v{number}": f"{{{{ {one} }}}}" for number, one in enumerate(expressions)}
    with pytest.raises(ConfigError, match="copies"):
        apply(set=values)


def test_values_may_hold_the_event_as_often_as_there_are_paths():
    out = apply(set={f"data.v{number}": "{{ data }}" for number in range(500)})
    assert out["data"]["v499"] == VIEW["data"]
    assert apply(set={"data": "{{ data.object" + DOUBLED * 9 + "[][][][][][][][] | length(@) }}"})["data"] == 512


def test_a_separator_and_a_list_of_an_outsider_do_not_multiply():
    view = {**VIEW, "data": {"sep": "x" * 300_000, "list": ["a"] * 300_000, "few": ["a", "b"]}}
    out = apply(view, set={"data.long": "{{ join(data.sep, data.list) }}", "data.short": "{{ join(', ', data.few) }}"})
    assert (out["data"]["long"], out["data"]["short"]) == (None, "a, b")


@pytest.mark.parametrize(
    "bad",
    [
        {"pick": ["object.id"]},
        {"pick": [""]},
        {"pick": ["data."]},
        {"pick": ["data..a"]},
        {"pick": ["type.a"]},
        {"rename": {"data.a": "b"}},
        {"rename": {"data.a": "source"}},
        {"rename": {"a": "data.a"}},
        {"set": {"headers.x": 1}},
        {"set": {"origin": "x"}},
        {"set": {"data.a": "{{ }}"}},
        {"set": {"data.a": "{{ data.a"}},
        {"set": {"data.a": "data.a }}"}},
        {"set": {"data.a": "{{ data.[ }}"}},
        {"set": {"data.a": "{{ object.id }}"}},
        {"set": {"data.a": "{{ &data }}"}},
        {"set": {"data.a": "{{ [&data] }}"}},
        {"set": {"data.a": "{{ nope(data) }}"}},
        {"set": {"data.a": "{{ " + "!" * 300 + "data }}"}},
        {"set": {"data.a": "{{ data." + "a" * 2000 + " }}"}},
        {"set": {"data.a": ["{{ x }}"]}},
        {"set": {"data.a": object()}},
        {"set": {"data.a": float("nan")}},
        {"pick": [f"data.a{number}" for number in range(1000)]},
    ],
)
def test_what_cannot_mean_anything_is_refused_at_load(bad):
    with pytest.raises(ConfigError) as caught:
        compile_transform(Transform(**bad))
    assert caught.value.path.startswith("$.transform.")


names = st.sampled_from(["a", "b", "0", "1"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
paths = st.lists(names, max_size=3).map(lambda parts: ".".join(["data", *parts]))
EXPRESSIONS = """
    data.a | data | sum(data) | data.*.a[] | avg([data.a, data.b]) | max_by(data, &a) | join(',', data) | keys(data)
    to_number(data.a) | data[?a > `1`] | map(&a, data) | merge(data, data.a) | reverse(data) | data[::-1] | !data
""".replace("\n", "|").split("|")
settings = st.sampled_from(
    [1, "x", "{{ data }} {{ key }}", ["{{ data.b }}"], *(f"{{{{ {one} }}}}" for one in EXPRESSIONS if one.strip())]
)


@given(
    json_values,
    st.lists(paths, max_size=3),
    st.dictionaries(paths, paths, max_size=3),
    st.dictionaries(paths, settings, max_size=3),
)
def test_a_transform_never_changes_its_input_and_never_raises(data, pick, rename, values):
    view = {**VIEW, "data": data}
    before = copy.deepcopy(view)
    out = compile_transform(Transform(pick=pick, rename=rename, set=values))(view)
    assert view == before
    assert {"type", "source", "origin", "key", "data"} <= out.keys()
    msgspec.json.encode(out)
