"""The state of deliveries, worked out from what is kept: lanes, deferred deliveries, ranges and attempts.

Owns the order of evidence, because a delivery on the happy path has no row: in flight, a deferred row, still owed by
its lane, a delivered attempt, a range that covers it. May not know commands or the engine. Invariant: memory and store
never contradict each other. For partitions held here everything that ended is settled first (a flush of 20 ms at most).
For a partition of another node only the store is read, lanes first: what a lane had settled by then, the rows and
attempts that are read later have too. Keeps nothing, so a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.core.model import Attempt, Deferred, DeferredState, DeliveryState, DeliveryView, Outcome
from tidegate.deliver.lane import LaneCursor
from tidegate.deliver.ports import Ports
from tidegate.deliver.ranges import BulkRanges
from tidegate.deliver.senders import Senders
from tidegate.store import Standing, partition_of

Pair = tuple[int, int]

_STATES = {
    DeferredState.PENDING: DeliveryState.PENDING,
    DeferredState.BLOCKED: DeliveryState.PENDING,
    DeferredState.EXHAUSTED: DeliveryState.EXHAUSTED,
    DeferredState.CANCELED: DeliveryState.CANCELED,
}


async def delivery_states(
    ports: Ports, senders: Senders, pairs: Sequence[Pair], audience_of: Mapping[int, int] | None = None
) -> dict[Pair, DeliveryView]:
    """As `_read_states`. A delivery that ended while its rows were read has no evidence yet: it is read again."""
    found = await _read_states(ports, senders, pairs, audience_of)
    unclear = [
        pair
        for pair, view in found.items()
        if view.state is DeliveryState.DELIVERED
        and view.first_delivered_at_us is None
        and ports.held.has_destination(pair[1])
    ]
    return found | await _read_states(ports, senders, unclear, audience_of) if unclear else found


async def _read_states(
    ports: Ports, senders: Senders, pairs: Sequence[Pair], audience_of: Mapping[int, int] | None
) -> dict[Pair, DeliveryView]:
    """Views by (offset, destination); a pair that is not a delivery is missing.

    `audience_of`: the audience number of each offset, for a caller that has read the events; None reads their heads.
    """
    lanes = await _Lanes.of(ports, senders, {destination for _, destination in pairs})
    offsets = sorted({offset for offset, _ in pairs})
    rows = await ports.deliveries.deferred(offsets=offsets)
    deferred = {(row.offset, row.destination): row for row in rows}
    attempts = await ports.deliveries.attempts(pairs)
    if audience_of is None:
        audience_of = {head.offset: head.audience for head in await ports.log.heads(offsets)}
    audiences = ports.log.audiences()
    found: dict[Pair, DeliveryView] = {}
    for pair in pairs:
        offset, destination = pair
        audience = audiences.get(audience_of.get(offset, 0))
        if audience is None:  # the event is deleted
            continue
        revision = dict(audience.wanted).get(destination, 0)
        row = deferred.get(pair)
        if not revision and row is None and not attempts[pair]:
            continue
        found[pair] = _view(lanes, pair, revision, row, attempts[pair])
    return found


class _Lanes:
    """Lanes of partitions held here from memory, the others from the store."""

    def __init__(self, senders: Senders, ranges: BulkRanges) -> None:
        self._senders = senders
        self._standing = Standing({}, ())
        self._rows: dict[int, LaneCursor] = {}
        self.ranges = ranges

    @classmethod
    async def of(cls, ports: Ports, senders: Senders, destinations: set[int]) -> _Lanes:
        ours = {number for number in destinations if ports.held.has_destination(number)}
        if ours:
            await ports.settler.flush()
        lanes = cls(senders, ports.ranges)
        theirs = {partition_of(number) for number in destinations - ours}
        if theirs:
            standing = lanes._standing = await ports.deliveries.load(theirs)
            lanes._rows = {
                row.destination: LaneCursor(row.destination, standing.high_water_mark_of(row.destination), row)
                for row in standing.lanes
            }
            lanes.ranges = BulkRanges(await ports.deliveries.ranges())
        return lanes

    def sending(self, pair: Pair) -> bool:
        """Known to the node that holds the partition only."""
        sender = self._senders.by_number.get(pair[1])
        return sender is not None and pair[0] in sender.flights

    def owes(self, pair: Pair) -> bool:
        offset, number = pair
        sender = self._senders.by_number.get(number)
        if sender is not None:
            return sender.lane.is_open(offset)
        row = self._rows.get(number)
        if row is not None and row.stored_offset is not None:
            return row.is_open(offset)
        high_water_mark = self._standing.high_water_marks.get(partition_of(number))
        return high_water_mark is not None and offset > high_water_mark


def _view(lanes: _Lanes, pair: Pair, revision: int, row: Deferred | None, attempts: list[Attempt]) -> DeliveryView:
    offset, destination = pair
    delivered_at = next((a.started_at_us + a.duration_us for a in attempts if a.outcome is Outcome.OK), None)
    state, cause, due = _state(lanes, pair, row, delivered_at is not None)
    if row is not None and row.route:
        revision = row.route
    return DeliveryView(offset, destination, state, cause, tuple(attempts), due, delivered_at, revision)


def _state(lanes: _Lanes, pair: Pair, row: Deferred | None, delivered: bool) -> tuple[DeliveryState, str, int | None]:
    """(state, cause, due_at_us), by the first evidence there is."""
    # 1. In flight.
    if lanes.sending(pair):
        return DeliveryState.SENDING, "", None
    # 2. Deferred: its row says it.
    if row is not None:
        due = row.due_at_us if row.state is DeferredState.PENDING else None
        return _STATES[row.state], row.cause, due
    # 3. Its lane has not reached or settled it.
    if lanes.owes(pair):
        return DeliveryState.PENDING, "", None
    # 4. Not delivered by an attempt: a range settled it.
    if not delivered:
        one = lanes.ranges.find(*pair)
        if one is not None:
            return one.state, one.cause, None
    # 5. The lane has passed it: delivered.
    return DeliveryState.DELIVERED, "", None
