"""A real gateway behind a real server on a free loopback port, and a client for its API.

`served(folder, toml)` opens gateway, API and uvicorn in this process; the same folder again is a restart. `Api` sends
requests as a caller with one key (or none) would.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from support.gateway.running import ALLOW
from support.postgres.server import chosen
from tidegate.api.app import make_app
from tidegate.api.calls import Context
from tidegate.api.quick_answers import QuickAnswers
from tidegate.core.clock import Clock
from tidegate.dashboard import make_routes
from tidegate.process.edge.server import make_server, run_until
from tidegate.process.gateway import Gateway, ServeOptions, open_gateway

ADMIN = "tg_" + "a" * 43


class Reply(msgspec.Struct):
    status: int
    headers: dict[str, str]  # lower-case names
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Api:
    """One caller."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str | None) -> None:
        self.http = http
        self.url = url
        self.key = key

    def with_key(self, key: str | None) -> Api:
        return Api(self.http, self.url, key)

    async def __call__(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Reply:
        """`path` as it stands, already encoded. A body that is not bytes is sent as JSON."""
        sent = dict(headers or {})
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        raw = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        data = None if raw is None else io.BytesIO(raw)
        async with self.http.request(
            method, URL(self.url + path, encoded=True), data=data, headers=sent, allow_redirects=False
        ) as answer:
            return Reply(
                answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.read()
            )

    async def get(self, path: str, **more: Any) -> Any:
        """The JSON of a 200; AssertionError otherwise."""
        answer = await self("GET", "/api/v1" + path, **more)
        assert answer.status == 200, answer
        return answer.json()

    async def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a 2xx; AssertionError otherwise."""
        answer = await self("POST", "/api/v1" + path, body)
        assert answer.status in (200, 201, 202), answer
        return answer.json()


class Served:
    """What a test holds: the gateway, its API's context, its address and an admin's client."""

    def __init__(self, gateway: Gateway, context: Context, api: Api) -> None:
        self.gateway = gateway
        self.context = context
        self.api = api
        self.url = api.url

    async def key(self, *scopes: str, sources: tuple[str, ...] = ()) -> Api:
        """A caller with these scopes."""
        name = f"test {secrets.token_hex(4)} {' '.join(scopes)}"[:64]  # a name is there once
        _, token = await self.context.keyring.create(name, scopes, sources)
        return self.api.with_key(token)


def _write(folder: Path, toml: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tidegate.toml"
    file.write_text(ALLOW + toml)
    return file


@contextlib.asynccontextmanager
async def served(
    folder: Path,
    toml: str,
    clock: Clock | None = None,
    database: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Served]:
    file = _write(folder, toml)
    # With the protocol named, asyncio turns Nagle's algorithm off on what is accepted; else each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]
    options = ServeOptions(
        config=file, data=folder / "data", port=port, admin_key=ADMIN, database=chosen(folder, database)
    )
    gateway = await open_gateway(options, environ or {}, clock)
    await gateway.start()
    app = await make_app(gateway, make_routes)
    quick = QuickAnswers(app.context, gateway.pull)
    ready = asyncio.Event()
    http = make_server(app, quick, direct=(b"/in/", gateway.ingress.direct))
    server = asyncio.create_task(run_until([(http, listener)], gateway.stopping, ready.set))
    try:
        await asyncio.wait_for(ready.wait(), 10)
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            yield Served(gateway, app.context, Api(http, f"http://127.0.0.1:{port}", ADMIN))
    finally:
        gateway.stopping.set()
        await asyncio.wait_for(server, 20)
        await gateway.stop()
