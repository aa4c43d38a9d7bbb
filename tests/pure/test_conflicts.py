"""Two changes conflict when neither was known where the other was made, and both directions name the same winner."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.rules.sync.conflicts import Rival, changed, incoming_wins, meeting_of, with_values


def rival(number: int = 1, targets: tuple[str, ...] = ("erp",), at_us: int = 50, **values: Any) -> Rival:
    return Rival(number, values, targets, {}, at_us, at_us)


@pytest.mark.parametrize(
    ("other", "conflict", "stale"),
    [
        (rival(name="Bob"), {"name": "Bob"}, {}),
        (rival(name=" ada"), {}, {}),  # the same value in its own notation
        (rival(phone="2"), {}, {"phone": "2"}),
        (rival(name="Bob", phone="2"), {"name": "Bob"}, {"phone": "2"}),
        (rival(age=3), {}, {}),
        (rival(targets=(), at_us=99, name="Bob"), {}, {}),  # no route carries it, and it was there before
        (rival(targets=(), at_us=101, name="Bob"), {"name": "Bob"}, {}),
    ],
)
def test_what_a_write_meets(other: Rival, conflict: dict[str, Any], stale: dict[str, Any]) -> None:
    found = meeting_of({"name": "Ada"}, {"name": "Ada", "phone": "1"}, [other], ("erp", 100))
    assert (found.conflict if found else {}, found.stale if found else {}) == (conflict, stale)


@pytest.mark.parametrize(("carried", "met"), [({}, True), ({"erp": 99}, False), ({"erp": 100}, True), ({"x": 1}, True)])
def test_a_change_that_had_arrived_is_known(carried: dict[str, int], met: bool) -> None:
    other = Rival(1, {"name": "Bob"}, ("erp",), carried, 1, 1)
    assert (meeting_of({"name": "Ada"}, {"name": "Ada"}, [other], ("erp", 100)) is not None) is met


@pytest.mark.parametrize("policy", ["last_writer", "prefer"])
@pytest.mark.parametrize("instants", [(1, 2), (2, 1), (2, 2)])
def test_exactly_one_direction_wins(policy: str, instants: tuple[int, int]) -> None:
    crm, erp = (instants[0], "crm"), (instants[1], "erp")
    assert incoming_wins(policy, "crm", crm, erp) is not incoming_wins(policy, "crm", erp, crm)
    if policy == "prefer":
        assert incoming_wins(policy, "crm", crm, erp)


def test_members_that_changed_are_found_at_every_depth_and_replaced_in_place() -> None:
    before, after = {"p": {"a": 1, "b": 2}, "v": 1}, {"p": {"a": 1, "b": 3}, "v": 2}
    assert changed(before, after, {"v"}) == {"b": 3}
    assert with_values({"p": {"a": 1, "b": 2}, "list": [{"b": 2}]}, {"b": 9}) == {
        "p": {"a": 1, "b": 9}, "list": [{"b": 9}]
    }  # fmt: skip
