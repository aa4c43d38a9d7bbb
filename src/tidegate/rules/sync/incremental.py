"""The cursor of an incremental poll: where the next poll starts, and how far the cursor may advance. Pure.

Owns the rule that an overlap costs bytes and never duplicates: the start is the cursor less `lag`, and the cursor goes
to the highest value seen, but not beyond the clock of the source less a settle time, because a row that is committed
late has an earlier value. Knows no local clock: a wrong one would lose changes. Invariant: the cursor never goes back,
and in a format that names instants it never passes the source's own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tidegate.core.units import seconds
from tidegate.rules.sync import instants
from tidegate.rules.sync.instants import InstantFormat
from tidegate.rules.sync.paths import compiled
from tidegate.rules.sync.spec import Incremental
from tidegate.rules.sync.versions import number, order

SETTLE_SECONDS = 2.0  # HTTP dates have whole seconds, and a transaction needs a moment to be visible
STEP_SECONDS = 0.000001  # less than the precision of any format: writing rounds down to the step before
SETTLE_US = int(SETTLE_SECONDS * 1_000_000)


class Start(msgspec.Struct, frozen=True):
    """`value` is what to send. `lag_ignored`: the lag could not be subtracted from a cursor like this one."""

    value: str
    lag_ignored: bool = False


class Advance(msgspec.Struct, frozen=True):
    """The next cursor. `clamped` is the value beyond the source's own time that was not taken."""

    cursor: str | None
    clamped: str = ""


def start(cursor: str, lag_seconds: float, form: InstantFormat | None, *, exclusive: bool = False) -> Start:
    """The cursor less the lag, in the format of the cursor; unchanged without a lag or without a known format.

    `exclusive`: the source leaves out rows that are equal, so an instant begins one step of its precision earlier.
    """
    step = lag_seconds + (STEP_SECONDS if exclusive and form is not None else 0.0)
    if step <= 0:
        return Start(cursor)
    shifted = instants.earlier(cursor, step, form) if form is not None else None
    return Start(cursor, lag_ignored=lag_seconds > 0) if shifted is None else Start(shifted)


def as_sent(cursor: str, form: InstantFormat | None, declared: str) -> str:
    """The cursor as the source takes it, where that is declared and records write it in another format."""
    target = instants.declared(declared)
    if target is None or form is None or instants.is_in(cursor, target):
        return cursor
    at_us = instants.read_as(cursor, form)
    return cursor if at_us is None else instants.write(at_us, "", target)


def as_start(rule: Incremental, at_us: int) -> str:
    """An instant as the source takes it."""
    return instants.write(at_us, "", instants.declared(rule.format) or instants.ISO)


def read_start(rule: Incremental, text: str) -> int | None:
    """The instant of a value that the source takes; None for other text."""
    return instants.read_as(text, instants.declared(rule.format) or instants.ISO)


def advance(cursor: str | None, highest: str | None, server_at_us: int | None, form: InstantFormat | None) -> Advance:
    """The next cursor: never back, never beyond the `Date` of the first page less SETTLE_SECONDS."""
    if highest is None:
        return Advance(cursor)
    clamped = ""
    at_us = instants.read_as(highest, form) if form is not None else None
    if at_us is not None and form is not None and server_at_us is not None:
        ceiling_us = server_at_us - SETTLE_US
        if at_us > ceiling_us:
            # A row of the last two seconds is normal; one beyond the source's own time is not.
            clamped = highest if at_us > server_at_us + SETTLE_US else ""
            highest = instants.write(ceiling_us, highest, form)
    if cursor is not None and not higher(highest, cursor, form):
        return Advance(cursor, clamped)
    return Advance(highest, clamped)


