"""Published events: one or a list, all or none, and the publisher's id for dedupe."""

from __future__ import annotations

import asyncio
import json

import pytest

from support.stores import with_store
from tidegate.core.clock import ManualClock
from tidegate.core.errors import BadRequest, Conflict, Forbidden
from tidegate.core.model import Origin
from tidegate.receive.publish import publish
from tidegate.store import EventQuery
from tidegate.store.sqlite import open_sqlite


class OneRouter:
    def __init__(self, log):
        self.log = log
        self.seen = []

    def decide(self, source, type, view, resource=None):
        self.seen.append(view())

    async def decide_slow(self, source, type, view, resource=None):
        return (await self.log.audience(source, (1,), ((1, 1),), ())).number


def allowed(source):
    if source == "secret":
        raise Forbidden(f"this key may not publish to {source!r}")
    return 100 if source == "small" else None


class Publishing:
    def __init__(self, store):
        self.store = store
        self.clock = ManualClock()
        self.router = OneRouter(store.log)

    async def send(self, payload):
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return await publish(self.store.log, self.router, self.clock, raw, allowed)

    async def events(self):
        return (await self.store.log.page(EventQuery(ascending=True, after=0))).events


def with_publishing(tmp_path, work):
    with_store(open_sqlite, tmp_path, lambda store: work(Publishing(store)))


def one(**more):
    return {"source": "crm", "type": "deal.closed", "data": {"n": 1}, **more}


def test_one_event_is_answered_with_its_id_and_its_data_is_kept_byte_for_byte(tmp_path):
    async def work(publishing):
        raw = b' {"source":"crm","type":"deal.closed","data":{"n": 1.50,"n2":"\\u00fc"},"key":"d-1",'
        raw += b'"time":"2026-11-24T17:18:43Z"}'
        status, body = await publishing.send(raw)
        assert status == 202
        assert list(body) == ["id"]
        (event,) = await publishing.events()
        assert event.body == b'{"n": 1.50,"n2":"\\u00fc"}'
        assert (event.origin, event.key, event.content_type) == (Origin.PUBLISH, "d-1", "application/json")
        assert event.occurred_at_us == 1_795_540_723_000_000
        assert event.received_at_us == publishing.clock.now_us()
        assert publishing.router.seen[0]["data"] == {"n": 1.5, "n2": "ü"}

    with_publishing(tmp_path, work)


@pytest.mark.parametrize("number", ["1e999", "12345678901234567890.123456789012345678", "9" * 400])
def test_a_number_of_any_size_is_kept(tmp_path, number):
    async def work(store):
        one = Publishing(store)
        data = f'{{"n":{number}}}'
        assert (await one.send(f'{{"source":"s","type":"t","data":{data}}}'.encode()))[0] == 202
        assert (await one.events())[0].body.decode() == data

    with_store(open_sqlite, tmp_path, work)


def test_a_list_is_answered_in_order(tmp_path):
    async def work(publishing):
        status, body = await publishing.send([one(data=n, id=f"i{n}") for n in range(1000)])
        assert status == 202
        ids = [row["id"] for row in body["data"]]
        assert len(set(ids)) == 1000
        assert ids == sorted(ids)
        assert (await publishing.send([one(data=7, id="i7")]))[1] == {"data": [{"id": ids[7]}]}

    with_publishing(tmp_path, work)


def test_the_same_id_and_content_again_is_the_same_event(tmp_path):
    async def work(publishing):
        first = await publishing.send(one(id="p-1", key="k", time="2026-11-24T17:18:43Z"))
        assert await publishing.send(one(id="p-1", key="k", time="2026-11-24T17:18:43Z")) == first
        assert len(await publishing.events()) == 1

    with_publishing(tmp_path, work)


@pytest.mark.parametrize(
    "other", [{"data": {"n": 2}}, {"type": "deal.lost"}, {"key": "k"}, {"time": "2026-11-24T17:18:43Z"}]
)
def test_the_same_id_with_other_content_is_a_conflict_and_stores_nothing(tmp_path, other):
    async def work(publishing):
        await publishing.send(one(id="p-1"))
        with pytest.raises(Conflict) as caught:
            await publishing.send([one(id="p-2"), {**one(id="p-1"), **other}])
        assert caught.value.status == 409
        (event,) = await publishing.events()
        assert not event.differs
        assert (await publishing.send(one(id="p-2")))[0] == 202

    with_publishing(tmp_path, work)


def test_an_id_twice_in_one_list_is_one_event_or_a_conflict(tmp_path):
    async def work(publishing):
        _, body = await publishing.send([one(id="p-1"), one(id="p-1")])
        assert body["data"][0] == body["data"][1]
        with pytest.raises(Conflict):
            await publishing.send([one(id="p-2"), one(id="p-2", data=2)])
        assert len(await publishing.events()) == 1

    with_publishing(tmp_path, work)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (one(type=""), ".type"),
        (one(type="x" * 201), ".type"),
        (one(type="a\nb"), ".type"),
        (one(key=""), ".key"),
        (one(key="k" * 513), ".key"),
        (one(id=""), ".id"),
        (one(id="i" * 256), ".id"),
        (one(time="yesterday"), ".time"),
        (one(key=5), ".key"),
        ({"source": "crm", "type": "a"}, "data"),
        (one(extra=1), "extra"),
        (one(source="small", data="x" * 100), "data has 102 bytes"),
        ("text", "object"),
    ],
)
def test_one_fault_in_a_list_refuses_all_and_names_the_place(tmp_path, bad, said):
    async def work(publishing):
        with pytest.raises(BadRequest) as caught:
            await publishing.send([one(), bad])
        assert said in caught.value.message
        assert "[1]" in caught.value.message or "[...]" in caught.value.message
        assert await publishing.events() == ()

    with_publishing(tmp_path, work)


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"source":"crm","type":"a","data":{"x":\xff}}',
     b'{"source":"crm","type":"a","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"[" + b"1," * 1001 + b"1]"],
    ids=lambda payload: repr(payload[:20]),
)  # fmt: skip
def test_what_is_no_event_is_a_bad_request(tmp_path, payload):
    async def work(publishing):
        with pytest.raises(BadRequest):
            await publishing.send(payload)

    with_publishing(tmp_path, work)


def test_more_than_a_thousand_are_refused(tmp_path):
    async def work(publishing):
        with pytest.raises(BadRequest, match="1001 events"):
            await publishing.send([one()] * 1001)

    with_publishing(tmp_path, work)


def test_a_source_the_caller_may_not_publish_to_refuses_the_whole_list(tmp_path):
    async def work(publishing):
        with pytest.raises(Forbidden):
            await publishing.send([one(), one(source="secret")])
        assert await publishing.events() == ()

    with_publishing(tmp_path, work)


def test_two_publishers_with_one_id_at_the_same_time_make_one_event(tmp_path):
    async def work(publishing):
        answers = await asyncio.gather(*(publishing.send(one(id="p-1")) for _ in range(20)))
        assert len({body["id"] for _, body in answers}) == 1
        assert len(await publishing.events()) == 1

    with_publishing(tmp_path, work)
