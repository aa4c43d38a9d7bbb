"""Which of two copies of a record is newer. Pure.

Owns the merge rule for copies that webhooks push and copies that polls and fetch-backs read. Knows the instants of a
copy, not its source. Invariant: a record never goes back. With versions that prove an order the higher one wins in any
order of arrival. Without, a read that began before the last copy came proves nothing, and the later read wins. What
contradicts its version is held until the source confirms it.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

import msgspec

from tidegate.core.model import Origin, RecordState
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.changes import Copy, same_form, same_on_common_fields, wider
from tidegate.rules.sync.versions import order

HOLD_AFTER_DELETE_US = 15 * 60_000_000  # a list is taken to lag no longer than this behind the webhook of a delete


class MergeDecision(Enum):
    """What to do with a copy."""

    SAME = "same"  # nothing new
    STORE = "store"  # it is newer and differs: a change
    REPLACE = "replace"  # as STORE, although its version is not higher: the source confirmed it
    RENEW = "renew"  # nothing a consumer could see, but its instants or version are newer: stored, no change
    OLDER = "older"  # it is older, or cannot be shown to be newer: ignored
    FETCH = "fetch"  # only the source can decide: fetch the item
    HOLD = "hold"  # it contradicts its version: wait until a later poll shows it again


class MergeRule(msgspec.Struct, frozen=True):
    """How copies of one resource are merged. `can_fetch`: the source can be asked for one item.

    `of_answers`: keys of records that have the fields of an answer to a write or of a webhook, not those of the list.
    """

    can_fetch: bool
    version_kind: str = "auto"
    ignore: tuple[str, ...] = ()
    of_answers: Collection[str] = ()


def merge(known: RecordState | None, copy: Copy, rule: MergeRule, *, confirmed: bool = False) -> MergeDecision:
    """The merge rule. `confirmed`: this very copy was held before, and is shown again by a later run."""
    if copy.origin is Origin.WRITE:
        return _answered(known, copy, rule)
    if copy.origin is Origin.PULL and not _shows_more(known, copy, rule):
        return MergeDecision.SAME
    if known is None:
        return _hint(copy, rule) or MergeDecision.STORE
    found = None
    if known.version is not None and copy.version is not None:
        found = order(copy.version, known.version, rule.version_kind)
    if known.deleted and not copy.deleted and not copy.pushed:
        return _after_delete(known, copy, rule, found, confirmed)
    if found is None:
        return _no_order(known, copy, rule)
    if found > 0:
        return MergeDecision.RENEW if _alike(known, copy, rule) else MergeDecision.STORE
    if found < 0:
        return _lower(known, copy, rule, confirmed)
    return _same_version(known, copy, rule)


def _shows_more(known: RecordState | None, copy: Copy, rule: MergeRule) -> bool:
    """A pull was made for a caller, not for the records, so it only counts for a known record that is newer now.

    It must have the fields of the record: where the item shows more or fewer fields than the list, storing it would
    make an update without a change, back and forth with every poll. The next poll finds what this rule leaves out.
    """
    if known is None or known.deleted:
        return False
    if known.version is not None and copy.version is not None:
        found = order(copy.version, known.version, rule.version_kind)
        if found is not None and found <= 0:
            return False
    return same_form(parse_json(known.body), copy.value)


def _answered(known: RecordState | None, copy: Copy, rule: MergeRule) -> MergeDecision:
    """The answer to our own write. It is never fetched or held: what it cannot decide, the next poll does."""
    if known is None:
        return MergeDecision.STORE
    found = None
    if known.version is not None and copy.version is not None:
        found = order(copy.version, known.version, rule.version_kind)
    if found is not None and found < 0:
        return MergeDecision.OLDER
    if copy.asked_at_us < known.answered_at_us and not found:
        return MergeDecision.SAME if known.hash == copy.hash and not known.deleted else MergeDecision.OLDER
    if known.deleted:
        return MergeDecision.REPLACE if copy.asked_at_us >= known.answered_at_us else MergeDecision.OLDER
    if known.hash == copy.hash:
        return MergeDecision.SAME if known.version == copy.version else MergeDecision.RENEW
    return MergeDecision.STORE if found is not None else _unordered(known, copy)


def _unordered(known: RecordState, copy: Copy) -> MergeDecision:
    """A later copy of a record whose versions have no order."""
    return MergeDecision.REPLACE if copy.version is not None and known.version is not None else MergeDecision.STORE


def _after_delete(known: RecordState, copy: Copy, rule: MergeRule, found: int | None, confirmed: bool) -> MergeDecision:
    """A read copy of a record that is deleted: a new life, or a list that is behind?"""
    if copy.asked_at_us < known.answered_at_us:
        return MergeDecision.OLDER  # a read from before the delete does not resurrect a record
    if copy.fetched:
        return MergeDecision.REPLACE
    if found is not None and found > 0:
        return MergeDecision.STORE
    if rule.can_fetch:
        return MergeDecision.FETCH
    if known.origin is not Origin.WEBHOOK:
        return MergeDecision.REPLACE  # the list itself missed it before, and now shows it again
    if known.hash != copy.hash and (found is None or (found < 0 and confirmed)):
        return MergeDecision.REPLACE  # other content is a new life: at once without versions, else shown twice
    if copy.asked_at_us - known.changed_at_us >= HOLD_AFTER_DELETE_US:
        return MergeDecision.REPLACE
    return MergeDecision.HOLD


def _lower(known: RecordState, copy: Copy, rule: MergeRule, confirmed: bool) -> MergeDecision:
    """A copy whose version is lower than the known one."""
    if copy.pushed or copy.deleted or rule.version_kind != "auto" or copy.asked_at_us < known.answered_at_us:
        return MergeDecision.OLDER
    if known.deleted is copy.deleted and known.hash == copy.hash:
        return MergeDecision.OLDER
    # It was read later, differs and claims to be older: a replica that is behind, or a version that is not an order.
    if confirmed:
        return MergeDecision.REPLACE
    if copy.fetched:
        return MergeDecision.HOLD
    return MergeDecision.FETCH if rule.can_fetch else MergeDecision.HOLD


def _same_version(known: RecordState, copy: Copy, rule: MergeRule) -> MergeDecision:
    if _alike(known, copy, rule):
        return _renew(known, copy)
    if copy.deleted:  # deleting seldom raises a version
        return (
            MergeDecision.STORE if copy.pushed or copy.answered_at_us >= known.answered_at_us else MergeDecision.OLDER
        )
    later = copy.asked_at_us >= known.answered_at_us
    if known.deleted and not later:
        return MergeDecision.OLDER
    if copy.fetched:
        return MergeDecision.STORE if later else MergeDecision.OLDER
    if rule.can_fetch:
        return MergeDecision.FETCH
    return MergeDecision.STORE if later else MergeDecision.OLDER


def _no_order(known: RecordState, copy: Copy, rule: MergeRule) -> MergeDecision:
    """No versions, or versions without an order."""
    if copy.pushed:
        if copy.asked_at_us < known.asked_at_us:
            return MergeDecision.OLDER  # the known copy was requested after this one was pushed
        hint = _hint(copy, rule)
        if hint is not None:
            return hint
    elif copy.asked_at_us < known.answered_at_us:
        # The known copy came after this read began, so this read may show the item as it was before. When the known
        # copy is a webhook without a version, this is the watermark rule of change data capture applied to HTTP.
        return MergeDecision.SAME if _alike(known, copy, rule) else MergeDecision.OLDER
    if not _alike(known, copy, rule):
        return _unordered(known, copy)
    return _renew(known, copy)


def _renew(known: RecordState, copy: Copy) -> MergeDecision:
    """Alike for a consumer. A webhook still moves the instants: a read that began before it must not count as later."""
    if copy.pushed:
        return MergeDecision.RENEW if copy.asked_at_us > known.answered_at_us else MergeDecision.SAME
    differs = not copy.deleted and known.hash != copy.hash
    if differs and (known.origin is Origin.WRITE or wider(copy.value, parse_json(known.body))):
        return MergeDecision.RENEW  # the same record as the list has it, or with more fields than the webhook had
    if copy.version != known.version and copy.version is not None and copy.asked_at_us >= known.answered_at_us:
        return MergeDecision.RENEW
    return MergeDecision.SAME


def _hint(copy: Copy, rule: MergeRule) -> MergeDecision | None:
    """A webhook without a version says that something changed, not what is current: fetch the item."""
    if copy.pushed and copy.version is None and not copy.deleted and rule.can_fetch:
        return MergeDecision.FETCH
    return None


def _alike(known: RecordState, copy: Copy, rule: MergeRule) -> bool:
    """Whether a consumer could see no difference.

    A webhook and a list may write the same record in two ways, so across the two the fields that both have are
    compared by value. The answer to a write is a third way.
    """
    if known.deleted is not copy.deleted:
        return False
    if copy.deleted or known.hash == copy.hash:
        return True
    crossed = (known.origin is Origin.WEBHOOK) is not copy.pushed
    if known.origin is not Origin.WRITE or copy.pushed:
        return crossed and same_on_common_fields(parse_json(known.body), copy.value, rule.ignore)
    before = parse_json(known.body)
    return (known.key in rule.of_answers or same_form(before, copy.value)) and same_on_common_fields(
        before, copy.value, rule.ignore
    )


def stored(
    known: RecordState | None, copy: Copy, now_us: int, source: str, resource: str, decision: MergeDecision
) -> RecordState:
    """The record after `copy` was stored. A tombstone keeps the last body; a version is only lowered by REPLACE.

    A RENEW (a consumer sees no difference) keeps number, origin and the instant of the last change.
    """
    version = copy.version
    if known is not None and known.version is not None and decision is not MergeDecision.REPLACE:
        if version is None or (order(known.version, version) or 0) > 0:
            version = known.version
    elif known is not None and version is None and decision is not MergeDecision.REPLACE:
        version = known.version
    quiet = known is not None and (decision is MergeDecision.RENEW or _equal(known, copy))
    keep_body = known is not None and (copy.deleted or not copy.body or (quiet and copy.pushed))
    return RecordState(
        source=source,
        resource=resource,
        key=copy.key,
        hash=known.hash if known is not None and keep_body else copy.hash,
        version=version,
        number=(known.number if known is not None else 0) + (0 if quiet else 1),
        origin=known.origin if known is not None and quiet and copy.pushed else copy.origin,
        asked_at_us=copy.asked_at_us,
        answered_at_us=copy.answered_at_us,
        changed_at_us=known.changed_at_us if known is not None and quiet else now_us,
        deleted=copy.deleted,
        body=known.body if known is not None and keep_body else copy.body or b"null",
    )


def _equal(known: RecordState, copy: Copy) -> bool:
    return known.deleted == copy.deleted and (copy.deleted or known.hash == copy.hash)
