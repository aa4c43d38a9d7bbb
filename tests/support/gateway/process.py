"""A gateway as a process of its own, and what surrounds it: a receiver that keeps what arrived, and senders.

Everything is on loopback. Processes are ended by their own id.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import hashlib
import hmac
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
START_SECONDS = 30.0
CALL_SECONDS = 30.0  # TimeoutError then: no answer may take so long


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    """A test that fails, or is killed, leaves no gateway behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class GatewayProcess:
    """`python -m tidegate serve` (or another program that does the same), from start to end."""

    def __init__(
        self,
        config: Path,
        data: Path,
        port: int,
        program: Sequence[str] = ("-m", "tidegate"),
        *,
        more: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`more` are further arguments of `serve`, `environ` what the environment has besides."""
        self._arguments = [*program, "serve", "--config", str(config), "--data", str(data), "--port", str(port), *more]
        self._environ = {**os.environ, **(environ or {})}
        self.stdout = self.stderr = b""  # all of it, after `end`
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.data = data
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> GatewayProcess:
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environ,
            preexec_fn=_end_with_parent,
        )
        assert self._child.stdout is not None
        line = await asyncio.wait_for(self._child.stdout.readline(), START_SECONDS)
        if not line.startswith(b"ready"):
            assert self._child.stderr is not None
            error = await self._child.stderr.read()
            await self._child.wait()
            raise AssertionError(f"no start: {line!r} {error[-2000:].decode()}")
        self._drain = asyncio.gather(self._child.stdout.read(), self._child.stderr.read())  # type: ignore[union-attr]
        return self

    async def end(self, signal_number: int) -> int:
        """Send a signal to the process and wait for its exit code (negative: the signal that ended it)."""
        assert self._child is not None
        if self._child.returncode is None:
            os.kill(self._child.pid, signal_number)
        await self._child.wait()
        self.stdout, self.stderr = (
            kept + new for kept, new in zip((self.stdout, self.stderr), await self._drain, strict=True)
        )
        return int(self._child.returncode or 0)

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    @property
    def key(self) -> str:
        return str(json.loads((self.data / "local.json").read_text())["key"])


async def call(url: str, path: str, key: str, method: str = "GET", body: Any = None) -> Any:
    """One API call over a connection of its own; the decoded JSON. AssertionError with the answer when it is no 2xx."""
    return await call_with(url, path, f"authorization: Bearer {key}", method, body)


async def call_with(url: str, path: str, credential: str, method: str = "GET", body: Any = None) -> Any:
    """The same with any header line as the credential."""
    host, port = url.removeprefix("http://").split(":")
    async with asyncio.timeout(CALL_SECONDS):
        return await _call(host, int(port), path, credential, method, body)


async def _call(host: str, port: int, path: str, credential: str, method: str, body: Any) -> Any:
    reader, writer = await asyncio.open_connection(host, port)
    payload = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: {host}:{port}\r\n{credential}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    writer.write(head.encode() + payload)
    answer = await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    head_bytes, _, content = answer.partition(b"\r\n\r\n")
    status = int(head_bytes.split(b" ", 2)[1])
    assert 200 <= status < 300, (status, content[:500])
    if b"transfer-encoding: chunked" in head_bytes.lower():
        content = b"".join(part for part in content.split(b"\r\n")[1::2])
    return json.loads(content) if content else None


def signed_request(delivery_id: str, body: bytes, connection: str = "keep-alive") -> bytes:
    """A webhook to `/in/shop` as bytes on the wire, signed with SECRET now."""
    now = int(time.time())
    signed = hmac.digest(base64.b64decode(SECRET[6:]), f"{delivery_id}.{now}.".encode() + body, hashlib.sha256)
    head = (
        f"POST /in/shop HTTP/1.1\r\nhost: x\r\nconnection: {connection}\r\ncontent-type: application/json\r\n"
        f"webhook-id: {delivery_id}\r\nwebhook-timestamp: {now}\r\n"
        f"webhook-signature: v1,{base64.b64encode(signed).decode()}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """(status, content) of the next answer; IncompleteReadError when the connection was cut."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)


class Sender:
    """Sends signed events over one connection and keeps what was acknowledged: id -> (event id, body)."""

    def __init__(self, port: int, name: str) -> None:
        self._port = port
        self._name = name
        self._number = 0
        self.acknowledged: dict[str, tuple[str, bytes]] = {}
        self.unknown = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, or until the gateway goes away; a request cut off is unknown and is not sent again."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                while not stop.is_set():
                    await self._one(reader, writer)
            finally:
                writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._number += 1
        name = f"{self._name}-{self._number}"
        body = json.dumps({"type": "t", "name": name, "pad": "x" * (self._number % 900)}).encode()
        self.unknown += 1
        writer.write(signed_request(name, body))
        status, content = await read_answer(reader)
        self.unknown -= 1
        if status in (200, 202):
            self.acknowledged[name] = (json.loads(content)["id"], body)


class Receiver:
    """A receiver that answers 200 and keeps (webhook-id, body) of everything that came."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, bytes, dict[str, str]]] = []
        self.port = 0

    def keep(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """One request that came."""
        self.arrived.append((headers["webhook-id"], body, headers))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                headers = {
                    name.decode().lower(): value.strip().decode()
                    for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.keep(head.split(b" ", 2)[1].decode(), headers, body)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.transport.abort()
