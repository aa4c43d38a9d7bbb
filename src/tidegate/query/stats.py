"""Counters of events and deliveries, and the figures of resources: one snapshot at one offset.

Events are counted per audience when they are appended, settled deliveries per lane when they are settled, and both are
read in one transaction. Pending deliveries are the accepted ones minus the settled ones, so accepted = filtered +
delivered + pending + exhausted + canceled holds by construction.
System events count for the source `tidegate` and their destinations, and not in the totals of what was received.
"""

from __future__ import annotations

from collections import Counter

from tidegate.core.model import SYSTEM_SOURCE, Lane
from tidegate.query.context import ReadContext
from tidegate.query.schemas import DestinationCounters, SourceCounters, Stats, Totals
from tidegate.store import Counters


async def snapshot(gateway: ReadContext) -> Stats:
    counters = await gateway.store.deliveries.counters()
    stats = balance(counters, gateway.active.destination_names)
    for name in gateway.active.sources:
        stats.sources.setdefault(name, SourceCounters())
    for name in gateway.active.destinations:
        stats.destinations.setdefault(name, DestinationCounters())
    await gateway.pull.refresh()
    stats.resources = gateway.pull.statistics()
    await gateway.mail.refresh()
    stats.mailboxes = gateway.mail.statistics()
    await gateway.websub.refresh()
    stats.subscriptions = gateway.websub.statistics()
    return stats


def balance(counters: Counters, names: dict[int, str]) -> Stats:
    """The counters by name. A destination that was deleted and created again has one name: its counters are added."""
    totals = Totals()
    sources: dict[str, SourceCounters] = {}
    owed: Counter[int] = Counter()
    filtered: Counter[int] = Counter()
    for audience, count in counters.audiences:
        if not audience.direct:  # an edited copy came from a person, not from its source
            source = sources.setdefault(audience.source, SourceCounters())
            source.accepted += count
            totals.accepted += 0 if audience.source == SYSTEM_SOURCE else count
        if not audience.wanted:
            source.unrouted += count
            totals.unrouted += 0 if audience.source == SYSTEM_SOURCE else count
        for destination, _ in audience.wanted:
            owed[destination] += count
        for destination in audience.filtered:
            filtered[destination] += count
    lanes = {lane.destination: lane for lane in counters.lanes}
    destinations: dict[str, DestinationCounters] = {}
    for number in sorted(owed.keys() | filtered.keys() | lanes.keys()):
        entry = destinations.setdefault(names.get(number, f"number-{number}"), DestinationCounters())
        _add(entry, owed[number], filtered[number], lanes.get(number) or Lane(number))
    for entry in destinations.values():
        totals.delivered += entry.delivered
        totals.pending += entry.pending
        totals.exhausted += entry.exhausted
        totals.canceled += entry.canceled
        totals.filtered += entry.filtered
    return Stats(at_offset=counters.head, totals=totals, sources=sources, destinations=destinations, resources={})


def _add(entry: DestinationCounters, owed: int, filtered: int, lane: Lane) -> None:
    """`adopted` are deliveries that a replay made beyond the audiences; those no longer count as filtered."""
    owed += lane.adopted
    filtered -= lane.adopted_filtered
    entry.accepted += owed + filtered
    entry.filtered += filtered
    entry.delivered += lane.delivered
    entry.exhausted += lane.exhausted
    entry.canceled += lane.canceled
    entry.pending += owed - lane.delivered - lane.exhausted - lane.canceled
