"""All mailboxes that this node holds, behind one class for the gateway and the API.

Owns which mailboxes run, by the active configuration and the partitions of this node: a mailbox runs on the node that
holds the partition of its source, so there is one connection for it whatever the number of nodes. Knows no IMAP. After
a change of configuration the new mailbox starts when the old one has ended. Crash: nothing here is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidegate.config.spec import ImapInput, Source
from tidegate.core.errors import NotFound
from tidegate.core.figures import MailboxFigures
from tidegate.mail.mailbox_state import StoredState
from tidegate.mail.ports import MailPorts
from tidegate.store import partition_of_name

if TYPE_CHECKING:
    from tidegate.mail.mailbox import Mailbox


class MailEngine:
    """All methods belong to the event loop. `configure` may be called before `start` and any time after."""

    name = "mail"

    def __init__(self, ports: MailPorts) -> None:
        self._ports = ports
        self._wanted: dict[str, ImapInput] = {}
        self._running: dict[str, Mailbox] = {}
        self._elsewhere: dict[str, MailboxFigures] = {}
        self._partitions: frozenset[int] = frozenset()
        self._started = False
        self._change: asyncio.Task[None] | None = None

    def configure(self, sources: Mapping[str, Source]) -> None:
        self._wanted = {name: source.imap for name, source in sources.items() if source.imap is not None}
        if self._started:
            self._bring_about()

    async def start(self) -> None:
        self._started = True

    async def take(self, partitions: frozenset[int]) -> None:
        self._partitions |= partitions
        await self._changed()

    async def leave(self, partitions: frozenset[int]) -> None:
        self._partitions -= partitions
        await self._changed()

    def lost(self) -> None:
        """Another node may read already. What this one still stores is recognized by its delivery id."""
        self._partitions = frozenset()
        if self._started:
            self._bring_about()

    async def handle(self, call: bytes) -> bytes:
        raise NotFound("the mailbox engine takes no calls")

    async def stop(self) -> None:
        self._started = False
        await self.leave(self._partitions)

    def statistics(self) -> dict[str, MailboxFigures]:
        """The figures of each mailbox by source, as in `GET /stats`. Those of other nodes as of the last `refresh`."""
        return {
            name: self._running[name].figures()
            if name in self._running
            else self._elsewhere.get(name, MailboxFigures())
            for name in self._wanted
        }

    async def refresh(self) -> None:
        """Read the figures of mailboxes that run on other nodes."""
        for name in self._wanted.keys() - self._running.keys():
            state = StoredState(self._ports.settings, name)
            await state.load()
            self._elsewhere[name] = state.value.statistics.figures("", False)

    def _bring_about(self) -> None:
        before = self._change
        self._change = asyncio.create_task(self._reconfigure(before))

    async def _changed(self) -> None:
        self._bring_about()
        assert self._change is not None
        await asyncio.wait({self._change})

    async def _reconfigure(self, before: asyncio.Task[None] | None) -> None:
        """One change after the other; stops first, then starts."""
        if before is not None:
            await asyncio.wait({before})
        wanted = {name: spec for name, spec in self._wanted.items() if partition_of_name(name) in self._partitions}
        leaving = [name for name, mailbox in self._running.items() if wanted.get(name) != mailbox.spec]
        await asyncio.gather(*(self._running.pop(name).stop() for name in leaving))
        for name, spec in wanted.items():
            if name not in self._running:
                from tidegate.mail.mailbox import Mailbox  # most gateways have no mailbox, and start without its code

                self._running[name] = mailbox = Mailbox(self._ports, name, spec)
                mailbox.start()
