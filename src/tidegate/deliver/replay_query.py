"""What a replay delivers again: the query, its checks, and the span of the log that it covers.

Owns the shape of the query. May not know jobs or senders. Invariant: a span is fixed when a job is created, so events
that are accepted later are not part of it. Reads only, so a crash loses nothing.
"""

from __future__ import annotations

import msgspec

from tidegate.core import ids
from tidegate.core.errors import BadRequest, NotFound
from tidegate.core.model import DeliveryState
from tidegate.deliver.ports import Ports
from tidegate.rules.language.patterns import compile_types


class ReplayQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to deliver again. `since_us` and `until_us` bound when the event was received."""

    source: str | None = None
    destination: str | None = None
    types: list[str] | None = None
    since_us: int | None = None
    until_us: int | None = None
    state: str | None = None
    event: str | None = None
    dry_run: bool = False
    direct: bool = False  # the one event goes to the one destination, whether or not a route of today sends it there


def check_query(ports: Ports, query: ReplayQuery) -> None:
    """Raises NotFound and BadRequest for names, states and times that select nothing."""
    if query.destination is not None and query.destination not in ports.active.destinations:
        raise NotFound(f"there is no destination {query.destination!r}", hint="list them: tidegate config show")
    if query.source is not None and query.source not in ports.active.sources:
        raise NotFound(f"there is no source {query.source!r}", hint="list them: tidegate config show")
    if query.state is not None and query.state not in {state.value for state in DeliveryState}:
        raise BadRequest(f"{query.state!r} is not a delivery state", hint="use exhausted, delivered or canceled")
    if query.since_us is not None and query.until_us is not None and query.since_us >= query.until_us:
        raise BadRequest("since must be before until", hint="swap them")


async def span_of(ports: Ports, query: ReplayQuery) -> tuple[int, int]:
    """(after, upto): the offsets that a query covers now. Raises NotFound for its event, BadRequest for its types."""
    compile_types(query.types or ["*"])
    log = ports.log
    after, upto = 0, log.published_offset
    if query.since_us is not None:
        first = await log.offset_at(query.since_us)
        after = upto if first is None else first - 1
    if query.until_us is not None:
        beyond = await log.offset_at(query.until_us)
        upto = upto if beyond is None else min(upto, beyond - 1)
    if query.event is not None:
        offset = ids.event_offset(log.instance, query.event)
        if offset is None or not await log.heads([offset]):
            raise NotFound(
                f"there is no event {query.event!r}",
                hint="it may be past the retention; list what is kept: tidegate events",
            )
        after, upto = offset - 1, offset
    return min(after, upto), upto
