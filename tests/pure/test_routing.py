"""Who wants an event: from, types, changes, filters, first wins; and what may be remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import ConfigError
from tidegate.rules import routing
from tidegate.rules.language.filters import compile_filter
from tidegate.rules.language.patterns import compile_types
from tidegate.rules.routing import Decision, RouteRule, compile_routes, why_not

FED = frozenset({("shop", "orders")})


def rule(revision=1, sources=("shop",), to=(1,), types=None, changes=None, filter=None):
    return RouteRule(
        revision, f"r{revision}", None if sources is None else frozenset(sources), to, types, changes, filter or {}
    )


def unread():
    raise AssertionError("no filter, so the view must not be made")


def wants(one, source, type_, resource, view=unread):
    return bool(compile_routes([one], FED).decide(source, type_, resource, view).wanted)


@pytest.mark.parametrize(
    ("types", "changes", "resource", "wanted"),
    [
        (None, None, None, True),
        (None, None, "orders", False),  # a webhook feeds it: the receiver would get each twice
        (None, None, "customers", True),
        (("orders/*",), None, None, True),
        (("refunds/*",), None, None, False),
        (("*",), None, "customers", False),  # types match what came in
        (None, ("orders",), None, False),
        (None, ("orders",), "orders", True),
        (None, ("*",), "customers", True),
        (None, ("orders",), "customers", False),
        (("orders/*",), ("orders",), None, True),
        (("orders/*",), ("orders",), "orders", True),
        ((), None, None, False),
    ],
)
def test_types_take_what_came_in_and_changes_take_changes(types, changes, resource, wanted):
    one = rule(types=types, changes=changes)
    type_ = "orders/create" if resource is None else f"{resource}.updated"
    assert wants(one, "shop", type_, resource) is wanted
    assert (why_not(one, "shop", type_, resource, dict, FED) == "") is wanted


def test_only_routes_that_name_the_source_are_considered():
    plan = compile_routes([rule(1), rule(2, ("crm",)), rule(3, None, (2,)), rule(4, ("crm", "shop"), (3,))], FED)
    assert plan.decide("shop", "t", None, unread) == Decision((1, 3, 4), ((1, 1), (2, 3), (3, 4)), ())
    assert plan.decide("crm", "t", None, unread) == Decision((2, 3, 4), ((1, 2), (2, 3), (3, 4)), ())
    assert plan.decide("new", "t", None, unread) == Decision((3,), ((2, 3),), ())
    assert compile_routes([rule(1)], FED).decide("new", "t", None, unread) == Decision((), (), ())


def test_the_first_route_in_order_wins_a_destination_and_the_rest_is_filtered():
    big = {"data": {"amount": {"$gte": 100}}}
    plan = compile_routes([rule(7, to=(5, 2), filter=big), rule(3, to=(2, 9)), rule(4, to=(1,), types=("x",))], FED)
    assert plan.decide("shop", "t", None, lambda: {"data": {"amount": 100}}) == Decision(
        (7, 3, 4), ((2, 7), (5, 7), (9, 3)), (1,)
    )
    assert plan.decide("shop", "t", None, lambda: {"data": {"amount": 99}}) == Decision(
        (7, 3, 4), ((2, 3), (9, 3)), (1, 5)
    )


def test_a_filter_on_nothing_still_to_be_won_is_not_applied():
    plan = compile_routes([rule(1, to=(1, 2)), rule(2, to=(2,), filter={"data": 1})], FED)
    assert plan.decide("shop", "t", None, unread).wanted == ((1, 1), (2, 1))


def test_the_view_is_made_once_for_many_filters():
    made = []
    plan = compile_routes([rule(n, to=(n,), filter={"data": n}) for n in range(1, 5)], FED)
    decision = plan.decide("shop", "t", None, lambda: made.append(1) or {"data": 3})
    assert decision.wanted == ((3, 3),)
    assert made == [1]


def test_equal_decisions_are_one_object():
    plan = compile_routes([rule(1, None), rule(2, None, (2,), filter={"data": 1})], FED)
    first = plan.decide("shop", "t", None, lambda: {"data": 1})
    assert plan.decide("crm", "other", None, lambda: {"data": 1}) is first
    assert plan.decide("crm", "other", None, lambda: {"data": 2}) is not first


def test_what_is_remembered_is_bounded_though_types_are_chosen_by_outsiders(monkeypatch):
    monkeypatch.setattr(routing, "MAX_CACHED", 50)
    plan = compile_routes([rule(1, types=("a*",)), rule(2, to=(2,), filter={"type": "a7"})], FED)
    for number in range(500):
        type_ = f"a{number}"
        decision = plan.decide("shop", type_, None, lambda type_=type_: {"type": type_})
        assert decision.wanted == (((1, 1), (2, 2)) if number == 7 else ((1, 1),))
        assert len(plan._cache) <= 50
    size = len(plan._cache)
    plan.decide("shop", "a" * 1_000_000, None, lambda: {"type": ""})
    assert len(plan._cache) == size


def test_decisions_stay_right_when_more_of_them_exist_than_are_remembered(monkeypatch):
    monkeypatch.setattr(routing, "MAX_CACHED", 20)
    plan = compile_routes([rule(n, to=(n,), filter={"data": {"$contains": n}}) for n in range(1, 8)], FED)
    for bits in list(range(128)) * 2:
        wanted = [n for n in range(1, 8) if bits >> (n - 1) & 1]
        decision = plan.decide("shop", "t", None, lambda wanted=wanted: {"data": wanted})
        assert decision.wanted == tuple((n, n) for n in wanted)
        assert len(plan._interned) <= 20


def test_equal_decisions_are_one_object_after_forgetting_too(monkeypatch):
    monkeypatch.setattr(routing, "MAX_CACHED", 4)
    plan = compile_routes([rule(1), *(rule(9, (f"s{number}",), (number,)) for number in range(10))], FED)
    old = plan.decide("shop", "old", None, unread)
    for number in range(3, 7):
        plan.decide(f"s{number}", "x", None, unread)
        assert plan.decide("shop", f"new{number}", None, unread) is plan.decide("shop", "old", None, unread)
    assert plan.decide("shop", "old", None, unread) == old


@pytest.mark.parametrize("bad", [rule(types=("*a",)), rule(filter={"nope": 1})])
def test_a_bad_rule_is_refused_when_compiled(bad):
    with pytest.raises(ConfigError):
        compile_routes([bad], FED)


def test_a_bad_filter_names_its_route():
    with pytest.raises(ConfigError) as caught:
        compile_routes([rule(filter={"nope": 1})], FED)
    assert caught.value.path == "$.routes.r1.filter.nope"


@pytest.mark.parametrize(
    ("one", "source", "resource", "words"),
    [
        (rule(), "crm", None, "the route takes events from shop; this event is from crm"),
        (rule(types=("x", "y.*")), "shop", None, "the route takes the types x, y.*; this event has the type t"),
        (rule(changes=("orders",)), "shop", None, "the route takes only changes; this event is not a change"),
        (rule(changes=("orders",)), "shop", "carts", "the route takes changes of orders; this is a change of carts"),
        (rule(types=("x",)), "shop", "carts", "`types` does not apply to changes, and this is a change of carts"),
        (rule(), "shop", "orders", "a webhook updates shop/orders"),
        (rule(filter={"data": {"a": 5}}), "shop", None, "filter: data.a is 1, wanted 5"),
        (rule(filter={"data": {"a": 1}}), "shop", None, ""),
    ],
)
def test_why_not_is_a_plain_sentence(one, source, resource, words):
    for view in ({"data": {"a": 1}}, lambda: {"data": {"a": 1}}):
        reason = why_not(one, source, "t", resource, view, FED)
        assert reason.startswith(words)
        assert bool(reason) is bool(words)


rules = st.builds(
    lambda sources, to, types, changes, filter_: (sources, tuple(to), types, changes, filter_),
    st.none() | st.sets(st.sampled_from("xyz"), min_size=1),
    st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True),
    st.none() | st.sampled_from([("a",), ("a", "b.*"), ("*",)]),
    st.none() | st.sampled_from([("r",), ("*",), ("q",)]),
    st.sampled_from([{}, {}, {"data": 1}, {"data": {"$neq": 1}}]),
)


def plain_decide(made, source, type_, resource, view):
    considered = [one for one in made if one.sources is None or source in one.sources]
    wanted = {}
    for one in considered:
        if resource is None:
            takes = compile_types(one.types)(type_) if one.types is not None else one.changes is None
        elif one.changes is not None:
            takes = resource in one.changes or "*" in one.changes
        else:
            takes = one.types is None and (source, resource) != ("x", "r")
        if takes and compile_filter(one.filter)(view):
            for number in one.destinations:
                wanted.setdefault(number, one.revision)
    named = {number for one in considered for number in one.destinations}
    return Decision(
        tuple(one.revision for one in considered), tuple(sorted(wanted.items())), tuple(sorted(named - wanted.keys()))
    )


events = st.tuples(
    st.sampled_from("xyzw"), st.sampled_from(["a", "b.c", "d"]), st.sampled_from([None, "r", "q"]), st.integers(1, 2)
)


@given(st.lists(rules, max_size=6), st.lists(events, min_size=1, max_size=20))
def test_the_plan_agrees_with_asking_every_route(made, asked):
    made = [
        RouteRule(number + 10, f"n{number}", None if one[0] is None else frozenset(one[0]), *one[1:])
        for number, one in enumerate(made)
    ]
    plan = compile_routes(made, frozenset({("x", "r")}))
    for source, type_, resource, data in asked:
        view = {"data": data}
        assert plan.decide(source, type_, resource, lambda view=view: view) == plain_decide(
            made, source, type_, resource, view
        )
