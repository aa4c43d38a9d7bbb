"""Which webhooks only feed records: an event that no route wants may still have done its work.

A webhook that tells of a resource moves the resource's record, and what changed goes on as an event of its own. So
"no route wanted it" is no fault of such an event. Judged by the resources of today, for people to read; nothing is
decided by it.
"""

from __future__ import annotations

from tidegate.core.model import Event, Origin
from tidegate.core.spec import Resource
from tidegate.query.schemas import Stats
from tidegate.rules.sync.webhook_copies import WebhookRule
from tidegate.runtime import ActiveConfiguration


def fed(live: ActiveConfiguration, event: Event) -> list[str]:
    """Names of the resources of its source that a webhook of this type feeds, in order."""
    source = live.sources.get(event.source)
    if source is None or event.origin is not Origin.WEBHOOK:
        return []
    return sorted(name for name, spec in source.spec.resources.items() if _tells(spec, event))


def _tells(spec: Resource, event: Event) -> bool:
    return spec.webhook is not None and WebhookRule(spec.webhook).matches(event)


def fed_unrouted(stats: Stats) -> int:
    """How many of the unrouted events fed a record: at most as many as told of a resource of their source."""
    told: dict[str, int] = {}
    for place, counted in stats.resources.items():
        source = place.partition("/")[0]
        told[source] = told.get(source, 0) + int(counted.get("webhooks") or 0)
    return sum(min(counters.unrouted, told.get(name, 0)) for name, counters in stats.sources.items())
