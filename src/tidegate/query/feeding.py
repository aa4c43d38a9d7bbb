"""Which webhooks only update records: an event that no route selects may still have done its work.

A webhook that reports a resource updates the resource's record, and the change continues as an event of its own. So an
unrouted event of this kind is not lost. Decided by the resources of today, for people to read; nothing else depends on
it.
"""

from __future__ import annotations

from tidegate.core.model import Event, Origin
from tidegate.query.schemas import Stats
from tidegate.rules.sync.spec import Resource
from tidegate.rules.sync.webhook_copies import WebhookRule
from tidegate.runtime import ActiveConfiguration


def updated_resources(active: ActiveConfiguration, event: Event) -> list[str]:
    """Names of the resources of its source that a webhook of this type updates, sorted."""
    source = active.sources.get(event.source)
    if source is None or event.origin is not Origin.WEBHOOK:
        return []
    return sorted(name for name, spec in source.spec.resources.items() if _reports(spec, event))


def _reports(spec: Resource, event: Event) -> bool:
    return spec.webhook is not None and WebhookRule(spec.webhook).matches(event)


def unrouted_updates(stats: Stats) -> int:
    """How many of the unrouted events updated a record: at most as many as reported a resource of their source."""
    reported: dict[str, int] = {}
    for place, figures in stats.resources.items():
        source = place.partition("/")[0]
        reported[source] = reported.get(source, 0) + figures.webhooks
    return sum(min(counters.unrouted, reported.get(name, 0)) for name, counters in stats.sources.items())
