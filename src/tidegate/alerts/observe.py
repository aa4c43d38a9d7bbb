"""Looks at the gateway once: counters, findings, figures, rejected requests and nodes, as one observation.

Owns the reading and the order of it: the counters first, then the deliveries of system events, so that what ended in
between is never taken for a delivery of a user's event. Reads through `query/`, as `doctor` and the pages do. Changes
nothing but the pairs of the state that it is given. Crash: it is read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from tidegate.core import units
from tidegate.core.clock import parse_instant
from tidegate.core.findings import Finding, finding
from tidegate.core.model import SYSTEM_SOURCE
from tidegate.query import credentials, deliveries, explanation, health, health_checks, stats
from tidegate.query.context import ReadContext
from tidegate.query.schemas import DestinationCounters
from tidegate.rules.alerts import own
from tidegate.rules.alerts.backlogs import Backlogs
from tidegate.rules.alerts.signals import DestinationSeen, Observation, RejectedSeen
from tidegate.rules.alerts.state import Outgoing, State
from tidegate.store import PostgresFacts

REJECTIONS_READ = 1000
SAMPLES_READ = 20
SAMPLES = 3
EXPIRING_US = 86_400_000_000
Watched = Callable[[], Awaitable[Sequence[Finding]]]


async def observe(gateway: ReadContext, state: State, backlogs: Backlogs, watched: Sequence[Watched]) -> Observation:
    """`watched`: more findings that last, such as those of credentials."""
    counted = await stats.snapshot(gateway)
    before = own.open_of(state)  # what ended since the last round still counts as open
    await _settle_own(gateway, state)
    opened = before | own.open_of(state)
    dead = own.dead_of(state)
    facts = await gateway.store.facts()
    nodes = await gateway.store.leases.nodes()
    alerts, now_us = gateway.active.settings.alerts, gateway.clock.now_us()
    found = health_checks.of_store(facts, nodes, units.size_bytes(alerts.disk_free))
    found += health.findings(gateway, counted)
    found += await _credentials(gateway, found)
    for more in watched:
        found += await more()
    destinations = {}
    for name, live in gateway.active.destinations.items():
        counters = counted.destinations.get(name) or DestinationCounters()
        destinations[name] = DestinationSeen(
            pending=max(0, counters.pending - opened[live.number]),
            exhausted=max(0, counters.exhausted - dead[live.number]),
        )
    window_us = int(units.seconds(alerts.backlog_growing_for) * 1e6)
    backlogs.watch({name: one.pending for name, one in destinations.items()}, alerts.backlog, window_us, now_us)
    for name, one in destinations.items():
        one.before = backlogs.before(name, window_us, now_us)
    sources = gateway.active.sources
    return Observation(
        now_us=now_us,
        findings=found,
        destinations=destinations,
        sources={name: counted.sources[name].accepted for name in sources if name in counted.sources},
        pushing=frozenset(
            name for name, one in sources.items() if one.spec.webhook or one.spec.form or one.spec.publish
        ),
        resources=counted.resources,
        rejected=[
            RejectedSeen(one.at_us, one.source, one.reason, one.detail)
            for one in await gateway.store.settings.rejections(limit=REJECTIONS_READ)
        ],
        nodes={node.id: "" for node in nodes} if isinstance(facts, PostgresFacts) else None,
    )


async def _credentials(gateway: ReadContext, known: Sequence[Finding]) -> list[Finding]:
    """Credentials that are dead or end soon, by the store, because the node that noticed it may be another one."""
    there = {(one.code, one.subject) for one in known}
    found = []
    for one in await credentials.list_credentials(gateway):
        subject = f"{one.belongs_to}:{one.name.rpartition('/')[2]}"
        if one.state == "dead" and ("credential_dead", subject) not in there:
            found.append(finding("credential_dead", subject, one.message, one.next or None))
        ends = parse_instant(one.expires_at) if one.expires_at and not one.renewable else 0
        soon = 0 < ends - gateway.clock.now_us() < EXPIRING_US
        if soon and ("credential_expiring", subject) not in there:
            found.append(finding("credential_expiring", subject, f"It ends at {one.expires_at}.", one.next or None))
    return found


async def add_samples(gateway: ReadContext, event: Outgoing) -> None:
    """Some of the dead letters that an event is about: the event, when it was received, and the cause."""
    name = event.subject.partition(":")[2]
    if event.type != "delivery.exhausted" or event.subjects or name not in gateway.active.destinations:
        return
    page = await deliveries.list_deliveries(gateway, destination=name, state="exhausted", limit=SAMPLES_READ)
    others = [one for one in page.data if one.source != SYSTEM_SOURCE]
    event.evidence.facts["samples"] = [
        {"event": one.event, "type": one.event_type, "delivery": one.id, "cause": explanation.cause(one)}
        for one in others[:SAMPLES]
    ]
    causes = Counter(explanation.cause(one) for one in others)
    event.evidence.facts["causes"] = dict(causes.most_common(SAMPLES))


async def _settle_own(gateway: ReadContext, state: State) -> None:
    pairs = [(pair.offset, pair.destination) for pair in state.pairs]
    if pairs:
        views = await gateway.deliver.states(pairs)
        own.settle(state, {pair: view.state for pair, view in views.items()})
