"""Metrics of the last hour, from the rollups: the figures that `GET /stats?window=1h` has in full."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.core.measured import Delay, Measured
from tidegate.rules.measure.measured import KINDS

WINDOW = "1h"

# name -> (type, labels, what it says); all of them are about the last hour
MEASURED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "tidegate_hour_requests": ("gauge", ("resource", "kind"), "Requests to the source's API in the last hour."),
    "tidegate_hour_polls": (
        "gauge",
        ("resource", "result"),
        "Polls of the last hour: found, not_modified, unchanged, empty_list, snapshot, failed.",
    ),
    "tidegate_hour_webhooks": (
        "gauge",
        ("resource", "result"),
        "Webhooks of the last hour: received, missed, late, repeated, out_of_order.",
    ),
    "tidegate_hour_requests_saved": ("gauge", ("resource",), "Requests that the cache and single flight saved."),
    "tidegate_hour_change_delay_seconds": (
        "gauge",
        ("resource", "quantile"),
        "The delay of the changes of the last hour.",
    ),
    "tidegate_hour_webhooks_doubled": ("gauge", ("source",), "Webhooks whose delivery ID was stored before."),
    "tidegate_hour_throttled_seconds": ("gauge", ("source",), "Time that requests waited for the rate limit."),
    "tidegate_hour_quota_used": ("gauge", ("source",), "The greatest share of the quota that an answer named, 0 to 1."),
    "tidegate_hour_attempts_failed": ("gauge", ("destination",), "Failed attempts of the last hour."),
    "tidegate_hour_delivery_delay_seconds": (
        "gauge",
        ("destination", "quantile"),
        "From the arrival of an event to its delivery, in the last hour.",
    ),
}

Sample = tuple[str, tuple[str, ...], float]
_WEBHOOKS = ("late", "repeated", "out_of_order")
_RESULTS = ("found", "not_modified", "unchanged", "empty_list", "snapshot", "failed")


def samples(made: Measured) -> Iterator[Sample]:
    for name, one in made.resources.items():
        for kind in KINDS:
            yield "tidegate_hour_requests", (name, kind), getattr(one.requests, kind)
        for result in _RESULTS:
            yield "tidegate_hour_polls", (name, result), getattr(one.polls, result)
        yield "tidegate_hour_webhooks", (name, "received"), one.webhooks.received
        yield "tidegate_hour_webhooks", (name, "missed"), one.webhooks.missed.part
        for result in _WEBHOOKS:
            yield "tidegate_hour_webhooks", (name, result), getattr(one.webhooks, result)
        yield "tidegate_hour_requests_saved", (name,), one.saved
        yield from _delay("tidegate_hour_change_delay_seconds", name, one.delay)
    for name, source in made.sources.items():
        yield "tidegate_hour_webhooks_doubled", (name,), source.doubled.part
        yield "tidegate_hour_throttled_seconds", (name,), source.rate_limit.throttled_seconds
        if source.rate_limit.used is not None:
            yield "tidegate_hour_quota_used", (name,), source.rate_limit.used
    for name, destination in made.destinations.items():
        yield "tidegate_hour_attempts_failed", (name,), destination.failed
        yield from _delay("tidegate_hour_delivery_delay_seconds", name, destination.delay)


def _delay(metric: str, name: str, delay: Delay) -> Iterator[Sample]:
    """What is not known has no sample."""
    for quantile, found in (("0.5", delay.p50), ("0.95", delay.p95), ("0.99", delay.p99)):
        if found.seconds is not None:
            yield metric, (name, quantile), found.seconds
