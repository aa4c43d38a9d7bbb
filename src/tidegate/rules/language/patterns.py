"""Event type patterns: `*`, `a.*`, `orders/*`, or the exact name.

Owns the meaning of patterns for routes, feeds and replays. May not know any of them. A star is allowed only at the end
and matches any rest, including dots and slashes. Invariant: matching a pattern is one prefix comparison, so the event
types that outsiders choose cannot make it slow. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.core.errors import ConfigError

MAX_PATTERNS = 1000
MAX_PATTERN_LENGTH = 200  # longer than any provider's event type


def compile_types(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A predicate over event types; an empty list matches nothing.

    Raises ConfigError for an empty or padded pattern, a star that is not the last character, and too long lists.
    """
    if isinstance(patterns, str) or len(patterns) > MAX_PATTERNS:
        raise ConfigError(f"'types' is not a list of at most {MAX_PATTERNS} patterns")
    exact: set[str] = set()
    prefixes: list[str] = []
    for pattern in patterns:
        _check(pattern)
        if pattern.endswith("*"):
            prefixes.append(pattern[:-1])
        else:
            exact.add(pattern)
    if "" in prefixes:
        return _anything
    return _matcher(frozenset(exact), tuple(prefixes))


def _check(pattern: object) -> None:
    if not isinstance(pattern, str) or not pattern or pattern != pattern.strip():
        raise ConfigError(f"{pattern!r} is not an event type pattern (examples: charge.succeeded, charge.*, *)")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ConfigError(f"the pattern {pattern[:40]!r}... is longer than {MAX_PATTERN_LENGTH} characters")
    if "*" in pattern[:-1]:
        raise ConfigError(
            f"{pattern!r} has a star that is not its last character",
            hint="list the types, or use a filter on type",
        )


def _anything(_type: str) -> bool:
    return True


def _matcher(exact: frozenset[str], prefixes: tuple[str, ...]) -> Callable[[str], bool]:
    if not prefixes:
        return exact.__contains__
    return lambda type_: type_ in exact or type_.startswith(prefixes)
