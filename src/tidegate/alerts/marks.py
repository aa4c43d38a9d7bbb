"""What people decide about alerts: acknowledge, mute, unmute. Durable, and the same on every node.

Owns the rules of these decisions: an acknowledgment is for an alert that is there, a mute can come before. A mute ends
by itself. Knows no HTTP. Invariant: at most 500 marks are kept; one that has ended makes room. Crash: a call is stored
completely or not at all; two calls at once are both kept, because each replaces only what it has read.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tidegate.core import units
from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, Conflict, NotFound, StoreBusy
from tidegate.query.alerts import MARKS, is_shown, marks_of, read_state
from tidegate.query.context import ReadContext
from tidegate.rules.alerts.kinds import KINDS
from tidegate.rules.alerts.state import ANY, FOREVER_US, MAX_MARKS, Mark, Marks

TRIES = 5
KEPT_US = 30 * 86_400_000_000  # an acknowledgment without its alert
MAX_CHARACTERS = 300
SUBJECTS = ("destination", "source", "resource", "credential", "store", "node")


async def acknowledge(gateway: ReadContext, type_: str, subject: str, by: str, note: str = "") -> None:
    """No more is sent about this alert until it ends. NotFound when there is no such alert."""
    _check(type_, subject, note)
    state, now_us = await read_state(gateway), gateway.clock.now_us()
    if not any((one.type, one.subject) == (type_, subject) and is_shown(one, now_us) for one in state.alerts):
        raise NotFound(
            f"there is no alert {type_} about {subject}", hint="list them: tidegate alerts", code="alert_unknown"
        )

    def change(mark: Mark) -> None:
        mark.acknowledged_us, mark.by, mark.note = now_us, by, note

    await _change(gateway, type_, subject, change)


async def mute(gateway: ReadContext, type_: str, subject: str, for_: str, who: tuple[str, str]) -> None:
    """Send nothing of this type about this subject for a duration, or `forever`. Each can be `*`.

    `who`: the name of the person's key, and a note.
    """
    by, note = who
    _check(type_, subject, note)
    until_us = _until_us(for_, gateway.clock)

    def change(mark: Mark) -> None:
        mark.muted_until_us, mark.by, mark.note = until_us, by, note

    await _change(gateway, type_, subject, change)


async def unmute(gateway: ReadContext, type_: str, subject: str, by: str) -> None:
    """End a mute. NotFound when there is none."""
    _check(type_, subject, "")

    def change(mark: Mark) -> None:
        if mark.muted_until_us <= gateway.clock.now_us():
            raise NotFound(f"{type_} of {subject} is not muted", hint="list mutes: tidegate alerts", code="not_muted")
        mark.muted_until_us, mark.by = 0, by

    await _change(gateway, type_, subject, change)


def _check(type_: str, subject: str, note: str) -> None:
    if type_ != ANY and type_ not in KINDS:
        raise BadRequest(
            f"{type_[:80]!r} is not a type of alert (allowed: {', '.join(KINDS)}, or *)", code="alert_type_unknown"
        )
    kind, colon, name = subject.partition(":")
    if subject != ANY and (kind not in SUBJECTS or not colon or not name or len(subject) > MAX_CHARACTERS):
        raise BadRequest(
            f"{subject[:80]!r} is not a subject",
            hint="write it as destination:NAME, source:NAME, resource:SOURCE/RESOURCE, or *",
            code="alert_subject_invalid",
        )
    if len(note) > MAX_CHARACTERS or not note.isprintable():
        raise BadRequest(f"the note is not one line of at most {MAX_CHARACTERS} characters", code="note_invalid")


def _until_us(for_: str, clock: Clock) -> int:
    if for_ == "forever":
        return FOREVER_US
    try:
        seconds = units.seconds(for_)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3650 * 86_400:
        raise BadRequest(
            f"{for_[:40]!r} is not how long a mute lasts (examples: 1h, 1d, forever)", code="duration_invalid"
        )
    return clock.now_us() + int(seconds * 1e6)


async def _change(gateway: ReadContext, type_: str, subject: str, change: Callable[[Mark], None]) -> None:
    """Change one mark; tried again when another call was faster."""
    for _ in range(TRIES):
        stored = await gateway.store.settings.value(MARKS)
        marks = marks_of(stored)
        _forget(marks, gateway.clock.now_us())
        mark = next((one for one in marks.marks if (one.type, one.subject) == (type_, subject)), None)
        if mark is None:
            if len(marks.marks) >= MAX_MARKS:
                raise Conflict(
                    f"{MAX_MARKS} mutes and acknowledgments are kept", hint="tidegate alerts", code="too_many_marks"
                )
            mark = Mark(type_, subject)
            marks.marks.append(mark)
        change(mark)
        if await gateway.store.settings.swap(MARKS, stored, msgspec.json.encode(marks)):
            return
    raise StoreBusy("the alerts are being changed by others at the same time")


def _forget(marks: Marks, now_us: int) -> None:
    marks.marks = [one for one in marks.marks if one.muted_until_us > now_us or now_us - one.acknowledged_us < KEPT_US]
