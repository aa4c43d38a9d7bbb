"""What every store promises about changes by others and conflicts (store.Conflicts)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.stores import STORES, Opener, with_store
from tidegate.store import OtherChange, StoredConflict

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())


def change(number: int, at_us: int = 100, key: str = "k\0") -> OtherChange:
    return OtherChange("crm", "contacts", key, number, b'{"a":1}', b'["erp"]', b"{}", at_us, at_us)


def conflict(id: str, use: str = "", at_us: int = 100, pair: str = "p") -> StoredConflict:
    return StoredConflict(id, "crm", "update", "contacts", "k", "evt_1", pair, b"i", b"c", use, "", at_us)


def test_changes_are_kept_until_they_are_old_and_know_where_they_were_carried(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        conflicts = store.conflicts
        for number in (1, 2, 3):
            await conflicts.put_change(change(number), 0)
        await conflicts.put_change(change(9, key="other"), 0)
        await conflicts.carried(("crm", "contacts", "k\0", 2), "erp", 55)
        await conflicts.carried(("crm", "contacts", "k\0", 3), "erp", 66)
        found = await conflicts.changes("crm", "contacts", "k\0")
        assert [(one.number, json.loads(one.carried)) for one in found] == [
            (1, {"erp": 55}), (2, {"erp": 55}), (3, {"erp": 66})
        ]  # fmt: skip
        await conflicts.put_change(change(3), 0)  # again, after a crash: the first one stays
        assert json.loads((await conflicts.changes("crm", "contacts", "k\0"))[2].carried) == {"erp": 66}
        await conflicts.put_change(change(4, at_us=500), 200)
        assert [one.number for one in await conflicts.changes("crm", "contacts", "k\0")] == [4]

    with_store(opener, tmp_path, work)


def test_conflicts_are_found_by_id_and_pair_and_held_ones_are_kept(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        conflicts = store.conflicts
        for one in (conflict("a", at_us=1), conflict("b", "current", 2), conflict("c", pair="q", at_us=3)):
            await conflicts.put(one, 0)
        assert await conflicts.get("a") == conflict("a", at_us=1) and await conflicts.get("x") is None
        assert [one.id for one in await conflicts.of_pair("p")] == ["a", "b"]
        assert [one.id for one in await conflicts.listed(True, 10)] == ["c", "a"]
        assert [one.id for one in await conflicts.listed(False, 2)] == ["c", "b"]
        await conflicts.put(conflict("c", "incoming", 3, pair="q"), 50)
        assert [one.id for one in await conflicts.listed(False, 10)] == ["c", "a"]

    with_store(opener, tmp_path, work)
