"""The state of a record at an offset of the log, from its record of today and two of its change events. Pure.

Owns the reconstruction. A change event has the record before and after, so the first change above the offset says what
the record was there, and the last change up to it says which change that was. A record without a change above the
offset is today what it was then. Differences that make no change (ignored fields, fields that only a list has) are not
in the log, so such fields are those of the next change. Knows no store and no clock.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.core.model import Origin, RecordState, StoredChange
from tidegate.rules.language.numbers import decode_json


class PastRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it was. What is None is not known any more: the event that said so is gone."""

    key: str
    number: int
    deleted: bool
    data: Any
    version: str | None = None
    origin: Origin | None = None
    changed_at_us: int | None = None
    change: bytes = b""  # of the last change until then
    today: RecordState | None = None  # where it has not changed since
    bytes: int = 0  # about the size of `data`


class _Change(msgspec.Struct):
    """What is read of the change of an event."""

    number: int
    before: msgspec.Raw = msgspec.Raw(b"null")
    version: str | None = None


def unchanged(record: RecordState, at_us: int) -> PastRecord | None:
    """A record without a change event above the offset. None when it was stored without one after `at_us`.

    That is a delete of a record that nobody had seen, which leaves a tombstone only.
    """
    if record.changed_at_us > at_us:
        return None
    renewed = record.answered_at_us > at_us  # a later copy with equal content, whose version may be a later one
    return PastRecord(
        key=record.key,
        number=record.number,
        deleted=record.deleted,
        data=decode_json(record.body) if record.body else None,
        version=None if renewed else record.version,
        origin=record.origin,
        changed_at_us=record.changed_at_us,
        today=record,
        bytes=len(record.body),
    )


def before(later: StoredChange, earlier: StoredChange | None) -> PastRecord | None:
    """A record with the change event `later` above the offset, and `earlier`, the last one up to it, where it is kept.

    None when the record did not exist, or had been deleted by a change whose event is gone.
    """
    next_ = _decode(later.change)
    last = _decode(earlier.change) if earlier is not None else None
    data = decode_json(next_.before)
    deleted = data is None
    if deleted and (earlier is None or earlier.kind != "deleted"):
        return None
    # Changes between the two without an event, as after a change of `ignore`: the version of the last one is not known.
    follows = last is not None and last.number == next_.number - 1
    if deleted and earlier is not None:
        data = decode_json(earlier.body) if earlier.body else None
    return PastRecord(
        key=later.key,
        number=next_.number - 1,
        deleted=deleted,
        data=data,
        version=last.version if last is not None and follows else None,
        origin=earlier.origin if earlier is not None else None,
        changed_at_us=earlier.received_at_us if earlier is not None else None,
        change=earlier.change if earlier is not None else b"",
        bytes=len(later.change),
    )


_decode = msgspec.json.Decoder(_Change).decode
