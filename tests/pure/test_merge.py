"""Which copy of a record wins: versions that prove an order, versions that do not, deletes, and two notations."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.core.model import Origin, RecordState
from tidegate.rules.sync.canonical import canonical, hash_bytes
from tidegate.rules.sync.changes import Copy, compare, differing, make_copy, same_on_common_fields, same_value
from tidegate.rules.sync.merge import HOLD_AFTER_DELETE_US, MergeDecision, MergeRule, merge, stored
from tidegate.rules.sync.versions import order

SAME, STORE, REPLACE = MergeDecision.SAME, MergeDecision.STORE, MergeDecision.REPLACE
RENEW, OLDER, FETCH, HOLD = MergeDecision.RENEW, MergeDecision.OLDER, MergeDecision.FETCH, MergeDecision.HOLD
ALONE, WITH_ITEM = MergeRule(can_fetch=False), MergeRule(can_fetch=True)

# a, b, kind, the order of a against b
ORDERS = [
    ("1", "2", "auto", -1), ("10", "9", "auto", 1), ("1.5", "1.50", "auto", 0), ("-1", "1", "auto", -1),
    ("2026-11-24T12:00:00Z", "2026-11-24T12:00:01Z", "auto", -1),
    ("2026-11-24T12:00:00Z", "2026-11-24T13:00:00+01:00", "auto", 0),
    ("2026-11-24T12:00:00.5Z", "2026-11-24T12:00:00Z", "auto", 1),
    ("Wed, 25 Nov 2026 10:00:00 GMT", "Thu, 26 Nov 2026 10:00:00 GMT", "auto", -1),
    ("/Date(1764000000000)/", "/Date(1764000000001)/", "auto", -1),
    ("1764000000", "2025-11-24T16:00:01Z", "auto", -1),
    ("9-aa", "10-bb", "auto", None), ("1.9.0", "1.10.0", "auto", None), ('W/"f0"', 'W/"0b"', "auto", None),
    ("v9", "v10", "auto", None), ("12/31/2026 10:00", "01/02/2027 10:00", "auto", None),
    ("2026-11-24 09:59 AM", "2026-11-24 01:10 PM", "auto", None), ("a", "b", "auto", None), ("1", "a", "auto", None),
    ("2026-11-24T12:00:00", "2026-11-24T12:00:00Z", "auto", None),  # local time against UTC
    ("1.9.0", "1.10.0", "semver", -1), ("v2.0.0", "v2.0.0-rc.1", "semver", 1), ("1.0.0-2", "1.0.0-10", "semver", -1),
    ("a", "b", "text", -1), ("9", "10", "text", 1), ("1", "2", "opaque", None), ("x", "x", "opaque", 0),
    ("2026-11-24T12:00:00Z", "7", "number", None), ("1", "2", "instant", None),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "kind", "expected"), ORDERS)
def test_an_order_is_claimed_only_for_versions_that_prove_one(a: str, b: str, kind: str, expected: int | None) -> None:
    assert order(a, b, kind) == expected
    assert order(b, a, kind) == (None if expected is None else -expected)


def known(
    value: Any, version: str | None, *, at: int = 100, deleted: bool = False, origin: Origin = Origin.POLL
) -> RecordState:
    body = canonical(value)
    return RecordState("s", "r", "1", hash_bytes(body), version, 1, origin, at, at, at, deleted, body)


def copy(value: Any, version: str | None, *, at: int = 200, origin: Origin = Origin.POLL, **how: Any) -> Copy:
    if how.get("pushed"):
        origin = Origin.WEBHOOK
    return make_copy(
        "1", value, ignore=(), version=version, origin=origin, asked_at_us=at, answered_at_us=how.pop("end", at), **how
    )


V1, V2 = {"id": "1", "a": 1}, {"id": "1", "a": 2}

RULES: list[tuple[str, RecordState | None, Copy, MergeRule, MergeDecision]] = [
    ("unknown", None, copy(V1, "1"), ALONE, STORE),
    ("the same", known(V1, "1"), copy(V1, "1"), ALONE, SAME),
    ("a higher version", known(V1, "1"), copy(V2, "2"), ALONE, STORE),
    ("a higher version, the same content", known(V1, "1"), copy(V1, "2"), ALONE, RENEW),
    ("a lower version pushed", known(V2, "2"), copy(V1, "1", pushed=True), WITH_ITEM, OLDER),
    ("a lower version read before", known(V2, "2"), copy(V1, "1", at=50), WITH_ITEM, OLDER),
    ("a lower version read later", known(V2, "2"), copy(V1, "1"), WITH_ITEM, FETCH),
    ("a lower version read later, no item_path", known(V2, "2"), copy(V1, "1"), ALONE, HOLD),
    ("a lower version fetched and not seen before", known(V2, "2"), copy(V1, "1", fetched=True), WITH_ITEM, HOLD),
    ("a lower version of a kind that is an order", known(V2, "2"), copy(V1, "1"), MergeRule(False, "number"), OLDER),
    ("a tie, read later", known(V1, "1"), copy(V2, "1"), ALONE, STORE),
    ("a tie, read later, item_path", known(V1, "1"), copy(V2, "1"), WITH_ITEM, FETCH),
    ("a tie, fetched", known(V1, "1"), copy(V2, "1", fetched=True), WITH_ITEM, STORE),
    ("opaque, read later", known(V1, "9-aa"), copy(V2, "10-bb"), ALONE, REPLACE),
    ("opaque, read before", known(V1, "9-aa"), copy(V2, "10-bb", at=50), ALONE, OLDER),
    ("opaque, the same content", known(V1, "9-aa"), copy(V1, "10-bb"), ALONE, RENEW),
    ("no version, read later", known(V1, None), copy(V2, None), ALONE, STORE),
    ("no version, read before", known(V1, None), copy(V2, None, at=50), ALONE, OLDER),
    ("no version, pushed", known(V1, None), copy(V2, None, pushed=True), ALONE, STORE),
    ("no version, pushed, item_path", known(V1, None), copy(V2, None, pushed=True), WITH_ITEM, FETCH),
    ("a delete", known(V1, "1"), copy(None, None, deleted=True), ALONE, STORE),
    (
        "a delete that was pushed with its version",
        known(V1, "1"),
        copy(V1, "1", pushed=True, deleted=True),
        ALONE,
        STORE,
    ),
]


@pytest.mark.parametrize(
    ("before", "new", "rule", "decision"), [row[1:] for row in RULES], ids=[row[0] for row in RULES]
)
def test_the_merge_rule(before: RecordState | None, new: Copy, rule: MergeRule, decision: MergeDecision) -> None:
    assert merge(before, new, rule) is decision


WRITE = Origin.WRITE
ANSWERS: list[tuple[str, RecordState | None, Copy, MergeDecision]] = [
    ("a new record", None, copy(V1, "1", origin=WRITE), STORE),
    ("a higher version", known(V1, "1"), copy(V2, "2", origin=WRITE), STORE),
    ("a higher version, sent before a poll was answered", known(V1, "1"), copy(V2, "2", at=50, origin=WRITE), STORE),
    ("a lower version is never fetched or held", known(V1, "2"), copy(V2, "1", origin=WRITE), OLDER),
    ("the same version, sent before", known(V1, "1"), copy(V2, "1", at=50, origin=WRITE), OLDER),
    ("the same version, sent after", known(V1, "1"), copy(V2, "1", origin=WRITE), STORE),
    ("no version, sent before", known(V1, None), copy(V2, None, at=50, origin=WRITE), OLDER),
    ("no version, sent after", known(V1, None), copy(V2, None, origin=WRITE), STORE),
    ("versions without an order", known(V1, "a"), copy(V2, "b", origin=WRITE), REPLACE),
    ("the same again", known(V1, "1"), copy(V1, "1", origin=WRITE), SAME),
    ("a record that was deleted since", GONE_SINCE := known(V1, "1", deleted=True), copy(V2, None, at=50, origin=WRITE),
     OLDER),
    ("a record that was deleted before", GONE_SINCE, copy(V2, "2", origin=WRITE), REPLACE),
]  # fmt: skip


@pytest.mark.parametrize(("before", "new", "decision"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_the_answer_to_a_write_wins_only_when_it_is_newer(
    before: RecordState | None, new: Copy, decision: MergeDecision
) -> None:
    for rule in (ALONE, WITH_ITEM):
        assert merge(before, new, rule) is decision


def test_a_list_with_other_fields_than_an_answer_is_no_change_until_it_was_seen_once() -> None:
    answer, row = {"id": "1", "a": 1, "x": 1}, {"id": "1", "a": 1, "y": 2}
    before, seen = known(answer, "1", origin=WRITE), MergeRule(can_fetch=False, of_answers={"1"})
    assert merge(before, copy(row, "1"), seen) is RENEW
    assert merge(before, copy(row, "1"), ALONE) is STORE  # the record has the fields of the list: somebody changed it
    assert merge(before, copy({**row, "a": 3}, "2"), seen) is STORE


GONE = known(V1, "5", deleted=True, origin=Origin.WEBHOOK)
GONE_BARE = known(V1, None, deleted=True, origin=Origin.WEBHOOK)
MISSED = known(V1, "5", deleted=True, origin=Origin.POLL)

AFTER_DELETE: list[tuple[str, RecordState, Copy, MergeRule, MergeDecision]] = [
    ("the list still shows it", GONE, copy(V1, "5"), ALONE, HOLD),
    ("the list shows an older version", GONE, copy(V2, "4"), ALONE, HOLD),
    ("the list shows a newer version", GONE, copy(V2, "6"), ALONE, STORE),
    ("the item can be asked for", GONE, copy(V1, "5"), WITH_ITEM, FETCH),
    ("the item is there", GONE, copy(V1, "5", fetched=True), WITH_ITEM, REPLACE),
    ("the item is there with a new life", GONE, copy(V2, "1", fetched=True), WITH_ITEM, REPLACE),
    ("a quarter of an hour later", GONE, copy(V1, "5", at=100 + HOLD_AFTER_DELETE_US), ALONE, REPLACE),
    ("no versions, the same content", GONE_BARE, copy(V1, None), ALONE, HOLD),
    ("no versions, other content", GONE_BARE, copy(V2, None), ALONE, REPLACE),
    ("a read from before the delete", GONE, copy(V2, "6", at=50), ALONE, OLDER),
    ("a list that missed it shows it again", MISSED, copy(V1, "5"), ALONE, REPLACE),
    ("a list that missed it shows a lower version", MISSED, copy(V2, "1"), ALONE, REPLACE),
    ("a webhook of an older version", GONE, copy(V2, "4", pushed=True), ALONE, OLDER),
    ("a webhook of a newer version", GONE, copy(V2, "6", pushed=True), ALONE, STORE),
    ("it is still gone", GONE, copy(None, None, deleted=True), ALONE, SAME),
]


@pytest.mark.parametrize(
    ("before", "new", "rule", "decision"), [row[1:] for row in AFTER_DELETE], ids=[row[0] for row in AFTER_DELETE]
)
def test_what_may_bring_a_deleted_record_back(
    before: RecordState, new: Copy, rule: MergeRule, decision: MergeDecision
) -> None:
    assert merge(before, new, rule) is decision


def test_a_held_copy_that_is_confirmed_replaces_and_its_version_counts_from_then_on() -> None:
    new = copy(V1, "1")
    assert merge(known(V2, "2"), new, ALONE, confirmed=True) is REPLACE
    after = stored(known(V2, "2"), new, 300, "s", "r", REPLACE)
    assert (after.version, after.number) == ("1", 2)
    assert stored(known(V2, "2"), copy(V1, None), 300, "s", "r", STORE).version == "2"


# a webhook and the list write one record in two ways
NOTATIONS = [
    ({"id": 1, "n": 5, "x": "only here"}, {"id": "1", "n": 5.0}, True),
    ({"id": 1, "at": "2026-11-24T12:00:00Z"}, {"id": 1, "at": "2026-11-24T13:00:00.000+01:00"}, True),
    ({"id": 1, "price": "10.00"}, {"id": 1, "price": 10}, True),
    ({"id": 1, "c": {"id": 7, "name": "a"}}, {"id": 1, "c": {"id": 7}}, True),
    ({"id": 1, "n": 5}, {"id": 1, "n": 6}, False),
    ({"id": 1, "n": None}, {"id": 1, "n": 0}, False),
    ({"id": 1, "n": True}, {"id": 1, "n": 1}, False),
    ({"id": 1, "l": [1, 2]}, {"id": 1, "l": [1]}, False),
    ({"id": 1, "a": 1}, {"id": 1, "b": 1}, False),  # one field in common proves nothing
]


@pytest.mark.parametrize(("a", "b", "same"), NOTATIONS)
def test_two_notations_are_compared_by_value_on_the_fields_that_both_have(a: Any, b: Any, same: bool) -> None:
    assert same_on_common_fields(a, b) is same
    assert same_on_common_fields(b, a) is same


def test_a_list_with_more_fields_than_the_webhook_is_stored_without_a_change() -> None:
    before = known({"id": "1", "a": 1}, "5", origin=Origin.WEBHOOK)
    wider, narrower = copy({"id": 1, "a": "1.0", "b": 2}, "5"), copy({"id": "1", "a": 1.0}, "5")
    assert merge(before, wider, ALONE) is RENEW
    assert merge(before, narrower, ALONE) is SAME
    assert merge(before, copy({"id": 1, "a": 2, "b": 2}, "5"), ALONE) is STORE


def test_within_one_origin_every_difference_counts() -> None:
    assert merge(known({"id": "1", "a": 1}, None), copy({"id": "1", "a": "1"}, None), ALONE) is STORE
    assert not same_value("2026-11-24", "2026-11-25")


# before, after, the names that differ
DIFFERENCES: list[tuple[Any, Any, tuple[str, ...]]] = [
    ({"b": 1, "a": 1, "c": 0}, {"c": 0, "a": 2, "d": 1}, ("a", "b", "d")),
    ({"a": 1, "b": 1.5, "c": [1, {"x": 2.0}]}, {"a": 1.0, "b": 1.5, "c": [1.0, {"x": 2}]}, ()),
    ({"a": 1, "b": True, "c": 0}, {"a": True, "b": True, "c": False}, ("a", "c")),
    ({"a": [1, [True]], "b": {"x": {"y": 0}}}, {"a": [1, [1]], "b": {"x": {"y": False}}}, ("a", "b")),
    ({"a": [True] * 30, "b": [1] * 30}, {"a": [1] * 30, "b": [1.0] * 30}, ("a",)),
    ({"a": {str(n): n for n in range(30)}}, {"a": {str(n): n or False for n in range(30)}}, ("a",)),
    ([1], {"a": 1}, ()),
]


@pytest.mark.parametrize(("before", "after", "names"), DIFFERENCES)
def test_numbers_differ_by_value_and_booleans_are_no_numbers_at_any_depth(
    before: Any, after: Any, names: tuple[str, ...]
) -> None:
    assert differing(before, after) == names
    assert differing(after, before) == names


def test_a_new_ignore_path_makes_no_change_of_records_stored_before() -> None:
    before = known({"id": "1", "a": 1, "seen": 1}, None)
    new = make_copy(
        "1", {"id": "1", "a": 1, "seen": 2}, ignore=["seen"], version=None, origin=Origin.POLL, asked_at_us=200,
        answered_at_us=200,
    )  # fmt: skip
    assert compare(before, new, ["seen"]) is None
