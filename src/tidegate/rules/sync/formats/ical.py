"""Calendars (iCalendar, RFC 5545): each event, to-do or journal entry is a row.

Rows have `id`, `uid`, `kind`, `recurrence_id`, `summary`, `description`, `location`, `start`, `end`, `all_day`,
`timezone`, `status`, `canceled`, `sequence`, `created`, `updated`, `rrule`, `rdates`, `exdates`, `organizer`,
`attendees`, `url` and `categories`. `id` is the uid, and for a changed occurrence of a series `UID/RECURRENCE-ID`: a
series stays one row, as the source writes it, and is not expanded. DTSTAMP is left out, because servers write the time
of the request into it, so that every poll would look like a change. Reads with the package icalendar (extra `feeds`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from tidegate.rules.sync.formats.base import BadRow, Format, FormatPage, shown

MAX_ENTRIES = 100_000
_KINDS = {"VEVENT": "event", "VTODO": "todo", "VJOURNAL": "journal"}


class CalendarEntry(msgspec.Struct):
    """One component as a row. A time without an offset is local to the reader (RFC 5545 section 3.3.5)."""

    id: str
    uid: str
    kind: str
    recurrence_id: str | None
    summary: str
    description: str
    location: str
    start: str | None
    end: str | None
    all_day: bool
    timezone: str | None
    status: str
    canceled: bool
    sequence: int
    created: str | None
    updated: str | None
    rrule: str | None
    rdates: list[str]
    exdates: list[str]
    organizer: str
    attendees: list[str]
    url: str
    categories: list[str]


def _begins(head: bytes) -> bool:
    return head[:15].upper() == b"BEGIN:VCALENDAR"


def _read(body: bytes) -> FormatPage:
    try:
        import icalendar
    except ImportError:
        raise ValueError('reading calendars needs an extra: pip install "tidegate[feeds]"') from None
    if not _begins(body.lstrip()):
        raise ValueError(f"the answer is not a calendar: {shown(body)}")
    if not body.rstrip().upper().endswith(b"END:VCALENDAR"):
        raise ValueError(f"the calendar ends early, without END:VCALENDAR: {shown(body[-100:])}")
    try:
        calendars = icalendar.Calendar.from_ical(body, multiple=True)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"the calendar cannot be read: {error}") from None
    rows: list[Any] = []
    for calendar in calendars:
        for part in calendar.walk():
            if part.name in _KINDS:
                rows.append(_row(part))
    if len(rows) > MAX_ENTRIES:
        raise ValueError(f"the calendar has {len(rows):,} entries; at most {MAX_ENTRIES:,} are read")
    return FormatPage(rows=rows)


def _row(part: Any) -> dict[str, Any] | BadRow:
    uid = _text(part, "UID")
    if not uid:
        return BadRow("the entry has no UID", _raw(part))
    try:
        start, end = _time(part, "DTSTART"), _time(part, "DTEND") or _time(part, "DUE")
        recurrence = _time(part, "RECURRENCE-ID")
        status = _text(part, "STATUS").upper()
        row = CalendarEntry(
            id=f"{uid}/{recurrence}" if recurrence else uid,
            uid=uid,
            kind=_KINDS[part.name],
            recurrence_id=recurrence,
            summary=_text(part, "SUMMARY"),
            description=_text(part, "DESCRIPTION"),
            location=_text(part, "LOCATION"),
            start=start,
            end=end,
            all_day=start is not None and len(start) == 10,
            timezone=_zone(part),
            status=status,
            canceled=status.startswith("CANCEL"),
            sequence=int(part.get("SEQUENCE", 0)),
            created=_time(part, "CREATED"),
            updated=_time(part, "LAST-MODIFIED"),
            rrule=part["RRULE"].to_ical().decode("utf-8", "replace") if _single(part, "RRULE") else None,
            rdates=_dates(part, "RDATE"),
            exdates=_dates(part, "EXDATE"),
            organizer=_text(part, "ORGANIZER"),
            attendees=sorted(_texts(part, "ATTENDEE")),
            url=_text(part, "URL"),
            categories=[str(one) for group in _list(part, "CATEGORIES") for one in getattr(group, "cats", [group])],
        )
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        return BadRow(f"the entry {uid[:100]!r} cannot be read: {error}", _raw(part))
    return dict(msgspec.to_builtins(row))


def _list(part: Any, name: str) -> list[Any]:
    value = part.get(name)
    return [] if value is None else value if isinstance(value, list) else [value]


def _single(part: Any, name: str) -> Any:
    found = _list(part, name)
    return found[0] if len(found) == 1 else None


def _text(part: Any, name: str) -> str:
    found = _list(part, name)
    return str(found[0]) if found else ""


def _texts(part: Any, name: str) -> list[str]:
    return [str(one) for one in _list(part, name)]


def _time(part: Any, name: str) -> str | None:
    found = _list(part, name)
    return _written(found[0].dt) if found else None


def _dates(part: Any, name: str) -> list[str]:
    return sorted(_written(one.dt) for group in _list(part, name) for one in group.dts)


def _written(value: Any) -> str:
    """RFC 3339 with the offset of its zone; UTC as `Z`; a date as a date; a local time without an offset."""
    if isinstance(value, tuple):  # a period: its start
        value = value[0]
    if isinstance(value, datetime):
        if value.tzinfo is not None and value.utcoffset() == UTC.utcoffset(None) and str(value.tzinfo) == "UTC":
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(f"{value!r} is not a time")


def _zone(part: Any) -> str | None:
    found = _list(part, "DTSTART")
    return str(found[0].params.get("TZID")) if found and found[0].params.get("TZID") else None


def _raw(part: Any) -> bytes:
    try:
        return bytes(part.to_ical())[:500]
    except (ValueError, TypeError, AttributeError):
        return b""


FORMAT = Format(
    name="ical",
    help="Calendars (iCalendar): each event is a row with `id`, `summary`, `start`, `end`, `status`, and more.",
    media_types=("text/calendar",),
    begins=_begins,
    read=_read,
)