def present_without_date(highest: str | None, form: InstantFormat | None, now_us: int) -> int | None:
    """The time that takes the place of a `Date` which the source does not send; None where the cursor may pass it.

    The clock here may differ from that of the source: only a row a day ahead counts as one of the future, and then the
    cursor stays an hour behind.
    """
    at_us = instants.read_as(highest, form) if highest is not None and form is not None else None
    return now_us - 3_600_000_000 if at_us is not None and at_us > now_us + 86_400_000_000 else None


def much_earlier(lowest: str, asked: str, lag: str, form: InstantFormat) -> bool:
    """Whether a row is days older than what was asked for, beyond the lag and sources that filter by days."""
    low_us, asked_us = instants.read_as(lowest, form), instants.read_as(asked, form)
    if low_us is None or asked_us is None:
        return False
    return low_us < asked_us - int((seconds(lag) + 2 * 86_400) * 1_000_000)


def higher(a: str, b: str, form: InstantFormat | None) -> bool:
    """Whether cursor `a` is after `b`: by the instants of the format, else as numbers, else as text."""
    if form is not None:
        left, right = instants.read_as(a, form), instants.read_as(b, form)
        if left is not None and right is not None and left != right:
            return left > right
    found = order(a, b)
    return (a > b) if found is None else found > 0


def is_pinned(row: Any, path: str) -> bool:
    """Whether a row is first in its list whatever its cursor: its field at `path` is true."""
    return bool(path) and compiled(path).first(row) in (True, 1, "true")


def sort_key(text: str) -> tuple[int, Any]:
    """What cursors of one kind are compared by, read once: numbers, instants, text."""
    found = number(text)
    if found is not None:
        return 0, found
    reading = instants.read(text)
    return (2, text) if reading is None else (1, reading.at_us)


def after(a: tuple[int, Any], b: tuple[int, Any]) -> bool:
    """Whether the cursor of key `a` is after that of `b`; of two kinds neither is."""
    return a[0] == b[0] and bool(a[1] > b[1])


def disturbed(highest: str | None, server_at_us: int | None, form: InstantFormat | None, *, moved: bool) -> bool:
    """Whether rows may have moved during a walk over several numbered pages: a row changed since the walk began.

    Its row moves to the end, those behind it move up, and the first row of the next page is on neither page. Where the
    source's clock or the instants are missing, `moved` says whether the walk met a row twice, as it does then.
    """
    if highest is None:
        return False
    at_us = instants.read_as(highest, form) if form is not None else None
    if at_us is None or server_at_us is None:
        return moved
    return at_us > server_at_us - SETTLE_US


def format_of(declared: str, samples: Sequence[str | None], now_us: int) -> InstantFormat | None:
    """The format of the cursors of records: the declared one when they are in it, else the one that they prove.

    None when it is not a time. Records may write the time in another format than the source takes.
    """
    found = [one for one in samples if one]
    named = instants.declared(declared)
    if named is not None and (not found or any(instants.is_in(one, named) for one in found)):
        return named
    return instants.detect(found, now_us) if declared == "auto" or named is not None else None


ROUND_PAGES = (10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000)  # sizes of pages when no parameter names one
LIMIT_PARAMS = (
    "limit",
    "per_page",
    "page_size",
    "pagesize",
    "maxresults",
    "count",
    "top",
    "$top",
    "size",
    "first",
    "rows",
)


def is_full_page(rows: int, params: Sequence[tuple[str, str]]) -> bool:
    """Whether a page has as many rows as one may have: the limit of the request, else a usual one."""
    limits = [value for name, value in params if name.lower() in LIMIT_PARAMS]
    return str(rows) in limits if limits else rows in ROUND_PAGES


def end_value(now_us: int, rule: Incremental | None, like: str | None) -> str | None:
    """`{incremental.end_value}`: the present in the format that the source takes, written like a known value.

    An end that is too early loses nothing: the cursor moves only over rows that came.
    """
    if rule is None:
        return None
    form = instants.declared(rule.format)
    if form is None and like:
        form = instants.detect([like], now_us)
    return instants.write(now_us, like or "", form or instants.ISO)
