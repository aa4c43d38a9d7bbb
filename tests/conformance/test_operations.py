"""What every store promises about remembered ids and repeated calls (store.Operations)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.stores import STORES, Opener, with_store
from tidegate.store import StoredCall

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())


def test_ids_are_added_to_those_of_their_key(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        ids = store.operations
        assert await ids.remembered("crm", "a\0b") == {}
        await ids.remember("crm", "a\0b", {"contact": "1", "etag": "x"}, 5)
        await ids.remember("crm", "a\0b", {"etag": "y"}, 6)
        await ids.remember("shop", "a\0b", {"contact": "2"}, 7)
        assert await ids.remembered("crm", "a\0b") == {"contact": "1", "etag": "y"}

    with_store(opener, tmp_path, work)


def test_of_many_equal_calls_one_begins_and_its_answer_is_given_again(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        ids = store.operations
        begun = await asyncio.gather(*(ids.begin_call("k", b"d", 100, 0) for _ in range(8)))
        assert begun.count(None) == 1 and begun.count(StoredCall(b"d", b"", 100)) == 7
        await ids.end_call("k", b"answer")
        assert await ids.begin_call("k", b"other", 200, 0) == StoredCall(b"d", b"answer", 100)
        assert await ids.begin_call("k", b"other", 200, 101) is None  # the old one was forgotten
        await ids.end_call("k", None)
        assert await ids.begin_call("k", b"third", 300, 0) is None

    with_store(opener, tmp_path, work)
