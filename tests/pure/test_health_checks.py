"""Findings about a store: none about a good one, and one for each bad setting with what to change."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tidegate.core.finding_codes import Severity
from tidegate.query import health_checks
from tidegate.store import Node, PostgresFacts, SqliteFacts

SERVER = PostgresFacts(
    server="postgresql://db/tidegate", server_version="16", schema_version=3, pool_size=6, down=False,
    sessions="direct", fsync="on", full_page_writes="on", autovacuum="on", synchronous_commit="on",
    synchronous_standby_names="", standbys=0, in_recovery=False, max_connections=100, used_bytes=1, node="a", fence=1,
    partitions=64, clock_ahead_seconds=0.0, spans=1, statements=1,
)  # fmt: skip
FILE = SqliteFacts(
    path="tidegate.db", sqlite_version="3.45", schema_version=3, page_count=1, free_pages=0, page_bytes=4096,
    used_bytes=4096, synchronous=2, free_bytes=10 << 30, commits=1,
)  # fmt: skip
replace = msgspec.structs.replace


def nodes(*partitions: int) -> list[Node]:
    return [Node(f"n{number}", number, held, 1, 2) for number, held in enumerate(partitions)]


def test_a_safe_store_has_no_findings() -> None:
    assert health_checks.of_store(SERVER, nodes(32, 32)) == []
    standby = replace(SERVER, standbys=1, synchronous_standby_names="*")
    assert health_checks.of_store(standby, nodes(64)) == []
    assert health_checks.of_store(FILE, nodes(64)) == []


@pytest.mark.parametrize(
    ("name", "change", "severity"),
    [
        ("fsync", {"fsync": "off"}, Severity.ERROR),
        ("full_page_writes", {"full_page_writes": "off"}, Severity.ERROR),
        ("autovacuum", {"autovacuum": "off"}, Severity.ERROR),
        ("synchronous_commit", {"synchronous_commit": "local"}, Severity.ERROR),
        ("max_connections", {"max_connections": 18}, Severity.ERROR),
        ("synchronous_standby_names", {"standbys": 1}, Severity.WARNING),
        ("clock", {"clock_ahead_seconds": -3600.02}, Severity.WARNING),
    ],
)
def test_each_setting_that_costs_something_is_a_finding_with_what_to_change(
    name: str, change: dict[str, Any], severity: Severity
) -> None:
    (one,) = health_checks.of_store(replace(SERVER, **change), nodes(32, 32))
    assert (one.subject, one.severity) == (f"store:{name}", severity)
    assert name in one.remedy or name == "synchronous_commit"


def test_a_wrong_clock_says_by_how_much_and_in_which_direction() -> None:
    (behind,) = health_checks.of_store(replace(SERVER, clock_ahead_seconds=-3600.02), nodes(64))
    (ahead,) = health_checks.of_store(replace(SERVER, clock_ahead_seconds=5.0), nodes(64))
    assert (behind.title, ahead.title) == ("3600 s behind", "5 s ahead")
    assert "is 5 s ahead of the database server's" in ahead.summary


@pytest.mark.parametrize(("count", "enough"), [(2, 19), (4, 35)])
def test_connections_are_counted_for_all_nodes(count: int, enough: int) -> None:
    alive = nodes(*[64 // count] * count)
    (one,) = health_checks.of_store(replace(SERVER, max_connections=enough - 1), alive)
    assert one.name == "max_connections"
    assert health_checks.of_store(replace(SERVER, max_connections=enough), alive) == []


def test_partitions_without_a_node_are_a_notice() -> None:
    (one,) = health_checks.of_store(SERVER, nodes(32, 20))
    assert one.name == "partitions" and "12 of 64" in one.summary and one.severity is Severity.NOTICE


@pytest.mark.parametrize("change", [{"synchronous": 1}, {"free_bytes": 1 << 20}])
def test_an_embedded_store_that_can_lose_events_is_an_error(change: dict[str, int]) -> None:
    (one,) = health_checks.of_store(replace(FILE, **change), nodes(64))
    assert one.severity is Severity.ERROR
