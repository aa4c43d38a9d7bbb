"""Which of two copies of a record is newer, and what changed between them. Pure.

Owns the merge rule for copies that webhooks push and copies that polls and fetch-backs read, and the shape of a change.
Knows the instants of a copy, not its source. Invariant: a record never goes back. With versions the higher one wins in
any order of arrival. Without versions, a read that began before the last copy came proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from tidegate.core.clock import parse_instant
from tidegate.core.model import Change, Origin, RecordState
from tidegate.rules.sync.canonical import canonical, hash_bytes, parse_json, without

_NUMBER_CHARACTERS = 40


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a record as it came. `asked_at_us` and `answered_at_us` are equal when a webhook pushed it."""

    key: str
    value: Any  # parsed; None for a delete that brought no record
    body: bytes  # canonical JSON of all of it; b"" for a delete that brought no record
    hash: bytes  # of the canonical JSON without the ignored fields
    version: str | None
    origin: Origin
    asked_at_us: int
    answered_at_us: int
    deleted: bool = False
    pushed: bool = False  # by a webhook
    fetched: bool = False  # this item alone was asked for just now: settles a tie of versions


class MergeDecision(Enum):
    """What to do with a copy."""

    SAME = "same"  # nothing new
    STORE = "store"  # it is newer and differs: a change
    RENEW = "renew"  # nothing a consumer could see, but its instants or version are newer: stored, no change
    OLDER = "older"  # it is older, or cannot be shown to be newer: ignored
    FETCH = "fetch"  # only the source can tell: ask for the item


def make_copy(
    key: str,
    value: Any,
    *,
    ignore: Sequence[str],
    version: str | None,
    origin: Origin,
    asked_at_us: int,
    answered_at_us: int,
    deleted: bool = False,
    pushed: bool = False,
    fetched: bool = False,
) -> Copy:
    """A copy with its canonical bytes and hash. ValueError when the value is nested too deeply."""
    body = b"" if value is None else canonical(value)
    return Copy(
        key=key,
        value=value,
        body=body,
        hash=hash_bytes(canonical(value, ignore) if ignore else body),
        version=version,
        origin=origin,
        asked_at_us=asked_at_us,
        answered_at_us=answered_at_us,
        deleted=deleted,
        pushed=pushed,
        fetched=fetched,
    )


# -- versions --------------------------------------------------------------------------------------------


def compare_versions(a: str, b: str) -> int:
    """-1, 0 or 1: as numbers when both are, else as instants when both are, else by their bytes."""
    if a == b:
        return 0
    numbers = _number(a), _number(b)
    if numbers[0] is not None and numbers[1] is not None:
        return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])
    instants = version_instant(a), version_instant(b)
    if instants[0] is not None and instants[1] is not None:
        return (instants[0] > instants[1]) - (instants[0] < instants[1])
    left, right = a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass")
    return (left > right) - (left < right)


def newer(version_a: str, version_b: str) -> bool:
    """Whether `version_a` is the newer one."""
    return compare_versions(version_a, version_b) > 0


def version_instant(version: str | None) -> int | None:
    """Microseconds since 1970 when the version is an RFC 3339 instant; a bare number is not taken for one."""
    if version is None or len(version) < 10 or version[4:5] != "-":
        return None
    try:
        return parse_instant(version)
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> Decimal | None:
    digits = text[1:] if text[:1] == "-" else text
    whole, dot, rest = digits.partition(".")
    if len(text) > _NUMBER_CHARACTERS or not text.isascii() or not whole.isdecimal() or (dot and not rest.isdecimal()):
        return None
    return Decimal(text)


# -- which copy wins -------------------------------------------------------------------------------------


def merge(known: RecordState | None, copy: Copy, *, can_fetch: bool) -> MergeDecision:
    """The merge rule. `can_fetch`: the source can be asked for the item alone."""
    if copy.origin is Origin.PULL and not _shows_more(known, copy):
        return MergeDecision.SAME
    if known is None:
        return _hint(copy, can_fetch) or MergeDecision.STORE
    if known.version is not None and copy.version is not None:
        order = compare_versions(copy.version, known.version)
        if order < 0:
            return MergeDecision.OLDER
        if order > 0:
            return MergeDecision.RENEW if _alike(known, copy) else MergeDecision.STORE
        return _same_version(known, copy, can_fetch)
    return _no_version(known, copy, can_fetch)


def _shows_more(known: RecordState | None, copy: Copy) -> bool:
    """A pull was made for a caller, not for the records, so it only counts for a known record that is newer now.

    It must have the fields of the record: where the item shows more or fewer fields than the list, storing it would
    make an update without a change, back and forth with every poll. The next poll finds what this rule leaves out.
    """
    if known is None or known.deleted:
        return False
    if known.version is not None and copy.version is not None and not newer(copy.version, known.version):
        return False
    return _same_form(parse_json(known.body), copy.value)


def _same_form(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same_form(a[name], b[name]) for name in a)
    return isinstance(a, dict) is isinstance(b, dict)


