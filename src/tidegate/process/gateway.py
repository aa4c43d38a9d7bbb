"""The gateway: builds the doors around one store, starts them, lets them drain, stops them.

Owns the order: configuration is judged before anything opens; the store before the engines; the senders take up their
lanes before a request is accepted; at the end doors close first, then what is in flight ends, then the store. On a
shared store it is the holder of leases: partitions of senders and polls come and go with the nodes. Knows no HTTP
routes: `process/serve.py` puts the API and the server around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tidegate.config.load import Loaded, load_file
from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, Conflict, TidegateError
from tidegate.core.findings import Findings
from tidegate.core.spec import Config
from tidegate.deliver import DeliverEngine
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.http import PullClient
from tidegate.outbound.post import PostClient
from tidegate.pull import PullEngine
from tidegate.receive.ingress import Ingress
from tidegate.receive.inputs import Input, compile_input
from tidegate.retention.engine import Maintenance
from tidegate.rules.outbound.addresses import parse_allow, shown_kind
from tidegate.runtime import ItemChange, Live
from tidegate.store import Rejection, Store
from tidegate.store.lock import DirectoryLock
from tidegate.store.sqlite import open_sqlite
from tidegate.vault import check_vault, open_vault

log = logging.getLogger("tidegate.gateway")
REREAD_SECONDS = 1.0
REFUSALS_PER_WRITE = 100


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `tidegate serve` was told."""

    config: Path | None = None
    data: Path = Path("tidegate-data")
    host: str = "127.0.0.1"
    port: int = 8420
    ingest_port: int | None = None
    database: str | None = None
    admin_key: str | None = None


