"""The HTTP server's edge: uvicorn with httptools and uvloop, and what it lacks against slow or endless headers.

Owns sockets and limits of a connection before a request exists. A head larger than 64 KiB or slower than 10 s closes
the connection; one sweep a second looks at all, no timer per request. Signals are the caller's, so that an orderly stop
exits with 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidegate.errors import TidegateError

HEAD_LIMIT_BYTES = 64 * 1024
HEAD_SECONDS = 10
DRAIN_SECONDS = 10
_BIND_HINTS = {
    errno.EADDRINUSE: "stop the other program, or give another port: --port 8421, or --port 0 for a free one",
    errno.EACCES: "ports below 1024 need a right of their own; give another --port, and put a proxy before it",
}


class GuardedProtocol(HttpToolsProtocol):
    """Counts the bytes of a head and remembers since when it is being read."""

    _all: set[GuardedProtocol]

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_bytes = 0
        self._in_head = True
        self._sweeps = 0
        self._answered = False  # a connection that never asked anything is cut like a slow head

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # Judged after parsing: one read may hold a whole head and the beginning of a large body.
        if self._in_head and self._head_bytes > HEAD_LIMIT_BYTES and self._idle():
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._sweeps = 0
        self._answered = True
        super().on_message_complete()

    def _idle(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def sweep(self) -> None:
        """Once a second: a head that began and does not end is cut after ten."""
        if self._in_head and self._idle() and (self._head_bytes > 0 or not self._answered):
            self._sweeps += 1
            if self._sweeps > HEAD_SECONDS:
                self.transport.close()


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals alone and sweeps slow heads."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            for protocol in list(self.server_state.connections):
                if isinstance(protocol, GuardedProtocol):
                    protocol.sweep()
        return await super().on_tick(counter)


def make_server(app: Any) -> Server:
    config = uvicorn.Config(
        app,
        http=GuardedProtocol,
        loop="none",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    return Server(config)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; TidegateError `address_in_use` and the like name host and port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise TidegateError(
            f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}",
            hint=_BIND_HINTS.get(error.errno or 0, "give an address of this machine: --host 127.0.0.1"),
            code="cannot_listen",
        ) from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


async def run_until(servers: list[tuple[Server, socket.socket]], stop: asyncio.Event, ready: Any) -> None:
    """Serve until `stop` is set; `ready()` is called once all accept requests."""
    tasks = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    while not all(server.started for server, _ in servers):
        if any(task.done() for task in tasks):
            break
        await asyncio.sleep(0.005)
    else:
        ready()
        await stop.wait()
    for server, _ in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)
