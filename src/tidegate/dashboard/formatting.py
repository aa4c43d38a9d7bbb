"""Numbers, instants and ids as people read them. Pure.

Owns every format that more than one page uses, so that a figure looks the same everywhere. Knows no HTML, no request
and no clock: `now_us` is an argument. Instants arrive as RFC 3339 text (the API's format); None means "never" and is
shown as a dash.
"""

from __future__ import annotations

from tidegate.core.clock import parse_instant, to_datetime

DASH = "\u2013"
_THIN = "\u202f"  # narrow no-break space between thousands
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HOUR_US = 3_600_000_000


def count(value: float | None) -> str:
    """`18432` is `18 432`; None is a dash."""
    if value is None:
        return DASH
    return f"{int(value):,}".replace(",", _THIN)


def percent(share: float | None) -> str:
    """A share of 0 to 1. Never rounds something to 0 % or 100 % that is not."""
    if share is None:
        return DASH
    if 0 < share < 0.001:
        return f"<0.1{_THIN}%"
    if 0.999 < share < 1:
        return f">99.9{_THIN}%"
    value = share * 100
    return f"{value:.0f}{_THIN}%" if value in (0, 100) or 10 <= value <= 99 else f"{value:.1f}{_THIN}%"


def seconds(value: float | None) -> str:
    """A duration in the largest unit that keeps two figures: `0.35 s`, `12 s`, `4 min`, `2.5 h`, `3 d`."""
    if value is None:
        return DASH
    if 0 < value < 0.0005:
        return f"<1{_THIN}ms"
    if value < 0.9995:
        return f"{value * 1000:.0f}{_THIN}ms"
    for size, unit, following in ((1, "s", 60), (60, "min", 3600), (3600, "h", 86400), (86400, "d", 1e18)):
        if value < following:
            amount = value / size
            text = f"{amount:.1f}".removesuffix(".0") if amount < 10 else f"{amount:.0f}"
            return f"{text}{_THIN}{unit}"
    return DASH


def milliseconds(value: float | None) -> str:
    return DASH if value is None else seconds(value / 1000)


def size(value: int | None) -> str:
    """Bytes: `812 B`, `4.2 KiB`."""
    if value is None:
        return DASH
    if value < 1024:
        return f"{value}{_THIN}B"
    if value < 1 << 20:
        return f"{value / 1024:.1f}{_THIN}KiB"
    return f"{value / (1 << 20):.1f}{_THIN}MiB"


def cut(text: str | None, keep: int = 8) -> str:
    """An ID cut in the middle: its prefix and the last `keep` characters stay, which differ between neighbors."""
    if not text:
        return DASH
    head = text.find("_") + 1 or 4
    if len(text) <= head + keep + 3:
        return text
    return f"{text[:head]}…{text[-keep:]}"


def sentence(text: str) -> str:
    """`no page is at /x` is `No page is at /x.`"""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…", "'", '"')) else ".") if text else ""


def plural(number: int | None, one: str, many: str = "") -> str:
    """`1 delivery`, `48 deliveries`."""
    return f"{count(number)}{_THIN}{one if number == 1 else many or one + 's'}"


def instant(text: str | None, now_us: int) -> str:
    """Short form: relative under an hour, else the day and the minute in UTC (the browser turns it local)."""
    if not text:
        return DASH
    at_us = parse_instant(text)
    ago = now_us - at_us
    if abs(ago) < _HOUR_US:
        return relative(ago / 1_000_000)
    at = to_datetime(at_us)
    year = "" if at.year == to_datetime(now_us).year else f" {at.year}"
    return f"{at.day} {_MONTHS[at.month - 1]}{year} {at:%H:%M} UTC"


def relative(seconds_ago: float) -> str:
    """`now`, `4 s ago`, `in 12 min`."""
    amount = abs(seconds_ago)
    if amount < 1:
        return "now"
    text = f"{int(amount)}{_THIN}s" if amount < 60 else f"{int(amount // 60)}{_THIN}min"
    return f"{text} ago" if seconds_ago > 0 else f"in {text}"


def clock_text(text: str | None) -> str:
    """Long form in UTC with milliseconds, for hover and print."""
    if not text:
        return DASH
    at = to_datetime(parse_instant(text))
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC"


def since(text: str | None, now_us: int) -> str:
    """How long something lasts: `for 12 min`; "" when unknown."""
    if not text:
        return ""
    return f"for {seconds(max(0, now_us - parse_instant(text)) / 1_000_000)}"


def way(origin: str | None) -> str:
    """The way of an origin: push (a webhook, form or published event) or pull (a request to the source)."""
    return "push" if origin in ("webhook", "form", "publish", "system", "push") else "pull"
