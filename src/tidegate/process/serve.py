"""`tidegate serve`: runs the gateway, the API and the server in one process.

Owns the process: event loop, signals, the ready line, `DIR/local.json`. May not know how requests are served. On
SIGTERM and SIGINT, if there are other nodes, /readyz first answers 503 so that balancers use them; then the server
stops accepting, waits up to 10 s for requests in flight, stores results and exits with 0. SIGHUP reloads the file; an
invalid file changes nothing and is logged. Crash: the next start recovers from the store and writes `local.json` again.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate import __version__, logs
from tidegate.api.app import make_app
from tidegate.api.bootstrap import local_key, login_link
from tidegate.api.calls import context_of
from tidegate.api.quick_answers import QuickAnswers
from tidegate.config.load import load_file
from tidegate.core.errors import TidegateError
from tidegate.process.edge.admission import Admission, connection_limit
from tidegate.process.edge.protocol import StrictProtocol
from tidegate.process.edge.server import Server, bind, make_server, run_until
from tidegate.process.gateway import Gateway, ServeOptions, open_gateway
from tidegate.process.open_files import raise_limit
from tidegate.query.warm_up import WarmUp

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

STAND_ASIDE_SECONDS = 2.5  # a balancer that checks /readyz every second has seen the 503 by then

log = logging.getLogger("tidegate.serve")


def serve(options: ServeOptions) -> int:
    """Run the gateway in this process until a signal; returns the exit code. Raises TidegateError before `ready`."""
    import uvloop

    gc.freeze()  # modules live as long as the process, and looking at them again would be a fifth of a start
    logs.set_up()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is an active configuration to reload
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(options))


async def _serve(options: ServeOptions) -> int:
    listeners: list[socket.socket] = []
    try:
        listeners.append(_bind(options, options.port))
        if options.ingest_port is not None:
            listeners.append(_bind(options, options.ingest_port))
        listener, *others = listeners
        port = listener.getsockname()[1]
        ingest = others[0] if others else None
        ingest_port = ingest.getsockname()[1] if ingest is not None else None
        options = msgspec.structs.replace(options, port=port, ingest_port=ingest_port)
        gateway = await open_gateway(options)
    except BaseException:
        for one in listeners:
            one.close()
        raise
    local: Path | None = None
    warm_up = WarmUp(gateway)
    try:
        await gateway.start()
        url = f"http://{'[' + options.host + ']' if ':' in options.host else options.host}:{port}"
        app = await make_app(gateway, _pages)
        direct = (b"/in/", gateway.ingress.direct)
        quick = QuickAnswers(context_of(gateway), gateway.pull)
        admission = _admission(gateway)
        main = _with_ingress(app, gateway) if ingest is None else app
        servers = [(make_server(main, quick, admission, direct if ingest is None else None), listener)]
        if ingest is not None:
            servers.append((make_server(gateway.ingress, admission=admission, direct=direct), ingest))
        _handle_signals(gateway, [server for server, _ in servers])
        local = _write_local(gateway, await local_key(gateway), url)
        link = await login_link(gateway, url) if options.admin_key is None else None
        await run_until(servers, gateway.stopping, lambda: _ready(gateway, url, link, warm_up))
    finally:
        if local is not None:
            local.unlink(missing_ok=True)
        await warm_up.stop()
        await gateway.stop()
    log.info("stopped")
    if gateway.failure is not None:
        raise TidegateError(
            f"the store failed: {gateway.failure}",
            hint="check the disk, then start tidegate serve again; it recovers from the data on disk",
            code="store_unavailable",
        )
    return 0


def _bind(options: ServeOptions, port: int) -> socket.socket:
    """A listening socket. When it cannot be opened, errors of the configuration file are raised first: a user who
    starts a second gateway to try a change asks about the file."""
    try:
        return bind(options.host, port)
    except TidegateError:
        if options.config is not None:
            load_file(options.config, os.environ)
        raise


def _pages(gateway: Gateway) -> Sequence[BaseRoute]:
    # Loaded for the first page, because many gateways show none: the dashboard and Jinja2 are a tenth of a start.
    from tidegate.dashboard import make_routes

    return make_routes(gateway)


def _admission(gateway: Gateway) -> Admission[StrictProtocol]:
    def full(network: str) -> None:
        gateway.findings.report("connections_full", "process:gateway", f"a connection from {network} was closed")

    return Admission(connection_limit(raise_limit()), full)


def _with_ingress(app: Any, gateway: Gateway) -> Any:
    """One port for all: `/in/*` goes to the receive app before any framework.

    What another path does not take (404, 405) may be meant for a source, so it is listed with the rejected requests.
    """
    ingress = gateway.ingress

    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] in (404, 405):
                ingress.record_elsewhere(scope)
            await send(message)

        await app(scope, receive, noted)

    def route(scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] == "http" and scope["path"].startswith("/in/"):
            return ingress(scope, receive, send)
        if scope["type"] == "http" and scope["method"] in ("POST", "PUT") and not scope["path"].startswith("/api/"):
            return elsewhere(scope, receive, send)
        return app(scope, receive, send)

    return route


def _ready(gateway: Gateway, url: str, link: str | None, warm_up: WarmUp) -> None:
    # Objects that exist now live as long as the process, so later collections skip them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    print(f"ready {url}", flush=True)  # noqa: T201 - the documented first line on stdout
    warm_up.start()
    if link is not None:
        print(f"log in once, within the hour: {link}", flush=True)  # noqa: T201
    options, active = gateway.options, gateway.active
    log.info(
        "serving",
        extra={
            "version": __version__,
            "url": url,
            "ingest_port": options.ingest_port,
            "config": None if options.config is None else str(options.config),
            "data": str(options.data),
            "sources": len(active.sources),
            "destinations": len(active.destinations),
            "routes": len(active.routes),
        },
    )


def _handle_signals(gateway: Gateway, servers: list[Server]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: loop.create_task(_end(gateway, servers), name="end"))
    loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(_reload(gateway)))


async def _end(gateway: Gateway, servers: list[Server]) -> None:
    """Stop. If there are other nodes, wait until balancers use them; a second signal ends the wait."""
    first, gateway.leaving = not gateway.leaving, True
    try:
        if first and await gateway.has_peers():
            for server in servers:
                server.stand_aside()
            await asyncio.sleep(STAND_ASIDE_SECONDS)
    finally:
        gateway.stopping.set()


async def _reload(gateway: Gateway) -> None:
    try:
        changes = await gateway.reload()
    except TidegateError as error:
        for one in getattr(error, "problems", (error,)):
            path, where = getattr(one, "path", "$"), getattr(one, "where", "") or "no file"
            extra = {"code": one.code, "hint": one.hint}
            log.error("the configuration was not applied: %s - at %s (%s)", one.message, path, where, extra=extra)
    else:
        log.info("the configuration was reloaded: %d changes", len(changes))


def _write_local(gateway: Gateway, key: str, url: str) -> Path:
    """Write `DIR/local.json`, mode 0600: the URL of this gateway and a key, for the command line."""
    path = gateway.options.data / "local.json"
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode({"url": url, "key": key}))
    return path
