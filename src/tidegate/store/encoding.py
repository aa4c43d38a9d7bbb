"""What a row of the log means on every store: origins as numbers, delivery ids as keys, routing decisions as texts.

Knows no engine and does no I/O. Invariant: what is written here once is read for ever, so numbers and texts never
change. Nothing is kept but the audiences in memory, a copy of what stands in the store: the next start reads them anew.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from tidegate.core.errors import Conflict
from tidegate.core.model import Audience, NewEvent, Origin

ORIGINS = tuple(Origin)
ORIGIN_NUMBER = {origin: number for number, origin in enumerate(ORIGINS)}


def dedupe_key(source: str, dedupe_id: str) -> bytes:
    """As it was written, no hash of it: most senders count or begin with the time, so neighbours come together."""
    return f"{source}\0{dedupe_id}".encode("utf-8", "surrogatepass")


def id_conflict(place: int, event: NewEvent) -> Conflict:
    """The refusal of a strict append; `place` counts from 0 in its events."""
    return Conflict(
        f"event {place + 1}: id {event.dedupe_id!r} of source {event.source!r} was published before with another body",
        hint="use a new id for a new event; nothing of this call was stored",
        code="id_conflict",
    )


class Audiences:
    """The interned routing decisions: by their number, and by what was decided. An audience never changes."""

    def __init__(self) -> None:
        self.by_number: dict[int, Audience] = {}
        self._by_decision: dict[tuple[Any, ...], Audience] = {}

    def find(
        self, source: str, considered: tuple[int, ...], wanted: tuple[tuple[int, int], ...], filtered: tuple[int, ...]
    ) -> Audience | None:
        return self._by_decision.get((source, considered, wanted, filtered))

    def keep(self, audience: Audience) -> Audience:
        self.by_number[audience.number] = audience
        decision = (audience.source, audience.considered, audience.wanted, audience.filtered)
        self._by_decision[decision] = audience
        return audience

    def of_source(self, source: str) -> set[int]:
        """The numbers of a source's audiences."""
        return {number for number, one in self.by_number.items() if one.source == source}


def audience_row(
    source: str, considered: tuple[int, ...], wanted: tuple[tuple[int, int], ...], filtered: tuple[int, ...]
) -> tuple[bytes, str, str, str, str]:
    """A decision as its row, without the number: digest of the texts, source, considered, wanted, filtered."""
    texts = source, _text(considered), _text(wanted), _text(filtered)
    digest = hashlib.blake2b("\0".join(texts).encode(), digest_size=16).digest()
    return digest, *texts


def _text(numbers: tuple[Any, ...]) -> str:
    return msgspec.json.encode(numbers).decode()


def audience_of(number: int, source: str, considered: str, wanted: str, filtered: str) -> Audience:
    """An audience from its row."""
    decode = msgspec.json.decode
    return Audience(
        number,
        source,
        decode(considered, type=tuple[int, ...]),
        decode(wanted, type=tuple[tuple[int, int], ...]),
        decode(filtered, type=tuple[int, ...]),
    )
