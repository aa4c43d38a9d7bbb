"""The cursor of an incremental poll: where the next poll starts, and how far the cursor may advance. Pure.

Owns the rule that an overlap costs bytes and never duplicates: the start is the cursor less `lag`, and the cursor goes
to the highest value seen, but not beyond the clock of the source less a settle time, because a row that is committed
late has an earlier value. Knows no local clock: a wrong one would lose changes. Invariant: the cursor never goes back,
and in a format that names instants it never passes the source's own time.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tidegate.rules.sync import instants
from tidegate.rules.sync.instants import InstantFormat
from tidegate.rules.sync.versions import order

SETTLE_SECONDS = 2.0  # HTTP dates have whole seconds, and a transaction needs a moment to be visible
SETTLE_US = int(SETTLE_SECONDS * 1_000_000)


class Start(msgspec.Struct, frozen=True):
    """`value` is what to send. `lag_ignored`: the lag could not be subtracted from a cursor like this one."""

    value: str
    lag_ignored: bool = False


class Advance(msgspec.Struct, frozen=True):
    """The next cursor. `clamped` is the value beyond the source's own time that was not taken."""

    cursor: str | None
    clamped: str = ""


def start(cursor: str, lag_seconds: float, form: InstantFormat | None) -> Start:
    """The cursor less the lag, in the format of the cursor; unchanged without a lag or without a known format."""
    if lag_seconds <= 0:
        return Start(cursor)
    shifted = instants.earlier(cursor, lag_seconds, form) if form is not None else None
    return Start(cursor, lag_ignored=True) if shifted is None else Start(shifted)


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


def higher(a: str, b: str, form: InstantFormat | None) -> bool:
    """Whether cursor `a` is after `b`: by the instants of the format, else as numbers, else as text."""
    if form is not None:
        left, right = instants.read_as(a, form), instants.read_as(b, form)
        if left is not None and right is not None and left != right:
            return left > right
    found = order(a, b)
    return (a > b) if found is None else found > 0


def disturbed(highest: str | None, server_at_us: int | None, form: InstantFormat | None) -> bool:
    """Whether rows may have moved during a walk over several numbered pages: a row changed since the walk began.

    Its row moves to the end, those behind it move up, and the first row of the next page is on neither page. True when
    the source's clock or the instants are missing.
    """
    if highest is None:
        return False
    at_us = instants.read_as(highest, form) if form is not None else None
    return at_us is None or server_at_us is None or at_us > server_at_us - SETTLE_US


def format_of(declared: str, samples: Sequence[str | None], now_us: int) -> InstantFormat | None:
    """The format of a cursor: the declared one, else the one that the samples prove; None when it is not a time."""
    if declared != "auto":
        return instants.declared(declared)
    return instants.detect([one for one in samples if one], now_us)
