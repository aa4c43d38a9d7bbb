"""The time to wait that an answer has in its body alone, as in `{"extras": {"wait_seconds": 7}}`. Pure.

Owns where it is looked for and how it is written: polls, operations and deliveries read it here. Knows no clock, and
does not decide what follows. Invariants: only a small body is parsed; the search for a wait that nobody named looks at
a bounded number of members; what is at the named place is returned as text also when it is not a time. Crash: nothing
is kept.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tidegate.rules.sync.paths import compiled

WaitUnit = Literal["s", "ms"]
MAX_BODY_BYTES = 64 << 10  # a larger answer is not about a limit
MAX_MEMBERS = 200  # looked at for a wait that nobody named
MAX_DEPTH = 4
_TEXT_CHARACTERS = 80
_NAMES = {
    "retry_after", "retryafter", "retry_after_seconds", "retryafterseconds", "retry_in_seconds", "retryinseconds",
    "wait_seconds", "waitseconds", "retry_after_ms", "retryafterms",
}  # fmt: skip


class BodyWait(msgspec.Struct, frozen=True):
    """A wait that nobody named: `path` is where it is, `text` what is there."""

    path: str
    text: str


def decoded(body: bytes) -> Any:
    """The JSON of a body; None when it has none, or is too large to be about a limit."""
    if len(body) > MAX_BODY_BYTES:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def wait_text(value: Any, path: str, unit: WaitUnit = "s") -> str:
    """What a parsed body has at `path`, as `seconds_until` reads it; "" when there is nothing."""
    found = next((one for one in compiled(path).all(value) if one is not None), None)
    if found is None:
        return ""
    text = _number(found)
    if text is None:
        return (found if isinstance(found, str) else msgspec.json.encode(found).decode())[:_TEXT_CHARACTERS]
    return f"{text} ms" if unit == "ms" else text


def _number(value: Any) -> str | None:
    """A number as plain digits: Python writes 0.00001 as 1e-05."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6f}"
    return value.strip() if isinstance(value, str) and value.strip().replace(".", "", 1).isdecimal() else None


def overlooked(value: Any) -> BodyWait | None:
    """A member of a parsed body that is named like a wait and has a number: nobody said that it is one."""
    found: list[BodyWait] = []
    _search(value, (), [MAX_MEMBERS], found)
    return found[0] if found else None


def _search(value: Any, way: tuple[str, ...], left: list[int], found: list[BodyWait]) -> None:
    """`left`: how many members may still be looked at."""
    named: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        named = list(value.items())
    elif isinstance(value, list):
        named = [("*", one) for one in value]
    for name, inner in named:
        left[0] -= 1
        if found or left[0] < 0:
            return
        if name.lower() in _NAMES and (text := _number(inner)) is not None:
            found.append(BodyWait(".".join((*way, name)), text[:_TEXT_CHARACTERS]))
        elif isinstance(inner, dict | list) and len(way) < MAX_DEPTH:
            _search(inner, (*way, name), left, found)
