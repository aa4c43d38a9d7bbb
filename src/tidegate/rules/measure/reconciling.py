"""How often to reconcile, by what webhooks miss: `reconcile = "auto"`. Pure.

Owns the decision that the pull engine and the simulator share. A missed change waits uniformly up to the interval R, so
of all changes the share p (1 - d / R) is later than d, where p is the share that webhooks miss (own derivation, the
same as in `advise_pushed.py`). It is an upper bound: a missed change that a later webhook of its record supersedes is
not counted as missed, and was stale for a shorter time.

- With `max_delay` (d) at most 1 in 100 changes may be later: R = d / (1 - 0.01 / p). While p is at most 1 in 100, any
  interval keeps it. p is the upper end of the exact 95% interval (`proportions.py`), so the bound holds while little is
  known, and the interval grows as the webhooks prove themselves.
- With prices the interval is sqrt(2 c / (w p n)), which costs least: a reconciliation costs c, a missed change that
  waits costs w per second, and there are n changes per second. p is its mean here, since the cost is linear in p. With
  `max_delay` too, the shorter of the two.
- With neither, as often as one missed change is to be expected: 1 / (p n), with the upper end of p.

n counts one change more than were seen. Without `max_delay`, a resource without changes is looked at in intervals that
grow with the time that it was watched. Every interval
is within `shortest` and `longest`, and the rate of the source is kept; what that does not allow is named. The present
interval stays while it is within the wanted one and at least 0.8 of it, so that few changes are made.

Windows: the longest one counts, unless a shorter one contradicts it, because webhooks broke or were repaired. Only
windows of at least 8 intervals can, since missed changes are found in batches, one an interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from tidegate.rules.measure import wording
from tidegate.rules.measure.proportions import interval

LATE_SHARE = 0.01  # of the changes: what p99 leaves
KEEP = 0.8  # of the wanted interval: a shorter present one is lengthened
BATCHES = 8  # intervals in the shortest window that is believed
WINDOWS_SECONDS = (7 * 86_400.0, 86_400.0, 6 * 3_600.0, 3_600.0)  # the longest first
SPREAD = 0.05  # reconciliations are early by up to so much, so that resources do not ask together


class ReconcileRule(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for, in seconds. `call_price` and `delay_price` (per change and second) go together."""

    shortest: float
    longest: float
    max_delay: float | None = None
    call_price: float | None = None
    delay_price: float | None = None
    budget: float = 0.0  # the shortest time between two requests that the rate of the source allows


class Window(msgspec.Struct, frozen=True):
    """What was seen in so many seconds: changes that webhooks or looks found, and those that webhooks missed."""

    seconds: float
    changes: int
    missed: int

    @property
    def bounds(self) -> tuple[float, float]:
        """The exact 95% interval of the share that webhooks miss."""
        return _bounds(min(self.missed, self.changes), self.changes)


@lru_cache(256)
def _bounds(missed: int, changes: int) -> tuple[float, float]:
    """A choice asks several times for the same window, and each time takes half a millisecond."""
    return interval(missed, changes)


class Run(msgspec.Struct, frozen=True):
    """One reconciliation on average."""

    requests: float = 1.0
    seconds: float = 0.0


class ReconcileInterval(msgspec.Struct, frozen=True):
    """`every` seconds. `reason` says why in a phrase, `clamped` what bounds did not allow ("": nothing)."""

    every: float
    reason: str
    clamped: str = ""


def first_interval(rule: ReconcileRule) -> float:
    """Before anything is known: as far from the shortest as from the longest, or what `max_delay` asks."""
    wanted = math.sqrt(rule.shortest * rule.longest) if rule.max_delay is None else rule.max_delay
    return min(rule.longest, max(rule.shortest, wanted))


def choose(
    rule: ReconcileRule, windows: Sequence[Window], every: float | None = None, run: Run | None = None
) -> ReconcileInterval:
    """The next interval. `windows`: the longest first; `every`: the present interval, None before the first one."""
    run = run or Run()
    window = believed(windows, every or first_interval(rule))
    least = min(max(rule.shortest, rule.budget * run.requests), 30 * 86_400.0)
    most = max(rule.longest, least)
    if not window.changes and rule.max_delay is None:
        wanted = max(first_interval(rule), window.seconds)
        reason = f"no change was seen in {wording.span(window.seconds)}"
    else:
        wanted = _wanted(rule, window, run)
        reason = f"{_missed(window)} (95% interval {_shares(window)}), {_why(rule, wanted, window)}"
    target = min(most, max(least, wanted))
    kept = every is not None and KEEP * target <= every <= target
    return ReconcileInterval(
        every if kept and every is not None else target, reason, _clamped(rule, wanted, least, run)
    )


def believed(windows: Sequence[Window], every: float) -> Window:
    """The longest window that no shorter one contradicts."""
    best = windows[0]
    for one in windows[1:]:
        if one.changes and one.seconds >= BATCHES * every:
            low, high = one.bounds
            before = best.bounds
            if low > before[1] or high < before[0]:
                best = one
    return best


def _wanted(rule: ReconcileRule, window: Window, run: Run) -> float:
    """Without bounds. Infinite when no reconciliation is needed."""
    high = window.bounds[1]
    rate = (window.changes + 1) / max(1.0, window.seconds)
    found: list[float] = []
    if rule.max_delay is not None:
        within = max(0.0, rule.max_delay - run.seconds)
        found.append(math.inf if high <= LATE_SHARE else within / (1 - LATE_SHARE / high))
    if rule.call_price is not None and rule.delay_price is not None:
        mean = (window.missed + 0.5) / (window.changes + 1)
        waiting = rule.delay_price * mean * rate
        found.append(math.sqrt(2 * rule.call_price * run.requests / waiting) if waiting else math.inf)
    return min(found) if found else 1 / (high * rate)


def _missed(window: Window) -> str:
    return f"webhooks missed {window.missed:,} of {window.changes:,} changes in {wording.span(window.seconds)}"


def _shares(window: Window) -> str:
    low, high = window.bounds
    return f"{wording.share(low)} to {wording.share(high)}"


def _why(rule: ReconcileRule, wanted: float, window: Window) -> str:
    if rule.max_delay is not None and window.bounds[1] <= LATE_SHARE:
        return f"so 99 of 100 changes keep max_delay = {wording.span(rule.max_delay)} by webhooks alone"
    if rule.max_delay is not None:
        return f"so {wording.span(wanted)} keeps max_delay = {wording.span(rule.max_delay)} for 99 of 100 changes"
    if rule.call_price is not None and rule.delay_price is not None:
        return "so this interval costs least by the prices" if math.isfinite(wanted) else "and a delay costs nothing"
    return f"so one missed change is to be expected in {wording.span(wanted)}"


def _clamped(rule: ReconcileRule, wanted: float, least: float, run: Run) -> str:
    """What the bounds of the rule do not allow, in a phrase."""
    if wanted >= least * 0.999:
        return ""
    requests = f" ({run.requests:.3g} requests each)" if least > rule.shortest else ""
    by = f"the rate of the source allows{requests}" if least > rule.shortest else "reconcile_min allows"
    return f"a reconciliation every {wording.span(wanted)} is wanted, {by} one every {wording.span(least)}"
