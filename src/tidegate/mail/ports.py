"""What mailboxes work with, as the gateway gives it to them.

Apart from the mailboxes, so that a gateway without one loads neither `imaplib` nor the reading of mail. Keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from tidegate.config.spec import ImapInput
from tidegate.core.clock import Clock
from tidegate.core.findings import Findings
from tidegate.outbound.credentials import Credential
from tidegate.outbound.dialer import Dialer
from tidegate.store import Log, Settings

CredentialOf = Callable[[str, ImapInput], Credential]
"""The credential of a mailbox, which gives an access token where its kind has one."""


class Router(Protocol):
    """The active routing decision; see `receive/accepting.py`."""

    def decide(
        self, source: str, type: str, view: Callable[[], dict[str, Any]], resource: str | None = None
    ) -> int | None: ...

    async def decide_slow(
        self, source: str, type: str, view: Callable[[], dict[str, Any]], resource: str | None = None
    ) -> int: ...


class ReaderPorts(msgspec.Struct, frozen=True):
    """What a reader works with."""

    log: Log
    router: Router
    clock: Clock
    findings: Findings


class MailPorts(msgspec.Struct, frozen=True):
    """What mailboxes share."""

    reading: ReaderPorts
    settings: Settings
    dialer: Dialer
    credential: CredentialOf
