"""The gateway: builds ingress, engines and query around one store, starts them, drains them and stops them.

Owns the order: the configuration is checked before anything opens; the store opens before the engines; the senders take
over their lanes before a request is accepted; at the end the ingress closes first, then requests in flight end, then
the store closes. On a shared store the gateway holds the leases, and takes and leaves partitions as nodes join and
leave. May not know HTTP routes: `process/serve.py` adds the API and the server. Crash: the next start recovers from
the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from tidegate.alerts import AlertEngine
from tidegate.config.load import Loaded, load_file
from tidegate.config.spec import Config, ImapInput
from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, Conflict, TidegateError, UpstreamError
from tidegate.core.findings import Findings
from tidegate.deliver import DeliverEngine
from tidegate.deliver.ports import Transport
from tidegate.mail import MailEngine
from tidegate.mail.ports import MailPorts, ReaderPorts
from tidegate.outbound.consent import Consents
from tidegate.outbound.credentials import Credential, Credentials
from tidegate.outbound.dialer import Dialer, Guard, addresses_of
from tidegate.outbound.http import PullClient
from tidegate.outbound.hub_client import HubClient
from tidegate.outbound.post import PostClient, PostStats
from tidegate.outbound.rate_budgets import RateBudgets
from tidegate.outbound.smtp import SmtpClient
from tidegate.outbound.token_client import TokenClient
from tidegate.outbound.tokens import TokenPorts, new_owner
from tidegate.pull import PullEngine
from tidegate.pull.conflicts import ConflictDecider
from tidegate.pull.operations import OperationRunner, OperationTransport
from tidegate.pull.sources import SourceClient
from tidegate.receive.capacity import Capacity
from tidegate.receive.ingress import Ingress
from tidegate.receive.inputs import Inputs
from tidegate.receive.rejections import RejectionRing
from tidegate.receive.remote_keys import MAX_BYTES, RemoteKeys
from tidegate.receive.turns import Turns
from tidegate.receive.websub import WebSubEngine, WebSubPorts
from tidegate.retention.engine import Maintenance
from tidegate.rules.inbound.senders import parse_networks
from tidegate.rules.outbound.addresses import parse_allow, shown_kind
from tidegate.runtime import ActiveConfiguration, ConfigurationEditor, ItemChange
from tidegate.runtime.credential_use import mailbox_origin, shared_credential
from tidegate.runtime.reseal import reseal
from tidegate.store import Store
from tidegate.store.lock import DirectoryLock
from tidegate.store.sqlite import open_sqlite
from tidegate.vault import Vault, check_vault, open_vault

log = logging.getLogger("tidegate.gateway")
REREAD_SECONDS = 1.0
KEYS_SECONDS = 5.0  # for the public keys of a provider; its request waits meanwhile
_ADDRESS_END = b" "  # ends the name of the engine in a call between nodes


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `tidegate serve`."""

    config: Path | None = None
    data: Path = Path("tidegate-data")
    host: str = "127.0.0.1"
    port: int = 8420
    ingest_port: int | None = None
    database: str | None = None
    admin_key: str | None = None


class Engine(Protocol):
    """What the gateway knows of an engine. Calls come one at a time, except `lost`, which can come at any time."""

    name: str  # addresses calls between nodes

    async def start(self) -> None:
        """Follow the log. Nothing else runs before `take`."""
        ...

    async def take(self, partitions: frozenset[int]) -> None:
        """Start the work of `partitions`. Raises Fenced or StoreBusy; nothing was taken then."""
        ...

    async def leave(self, partitions: frozenset[int]) -> None:
        """Stop the work of `partitions`. On return nothing of it is in flight and all results are stored."""
        ...

    def lost(self) -> None:
        """The lease is lost and other nodes may already work: drop everything at once and write nothing."""
        ...

    async def handle(self, call: bytes) -> bytes:
        """Answer a call of another node about a partition that this node holds."""
        ...

    async def stop(self) -> None: ...


class Parts(msgspec.Struct, frozen=True):
    """What a gateway is built from: the open store, and the configuration to read and to edit."""

    store: Store
    active: ActiveConfiguration
    editor: ConfigurationEditor
    vault: Vault
    clock: Clock
    environ: Mapping[str, str]
    opened: contextlib.AsyncExitStack


