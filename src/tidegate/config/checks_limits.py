"""Checks how an API says that its limit is reached: paths, values and keys that need each other.

Owns which keys of `limits` mean nothing alone. May not know the answers of an API. Adds to `Problems`; pure. Crash:
nothing is kept.
"""

from __future__ import annotations

from tidegate.config.lines import Path
from tidegate.config.validate import DAY, MILLISECOND, Validator
from tidegate.rules.sync.limits import Limits
from tidegate.rules.sync.paths import compiled


def check_limits(validator: Validator, path: Path, limits: Limits) -> None:
    for name in ("body_path", "wait_path"):
        try:
            compiled(getattr(limits, name))
        except ValueError as error:
            validator.add((*path, name), str(error), "examples: retry_after, extras.wait_seconds, errors.*.code")
    if limits.body_path and not limits.body_values:
        validator.add((*path, "body_path"), "'body_path' needs the values that mean the limit", "add body_values")
    if limits.body_values and not limits.body_path:
        validator.add((*path, "body_values"), "'body_values' needs the field that has them", "add body_path")
    if limits.body_contains and not limits.statuses:
        validator.add((*path, "body_contains"), "'body_contains' needs statuses", "add statuses, such as [403]")
    if limits.wait_unit != "s" and not limits.wait_path:
        validator.add((*path, "wait_unit"), "'wait_unit' needs the field that has the time", "add wait_path")
    if limits.wait is not None:
        validator.duration((*path, "wait"), limits.wait, MILLISECOND, DAY)
