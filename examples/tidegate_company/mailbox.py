"""The mailbox: customers write mail on its page, and a small IMAP server lets others read it.

Two connections read it, as two mail programs would: one waits with IDLE, one asks every few seconds. The server knows
as much of IMAP (RFC 3501, and IDLE of RFC 2177) as reading a mailbox needs: login, one folder, search by UID, fetch.
The mails are in a file, because their numbers must not begin again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate_company import web

USER = "orders@example.com"
SUBJECTS = ("Where is my order?", "Two more cups, please", "An invoice for May", "Thank you!")
LINE_BYTES = 8192


@dataclass(frozen=True)
class Mail:
    """`at` is when it arrived; `message_id` names it in the story."""

    uid: int
    at: str
    message_id: str
    subject: str

    @property
    def raw(self) -> bytes:
        lines = (
            "From: Ada <ada@example.com>", f"To: {USER}", f"Subject: {self.subject}",
            f"Message-ID: <{self.message_id}>", "Content-Type: text/plain; charset=utf-8", "", "Best regards, Ada", "",
        )  # fmt: skip
        return "\r\n".join(lines).encode()

    @property
    def facts(self) -> str:
        at = datetime.fromisoformat(self.at).astimezone(UTC)
        return f'UID {self.uid} RFC822.SIZE {len(self.raw)} INTERNALDATE "{at.strftime("%d-%b-%Y %H:%M:%S +0000")}"'


class Mailbox:
    def __init__(self, system: web.System) -> None:
        self.system = system
        self.password = system.secret("mailbox-password")
        self.file = Path(system.options.file)
        kept = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.validity: int = kept.get("validity", int(time.time()))  # numbers must not begin again
        self.mails = [Mail(**one) for one in kept.get("mails", [])]
        self.arrived = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        given = socket.socket(fileno=self.system.options.imap_socket)
        server = await asyncio.start_server(self.serve, sock=given, limit=LINE_BYTES)
        yield
        server.close()

    # -- pages -------------------------------------------------------------------------------------------

    async def write(self, request: Request) -> Response:
        """A customer writes a mail."""
        number = len(self.mails) + 1
        mail = Mail(number, web.now(), f"{secrets.token_hex(6)}@example.com", secrets.choice(SUBJECTS))
        async with self.arrived:
            self.mails.append(mail)
            self.file.write_text(json.dumps({"validity": self.validity, "mails": [asdict(one) for one in self.mails]}))
            self.arrived.notify_all()
        self.system.counts["mails"] += 1
        answer = {"message_id": mail.message_id, "subject": mail.subject, "at": mail.at}
        return JSONResponse(answer) if web.wants_json(request) else web.back()

    async def page(self, request: Request) -> Response:
        rows = [[web.text(one.at[11:19]), web.text(one.subject)] for one in reversed(self.mails)]
        body = web.button("/mails", "Send a mail") + web.table(["Time (UTC)", "Subject"], rows, "There is no mail.")
        return self.system.page(request, f"The mailbox {USER}. Tidegate reads it by IDLE and by poll.", body)

    async def state(self, request: Request) -> Response:
        return self.system.state(mails=[{"key": one.message_id, "at": one.at} for one in self.mails[-50:]])

    # -- IMAP --------------------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            await Session(self, reader, writer).run()
        writer.close()


class Session:
    """One connection to the mailbox."""

    def __init__(self, box: Mailbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.box = box
        self.reader = reader
        self.writer = writer
        self.open = False
        self.said = 0  # how many mails this connection knows of

    async def run(self) -> None:
        self.say("* OK the mailbox of the sample company")
        while line := (await self.reader.readline()).decode("ascii").strip():
            tag, _, rest = line.partition(" ")
            word, _, arguments = rest.partition(" ")
            if word.upper() == "LOGOUT":
                self.say("* BYE", f"{tag} OK done")
                return
            await self.command(tag, word.upper(), arguments)
            await self.writer.drain()

    async def command(self, tag: str, word: str, arguments: str) -> None:
        if word == "CAPABILITY":
            self.say("* CAPABILITY IMAP4rev1 IDLE", f"{tag} OK done")
        elif word == "LOGIN":
            wanted = f'"{USER}" "{self.box.password}"'
            self.open = hmac.compare_digest(arguments.encode(), wanted.encode())
            self.say(f"{tag} OK done" if self.open else f"{tag} NO [AUTHENTICATIONFAILED] wrong password")
        elif not self.open:
            self.say(f"{tag} NO log in first")
        elif word in ("SELECT", "EXAMINE"):
            self.said = len(self.box.mails)
            self.say(f"* {self.said} EXISTS", f"* OK [UIDVALIDITY {self.box.validity}] numbers")
            self.say(f"* OK [UIDNEXT {self.said + 1}] next", f"{tag} OK [READ-ONLY] done")
        elif word == "NOOP":
            self.say_new()
            self.say(f"{tag} OK done")
        elif word == "IDLE":
            await self.idle(tag)
        elif word == "UID":
            self.by_uid(tag, arguments)
        else:
            self.say(f"{tag} BAD this mailbox does not know {word}")

    async def idle(self, tag: str) -> None:
        """Wait for mail and say so, until the other side ends the wait."""
        self.say("+ idling")
        self.say_new()
        end = asyncio.create_task(self.reader.readline())
        while not end.done():
            news = asyncio.create_task(self.news())
            await asyncio.wait({end, news}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            self.say_new()
            await self.writer.drain()
        self.say(f"{tag} OK done")

    async def news(self) -> None:
        async with self.box.arrived:
            await self.box.arrived.wait_for(lambda: len(self.box.mails) > self.said)

    def by_uid(self, tag: str, arguments: str) -> None:
        search = re.fullmatch(r"SEARCH \(?UID (\d+):\*\)?", arguments, re.IGNORECASE)
        fetch = re.fullmatch(r"FETCH ([\d,]+) \((.*)\)", arguments, re.IGNORECASE)
        if search is not None:
            found = [one for one in self.box.mails if one.uid >= int(search[1])] or self.box.mails[-1:]
            self.say("* SEARCH " + " ".join(str(one.uid) for one in found))
        elif fetch is not None:
            wanted = {int(number) for number in fetch[1].split(",")}
            for one in self.box.mails:
                if one.uid in wanted:
                    self.say_mail(one, fetch[2].upper())
        self.say(f"{tag} OK done" if search or fetch else f"{tag} BAD only SEARCH UID and FETCH")

    def say_mail(self, mail: Mail, parts: str) -> None:
        raw = mail.raw
        if "HEADER" in parts:
            raw = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        if "BODY" not in parts:
            self.say(f"* {mail.uid} FETCH ({mail.facts})")
            return
        self.say(f"* {mail.uid} FETCH ({mail.facts} BODY[] {{{len(raw)}}}")
        self.writer.write(raw + b")\r\n")

    def say_new(self) -> None:
        if len(self.box.mails) > self.said:
            self.said = len(self.box.mails)
            self.say(f"* {self.said} EXISTS")

    def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())


def main() -> None:
    parser = web.arguments(__doc__ or "")
    parser.add_argument("--imap-socket", type=int, required=True, help="a file descriptor that listens for IMAP")
    parser.add_argument("--file", default="mailbox.json", help="where the mails are kept")
    options = parser.parse_args()
    box = Mailbox(web.System("Mailbox", options))
    routes: list[Any] = [
        Route("/", box.page),
        Route("/mails", box.write, methods=["POST"]),
        Route("/demo/state", box.state),
    ]
    web.serve(routes, options, box.lifespan)


if __name__ == "__main__":
    main()
