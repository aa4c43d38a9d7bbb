"""The alerts as the pages, the API and `doctor` show them: what the alert engine stored, with what people decided.

Owns the names of the two small values of the store, and the schema of an alert. Reads only; `alerts/marks.py` writes
what people decide. Every node reads the same, so an alert looks the same on each. Crash: nothing is kept here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from tidegate.core import ids
from tidegate.core.clock import rfc3339
from tidegate.core.finding_codes import CODES
from tidegate.core.findings import Finding, finding
from tidegate.query.context import ReadContext
from tidegate.query.schemas import Instant
from tidegate.rules.alerts.body import page_of
from tidegate.rules.alerts.kinds import KIND_OF_CODE, KINDS, Course
from tidegate.rules.alerts.state import FOREVER_US, Alert, Mark, Marks, State, acknowledged_us

STATE = "alerts"  # of the alert engine
MARKS = "alert_marks"  # of people
SHOWN_US = 86_400_000_000  # a number that grew is shown for so long after its last event
# Findings that only the alert engine knows; all others are derived from the present state of the gateway.
_ONLY_HERE = ("backlog_growing", "source_quiet", "webhooks_missed", "requests_rejected")


class AlertSchema(Struct, kw_only=True):
    """A state that was reported or is about to be. `state`: firing, acknowledged or muted. `event`: its last event."""

    type: str
    subject: str
    state: str
    severity: str
    label: str
    summary: str
    next_step: str
    page: str
    since: Instant
    event: str | None
    event_at: Instant | None
    acknowledged_at: Instant | None
    muted_until: Instant | None  # null also while it is muted without an end
    by: str
    note: str
    evidence: dict[str, Any]


class MuteSchema(Struct, kw_only=True):
    """A mute. `type` and `subject` can be `*`. `until` is null for a mute without an end."""

    type: str
    subject: str
    until: Instant | None
    by: str
    note: str


class AlertList(Struct, kw_only=True):
    """All alerts, the most severe first, and all mutes. `enabled` is that of [alerts]."""

    enabled: bool
    data: list[AlertSchema]
    mutes: list[MuteSchema]


async def read_state(gateway: ReadContext) -> State:
    """The stored state; an empty one before the first round, or when alerts are off."""
    stored = await gateway.store.settings.value(STATE) if gateway.active.settings.alerts.enabled else None
    try:
        return msgspec.json.decode(stored, type=State) if stored else State()
    except msgspec.DecodeError:  # of a later release
        return State()


async def read_marks(gateway: ReadContext) -> Marks:
    return marks_of(await gateway.store.settings.value(MARKS))


def marks_of(stored: bytes | None) -> Marks:
    try:
        return msgspec.json.decode(stored, type=Marks) if stored else Marks()
    except msgspec.DecodeError:  # of a later release
        return Marks()


async def list_alerts(gateway: ReadContext) -> AlertList:
    state, marks, now_us = await read_state(gateway), await read_marks(gateway), gateway.clock.now_us()
    instance = gateway.store.log.instance
    shown = [schema_of(one, marks, now_us, instance) for one in state.alerts if is_shown(one, now_us)]
    rank = ("error", "warning", "notice")
    shown.sort(key=lambda one: (one.state != "firing", rank.index(one.severity) if one.severity in rank else 3))
    mutes = [_mute(one) for one in marks.marks if one.muted_until_us > now_us]
    return AlertList(enabled=gateway.active.settings.alerts.enabled, data=shown, mutes=mutes)


def is_shown(alert: Alert, now_us: int) -> bool:
    """Lasting ones until they are over, numbers that grew for a day after the last event about them."""
    if KINDS[alert.type].course is Course.LASTS:
        return not alert.ended_us
    return bool(alert.emitted_us) and now_us - alert.emitted_us < SHOWN_US


def schema_of(alert: Alert, marks: Marks, now_us: int, instance: str) -> AlertSchema:
    kind = KINDS[alert.type]
    acknowledged = acknowledged_us(marks, alert, grows=kind.course is Course.GROWS)
    muted = marks.muted_until(alert.type, alert.subject, now_us)
    mark = next((one for one in marks.marks if (one.type, one.subject) == (alert.type, alert.subject)), None)
    decided = mark if mark is not None and (acknowledged or muted) else Mark("", "")
    return AlertSchema(
        type=alert.type,
        subject=alert.subject,
        state="muted" if muted else "acknowledged" if acknowledged else "firing",
        severity=alert.evidence.severity,
        label=kind.label,
        summary=alert.evidence.summary,
        next_step=alert.evidence.next_step,
        page=page_of(alert.subject),
        since=rfc3339(alert.since_us) or "",
        event=ids.event_id(instance, alert.event) if alert.event else None,
        event_at=rfc3339(alert.emitted_us) if alert.emitted_us else None,
        acknowledged_at=rfc3339(acknowledged) if acknowledged else None,
        muted_until=_until(muted),
        by=decided.by,
        note=decided.note,
        evidence=alert.evidence.facts,
    )


def _mute(one: Mark) -> MuteSchema:
    return MuteSchema(type=one.type, subject=one.subject, until=_until(one.muted_until_us), by=one.by, note=one.note)


def _until(muted_us: int) -> str | None:
    return rfc3339(muted_us) if 0 < muted_us < FOREVER_US else None


# -- findings --------------------------------------------------------------------------------------------


async def with_alerts(gateway: ReadContext, found: Iterable[Finding]) -> list[Finding]:
    """Findings with those that only the alert engine knows, and with what people decided about each."""
    state, marks = await read_state(gateway), await read_marks(gateway)
    return merged(found, state, marks, gateway.clock.now_us())


def merged(found: Iterable[Finding], state: State, marks: Marks, now_us: int) -> list[Finding]:
    """Pure, except that it fills members of the findings that it is given."""
    all_ = [*found, *(one for alert in state.alerts for one in _of_alert(alert, now_us))]
    known = {(alert.type, alert.subject): alert for alert in state.alerts}
    for one in all_:
        type_ = KIND_OF_CODE.get(one.code, "")
        muted = marks.muted_until(type_, one.subject, now_us) if type_ else 0
        one.muted_until = rfc3339(muted) if 0 < muted < FOREVER_US else "9999-12-31T00:00:00.000Z" if muted else None
        alert = known.get((type_, one.subject))
        if alert is not None:
            at_us = acknowledged_us(marks, alert, grows=KINDS[type_].course is Course.GROWS)
            one.acknowledged_at = rfc3339(at_us) if at_us else None
    return all_


def _of_alert(alert: Alert, now_us: int) -> list[Finding]:
    codes = [code for code in KINDS[alert.type].codes if code in _ONLY_HERE]
    if not codes or not is_shown(alert, now_us):
        return []
    row = CODES[codes[0]]
    summary = alert.evidence.summary.partition(": ")[2] or alert.evidence.summary
    since = rfc3339(alert.since_us)
    return [finding(codes[0], alert.subject, summary[:1].upper() + summary[1:], None, row.title, since)]
