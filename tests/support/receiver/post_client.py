"""The POST client against real receivers: how a test makes one, sends with it and leaves no socket behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from support.gateway.running import until
from support.receiver.scripted import ScriptedServer
from tidegate.core.clock import Clock
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.post import PostClient, PostResult
from tidegate.outbound.resolver import Resolver
from tidegate.rules.outbound.addresses import AllowList, Target, parse_allow, parse_target

LOOPBACK = parse_allow(["127.0.0.1/32"])
Run = Callable[[Coroutine[Any, Any, None]], None]


class NamedDialer(Dialer):
    """Names have the addresses of a table, as a name server would say; the rest is the real dialer."""

    def __init__(self, guard: Guard, clock: Clock, names: dict[str, list[str]]) -> None:
        self.names = names
        super().__init__(guard, clock, resolver=Resolver(clock, query=self.query))

    def query(self, host: str) -> list[Any]:
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return infos(self.names[host])


def infos(addresses: list[str]) -> list[Any]:
    """What `getaddrinfo` returns for a name with these addresses."""
    return [(0, 0, 0, "", (ip, 0, 0, 0) if ":" in ip else (ip, 0)) for ip in addresses]


def make(*, allow: AllowList = LOOPBACK, clock: Clock | None = None, tls: Any = None, **options: Any) -> PostClient:
    clock = clock or Clock()
    return PostClient(Dialer(Guard(allow), clock, tls=tls), clock, **options)


async def post(
    client: PostClient, url: str, body: bytes = b"hello", *, seconds: float = 5.0, **options: Any
) -> PostResult:
    return await post_to(client, parse_target(url), body, seconds=seconds, **options)


async def post_to(
    client: PostClient, target: Target, body: bytes = b"hello", *, seconds: float = 5.0, **options: Any
) -> PostResult:
    done: asyncio.Future[PostResult] = asyncio.get_running_loop().create_future()
    client.send(target, b"x-team: sales\r\n", body, seconds, done.set_result, **options)
    return await done


def check(run: Run, script: Any, test: Callable[[ScriptedServer, PostClient], Awaitable[None]], **options: Any) -> None:
    """Runs a test with one receiver and one client; at the end no socket may be left on either side."""
    read_body = options.pop("read_body", True)

    async def main() -> None:
        client = make(**options)
        async with ScriptedServer(script, read_body=read_body) as server:
            await test(server, client)
            await client.close()
            stats = client.stats()
            assert (stats.open, stats.idle, stats.in_flight) == (0, 0, 0)
            await until(lambda: server.open == 0)

    run(main())
