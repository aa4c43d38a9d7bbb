"""The policies of a simulation, as they are written. Pure.

Owns what may follow `--policy`: `poll:5m`, `conditional:5m`, `adaptive:1m..1h`, `webhook:loss=1%,reconcile=1h` (or
`reconcile=5m..1d`, which follows what was missed) and
`cache:5m`, with their options. Knows no trace. Errors: ValueError for a policy that makes no sense, with examples.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tidegate.core import units

EXAMPLES = (
    "poll:5m, conditional:5m, adaptive:1m..1h, adaptive:1m..1h,max_delay=5m, webhook, webhook:loss=1%,reconcile=1h,"
    " webhook:loss=1%,reconcile=5m..1d,max_delay=15m,"
    " cache:5m"
)


class Policy(msgspec.Struct, frozen=True):
    """`kind` is poll, conditional, adaptive, webhook or cache; seconds are 0 where they mean nothing."""

    text: str
    kind: str
    every: float = 0.0  # the interval; adaptive: the shortest; cache: how old an answer may be
    longest: float = 0.0  # adaptive; webhook: above 0 when the interval of `reconcile` follows what was missed
    max_delay: float = 0.0  # adaptive, webhook
    loss: float = 0.0  # webhook: the share that never arrives
    reconcile: float = 0.0  # webhook: the interval of polls for what was lost
    free: bool = False  # conditional: an answer "not modified" costs nothing


def parse_policy(text: str) -> Policy:
    """ValueError has the policy and examples."""
    kind, _, rest = text.partition(":")
    make = _KINDS.get(kind)
    try:
        if make is not None:
            first, options = _split(rest)
            policy = make(text, first, options)
            if not options:
                return policy
            raise ValueError(f"it has no option {next(iter(options))[:40]!r}")
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is not a policy: {error} (examples: {EXAMPLES})") from None
    raise ValueError(f"{text[:80]!r} is not a policy (examples: {EXAMPLES})")


def _poll(text: str, first: str, options: dict[str, str]) -> Policy:
    return Policy(text, "poll", every=_interval(first))


def _conditional(text: str, first: str, options: dict[str, str]) -> Policy:
    free = options.pop("304", "")
    if free not in ("", "free"):
        raise ValueError(f"304={free[:40]} is not 304=free")
    return Policy(text, "conditional", every=_interval(first), free=bool(free))


def _adaptive(text: str, first: str, options: dict[str, str]) -> Policy:
    shortest, _, longest = first.partition("..")
    bound = _interval(options.pop("max_delay")) if "max_delay" in options else 0.0
    policy = Policy(text, "adaptive", _interval(shortest), _interval(longest), max_delay=bound)
    if policy.longest < policy.every:
        raise ValueError("the longest interval is below the shortest")
    return policy


def _webhook(text: str, first: str, options: dict[str, str]) -> Policy:
    if first:
        raise ValueError(f"{first[:40]!r} is not an option")
    shortest, dots, longest = options.pop("reconcile", "").partition("..")
    most = _interval(longest) if dots else 0.0
    policy = Policy(
        text, "webhook", loss=_share(options.pop("loss", "0%")), reconcile=_interval(shortest) if shortest else 0.0,
        longest=most, max_delay=_interval(options.pop("max_delay")) if dots and "max_delay" in options else 0.0,
    )  # fmt: skip
    if dots and policy.longest < policy.reconcile:
        raise ValueError("the longest interval is below the shortest")
    return policy


def _cache(text: str, first: str, options: dict[str, str]) -> Policy:
    return Policy(text, "cache", every=_interval(first))


_KINDS: dict[str, Callable[[str, str, dict[str, str]], Policy]] = {
    "poll": _poll,
    "conditional": _conditional,
    "adaptive": _adaptive,
    "webhook": _webhook,
    "cache": _cache,
}


def _split(rest: str) -> tuple[str, dict[str, str]]:
    """(what comes first, the options)."""
    parts = [part.strip() for part in rest.split(",")]
    first = "" if "=" in parts[0] else parts.pop(0)
    options: dict[str, str] = {}
    for part in parts:
        name, found, value = part.partition("=")
        if not found or name in options:
            raise ValueError(f"{part[:40]!r} is not an option")
        options[name] = value
    return first, options


def _interval(text: str) -> float:
    seconds = units.seconds(text)
    if seconds <= 0:
        raise ValueError("an interval must be above 0")
    return seconds


def _share(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"{text[:40]!r} is not a share from 0% to 100%")
    return value