class Gateway:
    """One process with its four doors. Make it with `open_gateway`."""

    def __init__(
        self,
        options: ServeOptions,
        store: Store,
        live: Live,
        clock: Clock,
        environ: Mapping[str, str],
        opened: contextlib.AsyncExitStack,
    ) -> None:
        self._opened = opened
        self.options = options
        self.store = store
        self.active = live
        self.clock = clock
        self.started_at_us = clock.now_us()
        self.stopping = asyncio.Event()
        self.leaving = False  # it is about to stop: balancers are told, requests still answered
        self.failure: BaseException | None = None
        self._environ = environ
        self.guard = Guard(parse_allow(live.settings.egress.allow), self._own_addresses())
        self.dialer = Dialer(self.guard, clock)
        self.post = PostClient(self.dialer, clock)
        self.client = PullClient(self.dialer, clock)
        self.findings = Findings(clock)
        self.deliver = DeliverEngine(store, live, self.post, clock, partial(self._ask, b"d"), self.findings)
        self.pull = PullEngine(store, live, self.client, clock, ask=partial(self._ask, b"p"), findings=self.findings)
        self.door = Ingress(store.log, self._input, live, clock, self._refuse, self._busy, findings=self.findings)
        self.maintenance = Maintenance(store, live, self.deliver, clock)
        self._inputs: dict[str, Input] = {}
        self._rejections: list[Rejection] = []
        self._rejection_task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._unread = False  # a change of another node that no reading has begun for
        self._max_waiting = live.settings.gateway.max_waiting

    def _own_addresses(self) -> frozenset[tuple[str, int]]:
        ports = {self.options.port, *([self.options.ingest_port] if self.options.ingest_port else [])}
        return frozenset((self.options.host, port) for port in ports)

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self.store.on_failure(self._failed)
        self._configured()
        self.active.on_change(self._configured)
        await self.deliver.start()
        await self.pull.start()
        await self.store.leases.start(self)
        self.store.settings.watch(self._changed_elsewhere)
        self.active.unsure = self._changed_elsewhere
        self.maintenance.start()

    async def stop(self) -> None:
        """Doors are closed by the server before this; afterwards the data directory is free."""
        self.stopping.set()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self.maintenance.stop()
        await self.pull.stop()
        try:
            await self.deliver.stop()
        except (TidegateError, TimeoutError) as error:
            log.error("the last settle failed, what it held is sent again after the next start: %s", error)
        await self.store.leases.stop()
        await self.post.close()
        await self.client.close()
        if self._rejection_task is not None:
            await asyncio.wait({self._rejection_task})
        await self._write_rejections()  # those that came while it wrote
        await self._opened.aclose()

    def _failed(self, error: BaseException) -> None:
        """The store's state is unknown: stop, and recover from disk at the next start."""
        log.critical("%s; stopping, the next start recovers from disk", error)
        self.failure = error
        self.stopping.set()

    def ready(self) -> str | None:
        """None when requests are welcome, else why not."""
        if self.failure is not None:
            return "the store failed"
        if self.leaving or self.stopping.is_set():
            return "stopping"
        return self.store.log.trouble

    async def has_peers(self) -> bool:
        """Whether other nodes live on the same store."""
        try:
            return len(await self.store.leases.nodes()) > 1
        except TidegateError:
            return False

    # -- the holder of leases ----------------------------------------------------------------------------

    async def take(self, partitions: frozenset[int]) -> None:
        await self.deliver.take(partitions)
        await self.pull.take(partitions)

    async def leave(self, partitions: frozenset[int]) -> None:
        await self.pull.leave(partitions)
        await self.deliver.leave(partitions)

    def lost(self) -> None:
        log.warning("this node lost its lease: it stops sending and polling, and joins anew")
        self.deliver.lost()
        self.pull.lost()

    async def answer(self, call: bytes) -> bytes:
        """Another node's verb for a partition of ours; the first byte names the door."""
        return await (self.deliver.commands.answer if call[:1] == b"d" else self.pull.answer)(call[1:])

    async def _ask(self, door: bytes, share: int, call: bytes) -> bytes:
        return await self.store.leases.ask(share, door + call)

    def _changed_elsewhere(self) -> None:
        """Another node changed items or keys, or what became of a change of ours is not known: read them again.

        What changes during a reading is read after it.
        """
        self._unread = True
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_again(), name="configuration")

    async def _read_again(self) -> None:
        while self._unread and not self.stopping.is_set():
            self._unread = False
            try:
                await self.active.load()
                self.findings.resolve("config_out_of_date", "node:this")
            except TidegateError as error:
                log.error("the configuration of another node could not be read: %s (%s)", error.message, error.code)
                self.findings.report("config_out_of_date", "node:this", f"{error.message} ({error.code})")
                if error.retryable:
                    self._unread = True
                    await asyncio.sleep(REREAD_SECONDS)

    # -- configuration -----------------------------------------------------------------------------------

    def _configured(self) -> None:
        settings = self.active.settings
        self._max_waiting = settings.gateway.max_waiting
        self.guard.update(allow=parse_allow(settings.egress.allow), own=self._own_addresses())
        self._inputs = {}
        self.pull.configure({name: source.spec for name, source in self.active.sources.items()})

    def _input(self, name: str) -> Input | None:
        input = self._inputs.get(name)
        if input is None:
            source = self.active.sources.get(name)
            if source is None or (source.spec.webhook is None and source.spec.form is None):
                return None
            input = self._inputs[name] = compile_input(name, source.spec, self.active.settings.gateway.public_url)
        return input

    async def reload(self, prune: bool = False) -> list[ItemChange]:
        """Reload the file and apply it. ConfigError changes nothing."""
        if self.options.config is None:
            return []
        loaded = load_file(self.options.config, self._environ)
        changes = await self.active.apply(loaded.config, prune=prune)
        _report_warnings(self.findings, loaded)
        for change in changes:
            log.info(" ".join(filter(None, (change.kind, change.name, change.action))))
        return changes

    # -- the receive door's neighbours -------------------------------------------------------------------

    def _busy(self) -> bool:
        return self.store.log.waiting > self._max_waiting or self.store.log.stuck

    def _refuse(self, refusal: Rejection) -> None:
        """Remember a refusal for the operator: a bounded ring, written behind, never per request."""
        if len(self._rejections) < REFUSALS_PER_WRITE:
            self._rejections.append(refusal)
        else:
            self.findings.report("rejections_dropped", f"source:{refusal.source}", refusal.reason)
        if self._rejection_task is None:
            self._rejection_task = asyncio.get_running_loop().create_task(self._rejections_soon(), name="rejections")

    async def _rejections_soon(self) -> None:
        try:
            await asyncio.sleep(0.2)
            await self._write_rejections()
        finally:
            self._rejection_task = None

    async def _write_rejections(self) -> None:
        rows, self._rejections = self._rejections, []
        if rows:
            try:
                await self.store.settings.rejections(put=rows, limit=1)
            except TidegateError as error:
                log.warning("rejections could not be stored: %s", error.message)
                self.findings.report("rejections_not_stored", "store:rejections", error.message, count=len(rows))

    # -- operator ----------------------------------------------------------------------------------------

    async def backup(self, path: str) -> None:
        await self.store.backup(path)

    async def doctor(self) -> dict[str, Any]:
        facts = await self.store.facts()
        return {
            "ready": self.ready() or "yes",
            "store": facts,
            "sources": len(self.active.sources),
            "destinations": len(self.active.destinations),
            "routes": len(self.active.routes),
            "paused": sorted(d.name for d in self.active.destinations.values() if d.paused_at_us is not None),
            "waiting_for_disk": self.store.log.waiting,
            "connections": msgspec.to_builtins(self.post.stats()),
        }


