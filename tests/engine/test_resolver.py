"""Looking names up: a hanging name or domain delays nobody else, threads are bounded, and every answer is checked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway.running import until
from support.receiver.post_client import LOOPBACK, infos, post
from support.receiver.scripted import OK, ScriptedServer, answer
from tidegate.core.clock import Clock, ManualClock
from tidegate.core.model import Outcome
from tidegate.outbound import resolver
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.post import PostClient
from tidegate.outbound.resolver import NameNotResolved, Resolver
from tidegate.rules.outbound.lookup_order import PER_DOMAIN, LookupOrder


class Names:
    """A name server: names that contain `hang` are answered when the test ends, all others at once."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[Any]:
        self.asked.append(host)
        if "hang" in host:
            self.release.wait(60)
        return infos(["127.0.0.1"])


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.release.set()


async def test_a_delivery_goes_out_while_hundreds_of_names_of_one_domain_hang(names: Names) -> None:
    client = PostClient(Dialer(Guard(LOOPBACK), Clock(), resolver=Resolver(Clock(), query=names)), Clock())
    async with ScriptedServer(answer(OK)) as server:
        hanging = [
            asyncio.ensure_future(post(client, f"http://hang{number}.evil.test:{server.port}/", seconds=2.0))
            for number in range(300)
        ]
        await until(lambda: len(names.asked) >= PER_DOMAIN)
        began = time.monotonic()
        for number in range(20):
            result = await post(client, f"http://good.example{number}:{server.port}/", seconds=5.0)
            assert result.outcome is Outcome.OK
        assert time.monotonic() - began < 1.0
        assert sum("hang" in host for host in names.asked) == PER_DOMAIN, "one domain has a few threads"
        for result in await asyncio.gather(*hanging):
            assert result.outcome is Outcome.TIMEOUT
        await client.close()


async def test_a_name_that_was_fast_is_looked_up_though_every_unknown_name_hangs(names: Names) -> None:
    clock = ManualClock()
    found = Resolver(clock, query=names)
    assert await found.lookup("good.example") == ["127.0.0.1"]
    hanging = [asyncio.ensure_future(found.lookup(f"hang.d{number}")) for number in range(100)]
    await until(lambda: sum("hang" in host for host in names.asked) == resolver.WORKERS // 2)
    clock.advance(resolver.CACHE_SECONDS + 1)
    assert await asyncio.wait_for(found.lookup("good.example"), 1.0) == ["127.0.0.1"]
    assert names.asked.count("good.example") == 2, "the cache is short"
    assert threading.active_count() < resolver.WORKERS + 20
    for one in hanging:
        one.cancel()


async def test_a_lookup_that_hangs_is_given_up_and_not_repeated(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "LOOKUP_SECONDS", 0.05)

    found = Resolver(Clock(), query=names)
    for _ in range(5):
        with pytest.raises(NameNotResolved, match="no answer within"):
            await found.lookup("hang.test")
    assert names.asked == ["hang.test"], "one name has one thread"
    names.release.set()
    await until(lambda: "hang.test" in found._cache)
    assert await found.lookup("hang.test") == ["127.0.0.1"]


def test_a_name_that_becomes_slow_loses_its_reserved_worker() -> None:
    order = LookupOrder(4)
    for name in ("a.one", "b.two"):
        order.add(name, fast=True)
        assert order.next() == name
    for name in ("c.three", "d.four", "e.five"):
        order.add(name, fast=False)
    assert order.next() == "c.three"
    order.slow("a.one")
    assert order.next() is None, "two of four workers serve names that are not fast"
    order.done("c.three")
    assert order.next() == "d.four"


def test_domains_take_turns() -> None:
    order = LookupOrder(100)
    for number in range(10):
        order.add(f"n{number}.many.test", fast=False)
    for name in ("a.few.test", "x.example", "y.example"):
        order.add(name, fast=False)
    started = [order.next() for _ in range(8)]
    # "few.test" and "many.test" are two domains; names of one domain never get more than their share.
    assert started == [
        "n0.many.test", "a.few.test", "x.example", "y.example", "n1.many.test", "n2.many.test", "n3.many.test", None,
    ]  # fmt: skip
    order.done("n0.many.test")
    assert order.next() == "n4.many.test"


async def test_an_unknown_name_and_a_name_that_cannot_be_encoded_have_no_address() -> None:
    found = Resolver(Clock())
    for host in ("name.invalid", "a" * 300 + ".test", "..", "\udcff.test"):
        with pytest.raises(NameNotResolved, match="no address for"):
            await found.lookup(host)
