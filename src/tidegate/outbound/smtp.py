"""Sends mail: one SMTP connection for each message, on a socket that the guard passed.

Owns the connection, TLS, the login and the translation of what a server answers into the result that every transport
gives. The protocol is aiosmtplib's (extra `mail`). May not know events, templates or retries. The message is `head`,
an empty line and `body`; its recipients are those of its To and Cc fields. Two header lines are for this module and
never leave: `authorization` has the login, `tidegate-login` the user name of an access token.

Invariants: `done` is called once for each `send`, later, and not after `abort`; no password goes over a connection
without TLS unless the address says `smtp+none`; STARTTLS is required where it is asked for, never tried. Crash: nothing
is kept; a message whose answer was lost is sent again with the same Message-ID.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import Callable
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from tidegate.core.clock import Clock
from tidegate.core.errors import Blocked, TidegateError
from tidegate.core.model import Outcome
from tidegate.outbound.dial_failed import DialFailed, translate
from tidegate.outbound.dialer import Dialer
from tidegate.outbound.post import PostResult
from tidegate.outbound.tls import mail_tls
from tidegate.rules.outbound.addresses import Target

if TYPE_CHECKING:
    from aiosmtplib import SMTP

OURS = ("authorization", "tidegate-login")
AUTH_REFUSED = (530, 534, 535, 538)  # RFC 4954 section 6
_SHORTAGE_SECONDS = 0.5
_QUIT_SECONDS = 5.0
_KEPT_CHARACTERS = 2000

Done = Callable[[PostResult], None]


class Sending:
    """A message on its way."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None

    def abort(self) -> None:
        """Stop it; `done` is not called afterward."""
        if self.task is not None:
            self.task.cancel()


class SmtpClient:
    """One per process, on one event loop."""

    def __init__(self, dialer: Dialer, clock: Clock) -> None:
        self._dialer = dialer
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def send(self, target: Target, head: bytes, body: bytes, timeout_seconds: float, done: Done) -> Sending:
        """Start to send a message; see `deliver/ports.py`. RuntimeError after `close`."""
        if self._closed:
            raise RuntimeError("the SMTP client is closed")
        sending = Sending()
        sending.task = task = asyncio.get_running_loop().create_task(
            self._send(target, head, body, timeout_seconds, done)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return sending

    async def close(self) -> None:
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, target: Target, head: bytes, body: bytes, timeout_seconds: float, done: Done) -> None:
        began = self._clock.monotonic()
        outcome, status, error, answer = Outcome.OK, None, "", ""
        try:
            async with asyncio.timeout(timeout_seconds):
                status, answer = await self._deliver(target, head, body)
        except TimeoutError:
            outcome, error = Outcome.TIMEOUT, f"{target.host} did not take the message within {timeout_seconds:g} s"
        except Blocked as blocked:
            outcome, error = Outcome.BLOCKED, blocked.message
        except DialFailed as failed:
            outcome, error = failed.outcome, failed.message
        except TidegateError as failed:
            outcome, error = Outcome.BAD_ANSWER, failed.message
        except OSError as failed:
            found = translate(failed, f"{target.host} port {target.port}", True)
            outcome, error = found.outcome, found.message
        kept = answer[:_KEPT_CHARACTERS].encode("utf-8", "replace")
        took_us = int((self._clock.monotonic() - began) * 1_000_000)
        done(PostResult(outcome, status, error, b"", "", kept, len(answer), took_us, False))

    async def _deliver(self, target: Target, head: bytes, body: bytes) -> tuple[int, str]:
        """(reply code, the server's words). A rejection is a reply too."""
        try:
            import aiosmtplib
        except ImportError:
            raise TidegateError('sending mail needs an extra: pip install "tidegate[mail]"') from None
        lines, login, user = _split(head)
        options = target.options
        tls = None if target.scheme == "smtp+none" else await asyncio.to_thread(mail_tls, options.ca if options else "")
        sock = await self._dial(target)
        client = aiosmtplib.SMTP(
            hostname=target.host,
            sock=sock,
            use_tls=target.scheme == "smtps",
            start_tls=target.scheme == "smtp",
            tls_context=tls,
            local_hostname=_literal(sock),
            timeout=None,  # the whole send has one
        )
        try:
            await client.connect()
            if login:
                await _log_in(client, login, user)
            return await _hand_over(client, lines, body)
        except aiosmtplib.SMTPResponseException as refused:
            status = 401 if refused.code in AUTH_REFUSED and login.startswith("Bearer ") else refused.code
            return status, f"{refused.code} {refused.message}"
        except aiosmtplib.SMTPRecipientsRefused as refused:
            found = refused.recipients
            return found[0].code, "\n".join(f"{one.recipient}: {one.code} {one.message}" for one in found)
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPConnectError) as failed:
            raise _cause(failed, target) from None
        except aiosmtplib.SMTPException as failed:
            raise TidegateError(f"{target.host}: {failed.args[0] if failed.args else failed}") from None
        finally:
            await _quit(client, sock)

    async def _dial(self, target: Target) -> socket.socket:
        """A connected socket to the first address that takes one. Raises Blocked or DialFailed."""
        loop = asyncio.get_running_loop()
        while True:
            failure: TidegateError | None = None
            for ip in await self._dialer.resolve(target.host, target.port):
                self._dialer.guard.check(ip, target.port, target.host)
                sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
                sock.setblocking(False)
                try:
                    await loop.sock_connect(sock, (ip, target.port))
                    return sock
                except OSError as error:
                    sock.close()
                    failure = translate(error, f"{target.host} port {target.port}", False)
                except asyncio.CancelledError:
                    sock.close()
                    raise
            assert failure is not None
            if not getattr(failure, "local", False):
                raise failure
            await self._clock.sleep(_SHORTAGE_SECONDS)  # this machine has no socket: the destination is not at fault


