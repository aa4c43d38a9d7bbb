"""Converts durations, rates and sizes from the form that users write to numbers. Pure."""

from __future__ import annotations

import re

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/(s|m|h|d)")
_SIZE = re.compile(r"([0-9]+)(B|KiB|MiB|GiB)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def seconds(text: str) -> float:
    """Seconds of a duration: `"100ms"` is 0.1. ValueError has the value and examples."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration (examples: 100ms, 5s, 5m, 2h, 1d)")
    return float(match[1]) * _SECONDS[match[2]]


def per_second(text: str) -> float:
    """Events per second of a rate: `"1000/h"` is 0.277... ValueError for 0 and for anything else."""
    match = _RATE.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{text!r} is not a rate (examples: 50/s, 1000/h)")
    return float(match[1]) / _SECONDS[match[2]]


def size_bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size (examples: 64KiB, 1MiB)")
    return int(match[1]) * _BYTES[match[2]]
