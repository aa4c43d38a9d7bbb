"""Reused connections: two requests share a socket only when everything about the way is the same."""

from __future__ import annotations

import pytest

from support.receiver.post_client import LOOPBACK, post_to
from support.receiver.scripted import OK, ScriptedServer, answer
from tidegate.core.clock import Clock
from tidegate.core.errors import Blocked
from tidegate.core.model import Outcome
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.http import PullClient
from tidegate.outbound.post import PostClient
from tidegate.rules.outbound.addresses import AllowList, parse_target, with_options
from tidegate.rules.outbound.connect_options import ClientCertificate, ConnectOptions, ProxyAddress

# Over plain HTTP none of these is used, so what is seen is the key of the pool alone.
WAYS = [
    None,
    ConnectOptions(ca="authority a"),
    ConnectOptions(ca="authority b"),
    ConnectOptions(certificate=ClientCertificate("c", "key 1")),
    ConnectOptions(certificate=ClientCertificate("c", "key 2")),
]


async def test_options_of_one_origin_never_share_a_socket_and_equal_ones_do() -> None:
    async with ScriptedServer(answer(OK)) as server:
        dialer = Dialer(Guard(LOOPBACK), Clock())
        post, pull = PostClient(dialer, Clock()), PullClient(dialer, Clock())
        for _ in range(2):
            for way in WAYS:
                sent = await post_to(post, with_options(parse_target(server.url + "/"), way))
                assert sent.outcome is Outcome.OK
        assert server.connections == len(WAYS)
        for _ in range(2):
            for way in WAYS:
                await pull.through(way).request("GET", server.url + "/", headers={}, timeout_seconds=5.0)
        assert server.connections == 2 * len(WAYS)
        await post.close()
        await pull.close()


async def test_no_socket_is_used_again_after_the_rules_have_changed() -> None:
    async with ScriptedServer(answer(OK)) as server:
        guard = Guard(LOOPBACK)
        dialer = Dialer(guard, Clock())
        post, pull = PostClient(dialer, Clock()), PullClient(dialer, Clock())
        target = parse_target(server.url + "/")
        assert (await post_to(post, target)).outcome is Outcome.OK
        await pull.request("GET", server.url + "/", headers={}, timeout_seconds=5.0)
        guard.update(allow=AllowList())
        assert (await post_to(post, target)).outcome is Outcome.BLOCKED
        with pytest.raises(Blocked):
            await pull.request("GET", server.url + "/", headers={}, timeout_seconds=5.0)
        assert len(server.requests) == 2
        await post.close()
        await pull.close()


def test_every_part_of_the_way_is_in_the_key() -> None:
    proxies = [
        ProxyAddress("http", "p", 1),
        ProxyAddress("https", "p", 1),
        ProxyAddress("http", "q", 1),
        ProxyAddress("http", "p", 2),
        ProxyAddress("http", "p", 1, "Basic a"),
        ProxyAddress("http", "p", 1, "Basic b"),
        ProxyAddress("http", "p", 1, ca="x"),
        ProxyAddress("http", "p", 1, resolves=True),
    ]
    ways = [*WAYS[1:], *(ConnectOptions(proxy=one) for one in proxies), ConnectOptions("a", None, proxies[0])]
    assert len({way.key for way in ways if way is not None}) == len(ways)
    assert set(ProxyAddress.__struct_fields__) == {
        "scheme", "host", "port", "authorization", "ca", "resolves",
    }, "a new part belongs into the list above"  # fmt: skip
