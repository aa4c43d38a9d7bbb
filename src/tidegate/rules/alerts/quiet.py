"""When a source is quiet: it sent nothing for a given time, or for much longer than it usually does.

Owns what is learned of a source: the longest gap between its events on each of the last eight days, so that a weekend
counts as usual. Pure: the counter of its events and the time are passed in. Invariant: without enough events and days
nothing is said, and the wait is never below an hour.
"""

from __future__ import annotations

from tidegate.rules.alerts.state import Activity

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
GRAIN_US = 60_000_000  # gaps below a minute are not looked at
DAYS = 8
ENOUGH_EVENTS = 50
ENOUGH_US = 3 * DAY_US
FACTOR = 3


def learn(activity: Activity, accepted: int, now_us: int) -> bool:
    """Take the present counter of a source. True when something worth storing changed."""
    if not activity.since_us:
        activity.since_us = activity.last_us = now_us
        activity.accepted = accepted
        return True
    if accepted == activity.accepted:
        return False
    activity.events += max(0, accepted - activity.accepted)
    activity.accepted = accepted
    gap = now_us - activity.last_us
    if gap < GRAIN_US:
        return False
    today = now_us // DAY_US
    activity.gaps[today] = max(gap, activity.gaps.get(today, 0))
    for day in [day for day in activity.gaps if day <= today - DAYS]:
        del activity.gaps[day]
    activity.last_us = now_us
    return True


def usual_wait_us(activity: Activity, now_us: int) -> int | None:
    """How long the source may be silent as it always was; None while too little is known of it."""
    if activity.events < ENOUGH_EVENTS or now_us - activity.since_us < ENOUGH_US:
        return None
    return max(HOUR_US, FACTOR * max(activity.gaps.values(), default=0))


def quiet_us(activity: Activity, wait_us: int | None, now_us: int) -> int | None:
    """How long the source has been silent, if that is at least `wait_us`; None: it is not quiet."""
    silent = now_us - activity.last_us
    return silent if wait_us is not None and silent >= wait_us else None
