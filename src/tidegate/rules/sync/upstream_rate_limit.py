"""How fast a source wants to be asked, by its answers: for pulls, polls and fetch-backs alike. Pure.

Owns what answers say about a quota: `Retry-After` (RFC 9110 section 10.2.3), the remaining and
reset fields of `X-RateLimit-*`, `X-Rate-Limit-*` and both generations of the IETF `RateLimit` fields. Knows no clock:
time is handed in (`now` is monotonic seconds), and the caller waits. Invariants: the unit of a reset is decided by what
is plausible next to the source's `Date`, never by the number alone; no hold is longer than MAX_BLOCK_SECONDS; what
cannot be read is returned as a note. Crash: the state is lost, which costs one answer 429.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tidegate.core.clock import parse_http_date
from tidegate.rules.outbound.retry_after import parse_retry_after
from tidegate.rules.sync import instants
from tidegate.rules.sync.limits import ALWAYS_LIMITED, NOTHING_SAID, Said
from tidegate.rules.sync.links import header

LOW = 10  # this many requests left are spread over the time until the reset
MAX_BLOCK_SECONDS = 86_400.0  # a longer hold is cut to a day
LONG_BLOCK_SECONDS = 3_600.0  # a longer hold is reported
FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0  # of the doubling that replaces an answer without a usable time
LIMITED = (403, 420, 429, 503, 509, 529)  # of other failures, only a `Retry-After` counts

_FIELD = re.compile(r'(?:^|[,;\s])(r|t|remaining|reset)\s*=\s*"?([0-9]{1,12})', re.IGNORECASE)
_POLICY = re.compile(r',\s*(?="?[^,;="]+"?\s*;)')  # between the limits of one field: `"burst";r=0;t=2, "day";r=50`
_NAME = re.compile(
    r"(?:x-)?(?:app-|api-)?rate-?limit(?:-requests|-user|-global)?-(remaining|reset)(?:-requests)?(-after|-ms)?"
)
_SPAN = re.compile(
    r"(?:(\d+(?:\.\d+)?) ?(?:h|hours?))?(?:(\d+(?:\.\d+)?) ?(?:m|min|minutes?)(?![a-z]))?"
    r"(?:(\d+(?:\.\d+)?) ?(?:s|sec|secs|seconds?))?(?:(\d+(?:\.\d+)?) ?(?:ms|milliseconds?))?",
    re.ASCII | re.IGNORECASE,
)

_AFTER = {"retry-after": "", "retry-after-ms": "-ms", "x-retry-after-ms": "-ms", "x-retry-after": ""}
_WORDS = {"r": "remaining", "t": "reset"}

Headers = Iterable[tuple[str, str]]


class UpstreamRateLimit:
    """`reserve` counts one request and says how long to wait for it."""

    def __init__(self) -> None:
        self.refused_until = 0.0  # monotonic seconds; set by answers of the source, and only grows
        self.reason = ""  # of the hold, for people
        self._limited_in_a_row = 0
        self._not_before = 0.0
        self._gap = 0.0  # seconds between requests while the quota is low
        self._gap_until = 0.0

    def wait_seconds(self, now: float) -> float:
        """How long a request made now would have to wait. Counts nothing."""
        return max(0.0, self._not_before - now, self.refused_until - now)

    def held_seconds(self, now: float) -> float:
        """How long the source asked to wait."""
        return max(0.0, self.refused_until - now)

    def reserve(self, now: float) -> float:
        """Count a request; seconds to wait before it may leave."""
        wait = self.wait_seconds(now)
        if self._gap and now + wait < self._gap_until:
            self._not_before = max(self._not_before, now + wait) + self._gap
        return wait

    def observe(
        self, status: int, headers: list[tuple[str, str]], now: float, now_us: int, own: Said = NOTHING_SAID
    ) -> list[tuple[str, str]]:
        """Learn from an answer. Returns (code of a finding, sample) for what was cut or could not be read.

        `own`: what the source says in ways of its own. An answer that means its limit is passed as status 429.
        """
        date_us = parse_http_date(header(headers, "date") or "") or now_us
        remaining, reset, unread = quota(headers, date_us)
        after = _retry_after(headers, date_us)
        if own is not NOTHING_SAID:
            remaining = own.remaining if remaining is None else remaining
            reset = seconds_until(own.reset_text, date_us) if reset is None and own.reset_text else reset
            if after is None and own.wait_text:
                after = seconds_until(own.wait_text, date_us)
                unread += [("wait_path", own.wait_text)] if after is None else []
            after = own.wait_seconds if after is None and reset is None else after
        if after is None:
            unread += [(name, text[:80]) for name in _AFTER if (text := header(headers, name)) is not None]
        notes = [("rate_limit_unreadable", f"{name}: {text}") for name, text in unread]
        if own.overlooked is not None and after is None and reset is None:
            notes.append(("rate_limit_in_body", f"{own.overlooked.path} = {own.overlooked.text}"))
        pause = self._pause(status, after, remaining, reset)
        if pause is not None:
            notes += self._hold(pause, f"the source answered {status}", now)
        elif remaining == 0 and reset is not None:
            notes += self._hold(reset, "the source has no requests left", now)
        if remaining is not None and reset is not None:
            reset = min(reset, MAX_BLOCK_SECONDS)
            self._gap = reset / remaining if 0 < remaining <= LOW else 0.0
            self._gap_until = now + reset
        return notes

    def _pause(self, status: int, after: float | None, remaining: int | None, reset: float | None) -> float | None:
        """Seconds that an answer asks to wait; None when it is not about a rate limit. `after`: its `Retry-After`."""
        pause = after
        limited = status in ALWAYS_LIMITED or (
            status >= 400 and (pause is not None or (status in LIMITED and remaining == 0))
        )
        if not limited:
            self._limited_in_a_row = 0
            return pause if status == 202 else None
        self._limited_in_a_row += 1
        if pause is None and (remaining in (0, None)):
            pause = reset
        if pause is None:
            pause = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(self._limited_in_a_row - 1, 10))
        return pause

    def _hold(self, seconds: float, reason: str, now: float) -> list[tuple[str, str]]:
        until = now + min(seconds, MAX_BLOCK_SECONDS)
        if until > self.refused_until:
            self.refused_until, self.reason = until, reason
        if seconds > MAX_BLOCK_SECONDS:
            return [("rate_limit_cut", f"{reason} and asked for {seconds:.0f} s; waiting {MAX_BLOCK_SECONDS:.0f} s")]
        return [("rate_limit_long", f"{reason} and asked for {seconds:.0f} s")] if seconds > LONG_BLOCK_SECONDS else []


def quota(headers: Headers, now_us: int) -> tuple[int | None, float | None, list[tuple[str, str]]]:
    """(requests left, seconds until the quota is new, fields that could not be read), by any of the usual names.

    `now_us`: the source's own time where it sent one, so that a wrong clock here does not matter.
    """
    found: dict[str, float] = {}
    unread: list[tuple[str, str]] = []
    for name, text in headers:
        name, text = name.lower(), text.strip()
        if name == "ratelimit":
            for word, number in _nearest_limit(text).items():
                found.setdefault(word, number)
        elif match := _NAME.fullmatch(name):
            value = _remaining(text) if match[1] == "remaining" else seconds_until(text, now_us, match[2] or "")
            if value is None:
                unread.append((name, text[:80]))
            else:
                found.setdefault(match[1], value)
    remaining = found.get("remaining")
    return None if remaining is None else int(remaining), found.get("reset"), unread


def _nearest_limit(text: str) -> dict[str, float]:
    """`remaining` and `reset` of a `RateLimit` field; of several limits, those of the one that is used up first."""
    limits = []
    for part in _POLICY.split(text):
        words = {word.lower(): float(digits) for word, digits in _FIELD.findall(part)}
        limits.append({_WORDS.get(word, word): number for word, number in words.items()})
    # Among limits that are used up, the one that is renewed last decides.
    return min(limits, key=lambda one: (one.get("remaining", float("inf")), -one.get("reset", 0.0)))


def seconds_until(text: str, now_us: int, unit: str = "") -> float | None:
    """Seconds until a reset: an instant in any format, a number of seconds, or `6m0s`; None when it is not plausible.

    A number that is an instant between a day ago and a month ahead, in seconds, milliseconds, microseconds or
    nanoseconds, is one. Another number is a distance in seconds (`unit` `-ms`: milliseconds) of at most a month.
    """
    reading = instants.read(text)
    if reading is not None:
        return max(0.0, (reading.at_us - now_us) / 1_000_000)
    try:
        number = float(text) if re.fullmatch(r"\d{1,20}(\.\d{1,9})?", text, re.ASCII) else None
    except ValueError:
        number = None
    if number is None:
        return _span(text)
    if not unit:
        for kind in instants.SCALES:
            at_us = instants.read_as(text, instants.InstantFormat(kind))
            if at_us is not None and -instants.DAY_US <= at_us - now_us <= 31 * instants.DAY_US:
                return max(0.0, (at_us - now_us) / 1_000_000)
    distance = number / 1000 if unit == "-ms" else number
    return distance if distance <= 31 * 86_400 else None


def _span(text: str) -> float | None:
    match = _SPAN.fullmatch(text)
    if not text or match is None:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _retry_after(headers: Headers, date_us: int) -> float | None:
    held = list(headers)
    texts = [text for name, text in held if name.lower() == "retry-after"]
    if texts:  # a proxy may add its own: the longest counts
        waits = [_first(parse_retry_after(text, date_us), seconds_until(text.strip(), date_us)) for text in texts]
        return max((one for one in waits if one is not None), default=None)
    for name, unit in _AFTER.items():
        text = header(held, name)
        if text is not None:
            return seconds_until(text.strip(), date_us, unit)
    return None


def _first(after: float | None, until: float | None) -> float | None:
    """`Retry-After: 1764000000` is an instant, although the standard says seconds."""
    return until if after is None or (until is not None and after > 31 * 86_400) else after


def _remaining(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,15}(\.\d{1,9})?", text, re.ASCII) else None
