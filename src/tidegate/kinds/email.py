"""Mail by SMTP. Pure.

Owns the message of an event: header fields, text, HTML, the thread of a key. Sources: RFC 5322 (fields), RFC 2047
(encoded words), RFC 5321 section 4.2 (replies: 4yz is temporary, 5yz is permanent), RFC 3463 (enhanced codes: X.1.Y and
X.2.Y are about one mailbox, X.7.Y about rights and rates).

Invariants: a value of an event cannot add a header field, a recipient or a line end to the head; the Message-ID is the
same for all attempts of a delivery; what a server refuses for good is not sent again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from email.utils import formatdate, parseaddr
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import field

from tidegate.auth import AnyAuth, added_by, kind_of, referred
from tidegate.core.checking import Checker, Path
from tidegate.core.model import Event, JsonObject, Outcome
from tidegate.core.spec import Concurrency, Destination, Rate
from tidegate.kinds.base import Answer, Kind, Prepare, Request, Result, Transform
from tidegate.rules.language.templates import PLAIN, Escaping, Output, RenderFailed, compile_template
from tidegate.rules.language.view import event_view

if TYPE_CHECKING:  # imported where they are used: every start loads all kinds, and most gateways send no mail
    from email.headerregistry import Address
    from email.message import EmailMessage

MAX_RECIPIENTS = 50
MAX_SUBJECT = 250
MAX_BODY = 1_000_000
PORTS = {"implicit": 465, "starttls": 587, "none": 25}
SCHEMES = {"implicit": "smtps", "starttls": "smtp", "none": "smtp+none"}
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f-\x9f]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_SHAPE = re.compile(r"[^<>]*<[^<>]+>|[^<>]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ENHANCED = re.compile(rb"\b[245]\.(\d{1,3})\.\d{1,3}\b")
_UNFINISHED = re.compile(r"&[a-z#0-9]{0,5}\Z")  # an escaped character of HTML that a cut left incomplete
TEST_TEXT = "A test message from Tidegate for the destination {{ data.destination }}."

Render = Callable[[JsonObject], Output]


class EmailDestination(Destination, frozen=True, kw_only=True, tag="email"):
    host: str
    from_: str = field(name="from")
    to: str | list[str]
    subject: str
    text: str = "{{ type }} from {{ source }}"
    html: str = ""
    port: int = 0
    tls: Literal["implicit", "starttls", "none"] = "starttls"
    auth: AnyAuth | None = None
    username: str = ""
    cc: list[str] = []
    reply_to: str = ""
    thread: Literal["none", "key"] = "none"
    concurrency: Concurrency = 2
    rate: Rate | None = "5/s"
    timeout: str = "60s"
    retry_on: list[str | int] = field(default_factory=lambda: ["connection", "tls", "timeout", 401, 409, 429, "5xx"])


class Email(Kind[EmailDestination]):
    name = "email"
    title = "Email"
    spec = EmailDestination
    help = "A mail by SMTP. Its Message-ID stays the same over all attempts."
    transport = "smtp"
    keys = {
        "host": "The mail server.",
        "port": "The port. Default: 587, 465 with `implicit`, 25 with `none`.",
        "tls": "`starttls`: TLS by a command, required. `implicit`: TLS from the first byte. `none`: your own network.",
        "auth": "How it logs in: `password`, or a kind with an access token (XOAUTH2).",
        "username": "The user, for kinds of `auth` that have no user name.",
        "from": 'The sender: "Shop <shop@example.com>".',
        "to": "The recipient, or a list. A template such as `{{ data.email }}` must give one address.",
        "cc": "More recipients.",
        "reply_to": "Where answers go.",
        "subject": "The subject, with {{ path }} of the event.",
        "text": "The text, with {{ path }} of the event.",
        "html": "The HTML, with {{ path }} of the event; values are escaped.",
        "thread": "`key`: mails with the same key of the same source are one thread.",
        "concurrency": "Connections at the same time.",
        "rate": "Mails; many servers limit them.",
        "timeout": "Time limit of one attempt.",
        "retry_on": "What is tried again: a temporary rejection is 409 (one mailbox), 429 (too many) or 5xx, a"
        " refused login is 401. A permanent rejection is never tried again.",
    }
    examples = {
        "host": '"smtp.example.com"',
        "from": '"Shop <shop@example.com>"',
        "to": '"ops@example.com"',
        "subject": '"{{ type }} from {{ source }}"',
    }

    def check(self, checker: Checker, path: Path, spec: EmailDestination) -> None:
        if not spec.text and not spec.html:
            checker.add((*path, "text"), "the mail has no text", 'write text = "{{ type }} from {{ source }}"')
        for key in ("subject", "text", "html"):
            checker.compiled((*path, key), compile_template, getattr(spec, key), item=path)
        if not 0 <= spec.port <= 65535:
            checker.add((*path, "port"), f"{spec.port} is not a port (allowed: 1 to 65535)", "remove the key")
        checker.url((*path, "host"), f"https://{spec.host}")
        if spec.proxy:
            checker.add((*path, "proxy"), "mail does not go through an HTTP proxy", "remove `proxy`")
        if spec.ca and spec.tls == "none":
            checker.add((*path, "ca"), "`ca` has no effect without TLS", 'set tls = "starttls" or "implicit"')
        self._check_addresses(checker, path, spec)
        self._check_login(checker, path, spec)

    def _check_addresses(self, checker: Checker, path: Path, spec: EmailDestination) -> None:
        recipients = [*_list(spec.to), *spec.cc]
        if not _list(spec.to) or len(recipients) > MAX_RECIPIENTS:
            checker.add((*path, "to"), f"{len(recipients)} recipients", f"name 1 to {MAX_RECIPIENTS}")
        for key, values in (
            ("from", [spec.from_]), ("to", _list(spec.to)), ("cc", spec.cc),
            ("reply_to", [spec.reply_to] if spec.reply_to else []),
        ):  # fmt: skip
            for one in values:
                if "{{" in one and key != "from":
                    checker.compiled((*path, key), compile_template, one, item=path)
                elif _parsed(one) is None:
                    shown = f"{one[:80]!r} is not an address"
                    checker.add((*path, key), shown, f'write {key} = "Shop <shop@example.com>"')

    def _check_login(self, checker: Checker, path: Path, spec: EmailDestination) -> None:
        if spec.auth is None:
            return
        kind = kind_of(spec.auth)
        kind.check(checker, (*path, "auth"), spec.auth)
        login = kind.mail_login(spec.auth, spec.username)
        if login is None and not kind.needs_token and not referred(spec.auth):
            checker.add((*path, "auth"), f"a mail server has no login of type '{kind.name}'", 'use type = "password"')
        if (login is None or login.xoauth2) and not spec.username:
            checker.add((*path, "username"), "the login has no user name", 'add username = "you@example.com"')

    def address(self, spec: EmailDestination) -> str:
        return f"{SCHEMES[spec.tls]}://{spec.host}:{spec.port or PORTS[spec.tls]}"

    def method(self, spec: EmailDestination) -> str:
        return "MAIL"

    def shown_address(self, spec: EmailDestination) -> str:
        return self.address(spec)

    def settings(self, spec: EmailDestination) -> list[tuple[str, str]]:
        return [("From", spec.from_), ("To", ", ".join(_list(spec.to))), ("Subject", spec.subject)]

    # -- the message -------------------------------------------------------------------------------------

    def prepare(self, spec: EmailDestination, secrets: Sequence[str], transform: Transform | None) -> Prepare:
        from email.headerregistry import Address
        from email.message import EmailMessage
        from email.policy import SMTP
        from html import escape

        one_line = SMTP.clone(max_line_length=0, cte_type="7bit")  # a field is one line, because a head is lines
        subject = compile_template(spec.subject, PLAIN, MAX_SUBJECT)
        text = compile_template(spec.text, PLAIN, MAX_BODY) if spec.text else None
        rich = compile_template(spec.html, Escaping(escape, _UNFINISHED), MAX_BODY) if spec.html else None
        to = [compile_template(one, PLAIN, 1000) for one in _list(spec.to)]
        cc = [compile_template(one, PLAIN, 1000) for one in spec.cc]
        login = "".join(f"{name}: {value}\r\n" for name, value in added_by(spec.auth).headers)
        if spec.username:
            login += f"tidegate-login: {_plain(spec.username)}\r\n"
        domain = (_parsed(spec.from_) or Address(addr_spec="x@localhost")).domain

        def prepare(event: Event, event_id: str, attempt: int, timestamp: int) -> Request:
            view = event_view(event)
            seen = transform(view) if transform is not None else view
            made = EmailMessage(SMTP)
            made["From"] = _parsed(spec.from_)
            made["To"] = [_recipient(one, seen) for one in to]
            if cc:
                made["Cc"] = [_recipient(one, seen) for one in cc]
            if spec.reply_to:
                made["Reply-To"] = _parsed(spec.reply_to)
            made["Subject"] = _plain(subject(seen).text) or "(no subject)"
            made["Date"] = formatdate(timestamp)
            made["Message-ID"] = f"<{_name(event_id, spec.host)}@{domain}>"
            if spec.thread == "key" and event.key:
                thread = f"<thread-{_name(event.source, event.key)}@{domain}>"
                made["In-Reply-To"] = thread
                made["References"] = thread
            cut = _fill(made, text(seen) if text else None, rich(seen) if rich else None, event_id)
            head, _, body = made.as_bytes(policy=one_line).partition(b"\r\n\r\n")
            whole = login.encode("latin-1", "replace") + head + b"\r\n"
            return Request(whole, body, cut, len(login), harmless=True)

        return prepare

    def prepare_test(self, spec: EmailDestination, secrets: Sequence[str]) -> Prepare:
        plain = [one for one in _list(spec.to) if "{{" not in one]
        if not plain:
            raise RenderFailed("every recipient comes from the event, so there is nobody to send a test to")
        test = msgspec.structs.replace(
            spec, to=plain, cc=[], subject="A test from Tidegate", text=TEST_TEXT, html="", thread="none"
        )
        return self.prepare(test, secrets, None)

    # -- the answer --------------------------------------------------------------------------------------

    def read(self, answer: Answer, now_us: int) -> Result:
        """Replies of SMTP as what they stand for in `retry_on`."""
        words = answer.body[:300].decode("utf-8", "replace").strip()
        if answer.outcome is not Outcome.OK or answer.status is None:
            return Result(answer.outcome, answer.status, detail=answer.error)
        if 200 <= answer.status < 300:
            left = "\n".join(line for line in words.splitlines() if " was refused: " in line)
            return Result(Outcome.OK, answer.status, detail=left)
        return Result(Outcome.HTTP_ERROR, _meaning(answer.status, answer.body), code=str(answer.status), detail=words)


def _meaning(code: int, words: bytes) -> int:
    """401: the login. 429: too many. 409: one mailbox, for now. 503: the server, for now. 422: refused for good."""
    if code in (401, 530, 534, 535, 538):
        return 401
    enhanced = _ENHANCED.search(words)
    subject = int(enhanced[1]) if enhanced is not None else 0
    if 400 <= code < 500:
        if subject == 7:
            return 429
        return 409 if subject in (1, 2) or code in (450, 452) else 503
    return 422


def _fill(made: EmailMessage, text: Output | None, rich: Output | None, event_id: str) -> str:
    """Sets the content; returns what was cut, in words."""
    if not any(one is not None and one.text.strip() for one in (text, rich)):
        raise RenderFailed("the mail is empty: the event has none of the fields that the template names")
    if text is not None:
        made.set_content(_body(text), cte="quoted-printable")
    if rich is not None and text is not None:
        made.add_alternative(_body(rich), subtype="html", cte="quoted-printable")
        made.set_boundary(f"tidegate-{_name(event_id)}")  # the same bytes at each attempt
    elif rich is not None:
        made.set_content(_body(rich), subtype="html", cte="quoted-printable")
    return f"the mail was cut to {MAX_BODY:,} characters" if any(o and o.cut for o in (text, rich)) else ""


def _body(made: Output) -> str:
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", "", made.text)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _plain(value: str) -> str:
    """On one line, so that a value can never end a header field, and without encoded words that would be decoded."""
    return " ".join(_CONTROL.sub(" ", value).replace("=?", "= ?").split())


def _parsed(text: str) -> Address | None:
    """`Shop <shop@example.com>` or a bare address; None for anything else, several addresses included."""
    if _CONTROL.search(text) or _SHAPE.fullmatch(text) is None:
        return None
    from email.headerregistry import Address

    name, address = parseaddr(text)
    if _ADDRESS.fullmatch(address) is None or len(address) > 254 or text.count("@") != 1 + name.count("@"):
        return None
    try:
        return Address(name[:200], addr_spec=address)
    except (ValueError, IndexError):
        return None


def _recipient(render: Render, seen: JsonObject) -> Address:
    text = render(seen).text.strip()
    found = _parsed(text)
    if found is None:
        raise RenderFailed(f"the recipient {text[:80]!r} is not one mail address")
    return found


def _name(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


KIND = Email()
