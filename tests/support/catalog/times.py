"""How APIs write times, and how strictly they read them. All instants are microseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def us_of(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


def iso_s(us: int) -> str:
    return at(us).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_ms(us: int) -> str:
    return at(us).strftime("%Y-%m-%dT%H:%M:%S.") + f"{us // 1000 % 1000:03d}Z"


def iso_us(us: int) -> str:
    return at(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def iso_offset(us: int) -> str:
    """With +00:00 in place of Z."""
    return at(us).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def iso_ms_offset(us: int) -> str:
    """`2026-01-01T00:00:00.000+0000`."""
    return iso_ms(us)[:-1] + "+0000"


def iso_plain(us: int) -> str:
    """Without a zone."""
    return at(us).strftime("%Y-%m-%dT%H:%M:%S")


def space_s(us: int) -> str:
    return at(us).strftime("%Y-%m-%d %H:%M:%S")


def day(us: int) -> str:
    return at(us).strftime("%Y-%m-%d")


def http_date(us: int) -> str:
    return format_datetime(at(us).replace(microsecond=0), usegmt=True)


def epoch_s(us: int) -> int:
    return us // 1_000_000


def epoch_ms(us: int) -> int:
    return us // 1000


_ISO = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d)(:\d\d)?([.]\d{1,9})?(Z|[+-]\d\d:?\d\d)?")


def read_iso(text: str) -> int:
    """RFC 3339, or with a blank for the T; without a zone it is UTC. ValueError for other text."""
    match = _ISO.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a date and time")
    date, _, minutes, seconds, fraction, zone = match.groups()
    whole = datetime.fromisoformat(f"{date}T{minutes}{seconds or ':00'}{'+00:00' if zone in (None, 'Z') else zone}")
    return us_of(whole) + int((fraction or ".0")[1:].ljust(6, "0")[:6])


def read_zoned(text: str) -> int:
    """RFC 3339 with a zone."""
    if not re.search(r"(Z|[+-]\d\d:?\d\d)$", str(text)) or "T" not in str(text):
        raise ValueError(f"{text!r} is not a date and time with a zone")
    return read_iso(text)


def read_plain(text: str) -> int:
    """`2026-01-01T00:00:00` without a zone."""
    if re.search(r"(Z|[+-]\d\d:?\d\d)$", str(text)):
        raise ValueError(f"{text!r} has a zone")
    return read_iso(text)


def read_day(text: str) -> int:
    return us_of(datetime.strptime(str(text), "%Y-%m-%d").replace(tzinfo=UTC))


def read_epoch_s(text: str | float) -> int:
    if not re.fullmatch(r"\d{9,11}(\.\d+)?", str(text)):
        raise ValueError(f"{text!r} is not a number of seconds")
    whole, _, fraction = str(text).partition(".")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0")[:6] or 0)


def read_epoch_ms(text: str | int) -> int:
    if not re.fullmatch(r"\d{12,14}", str(text)):
        raise ValueError(f"{text!r} is not a number of milliseconds")
    return int(text) * 1000


def read_http_date(text: str) -> int:
    return us_of(parsedate_to_datetime(text))
