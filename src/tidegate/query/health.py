"""What needs a person: destinations that fail, wait or gave up, resources whose polls fail, who was turned away.

Owns the one list that the overview, `GET /doctor` and `tidegate doctor` show, each entry with what happened, since when
and what to do. Reads the active configuration, the counters, the senders' health and the costs; decides nothing that a
sender or a poll would obey.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec import Struct

from tidegate.core import units
from tidegate.core.clock import rfc3339, to_datetime
from tidegate.query.context import Health, ReadContext
from tidegate.query.schemas import DestinationCounters, Instant, Stats
from tidegate.rules.outbound import causes
from tidegate.runtime import ActiveDestination

URGENT = ("failing", "dead_letters")
REFUSALS_SEEN = 200
DAY_US = 86_400_000_000


class Trouble(Struct, kw_only=True):
    """One thing that needs a person. `word` is its state in a word or two, `what` a sentence, `hint` what to do."""

    kind: str  # destination | resource | store
    name: str
    state: str  # failing | dead_letters | paused | waiting
    word: str
    what: str
    hint: str
    since: Instant | None = None


class RejectedRequests(Struct, kw_only=True):
    """Requests that a source's door refused in the last day, for one reason."""

    source: str
    reason: str
    count: int
    hint: str


def find(gateway: ReadContext, stats: Stats) -> list[Trouble]:
    """All of them; first those by which something is late or lost until somebody acts."""
    found: list[Trouble] = []
    for live in gateway.active.destinations.values():
        counters = stats.destinations.get(live.name) or DestinationCounters()
        found += of_destination(live, gateway.deliver.health(live.number), counters)
    for source in gateway.active.sources.values():
        for name in source.spec.resources:
            place = f"{source.name}/{name}"
            found += of_resource(place, stats.resources.get(place, {}))
    return sorted(found, key=lambda one: one.state not in URGENT)


def of_destination(live: ActiveDestination, health: Health, counters: DestinationCounters) -> list[Trouble]:
    """Pure."""
    waits = f"{_deliveries(counters.pending)} {'waits' if counters.pending == 1 else 'wait'}"
    found = []
    if live.paused_at_us is not None:
        word, why, hint = _paused(live)
        since = rfc3339(live.paused_at_us)
        found.append(_of(live, "paused", word, f"{why}; {waits}", hint, since))
    elif health.circuit != "closed":
        gave_up = f", {counters.exhausted:,} given up" if counters.exhausted else ""
        what = f"{failure(health)}; {waits}{gave_up}"
        hint = causes.what_to_do(health.outcome, health.status) or f"see why: tidegate test {live.name}"
        since = rfc3339(health.opened_at_us)
        found.append(_of(live, "failing", failing_word(health), what, hint, since))
    elif health.hold_until_us is not None:
        what = f"it sent Retry-After, until {to_datetime(health.hold_until_us):%Y-%m-%d %H:%M:%S} UTC; {waits}"
        hint = "nothing: it goes on by itself; a lower `rate` would keep it from asking"
        found.append(_of(live, "waiting", "asked us to wait", what, hint))
    elif retrying(live, health):
        what = f"{failure(health)}; {waits} for a retry" if health.outcome else f"{waits} for a retry"
        hint = causes.what_to_do(health.outcome, health.status) or f"see why: tidegate test {live.name}"
        found.append(_of(live, "waiting", "retrying", what, hint))
    if counters.exhausted and not any(one.state == "failing" for one in found):  # first things first
        what = f"{_deliveries(counters.exhausted)} {'was' if counters.exhausted == 1 else 'were'} given up"
        hint = f"mend what failed, then: tidegate replay --destination {live.name} --state exhausted"
        found.append(_of(live, "dead_letters", "dead letters", what, hint))
    return found


def retrying(live: ActiveDestination, health: Health) -> bool:
    """Whether all that waits waits for a retry: nothing is on its way, and nothing got through in the last minute.

    The circuit opens on many failures. A quiet destination has few, and would be called well while each of them fails.
    """
    paced = live.spec.rate is not None and units.per_second(live.spec.rate) * 60 < 1  # what waits may wait its turn
    return bool(health.waiting and not health.in_flight and not health.rate_per_minute and not paced)


def failing_word(health: Health) -> str:
    """Of an open circuit: `answers 404` is another thing than `not answering`."""
    return f"answers {health.status}" if health.status is not None else "not answering"


def failure(health: Health) -> str:
    """How the last attempt ended, with what it said where that says more than the class of its outcome."""
    detail = f" ({health.last_error})" if health.last_error and health.status is None else ""
    return f"{causes.why(health.outcome or 'http_error', health.status)}{detail}"


def _paused(live: ActiveDestination) -> tuple[str, str, str]:
    """(word, why, what to do)."""
    if live.pause_reason == "left_file":
        return "left the file", "it is not in the file any more", "put it back, or: tidegate config apply --prune"
    if live.pause_reason == "gone":
        return "stopped", causes.why("gone"), f"correct its `url`, then: tidegate resume {live.name}"
    return "paused", "a person paused it", f"tidegate resume {live.name}"


def _of(live: ActiveDestination, state: str, word: str, what: str, hint: str, since: str | None = None) -> Trouble:
    return Trouble(kind="destination", name=live.name, state=state, word=word, what=what, hint=hint, since=since)


def of_resource(place: str, counted: dict[str, Any]) -> list[Trouble]:
    """`counted` is the resource's part of `GET /stats`. Pure."""
    since = counted.get("failing_since")
    if since is None:
        return []
    what = str(counted.get("last_error") or "no reason was kept")
    hint = f"see what the source says: tidegate pull {place} --fresh"
    return [Trouble(kind="resource", name=place, state="failing", word="polls fail", what=what, hint=hint, since=since)]


async def rejected_requests(gateway: ReadContext) -> list[RejectedRequests]:
    """Of the last day, by source and reason, the most frequent first."""
    after = gateway.clock.now_us() - DAY_US
    kept = await gateway.store.settings.rejections(limit=REFUSALS_SEEN)
    counted = Counter((one.source, one.reason) for one in kept if one.at_us > after)
    return [
        RejectedRequests(source=source, reason=reason, count=count, hint=causes.after_rejection(reason, source))
        for (source, reason), count in counted.most_common()
    ]


def _deliveries(number: int) -> str:
    return f"{number:,} {'delivery' if number == 1 else 'deliveries'}"
