"""What every store promises about tokens and their locks (store.Credentials)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.stores import STORES, Opener, with_store

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())
NAME = "source/shop"


def test_a_token_is_read_as_it_was_put(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        assert await store.credentials.get(NAME) is None
        locked = await store.credentials.lock(NAME, "a", 30)
        assert locked.body == b"" and locked.attempts == 0
        assert await store.credentials.put(NAME, locked.fence, b"sealed")
        assert (await store.credentials.get(NAME)).body == b"sealed"
        assert await store.credentials.names() == [NAME]

    with_store(opener, tmp_path, work)


def test_one_of_many_gets_the_lock_and_the_fence_grows_with_each(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        fences = []
        for _ in range(3):
            found = await asyncio.gather(*(store.credentials.lock(NAME, f"o{n}", 30) for n in range(8)))
            (winner,) = [one for one in found if one is not None]
            fences.append(winner.fence)
            await store.credentials.release(NAME, winner.fence)
        assert fences == sorted(set(fences))

    with_store(opener, tmp_path, work)


def test_a_lock_that_is_over_is_taken_and_its_holder_changes_nothing_more(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        old = await store.credentials.lock(NAME, "slow", 0.05)
        await asyncio.sleep(0.1)
        assert not await store.credentials.announce(NAME, old.fence)  # its time is over, although nobody took it
        new = await store.credentials.lock(NAME, "next", 30)
        assert new.fence > old.fence
        assert not await store.credentials.announce(NAME, old.fence)
        assert not await store.credentials.put(NAME, old.fence, b"late")
        await store.credentials.release(NAME, old.fence)
        assert await store.credentials.lock(NAME, "third", 30) is None
        assert await store.credentials.put(NAME, new.fence, b"right")
        assert (await store.credentials.get(NAME)).body == b"right"

    with_store(opener, tmp_path, work)


def test_attempts_are_counted_until_a_token_is_put(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        first = await store.credentials.lock(NAME, "a", 30)
        assert await store.credentials.announce(NAME, first.fence)
        await store.credentials.release(NAME, first.fence)
        second = await store.credentials.lock(NAME, "b", 30)
        assert second.attempts == 1
        assert await store.credentials.announce(NAME, second.fence)
        assert (await store.credentials.get(NAME)).attempts == 2
        assert await store.credentials.put(NAME, second.fence, b"new")
        assert (await store.credentials.get(NAME)).attempts == 0

    with_store(opener, tmp_path, work)


def test_a_fence_never_comes_back_after_a_delete(opener: Opener, tmp_path: Any) -> None:
    async def work(store: Any) -> None:
        old = await store.credentials.lock(NAME, "a", 30)
        await store.credentials.delete(NAME)
        await asyncio.sleep(0.01)
        new = await store.credentials.lock(NAME, "b", 30)
        assert new.fence > old.fence
        assert not await store.credentials.put(NAME, old.fence, b"late")

    with_store(opener, tmp_path, work)
