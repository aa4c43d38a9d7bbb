"""What doctor says of a store's settings: nothing of a good one, and each bad one with what to change."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.query import health_checks as upkeep
from tidegate.store import Node

SERVER: dict[str, Any] = {
    "kind": "postgresql", "pool_size": 6, "fsync": "on", "full_page_writes": "on", "autovacuum": "on",
    "synchronous_commit": "on", "synchronous_standby_names": "", "standbys": 0, "max_connections": 100,
    "clock_ahead_seconds": 0.0,
}  # fmt: skip
FILE: dict[str, Any] = {"kind": "sqlite", "synchronous": 2, "free_bytes": 10 << 30}


def nodes(*partitions: int) -> list[Node]:
    return [Node(f"n{number}", number, held, 1, 2) for number, held in enumerate(partitions)]


def test_of_a_store_as_it_should_be_there_is_nothing_to_say() -> None:
    assert upkeep.of_store(SERVER, nodes(32, 32)) == []
    assert upkeep.of_store(SERVER | {"standbys": 1, "synchronous_standby_names": "*"}, nodes(64)) == []
    assert upkeep.of_store(FILE, nodes(64)) == []


@pytest.mark.parametrize(
    ("name", "change", "state"),
    [
        ("fsync", {"fsync": "off"}, "failing"),
        ("full_page_writes", {"full_page_writes": "off"}, "failing"),
        ("autovacuum", {"autovacuum": "off"}, "failing"),
        ("synchronous_commit", {"synchronous_commit": "local"}, "failing"),
        ("max_connections", {"max_connections": 18}, "failing"),
        ("synchronous_standby_names", {"standbys": 1}, "waiting"),
        ("clock", {"clock_ahead_seconds": -3600.02}, "waiting"),
    ],
)
def test_each_setting_that_costs_something_is_told_with_what_to_change(
    name: str, change: dict[str, Any], state: str
) -> None:
    (one,) = upkeep.of_store(SERVER | change, nodes(32, 32))
    assert (one.kind, one.name, one.state) == ("store", name, state)
    assert name in one.hint or name == "synchronous_commit"


@pytest.mark.parametrize(("count", "enough"), [(2, 19), (4, 35)])
def test_connections_are_counted_by_node(count: int, enough: int) -> None:
    alive = nodes(*[64 // count] * count)
    (one,) = upkeep.of_store(SERVER | {"max_connections": enough - 1}, alive)
    assert one.name == "max_connections"
    assert upkeep.of_store(SERVER | {"max_connections": enough}, alive) == []


def test_shares_that_nobody_holds_are_told() -> None:
    (one,) = upkeep.of_store(SERVER, nodes(32, 20))
    assert one.name == "partitions" and "12 of 64" in one.what


@pytest.mark.parametrize("change", [{"synchronous": 1}, {"free_bytes": 1 << 20}])
def test_an_embedded_store_that_is_not_safe_is_told(change: dict[str, Any]) -> None:
    (one,) = upkeep.of_store(FILE | change, nodes(64))
    assert one.state == "failing"
