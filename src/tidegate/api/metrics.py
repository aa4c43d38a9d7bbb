"""`/metrics`: counters, destinations and resources in the text format of Prometheus.

Made from the same snapshot as `GET /stats` at each request, so the two never differ. The names are stable:
`docs/reference/metrics.md` is generated from the table here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from tidegate.api.calls import Context
from tidegate.api.metrics_measured import MEASURED, WINDOW
from tidegate.api.metrics_measured import samples as measured_samples
from tidegate.query import alerts, measured, stats
from tidegate.query.schemas import Stats
from tidegate.rules.alerts.kinds import KINDS
from tidegate.store import SqliteFacts, StoreFacts

# name -> (type, labels, what it says)
METRICS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "tidegate_events_accepted": ("counter", ("source",), "Events appended to the log."),
    "tidegate_events_unrouted": ("counter", ("source",), "Events that no destination wanted."),
    "tidegate_deliveries": (
        "counter",
        ("destination", "state"),
        "Deliveries settled: delivered, exhausted, canceled.",
    ),
    "tidegate_deliveries_filtered": ("counter", ("destination",), "Events of its sources that no route wanted for it."),
    "tidegate_deliveries_pending": ("gauge", ("destination",), "Deliveries owed and not settled."),
    "tidegate_destination_in_flight": ("gauge", ("destination",), "Requests on their way."),
    "tidegate_destination_lag_events": ("gauge", ("destination",), "Offsets between the lane and the log's end."),
    "tidegate_destination_circuit_open": ("gauge", ("destination",), "1 while the circuit is not closed."),
    "tidegate_destination_paused": ("gauge", ("destination",), "1 while paused."),
    "tidegate_resource_requests": ("counter", ("resource",), "Requests to the source's API by polls and fetch-backs."),
    "tidegate_resource_changes": ("counter", ("resource",), "Changes found."),
    "tidegate_resource_staleness_p99_seconds": ("gauge", ("resource",), "The p99 delay of changes, in seconds."),
    "tidegate_resource_failing": ("gauge", ("resource",), "1 while polls of the resource fail."),
    "tidegate_resource_rows_skipped": ("counter", ("resource",), "Rows that could not be read."),
    "tidegate_alerts_firing": ("gauge", ("type",), "Alerts that nobody acknowledged or muted."),
    "tidegate_disk_free_bytes": ("gauge", (), "Free space on the disk of the embedded store."),
    "tidegate_log_offset": ("gauge", (), "Offset of the newest event."),
    "tidegate_log_waiting": ("gauge", (), "Calls that wait for the disk."),
    "tidegate_nodes": ("gauge", (), "Nodes on the same store that live."),
    "tidegate_node_partitions": ("gauge", (), "Partitions that this node owns, of 64."),
    "tidegate_streams": ("gauge", (), "Open event streams."),
    "tidegate_ready": ("gauge", (), "1 while requests are welcome."),
    "tidegate_start_time_seconds": ("gauge", (), "When the gateway was started, since 1970."),
    **MEASURED,
}

Sample = tuple[str, tuple[str, ...], float]  # name, label values, value


class _Once(Collector):
    """Samples of one moment as metric families."""

    def __init__(self, samples: Iterator[Sample]) -> None:
        self._samples = list(samples)

    def collect(self) -> Iterator[Metric]:
        for name, (kind, labels, text) in METRICS.items():
            make: Any = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            family = make(name, text, labels=labels)
            for sample, values, value in self._samples:
                if sample == name:
                    family.add_metric(values, value)
            yield family


async def exposition(context: Context) -> tuple[bytes, str]:
    """(text, its content type)."""
    snapshot = await stats.snapshot(context.gateway)
    nodes = len(await context.gateway.store.leases.nodes())
    firing = Counter(one.type for one in (await alerts.list_alerts(context.gateway)).data if one.state == "firing")
    facts = await context.gateway.store.facts()
    hour = measured_samples(await measured.measured(context.gateway, WINDOW))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(chain(_samples(context, snapshot, nodes), _health(snapshot, firing, facts), hour)))
    return generate_latest(registry), CONTENT_TYPE_LATEST


def _health(snapshot: Stats, firing: Mapping[str, int], facts: StoreFacts) -> Iterator[Sample]:
    for name, figures in snapshot.resources.items():
        yield "tidegate_resource_failing", (name,), figures.failing_since is not None
        rows = figures.findings.get("rows_skipped")
        yield "tidegate_resource_rows_skipped", (name,), rows.count if rows is not None else 0
    for type_ in KINDS:
        yield "tidegate_alerts_firing", (type_,), firing.get(type_, 0)
    if isinstance(facts, SqliteFacts):
        yield "tidegate_disk_free_bytes", (), facts.free_bytes


def _samples(context: Context, snapshot: Stats, nodes: int) -> Iterator[Sample]:
    gateway = context.gateway
    for name, source in snapshot.sources.items():
        yield "tidegate_events_accepted", (name,), source.accepted
        yield "tidegate_events_unrouted", (name,), source.unrouted
    for name, counters in snapshot.destinations.items():
        for state in ("delivered", "exhausted", "canceled"):
            yield "tidegate_deliveries", (name, state), getattr(counters, state)
        yield "tidegate_deliveries_filtered", (name,), counters.filtered
        yield "tidegate_deliveries_pending", (name,), counters.pending
    for live in gateway.active.destinations.values():
        health = gateway.deliver.health(live.number)
        yield "tidegate_destination_in_flight", (live.name,), health.in_flight
        yield "tidegate_destination_lag_events", (live.name,), health.lag_events
        yield "tidegate_destination_circuit_open", (live.name,), health.circuit != "closed"
        yield "tidegate_destination_paused", (live.name,), live.paused_at_us is not None
    for name, costs in snapshot.resources.items():
        yield "tidegate_resource_requests", (name,), costs.requests
        yield "tidegate_resource_changes", (name,), costs.changes
        if costs.staleness_p99_seconds is not None:
            yield "tidegate_resource_staleness_p99_seconds", (name,), costs.staleness_p99_seconds
    yield "tidegate_log_offset", (), snapshot.at_offset
    yield "tidegate_log_waiting", (), gateway.store.log.waiting
    yield "tidegate_nodes", (), nodes
    yield "tidegate_node_partitions", (), len(gateway.store.leases.held)
    yield "tidegate_streams", (), len(context.hub)
    yield "tidegate_ready", (), gateway.ready() is None
    yield "tidegate_start_time_seconds", (), gateway.started_at_us / 1_000_000
