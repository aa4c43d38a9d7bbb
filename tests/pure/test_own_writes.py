"""A change is our own when one of our writes explains all of it, and somebody else's otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.core.model import Change
from tidegate.rules.sync.own_writes import ExpectedWrite, leaves, not_written, own_write

BEFORE = {"id": "7", "name": "Ada", "phone": "1", "updated_at": "1"}


def change(kind: str = "updated", **after: Any) -> Change:
    value = {**BEFORE, **after, "updated_at": "2"}
    fields = tuple(sorted(name for name in value if kind == "created" or value[name] != BEFORE.get(name)))
    return Change(kind, None if kind == "created" else BEFORE, value, fields, "2", 2)


def write(answer: dict[str, Any] | None = None, key: str = "", **written: Any) -> ExpectedWrite:
    return ExpectedWrite("w", key, written, answer, "evt_1", ("site",))


@pytest.mark.parametrize(
    ("seen", "expected", "own"),
    [
        (change(name="Bob"), write(name="Bob"), True),
        (change(name="BOB "), write(name="bob"), True),  # normalized, and the answer did not come yet
        (change(name="Bob"), write(name="Eve"), False),
        (change(name="Bob", phone="2"), write(name="Bob"), False),  # somebody changed the phone too
        (change(name="Bob"), write(key="8", name="Bob"), False),
        (change(name="Robert"), write({"id": "7", "name": "Robert"}, "7", name="bob"), True),  # as the answer has it
        (change(name="Carol"), write({"id": "7", "name": "Robert"}, "7", name="bob"), False),
        (change(name="Robert", phone="2"), write({"id": "7", "name": "Robert", "phone": "1"}, "7"), False),
        (change("created", name="Bob"), write(name="Bob", phone="1"), True),
        (change("created", name="Bob"), write(name="Eve"), False),
        (change("created", name="Bob"), write({"id": "7"}, "7", name="Bob"), True),  # the answer has the id alone
        (change("created", name="Eve"), write({"id": "7"}, "7", name="Bob"), False),
        (change(name="Bob"), write({"id": "7"}, "7", name="bob"), True),
        (change(name="Bob", phone="2"), write({"id": "7"}, "7", name="Bob"), False),
        (change(), write(name="Bob"), False),  # nothing but the version moved, and of which record is not known
        (change(), write(key="7", name="Bob"), True),
    ],
)
def test_what_explains_a_change(seen: Change, expected: ExpectedWrite, own: bool) -> None:
    assert (own_write(seen, "7", [expected], "updated_at") is expected) is own


def test_the_newest_write_explains_first() -> None:
    old, new = write(name="Bob"), write(name="Bob")
    assert own_write(change(name="Bob"), "7", [old, new], "updated_at") is new


def test_a_deletion_is_ours_when_we_deleted_that_record_and_explains_nothing_else() -> None:
    gone = Change("deleted", BEFORE, BEFORE, (), None, 3)
    ours = ExpectedWrite("w", "7", {}, None, "evt_1", ("site",), deletes=True)
    assert own_write(gone, "7", [ours, write(name="Ada")], "") is ours
    assert own_write(gone, "8", [ours], "") is None
    assert own_write(gone, "7", [write(key="7", name="Ada")], "") is None
    assert own_write(change(), "7", [ours], "updated_at") is None


def test_members_are_found_at_every_depth() -> None:
    assert leaves({"a": {"b": 1, "a": 2}, "c": [3]}) == {"a": {"b": 1, "a": 2}, "b": 1, "c": [3]}
    assert leaves([1]) == {} == leaves(None)


def test_members_that_differ_and_were_not_written_may_be_somebody_elses() -> None:
    nested = {"id": "7", "fields": {"name": "Ada", "score": 1}, "updated_at": "1"}
    after = {"id": "7", "fields": {"name": "Bob", "score": 2}, "updated_at": "2", "new": True}
    seen = Change("updated", nested, after, ("fields", "new", "updated_at"), "2", 2)
    assert not_written(write(name="Bob"), seen, "updated_at") == {"score", "new"}
    assert not_written(write(name="Bob"), change(name="Bob"), "updated_at") == set()
    assert not_written(write(name="Bob"), change("created", name="Bob"), "updated_at") == set()
