"""One look at one folder: what is new becomes events, then it is marked or moved, then the place is stored.

Owns the order of these steps. Decisions are in `rules/mail/folder.py`. May not know when to look. Invariants: the place
is stored after the events are on disk; a mail is marked or moved only then too; a mail that a crash made be read twice
is one event, because its delivery id is its folder, UIDVALIDITY and UID. Memory: one message at a time, at most
`max_message` bytes, plus one event until it is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from tidegate.config.spec import ImapInput
from tidegate.core.model import NewEvent, Origin
from tidegate.core.units import size_bytes
from tidegate.mail.mailbox_state import StoredState
from tidegate.mail.ports import ReaderPorts
from tidegate.outbound.imap import ImapSession
from tidegate.rules.inbound.values import bounded_key
from tidegate.rules.language.view import event_view
from tidegate.rules.mail.folder import (
    FolderFacts,
    FolderState,
    MessageFacts,
    arrived_since,
    delivery_id,
    fingerprint,
    fresh,
    handled,
    plan,
)
from tidegate.rules.mail.message import Mail, read_message

TYPE = "mail.received"
CHUNK = 50  # messages whose facts are read at once
BASELINE = 200  # messages whose fingerprints are kept at a baseline
MAX_RESET = 100  # new mails after a changed UIDVALIDITY; more than that looks like old mail with new names

_R = TypeVar("_R")
Call = Callable[..., Awaitable[Any]]
"""Runs a blocking method of the session in its thread: `await call(session.select, ...)`."""


class MailBody(msgspec.Struct):
    """The body of an event: the mail, and where it is."""

    folder: str
    uid: int
    bytes: int


class FolderReader:
    """Looks at the folders of one mailbox through one session."""

    def __init__(self, ports: ReaderPorts, source: str, spec: ImapInput, state: StoredState) -> None:
        self._ports = ports
        self._source = source
        self._spec = spec
        self._state = state
        self._max_bytes = size_bytes(spec.max_message)
        self._account = f"{spec.login_name}@{spec.host}"

    @property
    def writes(self) -> bool:
        """Whether mails are marked or moved, so that a folder must be opened for writing."""
        return self._spec.mark_seen or bool(self._spec.move_to)

    async def look(self, call: Call, session: ImapSession, folder: str, mode: str) -> int:
        """Take what is new in `folder`; returns how many mails became events. `mode`: how they were noticed."""
        statistics = self._state.value.statistics
        before = session.commands
        state = self._state.folder(folder)
        facts: FolderFacts | None = None
        if session.selected != folder:
            facts = await call(session.select, folder, writable=self.writes)
            state = await self._placed(call, session, folder, state, facts)
        found = fresh(await call(session.search_from, state.next_uid), state.next_uid)
        count = await self._take(call, session, folder, found, mode)
        statistics.looks += 1
        statistics.empty_looks += not found
        statistics.commands += session.commands - before
        statistics.last_look_at_us = self._ports.clock.now_us()
        return count

    # -- the place in a folder ---------------------------------------------------------------------------

    async def _placed(
        self, call: Call, session: ImapSession, folder: str, state: FolderState, facts: FolderFacts
    ) -> FolderState:
        """The state to go on from: as it was, or a baseline."""
        found = plan(state, self._account, facts)
        if not found.baseline and not found.reset:
            return state
        uidnext = facts.uidnext
        if uidnext is None:
            known = await call(session.search_from, 1)
            uidnext = max(known, default=0) + 1
        latest = await self._latest(call, session, uidnext)
        new = FolderState(
            account=self._account,
            uidvalidity=facts.uidvalidity,
            next_uid=uidnext,
            newest_us=max((one.internal_us for one, _ in latest), default=0),
            seen=[fingerprint(one, message_id) for one, message_id in latest],
        )
        if found.reset:
            await self._after_reset(call, session, folder, state, new)
        await self._state.save(folder, new)
        return new

    async def _latest(self, call: Call, session: ImapSession, uidnext: int) -> list[tuple[MessageFacts, str]]:
        """The messages with the highest UIDs, so that they are known if the folder gets new UIDs one day."""
        uids = [uid for uid in await call(session.search_from, max(1, uidnext - BASELINE)) if uid < uidnext]
        return list(await call(session.facts_and_ids, uids[-BASELINE:]))

    async def _after_reset(
        self, call: Call, session: ImapSession, folder: str, old: FolderState, new: FolderState
    ) -> None:
        """The server gave the folder new UIDs: find what arrived meanwhile, without taking old mail for new."""
        uids = [uid for uid in await call(session.search_since, old.newest_us) if uid < new.next_uid]
        arrived: list[int] = []
        if len(uids) <= 2 * CHUNK * 10:
            for at in range(0, len(uids), CHUNK):
                arrived += arrived_since(old, await call(session.facts_and_ids, uids[at : at + CHUNK]))
        detail = f"{folder}: UIDVALIDITY {old.uidvalidity} became {new.uidvalidity}"
        if len(uids) > 2 * CHUNK * 10 or len(arrived) > MAX_RESET:
            self._report("mail_folder_renumbered", f"{detail}; about {len(arrived) or len(uids)} mails were not read")
            return
        self._report("mail_folder_renumbered", f"{detail}; {len(arrived)} new mails were found")
        await self._state.save(folder, msgspec.structs.replace(new, seen=old.seen, newest_us=old.newest_us))
        await self._take(call, session, folder, arrived, "poll", moves_place=False)

    # -- messages ----------------------------------------------------------------------------------------

    async def _take(
        self, call: Call, session: ImapSession, folder: str, uids: Sequence[int], mode: str, moves_place: bool = True
    ) -> int:
        count = 0
        for at in range(0, len(uids), CHUNK):
            chunk = uids[at : at + CHUNK]
            for facts in await call(session.facts, chunk):
                count += await self._message(call, session, folder, facts, mode)
            state = self._state.folder(folder)
            if moves_place and state.next_uid <= chunk[-1]:  # the last ones were gone before they were read
                await self._state.save(folder, msgspec.structs.replace(state, next_uid=chunk[-1] + 1))
        return count

    async def _message(self, call: Call, session: ImapSession, folder: str, facts: MessageFacts, mode: str) -> bool:
        """One message: read, stored, marked or moved. False when it was gone."""
        too_large = facts.size > self._max_bytes
        raw = await call(session.message, facts.uid, header_only=too_large)
        if raw is None:
            return False
        mail = read_message(raw, self._spec.attachments, self._spec.trusted_host)
        if too_large:
            mail.text = mail.html = None
            mail.problems.append(f"the mail has {facts.size:,} bytes, more than max_message: only its header was read")
            self._state.value.statistics.too_large += 1
            self._report("mail_too_large", f"{folder}/{facts.uid}: {facts.size:,} bytes")
        elif mail.problems:
            self._report("mail_unreadable", f"{folder}/{facts.uid}: {'; '.join(mail.problems[:3])}")
        state = self._state.folder(folder)
        event = self._event(folder, state.uidvalidity, facts, mail, raw)
        await self._route(event)
        appended = (await self._ports.log.append((event,)))[0]
        if self._spec.mark_seen:
            await call(session.mark_seen, facts.uid)
        if self._spec.move_to:
            await call(session.move, facts.uid, self._spec.move_to)
        statistics = self._state.value.statistics
        if appended.duplicate:
            statistics.repeated += 1
        else:
            seconds = (event.received_at_us - facts.internal_us) / 1_000_000 if facts.internal_us else 0.0
            statistics.arrived(mode, seconds, event.received_at_us)
        await self._state.save(folder, handled(state, facts, mail.message_id or ""))
        return True

    async def _route(self, event: NewEvent) -> None:
        view = partial(event_view, event)
        audience = self._ports.router.decide(event.source, event.type, view)
        if audience is None:
            audience = await self._ports.router.decide_slow(event.source, event.type, view)
        event.audience = audience

    def _event(self, folder: str, uidvalidity: int, facts: MessageFacts, mail: Mail, raw: bytes) -> NewEvent:
        now_us = self._ports.clock.now_us()
        place = MailBody(folder, facts.uid, facts.size)
        body = msgspec.json.encode({**msgspec.to_builtins(mail), **msgspec.structs.asdict(place)})
        key = bounded_key(mail.message_id) if mail.message_id else None
        return NewEvent(
            source=self._source,
            type=TYPE,
            origin=Origin.IMAP,
            received_at_us=now_us,
            audience=0,
            body=body,
            content_type="application/json",
            key=key or f"{folder}/{uidvalidity}/{facts.uid}"[:255],
            occurred_at_us=facts.internal_us if 0 < facts.internal_us <= now_us else None,
            dedupe_id=delivery_id(folder, uidvalidity, facts.uid),
            body_hash=hashlib.sha256(raw).digest()[:16],
        )

    def _report(self, code: str, sample: str) -> None:
        self._ports.findings.report(code, f"source:{self._source}", sample)
