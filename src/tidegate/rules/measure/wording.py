"""Numbers in sentences: durations, shares and counts as people write them. Pure."""

from __future__ import annotations

import math

_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))
_KEYS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "m"), (1.0, "s"))


def span(seconds: float) -> str:
    """`15 min`, `2 min 30 s`, `1 d 4 h`; milliseconds below a second."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for place, (size, unit) in enumerate(_UNITS):
        if whole >= size:
            parts = [f"{int(whole // size)} {unit}"]
            if place + 1 < len(_UNITS):
                below, name = _UNITS[place + 1]
                rest = int(whole % size // below)
                parts += [f"{rest} {name}"] if rest else []
            return " ".join(parts)
    return f"{whole} s"


def duration(seconds: float) -> str:
    """As a value of the configuration: `15m`, `90s`, `1d`."""
    for size, unit in _KEYS:
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def share(value: float) -> str:
    """`96.8%`; two digits more near 0 and 1, where they matter."""
    percent = value * 100
    if 0 < percent < 1 or 99 < percent < 100:
        return f"{percent:.2f}%"
    return f"{percent:.1f}%".replace(".0%", "%")


def number(value: float) -> str:
    """`1,424`, `2.3`."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def count(value: int, what: str) -> str:
    """`1 change`, `71 changes`; `what` is the plural."""
    return f"{value:,} {what[:-1] if value == 1 else what}"


def label(word: str, every: float | None) -> str:
    """The recommendation as the page and the command line show it."""
    interval = span(every) if every is not None else ""
    return {
        "keep_polling": "Keep polling",
        "poll_every": f"Poll every {interval}",
        "subscribe": "Subscribe to the webhook",
        "keep_both": "Keep both",
        "reconcile_every": f"Reconcile every {interval}",
        "cache_for": f"Cache for {interval}",
        "drop_webhook": "Drop the webhook",
        "stop_polling": "Stop polling",
        "not_enough_data": "Not enough data yet",
    }[word]