def _same_version(known: RecordState, copy: Copy, can_fetch: bool) -> MergeDecision:
    if _alike(known, copy):
        # A webhook still moves the instants: a read that began before it must not count as a later one.
        return MergeDecision.RENEW if copy.pushed and copy.asked_at_us > known.answered_at_us else MergeDecision.SAME
    if copy.deleted:  # deleting seldom raises a version
        return (
            MergeDecision.STORE if copy.pushed or copy.answered_at_us >= known.answered_at_us else MergeDecision.OLDER
        )
    later = copy.asked_at_us >= known.answered_at_us
    if known.deleted and not later:
        return MergeDecision.OLDER  # a read from before the delete does not resurrect a record
    if copy.fetched:
        return MergeDecision.STORE if later else MergeDecision.OLDER
    if can_fetch:
        return MergeDecision.FETCH
    return MergeDecision.STORE if later else MergeDecision.OLDER


def _no_version(known: RecordState, copy: Copy, can_fetch: bool) -> MergeDecision:
    if copy.pushed:
        if copy.asked_at_us < known.asked_at_us:
            return MergeDecision.OLDER  # the known copy was requested after this one was pushed
        hint = _hint(copy, can_fetch)
        if hint is not None:
            return hint
    elif copy.asked_at_us < known.answered_at_us:
        # The known copy came after this read began, so this read may show the item as it was before. When the known
        # copy is a webhook without a version, this is the watermark rule of change data capture applied to HTTP.
        return MergeDecision.SAME if _alike(known, copy) else MergeDecision.OLDER
    if not _alike(known, copy):
        return MergeDecision.STORE
    return MergeDecision.RENEW if copy.pushed else MergeDecision.SAME


def _hint(copy: Copy, can_fetch: bool) -> MergeDecision | None:
    """A webhook without a version says that something changed, not what is current: fetch the item."""
    if copy.pushed and copy.version is None and not copy.deleted and can_fetch:
        return MergeDecision.FETCH
    return None


def _alike(known: RecordState, copy: Copy) -> bool:
    return known.deleted == copy.deleted and (copy.deleted or known.hash == copy.hash)


# -- what changed ----------------------------------------------------------------------------------------


def compare(known: RecordState | None, copy: Copy, ignore: Sequence[str] = ()) -> Change | None:
    """The change that storing `copy` over `known` makes; None when a consumer could see none.

    `fields` are the top-level names that differ: all of them for a created record, none for a deleted one.
    The delete of a record that was never known makes no change, but its tombstone is stored.
    """
    number = 1 if known is None else known.number + 1
    alive = known is not None and not known.deleted
    if copy.deleted:
        if known is None or not alive:
            return None
        last = parse_json(known.body)
        return Change("deleted", last, last, (), copy.version or known.version, number)
    if known is None or not alive:
        return Change("created", None, copy.value, _names(copy.value, ignore), copy.version, number)
    if known.hash == copy.hash:
        return None
    before = parse_json(known.body)
    fields = differing(before, copy.value, ignore)
    return Change("updated", before, copy.value, fields, copy.version or known.version, number)


def differing(before: Any, after: Any, ignore: Sequence[str] = ()) -> tuple[str, ...]:
    """Top-level names whose values differ, sorted. 1 and 1.0 do not differ, 1 and true do."""
    for path in ignore:
        before, after = without(before, path), without(after, path)
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ()
    return tuple(
        name
        for name in sorted(before.keys() | after.keys())
        if name not in before or name not in after or not _equal(before[name], after[name])
    )


def stored(known: RecordState | None, copy: Copy, now_us: int, source: str, resource: str) -> RecordState:
    """The record after `copy` was stored. A tombstone keeps the last body; a version is never lost or lowered.

    A RENEW (nothing seen by a consumer) keeps number, origin and the instant of the last change.
    """
    version = copy.version
    if known is not None and known.version is not None and (version is None or newer(known.version, version)):
        version = known.version
    quiet = known is not None and _alike(known, copy)
    keep_body = known is not None and (copy.deleted or not copy.body)
    return RecordState(
        source=source,
        resource=resource,
        key=copy.key,
        hash=known.hash if known is not None and keep_body else copy.hash,
        version=version,
        number=(known.number if known is not None else 0) + (0 if quiet else 1),
        origin=known.origin if known is not None and quiet else copy.origin,
        asked_at_us=copy.asked_at_us,
        answered_at_us=copy.answered_at_us,
        changed_at_us=known.changed_at_us if known is not None and quiet else now_us,
        deleted=copy.deleted,
        body=known.body if known is not None and keep_body else copy.body or b"null",
    )


def _names(value: Any, ignore: Sequence[str]) -> tuple[str, ...]:
    for path in ignore:
        value = without(value, path)
    return tuple(sorted(value)) if isinstance(value, dict) else ()


def _equal(a: Any, b: Any) -> bool:
    if a is b:
        return True
    return type(a) is type(b) and a == b if isinstance(a, str) else canonical(a) == canonical(b)
