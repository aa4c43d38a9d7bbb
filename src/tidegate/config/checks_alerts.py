"""Checks `[alerts]`, routes from the built-in source `tidegate`, and that no item takes its name.

Owns the limits of the thresholds. May not know how they are used. Adds to `Problems`; pure. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from tidegate.config.lines import Path
from tidegate.config.problems import nearest
from tidegate.config.validate import DAY, MINUTE, SECOND, Validator
from tidegate.core import units
from tidegate.core.errors import ConfigError
from tidegate.core.model import SYSTEM_SOURCE
from tidegate.core.spec import Alerts, Route
from tidegate.rules.alerts.kinds import SYSTEM_TYPES
from tidegate.rules.language.patterns import compile_types

MAX_PER_HOUR = 1000
_DURATIONS = (
    ("destination_failing_after", SECOND, DAY),
    ("backlog_growing_for", MINUTE, DAY),
    ("poll_failing_after", SECOND, 7 * DAY),
    ("repeat_every", 60 * MINUTE, 365 * DAY),
)


def check_alerts(validator: Validator, alerts: Alerts, sources: Iterable[str]) -> None:
    """`sources`: names of all sources of the configuration."""
    at: Path = ("alerts",)
    for key, low, high in _DURATIONS:
        validator.duration((*at, key), getattr(alerts, key), low, high)
    if alerts.source_quiet_after not in ("auto", "off"):
        validator.duration((*at, "source_quiet_after"), alerts.source_quiet_after, MINUTE, 365 * DAY)
    known = list(sources)
    for name, wait in alerts.quiet.items():
        validator.duration((*at, "quiet", name), wait, MINUTE, 365 * DAY)
        if name not in known:
            validator.add((*at, "quiet", name), f"unknown source '{name}'", nearest(name, known, "source"))
    if units.size_bytes(alerts.disk_free) < 1:
        validator.add((*at, "disk_free"), "0 bytes are never reached in time", "write a size such as 512MiB")
    if alerts.max_per_hour > MAX_PER_HOUR:
        shown = validator.problems.show((*at, "max_per_hour"), alerts.max_per_hour)
        validator.add((*at, "max_per_hour"), f"{shown} is out of range", f"write a number up to {MAX_PER_HOUR}")


def check_name(validator: Validator, path: Path, name: str) -> None:
    """The name of a source."""
    if name == SYSTEM_SOURCE:
        validator.add(
            path,
            f"the source name '{SYSTEM_SOURCE}' is reserved for system events",
            f'give the source another name; a route takes system events with from = "{SYSTEM_SOURCE}"',
        )


def check_system_route(validator: Validator, path: Path, route: Route) -> None:
    """A route whose only source is `tidegate`."""
    if route.changes is not UNSET:
        validator.add(
            (*path, "changes"), "system events are never changes", 'remove it, or write types = ["destination.*"]'
        )
    if route.types is UNSET:
        return
    for number, pattern in enumerate(route.types):
        try:
            matches = compile_types([pattern])
        except ConfigError:
            continue  # reported already
        if not any(matches(one) for one in SYSTEM_TYPES):
            hint = nearest(pattern, SYSTEM_TYPES, "type of system event")
            validator.problems.warn((*path, "types", number), f"no system event has the type {pattern!r}; {hint}")
