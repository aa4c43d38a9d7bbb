"""How nodes divide the partitions: every decision is one node's, from what the store shows of all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.store import PARTITIONS
from tidegate.store.postgres.balance import change_of_partitions


@pytest.mark.parametrize(
    ("counts", "me", "free", "change"),
    [
        ([("a", 0)], "a", 64, 64),  # alone: all
        ([("a", 64)], "a", 0, 0),
        ([("a", 64), ("b", 0)], "a", 0, -32),
        ([("a", 64), ("b", 0)], "b", 0, 0),  # nothing free yet
        ([("a", 32), ("b", 0)], "b", 32, 32),
        ([("a", 22), ("b", 21), ("c", 21)], "a", 0, 0),
        ([("a", 21), ("b", 21), ("c", 22)], "a", 0, 0),  # a difference of one is left alone
        ([("a", 22), ("b", 22), ("c", 20)], "b", 0, -1),  # but nobody goes short for it
        ([("a", 22), ("b", 22), ("c", 20)], "a", 0, 0),
        ([("a", 22), ("b", 21), ("c", 20)], "c", 1, 1),
        ([("a", 30), ("b", 2)], "b", 32, 30),
    ],
)
def test_a_node_claims_or_leaves(counts, me, free, change):
    assert change_of_partitions(counts, me, free) == change


@given(st.lists(st.integers(0, 64), min_size=1, max_size=80), st.randoms())
def test_from_any_division_nodes_come_to_hold_as_many_and_then_nothing_moves(weights, chance):
    left, counts = PARTITIONS, {}
    for node, weight in enumerate(weights):
        counts[str(node)] = min(weight, left)
        left -= counts[str(node)]

    def one_round() -> bool:
        nonlocal left
        moved = False
        for node in chance.sample(sorted(counts), len(counts)):
            change = change_of_partitions(list(counts.items()), node, left)
            counts[node] += change
            left -= change
            moved |= change != 0
        return moved

    for _ in range(PARTITIONS + 2):
        if not one_round():
            break
    assert not one_round()
    assert left == 0 and max(counts.values()) - min(counts.values()) <= 1
