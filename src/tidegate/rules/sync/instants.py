"""Instants as sources write them: reading, shifting and writing back in the same format. Pure.

Owns the formats of cursors and of versions that are times: ISO 8601 to any precision and with any offset, HTTP and mail
dates, `/Date(ms)/`, seconds to nanoseconds since 1970, and formats that a resource names. Knows no clock: a number is
read as an instant only with evidence, since one number alone has no unit. Invariant: `write(read(text), like=text)`
names the same instant in the same format and the same precision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_FLOOR, Decimal
from email.utils import format_datetime

import msgspec

from tidegate.core.clock import EPOCH, parse_http_date, to_datetime

MAX_CHARACTERS = 64
EARLIEST_US = 946_684_800_000_000  # 2000-01-01: an instant of a polled record is not older
AHEAD_US = 86_400_000_000  # an instant that proves a unit lies at most a day in the future
SCALES = {"epoch_s": 1, "epoch_ms": 1000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}
DAY_US = 86_400_000_000

_ISO = re.compile(
    r"(?P<y>\d{4})(?P<ds>[-/.]?)(?P<m>\d\d)(?P=ds)(?P<d>\d\d)"
    r"(?:(?P<sep>[Tt_]| +)(?P<H>\d\d)(?P<ts>:?)(?P<M>\d\d)(?:(?P=ts)(?P<S>\d\d)(?:(?P<fs>[.,])(?P<f>\d{1,12}))?)?"
    r"(?P<zs> ?)(?P<z>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_NET = re.compile(r"(?P<a>\\?/Date\()(?P<ms>-?\d{1,18})(?P<z>[+-]\d{4})?(?P<b>\)\\?/)", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,24}(?:\.\d{1,12})?", re.ASCII)


class InstantFormat(msgspec.Struct, frozen=True):
    """How a field writes instants. `kind`: iso8601, http, net, one of SCALES, or strftime with its `pattern`."""

    kind: str
    pattern: str = ""

    @property
    def resolution_us(self) -> int:
        """The smallest step the format can name, as far as the kind says; a sample may say more."""
        return 1_000_000 if self.kind in ("http", "epoch_s") else 1


class Reading(msgspec.Struct, frozen=True):
    at_us: int
    format: InstantFormat
    aware: bool = True  # False: the text names no offset, so it is local time somewhere; taken as UTC


ISO, HTTP, NET = InstantFormat("iso8601"), InstantFormat("http"), InstantFormat("net")


def read(text: str | None) -> Reading | None:
    """The instant that a text names by itself; None for numbers and for everything that could be read in two ways."""
    if text is None or not 8 <= len(text) <= MAX_CHARACTERS or not text.isascii():
        return None
    if text[:4].isdigit():
        return (_read_common(text) if text[10:11] == "T" else None) or _read_iso(text)
    if match := _NET.fullmatch(text):
        return Reading(int(match["ms"]) * 1000, NET)
    at_us = parse_http_date(text) if text[:1].isalpha() or text[1:2] == " " or text[2:3] == " " else None
    return None if at_us is None or ":" not in text else Reading(at_us, HTTP)


def read_as(text: str, form: InstantFormat) -> int | None:
    """Microseconds since 1970 of a text in a known format; None when the text is not in it."""
    if form.kind in SCALES:
        number = _number(text)
        return None if number is None else int((number * 1_000_000 / SCALES[form.kind]).to_integral_value(ROUND_FLOOR))
    if form.kind == "strftime":
        return _read_pattern(text, form.pattern)
    reading = read(text)
    return None if reading is None else reading.at_us


def is_in(text: str, form: InstantFormat) -> bool:
    """Whether a text is written in a format, not only readable as one of the formats that name themselves."""
    if form.kind in SCALES or form.kind == "strftime":
        return read_as(text, form) is not None
    reading = read(text)
    return reading is not None and reading.format.kind == form.kind


def declared(name: str) -> InstantFormat | None:
    """The format that a configuration names; None for `auto` and for formats that are not times."""
    if name == "iso8601":
        return ISO
    if name == "date":
        return InstantFormat("strftime", "%Y-%m-%d")
    if name == "http_date":
        return HTTP
    if name in SCALES:
        return InstantFormat(name)
    return InstantFormat("strftime", name) if "%" in name else None


def detect(samples: Iterable[str], now_us: int) -> InstantFormat | None:
    """The format of several values of one field, with the source's clock as evidence for the unit of numbers.

    A number is an instant in a unit when one of the samples lies between 2000 and a day after `now_us` in it. Samples
    that are all in the future of every unit are counters.
    """
    for text in samples:
        reading = read(text)
        if reading is not None:
            return reading.format
        for kind in SCALES:
            at_us = read_as(text, InstantFormat(kind))
            if at_us is not None and EARLIEST_US <= at_us <= now_us + AHEAD_US:
                return InstantFormat(kind)
    return None


def write(at_us: int, like: str, form: InstantFormat) -> str:
    """The instant in the format and precision of `like`, rounded down."""
    at_us = max(0, at_us)
    if form.kind in SCALES:
        return _decimals(Decimal(at_us) * SCALES[form.kind] / 1_000_000, like)
    if form.kind == "strftime":
        return to_datetime(at_us).strftime(form.pattern)
    if form.kind == "net":
        match = _NET.fullmatch(like)
        return (
            f"/Date({at_us // 1000})/"
            if match is None
            else f"{match['a']}{at_us // 1000}{match['z'] or ''}{match['b']}"
        )
    if form.kind == "http":
        return format_datetime(to_datetime(at_us // 1_000_000 * 1_000_000), usegmt=True)
    return _write_iso(at_us, like)


def earlier(text: str, seconds: float, form: InstantFormat) -> str | None:
    """`text` less a number of seconds, exactly, in its own format; None when it is not in the format."""
    if form.kind in SCALES:
        number = _number(text)
        if number is None:
            return None
        return _decimals(max(Decimal(0), number - Decimal(str(seconds)) * SCALES[form.kind]), text)
    at_us = read_as(text, form)
    return None if at_us is None else write(at_us - int(seconds * 1_000_000), text, form)


def later(text: str, form: InstantFormat | None) -> str:
    """The next value that the format of `text` can name; a whole number without a format counts."""
    if form is None:
        return str(int(text) + 1) if text.isdecimal() and text.isascii() and len(text) <= MAX_CHARACTERS else text
    for seconds in (0.000001, 0.001, 1.0, 60.0, 86_400.0):
        shifted = earlier(text, -seconds, form)
        if shifted is not None and shifted != text:
            return shifted
    return text


def compare(a: str, b: str) -> int | None:
    """-1, 0 or 1 for two strings that name instants; None when one does not, or only one names an offset."""
    left, right = read(a), read(b)
    if left is None or right is None or left.aware is not right.aware:
        return None
    return (left.at_us > right.at_us) - (left.at_us < right.at_us)


def _read_common(text: str) -> Reading | None:
    """The usual `2026-11-24T12:01:31.123Z`, which most rows have, in a fifth of the time."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = at.tzinfo is not None
    return Reading(((at if aware else at.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1), ISO, aware)


def _read_iso(text: str) -> Reading | None:
    match = _ISO.fullmatch(text)
    if match is None or (match["ds"] == "." and match["H"] is None):
        return None
    if match["H"] is None and match["ds"] == "":
        return None  # eight digits are a number
    try:
        offset = _offset(match["z"])
        at = datetime(
            int(match["y"]), int(match["m"]), int(match["d"]),
            int(match["H"] or 0), int(match["M"] or 0), min(59, int(match["S"] or 0)), tzinfo=offset or UTC,
        )  # fmt: skip
        at_us = (at - EPOCH) // timedelta(microseconds=1) + int((match["f"] or "0").ljust(6, "0")[:6])
    except (ValueError, OverflowError):
        return None
    return Reading(at_us, ISO, offset is not None or match["H"] is None)


def _write_iso(at_us: int, like: str) -> str:
    match = _ISO.fullmatch(like)
    if match is None:
        return to_datetime(at_us).strftime("%Y-%m-%dT%H:%M:%SZ")
    at = to_datetime(at_us).astimezone(_offset(match["z"]) or UTC)
    ds, ts = match["ds"], match["ts"] or ""
    out = f"{at.year:04d}{ds}{at.month:02d}{ds}{at.day:02d}"
    if match["H"] is None:
        return out
    out += f"{match['sep']}{at.hour:02d}{ts}{at.minute:02d}"
    if match["S"] is not None:
        out += f"{ts}{at.second:02d}"
    if match["f"] is not None:
        out += match["fs"] + f"{at.microsecond:06d}".ljust(12, "0")[: len(match["f"])]
    return out + match["zs"] + (match["z"] or "")


def _offset(zone: str | None) -> timezone | None:
    if zone is None:
        return None
    if zone[0] not in "+-":
        return UTC
    digits = zone[1:].replace(":", "").ljust(4, "0")
    shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-shift if zone[0] == "-" else shift)


def _read_pattern(text: str, pattern: str) -> int | None:
    try:
        at = datetime.strptime(text, pattern)  # noqa: DTZ007 - a pattern without an offset is UTC
    except (ValueError, re.error):
        return None
    return ((at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _decimals(value: Decimal, like: str) -> str:
    """A number with as many decimals as `like`, rounded down."""
    digits = len(like.partition(".")[2])
    return f"{value.quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR):f}"
