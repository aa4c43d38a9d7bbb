"""The life of one mailbox on this node: connect, look, wait by IDLE or by the clock, look again.

Owns the connection, the thread that speaks with the server, backoff, and the choice between IDLE and poll. What a look
does is in `reader.py`. May not know the configuration of others. Invariants: one connection for a mailbox; a failure
never ends the loop, it waits longer each time (1 s to 5 min, and 5 min at once after a refused login, because providers
lock accounts that try too often); every wait can be canceled, and then the socket is closed. Crash: the stored place
says where to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tidegate.auth import Added, kind_of
from tidegate.auth.base import MailLogin
from tidegate.config.spec import ImapInput
from tidegate.core.errors import TidegateError, UpstreamTimeout
from tidegate.core.figures import MailboxFigures
from tidegate.core.units import seconds, size_bytes
from tidegate.mail.mailbox_state import StoredState
from tidegate.mail.ports import MailPorts
from tidegate.mail.reader import FolderReader
from tidegate.outbound.imap import Endpoint, ImapFailed, ImapSession
from tidegate.outbound.tls import mail_tls

log = logging.getLogger("tidegate.mail")
IDLE_SECONDS = 24 * 60.0  # a wait is renewed before the 29 minutes of RFC 2177 section 3
COMMAND_SECONDS = 300.0  # for one command, bodies included
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 300.0
PORTS = {"implicit": 993, "starttls": 143, "none": 143}


class Mailbox:
    """One `[sources.NAME.imap]`. `start` and `stop` belong to the event loop."""

    def __init__(self, ports: MailPorts, source: str, spec: ImapInput) -> None:
        self.source = source
        self.spec = spec
        self.mode = "poll" if spec.mode == "poll" else "idle"
        self.connected = False
        self._ports = ports
        self._clock = ports.reading.clock
        self._findings = ports.reading.findings
        self._state = StoredState(ports.settings, source)
        self._reader = FolderReader(ports.reading, source, spec, self._state)
        self._folders = [spec.folder] if isinstance(spec.folder, str) else list(spec.folder)
        self._poll_seconds = seconds(spec.poll)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"mail-{source}")
        self._session: ImapSession | None = None
        self._credential = ports.credential(source, spec)
        self._used = Added()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Close the connection at once and wait until nothing of this mailbox runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    def figures(self) -> MailboxFigures:
        return self._state.value.statistics.figures(self.mode, self.connected)

    # -- the loop ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while True:
            began = self._clock.monotonic()
            error: TidegateError | None = None
            try:
                await self._state.load()
                await self._connected()
            except TidegateError as found:
                error = found
            except ValueError as found:  # an answer that no rule of the protocol allows
                error = ImapFailed(f"{self.spec.host}: the answer cannot be read: {found}")
            if self._clock.monotonic() - began > LONGEST_WAIT_SECONDS:
                failures = 0
            failures += 1
            await self._failed(error, failures)
            await self._clock.sleep(self._wait(error, failures))

    async def _connected(self) -> None:
        """One connection from its start to its end. Raises what ended it."""
        session = ImapSession(
            self._ports.dialer.guard, await self._endpoint(), size_bytes(self.spec.max_message) + 65536
        )
        self._session = session
        try:
            await self._call(session.connect)
            login = await self._login()
            try:
                await self._call(session.login, login.username, login.secret, xoauth2=login.xoauth2)
            except ImapFailed as error:
                error.login = error.login and not await self._credential.refused(self._used, ())  # else try at once
                raise
            self._state.value.statistics.connections += 1
            self._choose_mode(session)
            await self._serve(session)
        finally:
            self.connected = False
            self._session = None
            session.abort()
            self._thread.submit(session.release)

    async def _serve(self, session: ImapSession) -> None:
        noticed = "poll"  # how the next mail is noticed: the first look after a connect is a poll
        while True:
            began = self._clock.monotonic()
            for folder in reversed(self._folders):  # the first one last: IDLE waits in it
                await self._reader.look(self._call, session, folder, noticed)
            await self._succeeded()
            statistics = self._state.value.statistics
            if self.mode == "poll":
                await self._clock.sleep(max(0.0, self._poll_seconds - (self._clock.monotonic() - began)))
                if len(self._folders) > 1:
                    session.selected = ""
                continue
            wait = min(IDLE_SECONDS, self._poll_seconds) if len(self._folders) > 1 else IDLE_SECONDS
            statistics.idles += 1
            statistics.commands += 1
            woken = await self._call(session.idle, wait, limit=wait + COMMAND_SECONDS)
            statistics.woken += woken
            noticed = "idle" if woken else "poll"

    def _choose_mode(self, session: ImapSession) -> None:
        self.connected = True
        if self.spec.mode == "poll":
            return
        self.mode = "idle" if session.can_idle else "poll"
        subject = f"source:{self.source}"
        if self.mode == "poll" and self.spec.mode == "idle":
            self._findings.report("mail_without_idle", subject, f"{self.spec.host} offers no IDLE")
        else:
            self._findings.resolve("mail_without_idle", subject)

    # -- parts -------------------------------------------------------------------------------------------

    async def _endpoint(self) -> Endpoint:
        spec = self.spec
        port = spec.port or PORTS[spec.tls]
        addresses = await self._ports.dialer.resolve(spec.host, port)
        tls = None if spec.tls == "none" else await asyncio.to_thread(mail_tls, spec.ca)
        return Endpoint(spec.host, port, tuple(addresses), spec.tls, tls)

    async def _login(self) -> MailLogin:
        """The configured password or token; else a fresh access token."""
        login = kind_of(self.spec.auth).mail_login(self.spec.auth, self.spec.username)
        if login is not None:
            return login
        self._used = await self._credential.get(None)
        token = next((value for name, value in self._used.headers if name.lower() == "authorization"), "")
        if not token.startswith("Bearer "):
            raise ImapFailed(f"the credential of {self.source} gives no access token", login=True)
        return MailLogin(self.spec.username, token.removeprefix("Bearer "), xoauth2=True)

    async def _call(
        self, method: Callable[..., Any], *arguments: Any, limit: float = COMMAND_SECONDS, **named: Any
    ) -> Any:
        """Run a blocking call in the thread of this mailbox. Canceled or too late, the socket is closed first."""
        session = self._session
        running = asyncio.get_running_loop().run_in_executor(self._thread, partial(method, *arguments, **named))
        try:
            async with asyncio.timeout(limit):
                return await asyncio.shield(running)
        except (TimeoutError, asyncio.CancelledError) as error:
            if session is not None:
                session.abort()
            with contextlib.suppress(TidegateError, ValueError, OSError):
                await asyncio.wait({running}, timeout=5.0)
            if running.done() and not running.cancelled():
                running.exception()  # it was cut off; what it says then is of no interest
            if isinstance(error, TimeoutError):
                raise UpstreamTimeout(f"{self.spec.host} did not answer within {limit:g} s") from None
            raise

    async def _succeeded(self) -> None:
        statistics = self._state.value.statistics
        statistics.since_us = statistics.since_us or self._clock.now_us()
        statistics.failing_since_us = None
        self._findings.resolve("mailbox_failing", f"source:{self.source}")
        if statistics.looks % 20 == 1 or statistics.last_look_at_us == statistics.last_mail_at_us:
            await self._state.save()

    async def _failed(self, error: TidegateError | None, failures: int) -> None:
        message = error.message if error is not None else "the connection ended"
        now_us = self._clock.now_us()
        statistics = self._state.value.statistics
        statistics.failures += 1
        statistics.last_error, statistics.last_error_at_us = message[:500], now_us
        statistics.failing_since_us = statistics.failing_since_us or now_us
        if failures > 1 or getattr(error, "login", False):  # servers close idle connections; the next try shows more
            remedy = (error.hint if error is not None else None) or ""
            self._findings.report("mailbox_failing", f"source:{self.source}", message, remedy=remedy)
            log.warning("mailbox %s: %s", self.source, message)
        with contextlib.suppress(TidegateError):
            await self._state.save()

    def _wait(self, error: TidegateError | None, failures: int) -> float:
        if getattr(error, "login", False):
            return LONGEST_WAIT_SECONDS
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 10))
        return longest * (0.8 + 0.4 * self._clock.random())
