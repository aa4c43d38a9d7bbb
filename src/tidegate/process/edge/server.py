"""The HTTP server: listeners, the sweep over their connections, and an orderly stop.

Owns the listening sockets and uvicorn's server; `protocol.py` owns a connection. May not know what is served.
Invariant: an orderly stop accepts no new connection and gives requests in flight `DRAIN_SECONDS`. The caller handles
signals, so that this stop exits with 0. Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from tidegate.core.errors import TidegateError
from tidegate.process.edge.admission import Admission
from tidegate.process.edge.fast import Direct, FastProtocol, Quick
from tidegate.process.edge.protocol import StrictProtocol

DRAIN_SECONDS = 10
_BIND_HINTS = {
    errno.EADDRINUSE: "stop the other program, or use another port: --port 8421, or --port 0 for a free one",
    errno.EACCES: "ports below 1024 need a permission; use another --port and put a proxy in front of it",
}


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals alone and sweeps slow heads."""

    def stand_aside(self) -> None:
        """From now on close each connection after its answer, so that clients with open connections use other nodes."""
        self.server_state.leaving = True  # type: ignore[attr-defined]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            for protocol in list(self.server_state.connections):
                if isinstance(protocol, StrictProtocol):
                    protocol.sweep()
        return await super().on_tick(counter)


def make_server(
    app: Any,
    quick: Quick | None = None,
    admission: Admission[StrictProtocol] | None = None,
    direct: Direct | None = None,
) -> Server:
    """A server of `app`. `quick` may answer a GET at once, and `direct` takes POSTs without a task; see `fast.py`.

    `admission` limits the connections of all servers that share it; None: they are not limited.
    """
    config = uvicorn.Config(
        app,
        http=FastProtocol,
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
    config.quick = quick  # type: ignore[attr-defined]  # where each connection finds it
    config.admission = admission  # type: ignore[attr-defined]
    config.direct = direct  # type: ignore[attr-defined]
    return Server(config)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. TidegateError `cannot_listen` with host and port when it cannot be opened."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise TidegateError(
            f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}",
            hint=_BIND_HINTS.get(error.errno or 0, "use an address of this machine: --host 127.0.0.1"),
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