async def open_gateway(
    options: ServeOptions, environ: Mapping[str, str] | None = None, clock: Clock | None = None
) -> Gateway:
    """Judge the configuration, open the store, put the gateway together. Nothing runs before `start()`."""
    environ = os.environ if environ is None else environ
    clock = clock or Clock()
    loaded = load_file(options.config, environ) if options.config is not None else Loaded(Config(), "")
    opened = contextlib.AsyncExitStack()
    try:
        store = await _open_store(options, clock, opened)
        await _refuse_moved(store)
        vault = open_vault(options.data, environ.get("TIDEGATE_SECRET_KEY"))
        await check_vault(vault, store.settings)
        live = Live(store, vault, clock)
        live.settings = loaded.config
        await live.load()
        await live.apply(loaded.config)
    except BaseException:
        await opened.aclose()
        raise
    gateway = Gateway(options, store, live, clock, environ, opened)
    _report_warnings(gateway.findings, loaded)
    return gateway


def _report_warnings(findings: Findings, loaded: Loaded) -> None:
    """Warnings of the configuration file go to the log and to the findings; those of an earlier reading are over."""
    findings.resolve("config_warning", "config:file")
    for warning in loaded.warnings:
        log.warning("%s", warning)
        findings.report("config_warning", "config:file", str(warning))


async def _refuse_moved(store: Store) -> None:
    """Neither side of a move to PostgreSQL may be served while, or after, the other lives."""
    moved_to = await store.settings.value("moved_to")
    if moved_to is not None:
        raise Conflict(
            f"this installation was moved to {moved_to.decode()}",
            hint="start it there: tidegate serve --database postgresql://...",
            code="data_moved",
        )
    if await store.settings.value("moving") is not None:
        raise Conflict(
            "this database is half moved from an embedded store",
            hint="stop the gateway on the old directory and run the same tidegate db migrate again",
            code="move_unfinished",
        )


async def _open_store(options: ServeOptions, clock: Clock, opened: contextlib.AsyncExitStack) -> Store:
    """`opened` closes what this opened: the store, and with it the right to the data directory."""
    if options.database is None:
        store: Store = await open_sqlite(options.data)
        opened.push_async_callback(store.close)
        return store
    if not options.database.startswith(("postgresql://", "postgres://")):
        raise BadRequest(
            f"--database: {shown_kind(options.database)} is no address of a store that Tidegate knows",
            hint="give postgresql://USER@HOST/NAME, or leave it out: the embedded store lies in --data DIR",
            code="unknown_database",
        )
    try:
        # The driver is an extra: whoever stays on the embedded store neither installs nor loads it.
        from tidegate.store.postgres import open_postgres
    except ModuleNotFoundError as error:
        raise BadRequest(
            f"--database postgresql://... needs the module {error.name}, which is not installed",
            hint="pip install 'tidegate[postgres]'",
            code="extra_missing",
        ) from error
    # Two nodes in one directory would write over each other's key and address.
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    opened.callback(DirectoryLock(options.data).release)
    store = await open_postgres(options.database, clock=clock)
    opened.push_async_callback(store.close)
    return store


__all__ = ["Gateway", "ServeOptions", "open_gateway"]
