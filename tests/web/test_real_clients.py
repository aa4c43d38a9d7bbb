"""Real HTTP clients, directly and through nginx with its usual websocket map: each body is read once and whole.

The default client of Java and `curl --http2` ask for an upgrade over plain http, and a proxy may forward it. A client
that is not installed is skipped by its name; CI installs all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from support.cli.subprocesses import free_port
from support.gateway.running import until
from tidegate.process.edge.server import bind, make_server

CLIENTS = Path(__file__).parent.parent / "data" / "clients"
BODY = '{"order": 1001}'

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $host;
    }}
  }}
}}
"""


def curl(*options: str) -> Callable[[Path, str], list[str]]:
    def command(_: Path, url: str) -> list[str]:
        data = ["-H", "content-type: application/json", "-d", BODY, url]
        return ["curl", "-sS", *options, "-w", "\n", *data, "--next", "-sS", *options, "-w", "\n", *data]

    return command


def java(_: Path, url: str) -> list[str]:
    return ["java", str(CLIENTS / "Client.java"), url, BODY]


def go(_: Path, url: str) -> list[str]:
    return ["go", "run", str(CLIENTS / "client.go"), url, BODY]


def node(_: Path, url: str) -> list[str]:
    return ["node", str(CLIENTS / "client.mjs"), url, BODY]


def python(_: Path, url: str) -> list[str]:
    return [sys.executable, str(CLIENTS / "client.py"), url, BODY]


COMMANDS = {
    "curl": curl(),
    "curl --http2": curl("--http2"),
    "curl chunked": curl("-H", "Transfer-Encoding: chunked"),
    "curl expect": curl("-H", "Expect: 100-continue"),
    "java": java,
    "go": go,
    "node": node,
    "python": python,
}


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[tuple[int, list[bytes]]]:
    """(port, bodies of the requests that were read)."""
    bodies: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        bodies.append(body)
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = bind("127.0.0.1", 0)
    server = make_server(app)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    try:
        yield listener.getsockname()[1], bodies
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def nginx_before(upstream: int, folder: Path) -> AsyncIterator[int]:
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
    process = await asyncio.create_subprocess_exec("nginx", "-c", str(file), "-e", str(folder / "error.log"))
    try:
        await until(lambda: _listens(port))
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def run(command: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "CGO_ENABLED": "0"},  # Go: nothing to compile in C
    )
    out, _ = await asyncio.wait_for(process.communicate(), 300)
    return out.decode()


@pytest.mark.parametrize("proxied", [False, True], ids=["directly", "through nginx"])
@pytest.mark.parametrize("name", COMMANDS)
async def test_a_real_client_posts_two_bodies_and_each_is_read_whole(name: str, proxied: bool, tmp_path: Path) -> None:
    needed = {name.partition(" ")[0], *(["nginx"] if proxied else [])} - {"python"}
    missing = sorted(running_program for running_program in needed if shutil.which(running_program) is None)
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")

    async with receiver() as (port, bodies), contextlib.AsyncExitStack() as stack:
        asked = await stack.enter_async_context(nginx_before(port, tmp_path)) if proxied else port
        out = await run(COMMANDS[name](tmp_path, f"http://127.0.0.1:{asked}/in/shop"))
        assert bodies == [BODY.encode()] * 2, out
        assert out.count("ok") == 2, out