async def _log_in(client: SMTP, login: str, user: str) -> None:
    kind, _, value = login.partition(" ")
    if kind == "Bearer":
        await client.auth_xoauth2(user, value)
        return
    name, _, password = base64.b64decode(value).decode().partition(":")
    await client.login(name, password)


async def _hand_over(client: SMTP, lines: list[str], body: bytes) -> tuple[int, str]:
    fields = [line.partition(": ") for line in lines]
    sender = _addresses(fields, "from")[0]
    recipients = _addresses(fields, "to", "cc")
    message = "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + body
    refused, words = await client.sendmail(sender, recipients, message)
    left = [f"{address} was refused: {one.code} {one.message}" for address, one in refused.items()]
    return 250, "\n".join([words, *left])


def _addresses(fields: list[tuple[str, str, str]], *names: str) -> list[str]:
    return [address for _, address in getaddresses([value for name, _, value in fields if name.lower() in names])]


def _split(head: bytes) -> tuple[list[str], str, str]:
    """(header lines of the message, login, user name of an access token)."""
    lines, ours = [], dict.fromkeys(OURS, "")
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(": ")
        if name.lower() in ours:
            ours[name.lower()] = value
        elif line:
            lines.append(line)
    return lines, ours["authorization"], ours["tidegate-login"]


def _literal(sock: socket.socket) -> str:
    """The address of this side as EHLO wants it of a client without a public name (RFC 5321 section 4.1.3)."""
    ip = sock.getsockname()[0]
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"


def _cause(error: Exception, target: Target) -> TidegateError:
    """What ended a connection: a certificate that does not fit is not a server that hung up."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ssl.SSLError):
        found = found.__cause__ or found.__context__
    where = f"{target.host} port {target.port}"
    if isinstance(found, ssl.SSLError):
        return translate(found, where, True)
    return DialFailed(f"{where}: {error.args[0] if error.args else 'the server hung up'}", Outcome.RESET)


async def _quit(client: SMTP, sock: socket.socket) -> None:
    """Say goodbye where the server still listens; close in any case."""
    import aiosmtplib

    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError, asyncio.CancelledError):
        if client.is_connected and not _canceled():
            async with asyncio.timeout(_QUIT_SECONDS):
                await client.quit()
    client.close()
    sock.close()


def _canceled() -> bool:
    task: asyncio.Task[Any] | None = asyncio.current_task()
    return task is not None and task.cancelling() > 0
