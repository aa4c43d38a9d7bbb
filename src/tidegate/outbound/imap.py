"""One IMAP connection, blocking, on a socket that the guard passed. For `mail/`, which calls it in a thread.

Owns the commands that a mailbox needs and the reading of their answers, on `imaplib` of the standard library: login,
select, search, fetch, IDLE, move. May not know events, state or schedules. Decision 0020 says why not another library.

Invariants: no socket is made here but by `connect`, to an address that the guard passed at that moment; what a server
sends is bounded (a line, a literal, the answers of one command), so a hostile server costs a connection and not memory;
bodies are fetched with PEEK, so reading a mail changes no flag. `abort` may be called from another thread: it closes
the socket, and the call that is under way fails. Crash: nothing is kept.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import select
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tidegate.core.errors import TidegateError, UpstreamError
from tidegate.core.model import Outcome
from tidegate.outbound.dial_failed import DialFailed, translate
from tidegate.outbound.dialer import Guard
from tidegate.rules.mail.folder import FolderFacts, MessageFacts
from tidegate.rules.mail.folder_names import encode_folder, quoted

imaplib.Commands.setdefault("IDLE", ("AUTH", "SELECTED"))  # it knows IDLE from Python 3.14 on
MAX_LINE_BYTES = 1 << 20
MAX_ANSWERS = 20_000  # untagged answers of one command
MAX_ANSWER_BYTES = 128 << 20  # the same, in bytes
SOCKET_SECONDS = 60.0
_UID = re.compile(rb"\bUID (\d{1,10})\b", re.IGNORECASE)
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,12})\b", re.IGNORECASE)
_DATE = re.compile(rb'\bINTERNALDATE "([^"]{10,40})"', re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]{1,500}>)", re.IGNORECASE | re.MULTILINE)


class ImapFailed(UpstreamError):
    """The server refused, closed, or answered what cannot be read. `login`: it refused the credential."""

    def __init__(self, message: str, *, login: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.login = login


class Endpoint(msgspec.Struct, frozen=True):
    """Where a mailbox is, with the addresses of its name that the dialer passed, in the order to try."""

    host: str
    port: int
    addresses: tuple[str, ...]
    mode: str  # "implicit" TLS, "starttls" or "none"
    tls: ssl.SSLContext | None

    @property
    def where(self) -> str:
        return f"{self.host} port {self.port}"


class ImapSession:
    """One connection. Every method blocks, and raises ImapFailed, DialFailed or Blocked; then the session is over."""

    def __init__(self, guard: Guard, endpoint: Endpoint, max_literal: int) -> None:
        self._guard = guard
        self._endpoint = endpoint
        self._max_literal = max_literal
        self._socket: socket.socket | None = None
        self._client: _Client | None = None
        self.selected = ""
        self.commands = 0  # sent so far: what asking costs

    # -- life --------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connect, with TLS as the endpoint says. Nothing was logged in yet."""
        endpoint = self._endpoint
        self._socket = self._dial()
        try:
            if endpoint.mode == "implicit":
                assert endpoint.tls is not None
                self._socket = endpoint.tls.wrap_socket(self._socket, server_hostname=endpoint.host)
            self._client = _Client(self._socket, self._max_literal)
            if endpoint.mode == "starttls":
                assert endpoint.tls is not None
                if "STARTTLS" not in self._client.capabilities:
                    raise ImapFailed(
                        f"{endpoint.host} offers no STARTTLS", hint='use port 993 with tls = "implicit" if it has one'
                    )
                self._client.start_tls(endpoint.tls, endpoint.host)
                self._socket = self._client.sock
        except OSError as error:
            self.abort()
            raise translate(error, endpoint.where, endpoint.mode != "none") from None
        except imaplib.IMAP4.error as error:
            self.abort()
            raise self._failed(error) from None

    def _dial(self) -> socket.socket:
        failure: TidegateError | None = None
        for ip in self._endpoint.addresses:
            try:
                self._guard.check(ip, self._endpoint.port, self._endpoint.host)
                return socket.create_connection((ip, self._endpoint.port), timeout=SOCKET_SECONDS)
            except OSError as error:
                failure = translate(error, self._endpoint.where, False)
            except TidegateError as error:
                failure = failure or error
        raise failure or DialFailed(f"{self._endpoint.host} has no address", Outcome.DNS)

    def abort(self) -> None:
        """Close the socket at once. Safe from every thread, and any number of times."""
        found = self._socket
        if found is not None:
            with contextlib.suppress(OSError):  # it was not connected any more
                found.shutdown(socket.SHUT_RDWR)
            found.close()

    def release(self) -> None:
        """Free what the connection holds; in the thread of the calls, after the last one. Never raises."""
        self.abort()
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown()

    def login(self, username: str, secret: str, *, xoauth2: bool) -> None:
        """Log in by LOGIN or AUTHENTICATE PLAIN (a password), or by AUTHENTICATE XOAUTH2 (an access token)."""
        client = self._ready()
        self.commands += 1
        try:
            if xoauth2:
                client.authenticate("XOAUTH2", lambda _: f"user={username}\1auth=Bearer {secret}\1\1".encode())
            elif "LOGINDISABLED" in client.capabilities or not (username + secret).isascii():
                client.authenticate("PLAIN", lambda _: f"\0{username}\0{secret}".encode())
            else:
                client.login(quoted(username), secret)  # which quotes the password alone
            client.read_capabilities()
        except client.abort as error:
            raise self._failed(error) from None
        except client.error as error:
            raise ImapFailed(
                f"{self._endpoint.host} refused the login of {username}: {_text(error)}",
                login=True,
                hint="check username and password of `auth`; many providers need an app password or OAuth",
            ) from None
        except OSError as error:
            raise self._closed(error) from None

    @property
    def can_idle(self) -> bool:
        return "IDLE" in self._ready().capabilities

    # -- reading -----------------------------------------------------------------------------------------

    def select(self, folder: str, *, writable: bool) -> FolderFacts:
        """Open a folder, read-only (EXAMINE) unless something in it is to be marked or moved."""
        client = self._ready()
        self.selected = ""
        client.untagged_responses.clear()
        answer = self._run(client.select, encode_folder(folder), not writable)
        self.selected = folder
        uidvalidity = self._number(client, "UIDVALIDITY")
        if uidvalidity is None:
            raise ImapFailed(f"{self._endpoint.host} gives no UIDVALIDITY for {folder}: its mail has no lasting names")
        exists = answer[0] if answer and answer[0] else b"0"
        return FolderFacts(uidvalidity, self._number(client, "UIDNEXT"), int(exists))

    def search_from(self, uid: int) -> list[int]:
        """UIDs in the selected folder from `uid` on; the last message too, when its UID is lower."""
        client = self._ready()
        self._run(client.noop)  # servers may leave out what they have not announced yet
        client.untagged_responses.pop("EXISTS", None)
        answer = self._run(client.uid, "SEARCH", f"UID {uid}:*")
        return [int(one) for one in (answer[0] or b"").split() if one.isdigit()] if answer else []

    def search_since(self, since_us: int) -> list[int]:
        """UIDs of messages received on the day of `since_us` or later."""
        day = datetime.fromtimestamp(since_us / 1_000_000, UTC).strftime("%d-%b-%Y")
        answer = self._run(self._ready().uid, "SEARCH", "SINCE", day)
        return [int(one) for one in (answer[0] or b"").split() if one.isdigit()] if answer else []

    def facts(self, uids: Sequence[int]) -> list[MessageFacts]:
        """Size and time of arrival of messages, ascending by UID. One that is gone is left out."""
        return sorted((facts for facts, _ in self._facts(uids, "")), key=lambda one: one.uid)

    def facts_and_ids(self, uids: Sequence[int]) -> list[tuple[MessageFacts, str]]:
        """The same, each with its Message-ID."""
        return self._facts(uids, " BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]")

    def _facts(self, uids: Sequence[int], more: str) -> list[tuple[MessageFacts, str]]:
        if not uids:
            return []
        answer = self._run(
            self._ready().uid, "FETCH", ",".join(map(str, uids)), f"(UID RFC822.SIZE INTERNALDATE{more})"
        )
        found = []
        for text, literal in _fetched(answer):
            uid, size, date = _UID.search(text), _SIZE.search(text), _DATE.search(text)
            if uid is None:
                continue  # an update of flags that came between
            header = _MESSAGE_ID.search(literal)
            facts = MessageFacts(int(uid[1]), int(size[1]) if size else 0, _instant_us(date[1]) if date else 0)
            found.append((facts, header[1].decode("latin-1").strip("<>") if header else ""))
        return found

    def message(self, uid: int, *, header_only: bool) -> bytes | None:
        """The bytes of a message, or its header alone. None when it is gone. No flag changes (PEEK)."""
        part = "BODY.PEEK[HEADER]" if header_only else "BODY.PEEK[]"
        answer = self._run(self._ready().uid, "FETCH", str(uid), f"(UID {part})")
        for text, literal in _fetched(answer):
            found = _UID.search(text)
            if found is not None and int(found[1]) == uid:
                return literal
        return None

    # -- writing -----------------------------------------------------------------------------------------

    def mark_seen(self, uid: int) -> None:
        self._run(self._ready().uid, "STORE", str(uid), "+FLAGS.SILENT", r"(\Seen)")

    def move(self, uid: int, folder: str) -> None:
        """Move a message: MOVE (RFC 6851), else COPY, mark as deleted, and expunge this UID alone (UIDPLUS)."""
        client = self._ready()
        target = encode_folder(folder)
        if "MOVE" in client.capabilities:
            self._run(client.uid, "MOVE", str(uid), target)
            return
        if "UIDPLUS" not in client.capabilities:
            raise ImapFailed(
                f"{self._endpoint.host} offers neither MOVE nor UIDPLUS, so one mail cannot be moved by itself",
                hint="remove `move_to`, or use mark_seen = true",
            )
        self._run(client.uid, "COPY", str(uid), target)
        self._run(client.uid, "STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)")
        self._run(client.uid, "EXPUNGE", str(uid))

    # -- waiting -----------------------------------------------------------------------------------------

    def idle(self, seconds: float) -> bool:
        """Wait with IDLE (RFC 2177) until the server says anything or `seconds` passed. True when it said something."""
        self.commands += 1
        try:
            return self._ready().idle(seconds)
        except imaplib.IMAP4.error as error:
            raise self._failed(error) from None
        except OSError as error:
            raise self._closed(error) from None

    # -- inside ------------------------------------------------------------------------------------------

    def _ready(self) -> _Client:
        assert self._client is not None, "connect first"
        return self._client

    def _run(self, command: Any, *arguments: Any) -> list[Any]:
        """Run one command of `imaplib` and return what it answers; ImapFailed unless it is OK."""
        self.commands += 1
        self._ready().begin()
        try:
            status, answer = command(*arguments)
        except imaplib.IMAP4.error as error:
            raise self._failed(error) from None
        except OSError as error:
            raise self._closed(error) from None
        if status != "OK":
            words = answer[0] if answer and isinstance(answer[0], bytes) else b""
            raise ImapFailed(
                f"{self._endpoint.host} refused {arguments[0] if arguments else 'a command'}: {_text(words)}"
            )
        return list(answer)

    def _number(self, client: _Client, code: str) -> int | None:
        answer = client.response(code)[1]
        found = answer[-1] if answer else None
        return int(found) if isinstance(found, bytes) and found.isdigit() else None

    def _failed(self, error: Exception) -> ImapFailed:
        return ImapFailed(f"{self._endpoint.host}: {_text(error)}")

    def _closed(self, error: OSError) -> ImapFailed:
        if isinstance(error, TimeoutError):
            return ImapFailed(f"{self._endpoint.host} did not answer within {SOCKET_SECONDS:g} s")
        return ImapFailed(
            f"{self._endpoint.host}: the connection was closed ({error.strerror or type(error).__name__})"
        )


