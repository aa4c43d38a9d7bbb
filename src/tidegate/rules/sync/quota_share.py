"""How much of a quota an answer says is used. Pure.

Owns the pairs of limit and rest: `X-RateLimit-Limit` and `-Remaining` in their usual spellings, the IETF fields
`RateLimit-Limit`, `RateLimit-Policy` and `RateLimit`, and the usage header of `limits`. What names no limit, or one of
0, says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tidegate.rules.sync.limits import Limits
from tidegate.rules.sync.links import header

_FIELD = re.compile(
    r"(?:x-)?(?:app-|api-)?rate-?limit(?:-requests|-user|-global)?-(limit|remaining)(?:-requests)?", re.ASCII
)
_NUMBER = re.compile(r"\d{1,12}")
_WORD = re.compile(r"(?:^|[,;\s])(q|r|limit|remaining)\s*=\s*(\d{1,12})", re.IGNORECASE)
_USAGE = re.compile(r"(\d{1,12})\s*/\s*(\d{1,12})")
_WORDS = {"q": "limit", "r": "remaining"}


def used_share(limits: Limits | None, headers: Iterable[tuple[str, str]]) -> float | None:
    """The used share of the quota, from 0 to 1; None when the answer does not say it."""
    given = list(headers)
    if limits is not None and limits.usage_header:
        pair = _USAGE.search(header(given, limits.usage_header) or "")
        return _share(int(pair[2]) - int(pair[1]), int(pair[2])) if pair else None
    found: dict[str, int] = {}
    for name, text in given:
        name = name.lower()
        if name in ("ratelimit", "ratelimit-policy"):
            for word, digits in _WORD.findall(text):
                found.setdefault(_WORDS.get(word.lower(), word.lower()), int(digits))
        elif (match := _FIELD.fullmatch(name)) and (number := _NUMBER.match(text.strip())):
            found.setdefault(match[1], int(number[0]))
    if "limit" not in found or "remaining" not in found:
        return None
    return _share(found["remaining"], found["limit"])


def _share(remaining: int, limit: int) -> float | None:
    return None if limit <= 0 else min(1.0, max(0.0, 1 - remaining / limit))
