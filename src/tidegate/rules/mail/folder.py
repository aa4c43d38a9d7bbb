"""What is new in a folder: which messages become events, and what is remembered of them. Pure.

Owns the identity of a message (folder, UIDVALIDITY, UID; Message-IDs repeat) and the state of a folder. May not know
sockets or the store. Facts of RFC 3501: UIDs grow strictly within one UIDVALIDITY (section 2.3.1.1); `UID SEARCH UID
n:*` also answers the last message when its UID is below n (section 6.4.8); a changed UIDVALIDITY makes every UID that
was remembered meaningless.

Invariants: the first look at a folder is a baseline without events; a message is fetched once for its identity, and
again only when its commit is not known; after a change of UIDVALIDITY, mail that was seen makes no events, and mail
that arrived meanwhile makes one. Crash: the state is stored after the events, so it is never ahead of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

MAX_SEEN = 500  # fingerprints of the latest messages, for a changed UIDVALIDITY


class FolderState(msgspec.Struct, omit_defaults=True):
    """What is stored of one folder. `next_uid` is the first UID that was not handled; 0 before the baseline."""

    account: str = ""  # whose mailbox: another one begins with a baseline of its own
    uidvalidity: int = 0
    next_uid: int = 0
    newest_us: int = 0  # the latest INTERNALDATE that was handled or stood in the baseline
    seen: list[str] = []  # fingerprints of the latest messages, oldest first


class FolderFacts(msgspec.Struct, frozen=True):
    """What the server says when a folder is selected. `uidnext` is None where the server does not say it."""

    uidvalidity: int
    uidnext: int | None
    exists: int


class MessageFacts(msgspec.Struct, frozen=True):
    """What is known of a message before its body is fetched."""

    uid: int
    size: int
    internal_us: int  # when the server received it


class Plan(msgspec.Struct, frozen=True):
    """What to do after a folder was selected.

    `baseline`: take today's state without events. `reset`: the same after a changed UIDVALIDITY, with a look for mail
    that arrived since `since_us`. Neither: fetch what has a UID of at least `from_uid`.
    """

    baseline: bool = False
    reset: bool = False
    from_uid: int = 1
    since_us: int = 0


def plan(state: FolderState, account: str, facts: FolderFacts) -> Plan:
    if state.next_uid == 0 or state.account != account:
        return Plan(baseline=True)
    if state.uidvalidity != facts.uidvalidity:
        return Plan(reset=True, since_us=state.newest_us)
    return Plan(from_uid=state.next_uid)


def fresh(uids: Iterable[int], from_uid: int) -> list[int]:
    """The UIDs of an answer to `UID SEARCH UID n:*` that are new, ascending, each once."""
    return sorted({uid for uid in uids if uid >= from_uid})


def arrived_since(state: FolderState, found: Iterable[tuple[MessageFacts, str]]) -> list[int]:
    """After a changed UIDVALIDITY: UIDs of messages that came since the newest one known, and were not seen.

    `found`: facts with the Message-ID. A message of the same second as the newest is recognized by its fingerprint.
    """
    seen = set(state.seen)
    newest_us = state.newest_us
    return sorted(
        facts.uid
        for facts, message_id in found
        if facts.internal_us >= newest_us and fingerprint(facts, message_id) not in seen
    )


def fingerprint(facts: MessageFacts, message_id: str) -> str:
    """Names a message across UIDVALIDITY values: its Message-ID, size and time of arrival."""
    text = f"{message_id}\0{facts.size}\0{facts.internal_us}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def handled(state: FolderState, facts: MessageFacts, message_id: str) -> FolderState:
    """The state after a message became an event."""
    return msgspec.structs.replace(
        state,
        next_uid=max(state.next_uid, facts.uid + 1),
        newest_us=max(state.newest_us, facts.internal_us),
        seen=[*state.seen, fingerprint(facts, message_id)][-MAX_SEEN:],
    )


def delivery_id(folder: str, uidvalidity: int, uid: int) -> str:
    """The identity of a message in the log. NUL first: no id that comes over HTTP can be this one."""
    return f"\0mail/{folder}/{uidvalidity}/{uid}"