class Gateway:
    """One process with its four doors: receive, deliver, pull, query. Create it with `open_gateway`."""

    def __init__(self, options: ServeOptions, parts: Parts) -> None:
        self.options = options
        self.store = store = parts.store
        self.active = active = parts.active
        self.editor = parts.editor
        self.clock = clock = parts.clock
        self._environ = parts.environ
        self._opened = parts.opened
        self.started_at_us = clock.now_us()
        self.stopping = asyncio.Event()
        self.leaving = False  # about to stop: /readyz answers 503, other requests are still answered
        self.failure: BaseException | None = None
        self.guard = Guard(parse_allow(active.settings.egress.allow), self._own_addresses())
        self.dialer = Dialer(self.guard, clock)
        self.findings = Findings(clock)
        self.post = PostClient(self.dialer, clock, on_shortage=self._shortage)
        self.smtp = SmtpClient(self.dialer, clock)
        transports: dict[str, Transport] = {"http": self.post, "smtp": self.smtp}
        self.client = PullClient(self.dialer, clock)
        tokens = TokenPorts(
            store.credentials, parts.vault, TokenClient(self.client).send, clock, self.findings, new_owner()
        )
        self.credentials = Credentials(tokens, RateBudgets(store.budgets))
        self.consents = Consents(store.settings, parts.vault, clock)
        self.conflicts = ConflictDecider(store.conflicts, self.findings, clock)
        self.operations = OperationRunner(store.operations, self._client_of, clock, self.conflicts, self._merge_answers)
        transports["operation"] = OperationTransport(self.operations)
        self.deliver = DeliverEngine(
            store, active, transports, clock, self._asker("deliver"), self.findings, self.credentials
        )
        self.deliver.pause = self.editor.pause
        self.pull = PullEngine(
            store, active, self.client, clock,
            ask=self._asker("pull"), findings=self.findings, over_share=self._over_share,
            credentials=self.credentials,
        )  # fmt: skip
        reading = ReaderPorts(store.log, active, clock, self.findings)
        self.mail = MailEngine(MailPorts(reading, store.settings, self.dialer, self._mail_credential))
        self.alerts = AlertEngine(self)
        hubs = HubClient(self.client)
        self.websub = WebSubEngine(WebSubPorts(store.settings, parts.vault, hubs.fetch, clock, self.findings))
        self.engines: tuple[Engine, ...] = (self.deliver, self.pull, self.mail, self.websub, self.alerts)
        self.keys = RemoteKeys(self._fetch_keys, clock, self.findings)
        self.inputs = Inputs(active, self.keys.content, clock.now_us)
        self.rejections = RejectionRing(store.settings, self.findings)
        self.ingress = self._make_ingress()
        self.maintenance = Maintenance(store, active, self.deliver, clock, self.findings)
        self._reading: asyncio.Task[None] | None = None
        self._outdated = False  # another node changed the configuration after the last reading started
        self._max_waiting = active.settings.gateway.max_waiting

    def _make_ingress(self) -> Ingress:
        ingress = Ingress(
            self.store.log,
            self.inputs.get,
            self.active,
            self.clock,
            self.rejections.add,
            Capacity(Turns(asyncio.get_running_loop(), self._flooded), self._busy, self._over_share),
            findings=self.findings,
            names=self.inputs.names,
            keys=self.keys,
        )
        ingress.hubs = self.websub.callbacks
        ingress.visit = self._fetch_keys
        return ingress

    def _client_of(self, source: str) -> SourceClient | None:
        return self.pull.client_of(source)

    async def _merge_answers(self, source: str, resource: str) -> None:
        await self.pull.answers.merge(source, resource)

    def _shortage(self, error: str) -> None:
        self.findings.report("local_resources", "process:gateway", error)

    def _flooded(self, source: str) -> None:
        self.findings.report("source_floods", f"source:{source}")

    def _over_share(self, source: str) -> bool:
        return source in self.maintenance.over_share

    async def _fetch_keys(self, url: str) -> bytes:
        """The content of a URL of a provider: its public keys, or the confirmation of a subscription."""
        answer = await self.client.request("GET", url, headers={}, timeout_seconds=KEYS_SECONDS, max_bytes=MAX_BYTES)
        if answer.status != 200:
            raise UpstreamError(f"it answered {answer.status}")
        return answer.body

    def _asker(self, engine: str) -> Callable[[int, bytes], Awaitable[bytes]]:
        """How an engine calls its peer on the node that holds a partition: the call names the engine first."""
        prefix = engine.encode() + _ADDRESS_END

        def ask(partition: int, call: bytes) -> Awaitable[bytes]:
            return self.store.leases.ask(partition, prefix + call)

        return ask

    def _mail_credential(self, source: str, imap: ImapInput) -> Credential:
        return self.credentials.of(f"mailbox/{source}", imap.auth, mailbox_origin(imap.host))

    def _own_addresses(self) -> frozenset[tuple[str, int]]:
        ports = {self.options.port, *([self.options.ingest_port] if self.options.ingest_port else [])}
        return frozenset((ip, port) for ip in addresses_of(self.options.host) for port in ports)

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self.store.on_failure(self._failed)
        self._configured()
        self.active.on_change(self._configured)
        await self.conflicts.start()
        for engine in self.engines:
            await engine.start()
        await self.store.leases.start(self)
        self.store.settings.watch(self._changed_elsewhere)
        self.editor.unsure = self._changed_elsewhere
        self.maintenance.start()

    async def stop(self) -> None:
        """Stop everything. The server closes the ingress before; afterwards the data directory is free."""
        self.stopping.set()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self.maintenance.stop()
        for engine in reversed(self.engines):
            try:
                await engine.stop()
            except (TidegateError, TimeoutError) as error:
                log.error("%s: the last commit failed; the next start repeats its work: %s", engine.name, error)
        await self.credentials.stop()
        await self.store.leases.stop()
        await self.post.close()
        await self.smtp.close()
        await self.client.close()
        await self.rejections.close()
        await self._opened.aclose()

    def _failed(self, error: BaseException) -> None:
        """The state of the store is unknown: stop, so that the next start recovers from disk."""
        log.critical("%s; stopping; the next start recovers from disk", error)
        self.failure = error
        self.stopping.set()

    def ready(self) -> str | None:
        """None when the gateway accepts requests, else the reason why not."""
        if self.failure is not None:
            return "the store failed"
        if self.leaving or self.stopping.is_set():
            return "stopping"
        return self.store.log.unavailable_reason

    async def has_peers(self) -> bool:
        """Whether other nodes run on the same store."""
        try:
            return len(await self.store.leases.nodes()) > 1
        except TidegateError:
            return False

    # -- the holder of leases ----------------------------------------------------------------------------

    async def take(self, partitions: frozenset[int]) -> None:
        for engine in self.engines:
            await engine.take(partitions)

    async def leave(self, partitions: frozenset[int]) -> None:
        for engine in reversed(self.engines):
            await engine.leave(partitions)

    def lost(self) -> None:
        log.warning("this node lost its lease; it stops sending and polling and joins again")
        for engine in self.engines:
            engine.lost()

    async def answer(self, call: bytes) -> bytes:
        """Answer a call of another node about a partition of this node. It starts with the name of the engine."""
        name, _, rest = call.partition(_ADDRESS_END)
        for engine in self.engines:
            if engine.name.encode() == name:
                return await engine.handle(rest)
        raise BadRequest("another node called an engine that this release does not have", code="unknown_engine")

    def _changed_elsewhere(self) -> None:
        """Read items and keys again: another node changed them, or the result of a change of this node is unknown.

        A change during the reading causes another reading.
        """
        self._outdated = True
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_again(), name="configuration")

    async def _read_again(self) -> None:
        while self._outdated and not self.stopping.is_set():
            self._outdated = False
            try:
                await self.active.load()
                self.findings.resolve("config_out_of_date", "node:this")
            except TidegateError as error:
                log.error("the configuration of another node could not be read: %s (%s)", error.message, error.code)
                self.findings.report("config_out_of_date", "node:this", f"{error.message} ({error.code})")
                if error.retryable:
                    self._outdated = True
                    await asyncio.sleep(REREAD_SECONDS)

    # -- configuration -----------------------------------------------------------------------------------

    def _configured(self) -> None:
        settings = self.active.settings
        self._max_waiting = settings.gateway.max_waiting
        self.ingress.trust(parse_networks(settings.gateway.trusted_proxies))
        self.guard.update(allow=parse_allow(settings.egress.allow), own=self._own_addresses())
        self.inputs.forget()
        for name, source in self.active.sources.items():
            if source.made and source.owner == "file":
                self.findings.report("secret_not_in_file", f"source:{name}")
            else:
                self.findings.resolve("secret_not_in_file", f"source:{name}")
        shared = {name: one.spec for name, one in self.active.credentials.items()}
        self.operations.configure({name: source.spec for name, source in self.active.sources.items()})
        self.credentials.configure({name: shared_credential(one) for name, one in shared.items()})
        sources = {name: source.spec for name, source in self.active.sources.items()}
        self.pull.configure(sources, shared)
        self.mail.configure(sources)
        self.websub.configure(self.active.sources, settings.gateway.public_url)

    async def reload(self, prune: bool = False) -> list[ItemChange]:
        """Reload the file and apply it. ConfigError changes nothing."""
        if self.options.config is None:
            return []
        loaded = load_file(self.options.config, self._environ)
        changes = await self.editor.apply(loaded.config, prune=prune)
        _report_warnings(self.findings, (*loaded.warnings, *self.editor.not_expanded))
        for change in changes:
            log.info(" ".join(filter(None, (change.kind, change.name, change.action))))
        return changes

    def _busy(self, source: str) -> bool:
        return self.store.log.is_busy(self._max_waiting, source)

    # -- operator ----------------------------------------------------------------------------------------

    async def backup(self, path: str) -> None:
        await self.store.backup(path)

    def connections(self) -> PostStats:
        """Open, idle and busy connections to destinations."""
        return self.post.stats()


