"""The cursor of an incremental poll: where to start, how far to advance. Pure.

Owns the rule that overlap costs bytes and never duplicates: the start lies `lag` before the cursor, and the cursor goes
to the highest value seen but not beyond the source's own clock less a settle time, since a row committed late carries
an earlier value. May not know the local clock: a wrong one here would lose changes for good.
"""

from __future__ import annotations

from decimal import Decimal

from tidegate.core.clock import to_datetime
from tidegate.rules.sync.merge import compare_versions, version_instant

SETTLE_SECONDS = 2.0  # HTTP dates have whole seconds, and a transaction needs a moment to be seen


def start(cursor: str, lag_seconds: float) -> str:
    """What to send as the start: `cursor` less the lag, when it is an instant or seconds; else as it stands."""
    if lag_seconds <= 0:
        return cursor
    at_us = version_instant(cursor)
    if at_us is not None:
        return format_like(at_us - int(lag_seconds * 1_000_000), cursor)
    if cursor.isascii() and cursor.isdecimal() and len(cursor) < 20:
        scale = 1000 if len(cursor) >= 13 else 1  # milliseconds or seconds since 1970
        return str(max(0, int(Decimal(cursor) - Decimal(lag_seconds) * scale)))
    return cursor


def advance(cursor: str | None, highest: str | None, server_at_us: int | None) -> str | None:
    """The next cursor: never back, never beyond the source's `Date` of the first page less SETTLE_SECONDS."""
    if highest is None:
        return cursor
    at_us = version_instant(highest)
    if at_us is not None and server_at_us is not None:
        ceiling_us = server_at_us - int(SETTLE_SECONDS * 1_000_000)
        if at_us > ceiling_us:
            highest = format_like(ceiling_us, highest)
    if cursor is not None and compare_versions(highest, cursor) < 0:
        return cursor
    return highest


def disturbed(highest: str | None, server_at_us: int | None) -> bool:
    """Whether the list may have moved under a walk over several numbered pages: a row changed since the walk began.

    Its row moves to the end, those behind it move up, and the first row of the next page is on neither page. True when
    the source's clock or the instants are missing.
    """
    if highest is None:
        return False
    at_us = version_instant(highest)
    return at_us is None or server_at_us is None or at_us > server_at_us - int(SETTLE_SECONDS * 1_000_000)


def format_like(at_us: int, sample: str) -> str:
    """An instant in the spelling of `sample`: a date, whole seconds, or with a fraction; always UTC."""
    moment = to_datetime(max(0, at_us))
    if len(sample) == 10:
        return moment.strftime("%Y-%m-%d")
    separator = sample[10:11] or "T"
    zone = "Z" if sample.endswith(("Z", "z")) else "+00:00" if _has_offset(sample) else ""
    spelled = moment.strftime(f"%Y-%m-%d{separator}%H:%M:%S")
    if "." in sample:
        digits = 3 if _fraction_digits(sample) <= 3 else 6
        spelled += f".{moment.microsecond:06d}"[: digits + 1]
    return spelled + zone


def _has_offset(text: str) -> bool:
    return "+" in text[10:] or "-" in text[10:]


def _fraction_digits(text: str) -> int:
    tail = text.partition(".")[2]
    return len(tail) - len(tail.lstrip("0123456789"))
