"""Whether one version of a record is newer than another. Pure.

Owns the kinds of versions and what each can be ordered by. Knows no records. Invariant: an order is claimed only for
versions that prove one: numbers, and instants. Everything else under `auto` (revisions such as `9-aa`, entity tags,
`v10`, dates that could be read in two ways) is opaque: two such versions are equal or different, and nothing more.
"""

from __future__ import annotations

import re
from decimal import Decimal

from tidegate.rules.sync import instants

MAX_CHARACTERS = 40
KINDS = ("auto", "number", "instant", "text", "semver", "opaque")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_SEMVER = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)


def order(a: str, b: str, kind: str = "auto") -> int | None:
    """-1, 0 or 1 when `a` is older than, the same as or newer than `b`; None when these versions have no order."""
    if a == b:
        return 0
    if kind == "opaque":
        return None
    if kind == "text":
        left, right = a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass")
        return (left > right) - (left < right)
    if kind == "semver":
        return _by_semver(a, b)
    found = _by_number(a, b) if kind in ("auto", "number") else None
    return _by_instant(a, b) if found is None and kind in ("auto", "instant") else found


def newer(a: str, b: str, kind: str = "auto") -> bool:
    """Whether `a` is proven to be newer than `b`."""
    return (order(a, b, kind) or 0) > 0


def written_alike(version: str, kind: str = "auto") -> str:
    """The same text for two notations of one version: `2026-11-24T10:00:00Z` and `...+00:00`, `7` and `7.0`."""
    if kind in ("auto", "instant") and (at_us := version_instant(version)) is not None:
        return f"@{at_us}"
    found = number(version) if kind in ("auto", "number") else None
    return version if found is None else format(found.normalize(), "f")


def version_instant(version: str | None) -> int | None:
    """Microseconds since 1970 when the version is an instant with an offset; a number is not one."""
    reading = instants.read(version)
    return None if reading is None else reading.at_us


def _by_number(a: str, b: str) -> int | None:
    left, right = number(a), number(b)
    return None if left is None or right is None else (left > right) - (left < right)


def _by_instant(a: str, b: str) -> int | None:
    """Also a number against an instant, where a webhook and a list write the same time in two ways."""
    found = instants.compare(a, b)
    if found is not None:
        return found
    left, right = instants.read(a), instants.read(b)
    if (left is None) is (right is None):
        return None
    text, reading = (a, right) if left is None else (b, left)
    form = instants.detect([text], reading.at_us) if reading is not None else None
    at_us = instants.read_as(text, form) if form is not None else None
    if at_us is None or reading is None:
        return None
    coarse = 1_000_000  # two notations of one instant differ by what one of them rounds away
    step = (at_us // coarse > reading.at_us // coarse) - (at_us // coarse < reading.at_us // coarse)
    return step if left is None else -step


def number(text: str) -> Decimal | None:
    """The number that a text is; None for every other text."""
    return Decimal(text) if len(text) <= MAX_CHARACTERS and _NUMBER.fullmatch(text) else None


def _by_semver(a: str, b: str) -> int | None:
    left, right = _semver(a), _semver(b)
    return None if left is None or right is None else (left > right) - (left < right)


def _semver(text: str) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]] | None:
    match = _SEMVER.fullmatch(text)
    if match is None:
        return None
    release = tuple(int(part or 0) for part in match.group(1, 2, 3))
    before = tuple(
        (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in (match[4] or "").split(".") if part
    )
    return release, match[4] is None, before
