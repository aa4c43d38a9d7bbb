"""What a setting costs: requests by their price, and changes by how late they are. Pure.

Owns the cost model. Polling every T seconds with k requests each costs `price k 86400 / T` a day for requests, and a
change waits T / 2 on average, whatever the process of the changes is, as long as it does not follow the polls. With n
changes a day and a price of w for a change that is an hour late, that is `n w (T / 2 + fetch) / 3600`. The sum has its
minimum at T = sqrt(2 price k / (w n)) in matching units (own derivation). A webhook that loses a share m, healed every
R seconds, is the same sum with R and m n. Invariant: no division by a price, so prices of 0 are prices.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tidegate.rules.measure.observed import DAY_SECONDS, HOUR_SECONDS

# Intervals that people write: the advice is one of them, and never more than 1.6 times away from any other.
INTERVALS = (
    1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0,
    60.0, 90.0, 120.0, 180.0, 300.0, 480.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0,
    3600.0, 5400.0, 7200.0, 10800.0, 14400.0, 21600.0, 28800.0, 43200.0,
    86400.0, 129600.0, 172800.0, 259200.0, 345600.0, 604800.0,
)  # fmt: skip
SHORTEST_SECONDS = 10.0  # nothing shorter is advised: a webhook is the answer there
LOSS_ASSUMED = 0.01  # of webhooks, where it was not measured


class Prices(msgspec.Struct, frozen=True):
    """`call`: of one request. `delay`: of one change that is one hour late."""

    call: float
    delay: float


class Load(msgspec.Struct, frozen=True):
    """`changes` a day, `requests` of one poll, `fetch` seconds until a poll has stored what it found."""

    changes: float
    requests: float = 1.0
    fetch: float = 0.0


def cost_of_polling(every: float, load: Load, prices: Prices) -> float:
    """A day of polls every `every` seconds."""
    asked = prices.call * load.requests * DAY_SECONDS / every
    return asked + load.changes * prices.delay * (every / 2 + load.fetch) / HOUR_SECONDS


def cost_of_webhooks(every: float, loss: float, load: Load, prices: Prices) -> float:
    """A day of webhooks of which the share `loss` is found by a reconciliation every `every` seconds."""
    asked = prices.call * load.requests * DAY_SECONDS / every
    return asked + load.changes * loss * prices.delay * every / 2 / HOUR_SECONDS


def cheapest_poll(load: Load, prices: Prices, allowed: Iterable[float]) -> float:
    """The interval among `allowed` with the lowest cost; of equal ones the longest. ValueError without any."""
    return min(sorted(allowed, reverse=True), key=lambda every: cost_of_polling(every, load, prices))


def cheapest_reconcile(loss: float, load: Load, prices: Prices, allowed: Iterable[float]) -> float:
    """As `cheapest_poll`, for the interval of the reconciliation."""
    return min(sorted(allowed, reverse=True), key=lambda every: cost_of_webhooks(every, loss, load, prices))


def longest_within(seconds: float) -> float | None:
    """The longest written interval of at most `seconds`; None when all are longer."""
    fitting = [one for one in INTERVALS if one <= seconds]
    return fitting[-1] if fitting else None


def shortest_from(seconds: float) -> float:
    """The shortest written interval of at least `seconds`; the longest of all beyond it."""
    return next((one for one in INTERVALS if one >= seconds), INTERVALS[-1])
