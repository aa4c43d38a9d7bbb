"""What every store promises about remembered ids and repeated calls (store.Operations)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from support.stores import STORES, Opener, with_store
from tidegate.store import ANSWERED, MERGED, PendingWrite, StoredCall

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


def test_pending_writes_are_kept_by_record_and_forgotten(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        ids = store.operations
        one = PendingWrite("w1", "crm", "contacts", "", b"{}", b"", "evt_1", b"[]", 100)
        answered = PendingWrite("w1", "crm", "contacts", "7\0", b"{}", b"{}", "evt_1", b"[]", 100)
        other = PendingWrite("w2", "crm", "contacts", "8", b"{}", b"", "evt_2", b'["a"]', 200)
        await ids.put_write(one, 0)
        await ids.put_write(answered, 0)
        await ids.put_write(other, 0)
        assert await ids.writes("crm", "contacts") == [answered, other]
        assert await ids.writes("crm", "leads") == []
        await ids.delete_writes_of("crm", "contacts", "7\0")
        assert await ids.writes("crm", "contacts") == [other]
        merged = msgspec.structs.replace(other, state=MERGED, sent_at_us=3, answered_at_us=4)
        await ids.put_write(merged, 0)
        await ids.put_write(msgspec.structs.replace(answered, state=ANSWERED), 0)
        assert await ids.writes("crm", "contacts", MERGED) == [merged] == [await ids.write("w2")]
        assert [write.id for write in await ids.writes("crm", "contacts", ANSWERED)] == ["w1"]
        assert await ids.write("w0") is None
        await ids.put_write(other, 0)
        await ids.put_write(one, 0)
        await ids.delete_write("w1")
        await ids.put_write(PendingWrite("w3", "crm", "contacts", "9", b"{}", b"", "e", b"[]", 300), 250)
        assert [write.id for write in await ids.writes("crm", "contacts")] == ["w3"]

    with_store(opener, tmp_path, work)
