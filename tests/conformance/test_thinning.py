"""What every store promises about deleting settled events around those that are owed (store.Log.thin)."""

from __future__ import annotations

import pytest

from support.stores import STORES, audience, event, with_store
from tidegate.core.model import Attempt, Deferred, DeferredState, Lane, Outcome
from tidegate.rules.retention import by_source
from tidegate.store import Settlement, Thinned, Weighed

pytestmark = pytest.mark.parametrize("opener", STORES.values(), ids=STORES.keys())


ROOM = 1 << 30


def attempt(offset: int) -> Attempt:
    return Attempt(offset, 1, 1, Outcome.OK, 10, 20)


async def kept(store) -> list[int]:
    return [one.offset for one in await store.log.read(range(1, 50))]


def test_what_a_lane_or_a_retry_owes_stays_and_the_rest_goes(opener, tmp_path):
    async def work(store):
        both = await audience(store, wanted=((1, 1), (2, 2)))
        only_one = await audience(store, wanted=((1, 1),))
        nobody = await audience(store, wanted=())
        for number in (both, only_one, nobody, both, only_one, nobody, both, only_one, nobody):
            await store.log.append([event(number, b"x" * 100)])
        # Destination 1 passed everything but a retry of 5; destination 2 stopped at 3. 9 is not settled anywhere.
        rows = [
            Deferred(1, 5, DeferredState.PENDING, 0),
            Deferred(1, 1, DeferredState.EXHAUSTED, 0),
            Deferred(1, 2, DeferredState.EXHAUSTED, 0),
        ]
        lanes = [Lane(1, None, fence=1), Lane(2, 3, fence=1)]
        await store.deliveries.settle(Settlement(8, lanes, [attempt(one) for one in (2, 4, 5)], rows))
        assert await store.log.thin(0, 4, ROOM) == Thinned(4, 3, 300)
        assert await kept(store) == [4, 5, 6, 7, 8, 9]
        assert await store.log.thin(4, 100, ROOM) == Thinned(8, 2, 200)
        assert await kept(store) == [4, 5, 7, 9]
        assert await store.log.thin(8, 100, ROOM) == Thinned(None, 0, 0)
        assert await store.log.thin(0, 100, ROOM) == Thinned(7, 0, 0), "what is owed stays"
        found = await store.deliveries.attempts([(one, 1) for one in (2, 4, 5)])
        assert [offset for (offset, _), some in sorted(found.items()) if some] == [4, 5]
        assert [one.offset for one in await store.deliveries.deferred(destination=1)] == [5]

    with_store(opener, tmp_path, work)


def test_only_the_events_of_the_given_sources_go(opener, tmp_path):
    async def work(store):
        shop, forms = await audience(store, wanted=()), await audience(store, "forms", wanted=())
        for number, source in ((shop, "shop"), (forms, "forms"), (shop, "shop")):
            await store.log.append([event(number, b"x" * 10, source=source)])
        await store.deliveries.settle(Settlement(3, []))
        assert by_source((await store.log.weigh(0, 100)).weights) == {"shop": 20, "forms": 10}
        assert await store.log.thin(0, 100, ROOM, frozenset(("forms",))) == Thinned(3, 1, 10)
        assert await kept(store) == [1, 3]
        assert by_source((await store.log.weigh(0, 100)).weights) == {"shop": 20}

    with_store(opener, tmp_path, work)


def test_it_stops_when_there_is_room(opener, tmp_path):
    async def work(store):
        nobody = await audience(store, wanted=())
        await store.log.append([event(nobody, b"x" * 100) for _ in range(10)])
        await store.deliveries.settle(Settlement(10, []))
        assert await store.log.thin(0, 100, 250) == Thinned(3, 3, 300)
        assert await store.log.thin(3, 100, 1) == Thinned(4, 1, 100)
        assert await kept(store) == [5, 6, 7, 8, 9, 10]

    with_store(opener, tmp_path, work)


def test_readers_learn_how_far_events_are_missing_also_after_a_restart(opener, tmp_path):
    async def write(store):
        wanted = await audience(store)
        nobody = await audience(store, wanted=())
        for number in (wanted, nobody, wanted, nobody):
            await store.log.append([event(number)])
        await store.deliveries.settle(Settlement(4, [Lane(1, 0, fence=1)]))
        await store.log.thin(0, 2, ROOM)
        assert await store.log.trimmed() == 2
        await store.log.thin(0, 10, ROOM)
        assert await store.log.trimmed() == 4
        await store.log.thin(0, 10, ROOM)
        assert await store.log.trimmed() == 4

    async def read(store):
        assert await store.log.trimmed() == 4
        wanted = await audience(store)
        assert (await store.log.append([event(wanted)]))[0].offset == 5, "no offset is used twice"
        assert [one.offset for one in await store.log.read([1, 2, 3, 4, 5])] == [1, 3, 5]

    with_store(opener, tmp_path, write)
    with_store(opener, tmp_path, read)


def test_bytes_are_weighed_in_slices_by_source_and_by_whom_they_are_owed_to(opener, tmp_path):
    async def work(store):
        both = await audience(store, wanted=((1, 1), (2, 2)))
        nobody = await audience(store, "forms", wanted=())
        for number, source in ((both, "shop"), (both, "shop"), (nobody, "forms"), (both, "shop")):
            await store.log.append([event(number, b"x" * 100, source=source)])
        # Destination 1 passed all but a retry of 1; destination 2 stopped at 1, and its retry of 4 is counted once.
        rows = [Deferred(1, 1, DeferredState.PENDING, 5), Deferred(2, 4, DeferredState.PENDING, 5)]
        lanes = [Lane(1, None, fence=1), Lane(2, 1, fence=1)]
        await store.deliveries.settle(Settlement(4, lanes, [], rows))
        assert await store.log.weigh(0, 3) == Weighed(3, {("shop", (1,)): 100, ("shop", (2,)): 100, ("forms", ()): 100})
        assert await store.log.weigh(3, 3) == Weighed(4, {("shop", (2,)): 100})
        assert await store.log.weigh(4, 3) == Weighed(None)

    with_store(opener, tmp_path, work)