async def open_gateway(
    options: ServeOptions, environ: Mapping[str, str] | None = None, clock: Clock | None = None
) -> Gateway:
    """Check the configuration, open the store, and build the gateway. Nothing runs before `start()`."""
    environ = os.environ if environ is None else environ
    clock = clock or Clock()
    loaded = load_file(options.config, environ) if options.config is not None else Loaded(Config(), "")
    opened = contextlib.AsyncExitStack()
    try:
        store = await _open_store(options, clock, opened)
        await _reject_moved(store)
        vault = open_vault(options.data, environ.get("TIDEGATE_SECRET_KEY"))
        await check_vault(vault, store.settings)
        await reseal(vault, store.settings)
        active = ActiveConfiguration(store, vault, clock)
        active.settings = loaded.config
        await active.load()
        editor = ConfigurationEditor(active, store, vault, clock)
        await editor.apply(loaded.config)
    except BaseException:
        await opened.aclose()
        raise
    gateway = Gateway(options, Parts(store, active, editor, vault, clock, environ, opened))
    _report_warnings(gateway.findings, (*loaded.warnings, *editor.not_expanded))
    return gateway


def _report_warnings(findings: Findings, warnings: Iterable[str]) -> None:
    """Report the warnings of the configuration to the log and the findings, in place of the earlier ones."""
    findings.resolve("config_warning", "config:file")
    for warning in warnings:
        log.warning("%s", warning)
        findings.report("config_warning", "config:file", str(warning))


