"""The HTTP server's edge: uvicorn with httptools and uvloop, and what it lacks against slow or endless headers.

Owns sockets and the limits of a connection before a request exists and after it was answered. A head larger than 64
KiB or slower than 10 s closes the connection, and so do chunk extensions and trailers without end, which nobody reads,
and a body that still comes 10 s after the answer. One sweep a second looks at all, no timer per request. Signals are
the caller's, so that an orderly stop exits with 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidegate.core.errors import TidegateError

HEAD_LIMIT_BYTES = 64 * 1024
PIPELINED = 256  # requests of one connection that wait for the answers before them
FRAMING_SHARE = 9  # bytes on the wire for one of a body: a chunk of a single byte takes six
HEAD_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
DRAIN_SECONDS = 10
_BIND_HINTS = {
    errno.EADDRINUSE: "stop the other program, or give another port: --port 8421, or --port 0 for a free one",
    errno.EACCES: "ports below 1024 need a right of their own; give another --port, and put a proxy before it",
}


class Joined:
    """Where an answer is written: its head and the first part of its body leave in one system call.

    uvicorn writes them one after the other, and each costs as much as verifying the request. What is held leaves with
    the next write, at the end of the answer, or in the next turn of the loop, whichever comes first.
    """

    __slots__ = ("_held", "_loop", "_transport", "is_closing")

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        held = self._held
        if held is None:
            self._held = data
            self._loop.call_soon(self.flush)
        else:
            self._held = None
            self._transport.writelines((held, data))

    def flush(self) -> None:
        held = self._held
        if held is not None:
            self._held = None
            self._transport.write(held)

    def close(self) -> None:
        self.flush()
        self._transport.close()


class Unkept(list[tuple[bytes, bytes]]):
    """Stands for the headers once they are whole: trailers go nowhere, and would fill the memory."""

    def append(self, _: tuple[bytes, bytes], /) -> None:
        pass


_UNKEPT = Unkept()


class GuardedProtocol(HttpToolsProtocol):
    """Counts the bytes of a head and the seconds of waiting, for the sweep; writes an answer in one piece.

    The base class is called by name, not by `super()`, and arms no timer of its own: both show in every request.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._joined = Joined(transport, self.loop)
        self._head_bytes = 0
        self._framing = 0  # bytes behind the head, less what a body of that length may take
        self._in_head = True
        self._sweeps = 0  # seconds within this head, of silence, or since the answer to what is not all here
        self._answered = False  # a connection that never asked anything is cut like a slow head

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            if not self._head_bytes:
                self._sweeps = 0
            self._head_bytes += len(data)
        else:
            self._framing += len(data)
        HttpToolsProtocol.data_received(self, data)
        # Judged after parsing: one read may hold a whole head and the beginning of a large body.
        if self._in_head:
            if self._head_bytes > HEAD_LIMIT_BYTES and self._idle():
                self.transport.close()
        elif self._framing > HEAD_LIMIT_BYTES:
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.pipeline) >= PIPELINED:  # the rest of what was read at once
            self.transport.close()
            return
        HttpToolsProtocol.on_headers_complete(self)
        self.headers = _UNKEPT
        self.cycle.transport = self._joined  # type: ignore[assignment]  # it needs three of its methods
        if self.server_state.__dict__.get("leaving"):
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._framing = max(self._framing - FRAMING_SHARE * len(body), -HEAD_LIMIT_BYTES)
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._framing = 0
        self._sweeps = 0
        self._answered = True
        HttpToolsProtocol.on_message_complete(self)

    def on_response_complete(self) -> None:
        """As the base class does, without a timer for the silence that follows: 4 us, and the sweep sees it too."""
        self._joined.flush()
        self._sweeps = 0
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        if not self.pipeline:  # the base class reads on at every answer, and a caller that reads none fills the memory
            self.flow.resume_reading()

    def _idle(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def sweep(self) -> None:
        """Once a second: a head that began and does not end is cut after ten, a silent connection after 75, one whose
        request is answered and still comes after ten. While a request is judged its reader keeps the time.
        """
        if self._idle():
            self._sweeps += 1
            is_silent = self._in_head and self._head_bytes == 0 and self._answered
            if self._sweeps > (KEEP_ALIVE_SECONDS if is_silent else HEAD_SECONDS):
                self.transport.close()


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals alone and sweeps slow heads."""

    def stand_aside(self) -> None:
        """From here on each answer ends its connection, so that who keeps some open asks elsewhere."""
        self.server_state.leaving = True  # type: ignore[attr-defined]

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


async def run_until(
    servers: list[tuple[Server, socket.socket]], stop: asyncio.Event, ready: Callable[[], None]
) -> None:
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
