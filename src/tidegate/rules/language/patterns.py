"""Event type patterns: `*`, `a.*`, `orders/*`, or the exact name.

Owns what a pattern means, for routes, feeds and replays alike. A star stands at the end only and matches any
rest, dots and slashes included, so that a pattern is one prefix comparison and never a search: event types are
chosen by outsiders, and no pattern can be made slow by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.core.errors import ConfigError

MAX_PATTERNS = 1000
MAX_PATTERN_LENGTH = 200  # longer than any provider's event type


def compile_types(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A predicate over event types; no patterns match nothing.

    Raises ConfigError for an empty or padded pattern, a star that is not last, and lists over the limits.
    """
    if isinstance(patterns, str) or len(patterns) > MAX_PATTERNS:
        raise ConfigError(f"types must be a list of at most {MAX_PATTERNS} patterns")
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
        raise ConfigError(f"{pattern!r} is no event type pattern such as charge.succeeded, charge.* or *")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ConfigError(f"the pattern {pattern[:40]!r}... is longer than {MAX_PATTERN_LENGTH} characters")
    if "*" in pattern[:-1]:
        raise ConfigError(
            f"{pattern!r} has a star that is not at the end", hint="name the types one by one, or use a filter on type"
        )


def _anything(_type: str) -> bool:
    return True


def _matcher(exact: frozenset[str], prefixes: tuple[str, ...]) -> Callable[[str], bool]:
    if not prefixes:
        return exact.__contains__
    return lambda type_: type_ in exact or type_.startswith(prefixes)