async def _reject_moved(store: Store) -> None:
    """Conflict when the store was moved to PostgreSQL, or the move into it is not finished."""
    moved_to = await store.settings.value("moved_to")
    if moved_to is not None:
        raise Conflict(
            f"this store was moved to {moved_to.decode()}",
            hint="start Tidegate with the new store: tidegate serve --database postgresql://...",
            code="data_moved",
        )
    if await store.settings.value("moving") is not None:
        raise Conflict(
            "the move of an embedded store into this database is not finished",
            hint="stop the gateway that uses the old directory, then run the same tidegate db migrate again",
            code="move_unfinished",
        )


async def _open_store(options: ServeOptions, clock: Clock, opened: contextlib.AsyncExitStack) -> Store:
    """Open the store. `opened` closes it later and releases the data directory."""
    if options.database is None:
        store: Store = await open_sqlite(options.data)
        opened.push_async_callback(store.close)
        return store
    if not options.database.startswith(("postgresql://", "postgres://")):
        raise BadRequest(
            f"--database: {shown_kind(options.database)} is not the address of a PostgreSQL database",
            hint="write postgresql://USER@HOST/NAME, or leave --database out to use the embedded store in --data DIR",
            code="unknown_database",
        )
    try:
        # The driver is an extra, which the embedded store neither needs nor loads.
        from tidegate.store.postgres import open_postgres
    except ModuleNotFoundError as error:
        raise BadRequest(
            f"--database postgresql://... needs the module {error.name}, which is not installed",
            hint="pip install 'tidegate[postgres]'",
            code="extra_missing",
        ) from error
    # Two nodes in one directory would overwrite each other's key and address.
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    opened.callback(DirectoryLock(options.data).release)
    store = await open_postgres(options.database, clock=clock)
    opened.push_async_callback(store.close)
    return store


__all__ = ["Gateway", "ServeOptions", "open_gateway"]
