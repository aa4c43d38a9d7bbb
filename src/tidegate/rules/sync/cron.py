"""Schedules in cron's notation, with a time zone: when a resource polls next. Pure.

Owns the reading of `schedule` and `timezone`, by the library cronsim, whose rules for clock changes are Debian cron's:
a run in an hour that is skipped in spring comes right after the change, one in an hour that comes twice in autumn runs
once. Schedules of every hour or more often follow real time. Knows no resource. The caller passes the instant.
Invariant: the next run is always after the given instant. Crash: nothing is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from tidegate.core.clock import EPOCH, to_datetime

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

FIELDS = 5  # minute, hour, day of the month, month, day of the week; seconds are not in use
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def check_cron(text: str, zone: str = "UTC") -> None:
    """ValueError that says what is wrong: the expression, the zone, or that it never comes."""
    following(text, zone, 0)


def following(text: str, zone: str, after_us: int) -> int:
    """The first instant of the schedule after `after_us`, microseconds since 1970. ValueError as `check_cron`."""
    from cronsim import CronSim, CronSimError

    expression = _NICKNAMES.get(text.strip().lower(), text.strip())
    if len(expression.split()) != FIELDS:
        raise ValueError(f"{text!r} is not a cron expression of {FIELDS} fields (example: 0 6 * * 1-5)")
    # A whole second later when there are microseconds, since cronsim counts whole minutes from the one it is given.
    start = to_datetime(after_us).replace(microsecond=0).astimezone(_zone(zone))
    try:
        at: datetime = next(CronSim(expression, start))
    except CronSimError as error:
        raise ValueError(f"{text!r} is not a cron expression: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError(f"{text!r} never comes: there is no such day in the next 50 years") from None
    return (at.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def shortest_gap_seconds(text: str, zone: str, after_us: int, runs: int = 64) -> float:
    """The shortest time between the next runs, for the same bounds as an interval has."""
    times = [following(text, zone, after_us)]
    while len(times) <= runs:
        times.append(following(text, zone, times[-1]))
    return min(later - earlier for earlier, later in pairwise(times)) / 1_000_000


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # only schedules need it, so a start does not load it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone (example: Europe/Berlin)") from None
