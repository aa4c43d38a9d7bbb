"""The meaning of filters: a table from the contract, and a plain reference they must agree with."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.core.errors import ConfigError
from tidegate.rules.language.filters import MAX_DEPTH, compile_filter, explain_filter

VIEW = {
    "type": "charge.succeeded",
    "source": "payments",
    "origin": "webhook",
    "key": None,
    "data": {
        "amount": 950,
        "ratio": 1.0,
        "one": 1,
        "paid": True,
        "name": "Ada Byron",
        "at": "2026-11-24T10:00:00Z",
        "none": None,
        "tags": ["new", "vip", 1],
        "items": [{"sku": "a"}, {"sku": "b"}],
        "mixed": [True, None, 2.0, [True], {"n": False}],
        "empty": {},
        "huge": 10**400,
    },
    "headers": {"x-topic": "orders"},
    "change": None,
}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"amount": 950}, True),
        ({"amount": 950.0}, True),
        ({"amount": "950"}, False),
        ({"amount": {"$eq": 950}}, True),
        ({"one": True}, False),
        ({"paid": 1}, False),
        ({"paid": True}, True),
        ({"ratio": True}, False),
        ({"ratio": 1}, True),
        ({"none": None}, True),
        ({"missing": None}, False),
        ({"tags": ["new", "vip", 1]}, True),
        ({"tags": ["new", "vip", True]}, False),
        ({"empty": {"$eq": {}}}, True),
        ({"items": {"$eq": [{"sku": "a"}, {"sku": "b"}]}}, True),
        ({"items": {"1": {"sku": "b"}}}, True),
        ({"items": {"2": {"sku": "b"}}}, False),
        ({"items": {"sku": "b"}}, False),
        ({"amount": {"$neq": 950}}, False),
        ({"amount": {"$neq": "950"}}, True),
        ({"missing": {"$neq": 1}}, True),
        ({"missing": {"deep": {"$neq": 1}}}, True),
        ({"name": {"deep": {"$neq": 1}}}, True),
        ({"amount": {"$gt": 949}}, True),
        ({"amount": {"$gt": 950}}, False),
        ({"amount": {"$gte": 950}}, True),
        ({"amount": {"$lt": 950}}, False),
        ({"amount": {"$lte": 950}}, True),
        ({"amount": {"$gte": 900, "$lt": 951}}, True),
        ({"amount": {"$gte": 900, "$lt": 950}}, False),
        ({"amount": {"$gt": "9"}}, False),
        ({"name": {"$gt": 5}}, False),
        ({"paid": {"$gt": 0}}, False),
        ({"none": {"$lt": 5}}, False),
        ({"missing": {"$lt": 5}}, False),
        ({"huge": {"$gt": 1.5}}, True),
        ({"at": {"$gt": "2026-01-01T00:00:00Z"}}, True),
        ({"name": {"$in": ["Ada Byron", "x"]}}, True),
        ({"name": {"$in": []}}, False),
        ({"amount": {"$in": ["x", 950]}}, True),
        ({"one": {"$in": [True]}}, False),
        ({"missing": {"$in": [None]}}, False),
        ({"tags": {"$in": ["new"]}}, False),
        ({"name": {"$nin": ["x"]}}, True),
        ({"missing": {"$nin": ["x"]}}, True),
        ({"amount": {"$nin": [950]}}, False),
        ({"tags": {"$contains": "vip"}}, True),
        ({"mixed": {"$contains": 1}}, False),
        ({"mixed": {"$contains": True}}, True),
        ({"mixed": {"$contains": 2}}, True),
        ({"mixed": {"$contains": [1]}}, False),
        ({"mixed": {"$contains": {"n": 0}}}, False),
        ({"mixed": {"$contains": None}}, True),
        ({"tags": {"$contains": True}}, False),
        ({"tags": {"$contains": "vi"}}, False),
        ({"items": {"$contains": {"sku": "a"}}}, True),
        ({"name": {"$contains": "By"}}, True),
        ({"name": {"$contains": 1}}, False),
        ({"amount": {"$contains": 9}}, False),
        ({"name": {"$startsWith": "Ada"}}, True),
        ({"name": {"$endsWith": "Ada"}}, False),
        ({"name": {"$endsWith": "Byron"}}, True),
        ({"amount": {"$startsWith": "9"}}, False),
        ({"none": {"$exist": True}}, True),
        ({"missing": {"$exist": True}}, False),
        ({"missing": {"$exist": False}}, True),
        ({"missing": {"deep": {"$exist": False}}}, True),
        ({"name": {"$not": {"$startsWith": "B"}}}, True),
        ({"name": {"$not": "Ada Byron"}}, False),
        ({"missing": {"$not": "x"}}, True),
        ({"amount": {"$or": [{"$lt": 5}, {"$gt": 900}]}}, True),
        ({"amount": {"$or": [1, 950]}}, True),
        ({"amount": {"$and": [{"$gt": 5}, {"$lt": 900}]}}, False),
        ({"$or": [{"amount": 1}, {"paid": True}]}, True),
    ],
)
def test_the_operators_mean_what_the_contract_says(data, wanted):
    spec = {"data": data}
    assert compile_filter(spec)(VIEW) is wanted
    assert (explain_filter(spec, VIEW) is None) is wanted


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, True),
        ({"type": "charge.succeeded", "source": {"$in": ["payments"]}}, True),
        ({"type": {"$startsWith": "charge."}, "origin": "poll"}, False),
        ({"key": None}, True),
        ({"headers": {"X-Topic": "orders"}}, True),
        ({"headers": {"$or": [{"X-TOPIC": "orders"}, {"x": "y"}]}}, True),
        ({"change": {"resource": "orders"}}, False),
        ({"change": {"fields": {"$contains": "x"}}}, False),
        ({"$or": [{"source": "x"}, {"data": {"paid": True}}]}, True),
        ({"$not": {"source": "payments"}}, False),
        ({"$and": [{"source": "payments"}, {"$not": {"key": "x"}}]}, True),
    ],
)
def test_a_filter_names_the_parts_of_an_event(spec, wanted):
    assert compile_filter(spec)(VIEW) is wanted
    assert (explain_filter(spec, VIEW) is None) is wanted


def deep(levels: int) -> dict[str, Any]:
    spec: Any = 1
    for _ in range(levels):
        spec = {"a": spec}
    return {"data": spec}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"data": {"a": {"$gtt": 1}}}, "$.f.data.a.$gtt"),
        ({"data": {"a": {"$or": [1, {"$exists": 2}]}}}, "$.f.data.a.$or[1].$exists"),
        ({"payload": {}}, "$.f.payload"),
        ({"$or": [{"a": 1}]}, "$.f.$or[0].a"),
        ({"$not": {"a": 1}}, "$.f.$not.a"),
        ({"$eq": 1}, "$.f.$eq"),
        ({"$or": []}, "$.f.$or"),
        ({"$or": [1]}, "$.f.$or[0]"),
        ({"$and": {}}, "$.f.$and"),
        ({"data": {}}, "$.f.data"),
        ({"data": {"a": {"$gt": True}}}, "$.f.data.a.$gt"),
        ({"data": {"a": {"$gt": None}}}, "$.f.data.a.$gt"),
        ({"data": {"a": {"$gt": float("nan")}}}, "$.f.data.a.$gt"),
        ({"data": {"a": {"$in": "x"}}}, "$.f.data.a.$in"),
        ({"data": {"a": {"$exist": 1}}}, "$.f.data.a.$exist"),
        ({"data": {"a": {"$startsWith": 1}}}, "$.f.data.a.$startsWith"),
        ({"data": {"a": [1, object()]}}, "$.f.data.a[1]"),
        ("text", "$.f"),
    ],
)
def test_a_mistake_is_refused_with_its_path(spec, path):
    with pytest.raises(ConfigError) as caught:
        compile_filter(spec, "$.f")
    assert caught.value.path == path


def test_the_nearest_operator_and_part_are_named():
    with pytest.raises(ConfigError, match="unknown operator") as caught:
        compile_filter({"data": {"a": {"$startswith": "x"}}})
    assert "$startsWith" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        compile_filter({"dta": 1})
    assert "'data'" in caught.value.hint


def test_huge_and_deep_filters_are_refused():
    compile_filter(deep(MAX_DEPTH - 1))
    for spec in (deep(MAX_DEPTH + 1), deep(900), {"data": {"a": {"$in": list(range(10_000))}}}):
        with pytest.raises(ConfigError):
            compile_filter(spec)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"data": {"amount": {"$gte": 10000}}}, "data.amount is 950, wanted >= 10000"),
        ({"data": {"x": {"y": 1}}}, "data.x.y is missing, wanted 1"),
        ({"source": "payments", "type": "x"}, 'type is "charge.succeeded", wanted "x"'),
        ({"data": {"paid": {"$neq": True}}}, "data.paid is true, wanted anything but true"),
        ({"data": {"x": {"$exist": True}}}, "data.x is missing, wanted it to exist"),
        ({"data": {"one": {"$exist": False}}}, "data.one is 1, wanted it to be absent"),
        ({"data": {"name": {"$in": ["a", "b"]}}}, 'data.name is "Ada Byron", wanted one of ["a","b"]'),
        ({"data": {"one": {"$not": 1}}}, "data.one is 1, which $not excludes"),
        ({"$not": {"data": {"one": 1}}}, "the event matches what $not excludes"),
        (
            {"data": {"one": {"$or": [2, {"$gt": 3}]}}},
            "none of $or: data.one is 1, wanted 2; data.one is 1, wanted > 3",
        ),
        ({"data": {"items": {"5": {"sku": "a"}}}}, 'data.items.5.sku is missing, wanted "a"'),
    ],
)
def test_the_first_reason_is_a_plain_sentence(spec, words):
    assert explain_filter(spec, VIEW) == words


def test_a_long_value_is_shown_short():
    assert len(explain_filter({"data": "x" * 500}, {**VIEW, "data": "y" * 10_000}) or "") < 200


# -- against a plain reference -----------------------------------------------------------------------------

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from([0.0, 1.0, 1.5]), st.sampled_from("ab")
)
names = st.sampled_from(["a", "b", "0", "1"])
values = st.recursive(
    scalars | st.sampled_from(["", "ab", "ba"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
numbers_or_texts = st.integers(-2, 3) | st.floats(-2, 3) | st.sampled_from(["", "a", "ab", "b"])
comparisons = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$neq", "$contains"]), values),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), numbers_or_texts),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(values, max_size=3)),
    st.tuples(st.sampled_from(["$startsWith", "$endsWith"]), st.sampled_from(["", "a", "ab"])),
    st.tuples(st.just("$exist"), st.booleans()),
)
specs = st.recursive(
    scalars | st.lists(scalars, max_size=2) | st.lists(comparisons, min_size=1, max_size=2).map(dict),
    lambda inner: st.one_of(
        st.dictionaries(names, inner, min_size=1, max_size=3),
        st.tuples(st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3)).map(
            lambda p: {p[0]: p[1]}
        ),
        inner.map(lambda one: {"$not": one}),
    ),
    max_leaves=6,
)
NOTHING = object()


def tagged(value: Any) -> Any:
    """Values so written that Python's == is JSON's equality."""
    if isinstance(value, bool) or value is None or value is NOTHING:
        return ("word", str(value))
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, list):
        return ("list", [tagged(item) for item in value])
    if isinstance(value, dict):
        return ("object", {name: tagged(item) for name, item in value.items()})
    return ("text", value)


def reference(spec: Any, value: Any) -> bool:
    if not isinstance(spec, dict):
        return tagged(value) == tagged(spec)
    return all(reference_one(name, operand, value) for name, operand in spec.items())


def reference_one(name: str, operand: Any, value: Any) -> bool:
    mine, its = tagged(operand), tagged(value)
    match name:
        case "$eq" | "$neq":
            return (mine == its) is (name == "$eq")
        case "$in" | "$nin":
            return (its in [tagged(item) for item in operand]) is (name == "$in")
        case "$gt" | "$gte" | "$lt" | "$lte":
            if mine[0] != its[0]:
                return False
            return {"$gt": value > operand, "$gte": value >= operand, "$lt": value < operand, "$lte": value <= operand}[
                name
            ]
        case "$contains":
            if its[0] == "list":
                return mine in its[1]
            return its[0] == mine[0] == "text" and operand in value
        case "$startsWith" | "$endsWith":
            return its[0] == "text" and getattr(value, name[1:].lower())(operand)
        case "$exist":
            return (value is not NOTHING) is operand
        case "$and":
            return all(reference(one, value) for one in operand)
        case "$or":
            return any(reference(one, value) for one in operand)
        case "$not":
            return not reference(operand, value)
    if isinstance(value, dict):
        return reference(operand, value.get(name, NOTHING))
    if isinstance(value, list) and name.isdigit() and int(name) < len(value):
        return reference(operand, value[int(name)])
    return reference(operand, NOTHING)


@given(specs, values)
@example({"a": {"$neq": 1}}, {"a": True})
@example({"$not": {"a": {"$gt": 0}}}, [1])
def test_a_compiled_filter_agrees_with_a_plain_reference(spec, value):
    matched = compile_filter({"data": spec})({"data": value})
    assert matched is reference(spec, value)
    assert (explain_filter({"data": spec}, {"data": value}) is None) is matched


def test_a_long_list_of_an_outsider_costs_a_filter_little():
    matches = compile_filter({"data": {"$contains": 7}})
    view = {"data": [1] * 500_000}
    began = time.perf_counter()
    assert matches(view) is False
    assert time.perf_counter() - began < 0.1  # item by item it took 0.27 s