class _Client(imaplib.IMAP4):
    """`imaplib` on a socket that is given, with bounds on what it keeps of a server's answers."""

    def __init__(self, sock: socket.socket, max_literal: int) -> None:
        self._given = sock
        self._max_literal = max_literal
        self._answers = 0
        self._answer_bytes = 0
        super().__init__("given", 0)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self._use(self._given)

    def _use(self, sock: socket.socket) -> None:
        self.sock = sock
        self._stream = sock.makefile("rb")

    def read(self, size: int) -> bytes:
        if size > self._max_literal:
            raise self.abort(f"the server sends {size} bytes at once, more than was asked for")
        self._count(size)
        return self._stream.read(size)

    def readline(self) -> bytes:
        line = self._stream.readline(MAX_LINE_BYTES + 1)
        if len(line) > MAX_LINE_BYTES:
            raise self.abort(f"the server sends a line of more than {MAX_LINE_BYTES} bytes")
        self._count(len(line))
        return line

    def shutdown(self) -> None:
        self._stream.close()
        self.sock.close()

    def begin(self) -> None:
        """A new command: what it may be answered is counted from here."""
        self._answers = self._answer_bytes = 0

    def _count(self, size: int) -> None:
        self._answers += 1
        self._answer_bytes += size
        if self._answers > 2 * MAX_ANSWERS or self._answer_bytes > MAX_ANSWER_BYTES:
            raise self.abort("the server answers one command with more than Tidegate keeps")

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Bytes that came before the handshake are dropped with the stream: nobody can smuggle answers in."""
        status, answer = self._simple_command("STARTTLS")
        if status != "OK":
            raise self.error(f"STARTTLS was refused: {answer[-1]!r}")
        self._use(context.wrap_socket(self.sock, server_hostname=host))
        self.read_capabilities()

    def read_capabilities(self) -> None:
        """What the server can do, which differs before and after TLS and the login."""
        status, answer = self.capability()
        if status == "OK" and answer and answer[-1]:
            self.capabilities = tuple(answer[-1].decode("ascii", "replace").upper().split())

    def idle(self, seconds: float) -> bool:
        self.begin()
        if self.untagged_responses.pop("EXISTS", None):
            return True  # it was said while another command ran
        tag = self._command("IDLE")
        while self._get_response() is not None:  # untagged answers before the continuation
            if self.tagged_commands[tag]:
                raise self.error(f"IDLE was refused: {self.tagged_commands[tag]!r}")
        woken = bool(self.untagged_responses.get("EXISTS")) or self._readable(seconds)
        self.begin()
        self.send(b"DONE\r\n")
        self._command_complete("IDLE", tag)
        return woken

    def _readable(self, seconds: float) -> bool:
        """Whether something arrives within `seconds`. What was read ahead by the stream or by TLS counts too."""
        timeout = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            if self._stream.peek(1):
                return True
        except (BlockingIOError, ssl.SSLWantReadError):
            pass  # nothing is there yet
        finally:
            self.sock.settimeout(timeout)
        poll = select.poll()
        poll.register(self.sock.fileno(), select.POLLIN)
        return bool(poll.poll(seconds * 1000))


def _fetched(answer: list[Any]) -> list[tuple[bytes, bytes]]:
    """(text, literal) of each message in an answer to FETCH. The closing line belongs to the one before it."""
    found: list[tuple[bytes, bytes]] = []
    for item in answer:
        if isinstance(item, tuple):
            found.append((item[0], item[1]))
        elif isinstance(item, bytes):
            if found and found[-1][1] and not re.match(rb"\d+ \(", item):
                found[-1] = (found[-1][0] + b" " + item, found[-1][1])
            else:
                found.append((item, b""))
    return found


def _instant_us(text: bytes) -> int:
    """`17-Jul-1996 02:44:25 -0700` in microseconds; 0 when it cannot be read."""
    try:
        at = datetime.strptime(text.decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    except (ValueError, UnicodeDecodeError):
        return 0
    return max(0, int(at.timestamp() * 1_000_000))


def _text(words: object) -> str:
    """A server's words for people: printable and short."""
    if isinstance(words, Exception):
        words = words.args[0] if words.args else type(words).__name__
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return "".join(one if one.isprintable() else " " for one in text)[:200]
