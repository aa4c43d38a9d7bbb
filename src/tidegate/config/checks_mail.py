"""Checks a mailbox: its server, its login, its folders and its limits.

Owns the rules about `[sources.NAME.imap]`. Adds to `Problems`. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

import re

from tidegate.auth import kind_of, referred
from tidegate.config.lines import Path
from tidegate.config.spec import ImapInput
from tidegate.config.validate import DAY, SECOND, Validator

MAX_FOLDERS = 50
MAX_FOLDER_CHARACTERS = 200
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]{2,45}\]?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_imap(validator: Validator, path: Path, imap: ImapInput) -> None:
    server(validator, path, imap.host, imap.port)
    validator.duration((*path, "poll"), imap.poll, SECOND, DAY)
    validator.body_size((*path, "max_message"), imap.max_message)
    _login(validator, path, imap)
    _folders(validator, path, imap)


def server(validator: Validator, path: Path, host: str, port: int) -> None:
    """The name and port of a mail server, as IMAP and SMTP have them."""
    if _HOST.fullmatch(host) is None:
        shown = validator.problems.show((*path, "host"), host)
        validator.add((*path, "host"), f"{shown} is not the name of a host", 'write host = "imap.example.com"')
    if not 0 <= port <= 65535:
        validator.add((*path, "port"), f"{port} is not a port (allowed: 1 to 65535)", "remove it to take the usual one")


def _login(validator: Validator, path: Path, imap: ImapInput) -> None:
    kind = kind_of(imap.auth)
    kind.check(validator, (*path, "auth"), imap.auth)
    has_token = kind.needs_token or referred(imap.auth)
    if not has_token and kind.mail_login(imap.auth, imap.username) is None:
        validator.add(
            (*path, "auth"),
            f"a mail server has no login of type '{kind.name}'",
            'use type = "password", or a kind with an access token',
        )
    elif not imap.login_name:
        validator.add((*path, "username"), "the login has no user name", 'add username = "you@example.com"')
    if _CONTROL.search(imap.login_name):
        validator.add((*path, "username"), "the user name has a control character", "write it on one line")
    if imap.tls == "none" and imap.ca:
        validator.add((*path, "ca"), "`ca` has no effect without TLS", 'set tls = "implicit" or "starttls"')


def _folders(validator: Validator, path: Path, imap: ImapInput) -> None:
    folders = [imap.folder] if isinstance(imap.folder, str) else imap.folder
    if not 0 < len(folders) <= MAX_FOLDERS or len(set(folders)) != len(folders):
        validator.add((*path, "folder"), f"{len(folders)} folders", f"name 1 to {MAX_FOLDERS} folders, each once")
    for one in (*folders, *([imap.move_to] if imap.move_to else [])):
        if not one or len(one) > MAX_FOLDER_CHARACTERS or _CONTROL.search(one):
            validator.add((*path, "folder"), f"{one[:40]!r} is not the name of a folder", 'write "INBOX"')
    if imap.move_to in folders:
        validator.add((*path, "move_to"), "mails are moved to a folder that is read", "move them to another folder")
