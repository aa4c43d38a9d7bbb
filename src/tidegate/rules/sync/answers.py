"""The answer to a write as a copy of the record that it shows. Pure.

Owns the question whether an answer shows the record, and its form: where a record is known, the answer changes the
values of the fields that the record has, because an item and its answers often have other fields than the list. May not
know stores or HTTP. Invariant: an answer that does not show enough makes no copy, and the next poll brings the change.
Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Any

from tidegate.core.model import Origin, RecordState
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.changes import Copy, make_copy, same_value
from tidegate.rules.sync.items import record_key, record_version
from tidegate.rules.sync.own_writes import ExpectedWrite, leaves
from tidegate.rules.sync.spec import Resource


def copy_of_answer(body: bytes, resource: Resource, sent_at_us: int, answered_at_us: int) -> Copy | None:
    """The copy that an answer shows; None when it has no key, or no version although the resource has one."""
    try:
        value = parse_json(body)
        key = record_key(value, resource.primary_key)
        version = record_version(value, resource.version)
        if key is None or (resource.version and version is None):
            return None
        return _copy(key, value, version, resource, (sent_at_us, answered_at_us))
    except ValueError:
        return None


def fitted(copy: Copy, known: RecordState | None, resource: Resource, write: ExpectedWrite) -> Copy | None:
    """The copy in the form of the known record; None when it shows too little of it.

    An answer makes a new record only when it has a field that was written, beside the key: many APIs answer a creation
    with an id alone.
    """
    if known is None or known.deleted:
        keys = resource.primary_key if isinstance(resource.primary_key, list) else [resource.primary_key]
        names = write.written.keys() - {path.rpartition(".")[2] for path in keys}
        return copy if not write.written or names & leaves(copy.value).keys() else None
    before = parse_json(known.body)
    if not isinstance(before, dict) or len(before.keys() & copy.value.keys()) < 2:
        return None
    value = _laid_over(before, copy.value, write.written)
    return _copy(copy.key, value, copy.version, resource, (copy.asked_at_us, copy.answered_at_us))


def _laid_over(before: Any, answer: Any, written: dict[str, Any]) -> Any:
    """`before` with the values of `answer` in its fields, and with fields that were written. Equal values stay as they
    are written in `before`."""
    if not isinstance(before, dict) or not isinstance(answer, dict):
        return before if same_value(before, answer) else answer
    value = {name: _laid_over(one, answer[name], written) if name in answer else one for name, one in before.items()}
    return {**value, **{name: one for name, one in answer.items() if name not in before and name in written}}


def _copy(key: str, value: Any, version: str | None, resource: Resource, times: tuple[int, int]) -> Copy:
    return make_copy(
        key, value, ignore=resource.ignore, version=version, origin=Origin.WRITE, asked_at_us=times[0],
        answered_at_us=times[1],
    )  # fmt: skip
