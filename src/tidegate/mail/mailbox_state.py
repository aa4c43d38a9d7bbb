"""What is stored of one mailbox: the place in each folder, and what asking and waiting cost.

Owns the shape of the value `mail/SOURCE` in the settings, and its compare-and-set. May not know IMAP. Invariants: a
place is stored after the events that it covers; a node that lost the mailbox to another one cannot move its place back,
because the value is replaced only while it is still the one that was read. Crash: the value is whole or unchanged.
"""

from __future__ import annotations

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.core.errors import StoreBusy
from tidegate.core.figures import DelayFigures, MailboxFigures
from tidegate.core.quantiles import quantile
from tidegate.rules.mail.folder import FolderState
from tidegate.store import Settings

SAMPLES = 256


class MailStatistics(msgspec.Struct, omit_defaults=True):
    """Counters for life. `commands` are all commands sent to the server, `delays` seconds by mode, oldest first."""

    since_us: int = 0
    commands: int = 0
    connections: int = 0
    looks: int = 0
    empty_looks: int = 0
    idles: int = 0
    woken: int = 0  # waits that the server ended because something happened
    mails: int = 0
    repeated: int = 0  # mails that were stored before: a look that was repeated after a crash
    too_large: int = 0
    failures: int = 0
    last_error: str = ""
    last_error_at_us: int | None = None
    failing_since_us: int | None = None
    last_look_at_us: int | None = None
    last_mail_at_us: int | None = None
    delays: dict[str, list[float]] = {}

    def arrived(self, mode: str, seconds: float, now_us: int) -> None:
        self.mails += 1
        self.last_mail_at_us = now_us
        samples = self.delays.setdefault(mode, [])
        samples.append(round(max(0.0, seconds), 3))
        del samples[:-SAMPLES]

    def figures(self, mode: str, connected: bool) -> MailboxFigures:
        return MailboxFigures(
            since=rfc3339(self.since_us or None),
            mode=mode,
            connected=connected,
            commands=self.commands,
            connections=self.connections,
            looks=self.looks,
            empty_looks=self.empty_looks,
            idles=self.idles,
            mails=self.mails,
            too_large=self.too_large,
            commands_per_mail=round(self.commands / self.mails, 4) if self.mails else None,
            delay_by_mode={mode: _delay(sorted(samples)) for mode, samples in self.delays.items()},
            failures=self.failures,
            last_error=self.last_error or None,
            last_error_at=rfc3339(self.last_error_at_us),
            failing_since=rfc3339(self.failing_since_us),
            last_look_at=rfc3339(self.last_look_at_us),
            last_mail_at=rfc3339(self.last_mail_at_us),
        )


class MailboxState(msgspec.Struct, omit_defaults=True):
    folders: dict[str, FolderState] = {}
    statistics: MailStatistics = msgspec.field(default_factory=MailStatistics)


class StoredState:
    """The state in memory and in the store. `save` raises StoreBusy when another node wrote it meanwhile."""

    def __init__(self, settings: Settings, source: str) -> None:
        self._settings = settings
        self._name = f"mail/{source}"
        self._was: bytes | None = None
        self.value = MailboxState()

    async def load(self) -> None:
        self._was = await self._settings.value(self._name)
        self.value = msgspec.json.decode(self._was, type=MailboxState) if self._was else MailboxState()

    def folder(self, name: str) -> FolderState:
        return self.value.folders.get(name) or FolderState()

    async def save(self, folder: str = "", state: FolderState | None = None) -> None:
        if state is not None:
            self.value.folders[folder] = state
        put = msgspec.json.encode(self.value)
        if put == self._was:
            return
        if not await self._settings.swap(self._name, self._was, put):
            raise StoreBusy("another node reads this mailbox now", retry_after_seconds=1)
        self._was = put


def _delay(ordered: list[float]) -> DelayFigures:
    return DelayFigures(p50_seconds=quantile(ordered, 0.5), p99_seconds=quantile(ordered, 0.99), samples=len(ordered))
