"""What an operator does to deliveries: retry, cancel, test send, and reopening for replays; on whichever node they are.

A delivery's lane belongs to the node that holds its partition, so a verb for another's lane travels there as a call and
its answer (or refusal) travels back. Every verb may come twice: a retry of what is pending changes nothing, a cancel of
what is canceled is refused. A verb reads before it acts, so it has its sender's desk to itself and holds back the
deliveries that it is about. Crash: a verb that was answered is durable; one that was not may have been done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.core import ids
from tidegate.core.errors import Conflict, NotFound, StoreBusy
from tidegate.core.model import (
    Attempt,
    Deferred,
    DeferredState,
    DeliveryState,
    DeliveryView,
    Event,
    Origin,
    Outcome,
)
from tidegate.deliver.request_builder import RequestBuilder
from tidegate.store import partition_of

if TYPE_CHECKING:
    from tidegate.deliver.engine import DeliverEngine
    from tidegate.deliver.sender import Sender

TEST_SECONDS = 15.0
NEVER_OWED = "never_owed"  # of a replay: no state of a delivery, but events that the destination never was owed
OPEN_LIMIT = 256  # rows of replays that a sender may have open before their job waits


class Retry(msgspec.Struct, frozen=True, tag="retry"):
    offset: int
    destination: int


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    offset: int
    destination: int


class Reopen(msgspec.Struct, frozen=True, tag="reopen"):
    """Deliveries that a replay wants again: (offset, revision of the route that takes it), ascending."""

    destination: int
    job: str
    state: str | None
    items: list[tuple[int, int]]


class Reopened(msgspec.Struct, frozen=True):
    """`done` of the items were looked at (there was no room for the rest), `reopened` of them made pending."""

    done: int
    reopened: int


class Walk(msgspec.Struct, frozen=True, tag="walk"):
    """A hint that a replay job was made, for the node that holds its partition."""

    job: str
    destination: int  # unused by a walk; the partition stands with the call


Call = Retry | Cancel | Reopen
_DECODER = msgspec.json.Decoder(Call | Walk)


class Commands:
    """The verbs of one engine; `ask(partition, call)` reaches the node that holds a partition."""

    def __init__(self, engine: DeliverEngine) -> None:
        self._engine = engine

    # -- here or elsewhere -------------------------------------------------------------------------------

    async def retry(self, offset: int, destination: int) -> None:
        """Another attempt now. A settled delivery is reopened; one that is in flight is left alone."""
        await self._at_holder(Retry(offset, destination))

    async def cancel(self, offset: int, destination: int) -> None:
        """Give a pending delivery up. Conflict when it is settled or in flight."""
        await self._at_holder(Cancel(offset, destination))

    async def reopen(self, call: Reopen) -> Reopened:
        """Make deliveries of one destination pending again, as many as its sender has room for."""
        return msgspec.json.decode(await self._at_holder(call), type=Reopened)

    async def _at_holder(self, call: Call) -> bytes:
        share = partition_of(call.destination)
        if share in self._engine.partitions:
            return await self._do(call)
        return await self._engine.ask(share, msgspec.json.encode(call))

    async def answer(self, call: bytes) -> bytes:
        """Another node asks. StoreBusy while the partition is still arriving here."""
        wanted = _DECODER.decode(call)
        if isinstance(wanted, Walk):
            await self._engine.replays.take_job(wanted.job)
            return b""
        if partition_of(wanted.destination) not in self._engine.partitions:
            raise _moving()
        return await self._do(wanted)

    async def _do(self, call: Call) -> bytes:
        if isinstance(call, Retry):
            await self._retry(call.offset, call.destination)
        elif isinstance(call, Cancel):
            await self._cancel(call.offset, call.destination)
        else:
            return msgspec.json.encode(await self._reopen_some(call))
        return b""

    # -- here --------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _alone_with(self, sender: Sender, offsets: Collection[int]) -> AsyncIterator[None]:
        """None of these deliveries is started meanwhile: what is read of them stays true until it is acted on."""
        async with sender.desk:
            self._still(sender)
            sender.held = offsets
            try:
                yield
            finally:
                sender.held = ()
                sender.pump()

    def _still(self, sender: Sender) -> None:
        """StoreBusy when the sender's partition went to another node while something was awaited: it counts there
        now.
        """
        if not self._engine.has(sender):
            raise _moving()

    async def _one(self, offset: int, destination: int) -> DeliveryView:
        view = (await self._engine.states([(offset, destination)])).get((offset, destination))
        if view is None:
            raise NotFound(f"event {offset} is not owed to destination {destination}")
        return view

    async def _sender(self, offset: int, destination: int) -> Sender:
        """The sender of a delivery's destination. NotFound when there is no such delivery."""
        live = self._engine.active.by_number.get(destination)
        if live is None:
            await self._one(offset, destination)
            raise Conflict(
                "the destination of this delivery was deleted", hint="replay the event to another destination"
            )
        return self._engine.sender_of(live)

    async def _retry(self, offset: int, destination: int) -> None:
        sender = await self._sender(offset, destination)
        async with self._alone_with(sender, (offset,)):
            if offset in sender.flights:
                return
            view = await self._one(offset, destination)
            if view.state is DeliveryState.PENDING and not view.attempts:
                return
            row = sender.waiting.known.get(offset)
            if row is None and view.state is not DeliveryState.DELIVERED:
                row = await self._row(sender, offset)
            self._still(sender)
            route = row.route if row is not None else 0
            key = row.key if row is not None and view.state is DeliveryState.PENDING else ""
            self._reopen(sender, view, replay="manual", route=route, key=key)

    def _reopen(
        self, sender: Sender, view: DeliveryView, *, replay: str, route: int, adopted: str = "", key: str = ""
    ) -> None:
        """Make a delivery PENDING and due now, and move the counters with it.

        `adopted`: it is new to the counters. `key`: it is the first of this key, and others wait behind it.
        """
        lane = sender.lane
        if view.state is DeliveryState.DELIVERED and not adopted:
            lane.delivered -= 1
        elif view.state is DeliveryState.EXHAUSTED:
            lane.exhausted -= 1
        elif view.state is DeliveryState.CANCELED:
            lane.canceled -= 1
        if adopted:
            lane.adopted += 1
            lane.adopted_filtered += adopted == "filtered"
        now_us = self._engine.clock.now_us()
        tried = len(view.attempts)
        sender.reopen(
            Deferred(
                sender.number, view.offset, DeferredState.PENDING, now_us, tried, "replay", key, tried, route, replay
            )
        )

    async def _cancel(self, offset: int, destination: int) -> None:
        engine = self._engine
        sender = await self._sender(offset, destination)
        async with self._alone_with(sender, (offset,)):
            if offset in sender.flights:
                raise _not_pending(DeliveryState.SENDING)
            view = await self._one(offset, destination)
            if view.state is not DeliveryState.PENDING:
                raise _not_pending(view.state)
            lane, row = sender.lane, None
            if not lane.is_open(offset):
                row = sender.waiting.known.get(offset) or await self._row(sender, offset)
                if row is None:
                    raise _not_pending(DeliveryState.SENDING)
            self._still(sender)
            if row is not None:
                sender.waiting.remove(offset)
            elif offset in lane.open:
                lane.finish(offset)
            else:
                lane.pass_over(offset)
            lane.canceled += 1
            attempts, key = (row.attempts, row.key) if row is not None else (0, "")
            engine.settler.put(Deferred(destination, offset, DeferredState.CANCELED, 0, attempts, "operator", key))
            if row is not None and key:
                sender.release_key(row)
            engine.settler.lane(lane)
            engine.settler.due()
        await engine.settler.flush()

    async def _row(self, sender: Sender, offset: int) -> Deferred | None:
        """The row of a delivery that memory does not have; None when it has none."""
        await self._engine.settler.flush()
        rows = await self._engine.store.deliveries.deferred(offsets=[offset], destination=sender.number)
        return rows[0] if rows else None

    async def _reopen_some(self, call: Reopen) -> Reopened:
        engine = self._engine
        live = engine.active.by_number.get(call.destination)
        if live is None:
            return Reopened(len(call.items), 0)
        sender = engine.sender_of(live)
        async with self._alone_with(sender, {offset for offset, _ in call.items}):
            items = call.items[: max(0, OPEN_LIMIT - len(sender.waiting))]
            views = await engine.states([(offset, call.destination) for offset, _ in items]) if items else {}
            events = {event.offset: event for event in await engine.log.read([offset for offset, _ in items])}
            self._still(sender)
            reopened = 0
            for offset, revision in items:
                view, event = views.get((offset, call.destination)), events.get(offset)
                if event is not None and takes(view, call.state):
                    self._reopen_one(sender, event, revision, view, call.job)
                    reopened += 1
        if reopened:
            await engine.settler.flush()  # the job's position moves only after this
        return Reopened(len(items), reopened)

    def _reopen_one(self, sender: Sender, event: Event, revision: int, view: DeliveryView | None, job: str) -> None:
        adopted = ""
        if view is None:
            audience = self._engine.log.audiences()[event.audience]
            adopted = "filtered" if sender.number in audience.filtered else "new"
            view = DeliveryView(event.offset, sender.number, DeliveryState.DELIVERED, "", (), None, None, 0)
        self._reopen(sender, view, replay=job, route=revision, adopted=adopted)

    async def test(self, name: str) -> Attempt:
        """Send one signed test event, outside the log and the counters; returns what came of it."""
        engine = self._engine
        destination = engine.active.destinations.get(name)
        if destination is None:
            raise NotFound(f"there is no destination {name!r}")
        now_us = engine.clock.now_us()
        event = Event(
            0, "tidegate", "tidegate.test", Origin.PUBLISH, now_us, 0,
            msgspec.json.encode({"note": "a test sent from Tidegate", "destination": name}), "application/json",
        )  # fmt: skip
        request_builder = RequestBuilder(destination, engine.active, engine.log.instance)
        event_id = ids.new_id("tst", now_us)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            head, body = request_builder.request(event, event_id, 0, 1, now_us // 1_000_000)
        except Exception as error:  # noqa: BLE001 - a user's text may raise anything: shown as the outcome
            return Attempt(0, destination.number, 1, Outcome.RENDER, now_us, 0, error=str(error)[:300])
        engine.post.send(request_builder.target, head, body, TEST_SECONDS, _set_once(done))
        result = await done
        ok = result.status is not None and 200 <= result.status < 300
        return Attempt(
            0, destination.number, 1,
            Outcome.HTTP_ERROR if result.outcome is Outcome.OK and not ok else result.outcome,
            now_us, result.duration_us, result.status, result.error, result.headers, result.body, result.body_bytes,
            request_builder.shown_url, True,
        )  # fmt: skip


def takes(view: DeliveryView | None, state: str | None) -> bool:
    """Whether a replay that asks for a state (None: all) takes a delivery (None: one that never was)."""
    if view is None:
        return state in (None, NEVER_OWED)
    if view.state in (DeliveryState.PENDING, DeliveryState.SENDING):
        return False
    return state is None or view.state.value == state


def _moving() -> StoreBusy:
    return StoreBusy("this partition is just changing nodes", retry_after_seconds=1)


def _not_pending(state: DeliveryState) -> Conflict:
    return Conflict(
        f"the delivery is {state.value}, so there is nothing to cancel",
        hint="only pending deliveries can be canceled",
        code="not_pending",
    )


def _set_once(future: asyncio.Future[Any]) -> Callable[[Any], None]:
    def done(value: Any) -> None:
        if not future.done():
            future.set_result(value)

    return done
