"""What every store promises about budgets of requests (store.Budgets)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.stores import STORES, Opener, with_store

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())
NAME = "credential/crm"


def test_requests_that_come_at_once_leave_one_after_the_other(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        found = await asyncio.gather(*(store.budgets.reserve(NAME, 5.0, 60) for _ in range(15)))
        waits = sorted(found)
        assert waits[:4] == [0.0] * 4
        assert waits[5:] == pytest.approx([0.2 * number for number in range(1, 11)], abs=0.15)
        assert await store.budgets.reserve("source/other", 5.0, 60) == 0.0

    with_store(opener, tmp_path, work)


def test_a_wait_beyond_the_patience_reserves_nothing(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        assert await store.budgets.reserve(NAME, 1 / 60, 5) == 0.0
        for _ in range(3):
            assert 50 < await store.budgets.reserve(NAME, 1 / 60, 5) < 70
        assert await store.budgets.reserve(NAME, 1 / 60, 70) == pytest.approx(60, abs=1)

    with_store(opener, tmp_path, work)


def test_a_hold_counts_for_everyone_and_a_shorter_one_does_not_end_it(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        await store.budgets.hold(NAME, 30)
        await store.budgets.hold(NAME, 1)
        assert await store.budgets.reserve(NAME, 100.0, 60) == pytest.approx(30, abs=1)

    with_store(opener, tmp_path, work)
