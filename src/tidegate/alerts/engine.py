"""The engine of system events: looks at the gateway every 15 seconds and appends what is worth reporting.

Owns the rounds and the order of their writes. The decisions are those of `rules/alerts`; may not know destinations,
polls or pages. Only the node that holds the partition of the source `tidegate` runs rounds, and the stored state is
replaced only if nobody else replaced it, so one node decides. A round writes its events into the outbox of the state
first, then appends them under ids that the log recognizes, then takes them out again.

Invariants: an event is appended once, whatever node or crash is in between; an event about a destination is not sent to
that destination; deliveries of system events bring about no system events. Crash: the next round, of any node, appends
what is in the outbox and goes on from the stored state.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from functools import partial

import msgspec

from tidegate.alerts.observe import Watched, add_samples, observe
from tidegate.core.errors import BadRequest, StoreBusy, TidegateError
from tidegate.core.model import SYSTEM_SOURCE, NewEvent, Origin
from tidegate.query.alerts import MARKS, STATE, read_marks
from tidegate.query.context import ReadContext
from tidegate.rules.alerts import quiet
from tidegate.rules.alerts.backlogs import Backlogs
from tidegate.rules.alerts.body import data_of
from tidegate.rules.alerts.decide import decide
from tidegate.rules.alerts.signals import Observation, signals
from tidegate.rules.alerts.state import Activity, Outgoing, Pair, State
from tidegate.rules.language.view import event_view
from tidegate.store import partition_of_name

EVERY_SECONDS = 15.0
SAVE_US = 60_000_000  # what is only learned is stored once a minute
PARTITION = partition_of_name(SYSTEM_SOURCE)
JSON = "application/json"
log = logging.getLogger("tidegate.alerts")


class AlertEngine:
    """One of the gateway's engines. `run_once` is a round; `watch` adds findings that another part knows."""

    name = "alerts"

    def __init__(self, gateway: ReadContext) -> None:
        self._gateway = gateway
        self._held = False
        self._task: asyncio.Task[None] | None = None
        self._backlogs = Backlogs()
        self._watched: list[Watched] = []
        self._saved_us = 0

    # -- the life of an engine ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Nothing runs before `take`."""

    async def take(self, partitions: frozenset[int]) -> None:
        if PARTITION in partitions and not self._held:
            self._held = True
            self._backlogs = Backlogs()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="alerts")

    async def leave(self, partitions: frozenset[int]) -> None:
        if PARTITION in partitions:
            await self.stop()

    def lost(self) -> None:
        self._held = False
        if self._task is not None:
            self._task.cancel()

    async def handle(self, call: bytes) -> bytes:
        raise BadRequest("the engine of alerts answers no calls", code="unknown_engine")

    async def stop(self) -> None:
        self._held = False
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def watch(self, findings: Watched) -> None:
        """Add findings that last, such as `credential_dead` of `credential:NAME`, as this node's store has them.

        They are asked for in each round, on the node that decides. Their codes are those of `rules/alerts/kinds.py`.
        """
        self._watched.append(findings)

    async def _run(self) -> None:
        while self._held:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.run_once()
            except TidegateError as error:
                log.warning("a round of alerts ended early: %s (%s)", error.message, error.code)
            except Exception:  # an internal error must not end the watch
                log.exception("a round of alerts failed; the next one is in %g s", EVERY_SECONDS)

    # -- a round -----------------------------------------------------------------------------------------

    async def run_once(self) -> int:
        """Look, decide, store, append. Returns the number of events appended. Does nothing without the partition."""
        if not self._held or not self._gateway.active.settings.alerts.enabled:
            return 0
        stored = await self._gateway.store.settings.value(STATE)
        state = _state_of(stored)
        appended = 0
        if state.outbox:  # of a round that did not end
            appended += len(state.outbox)
            stored = await self._append(state, stored)
        seen = await observe(self._gateway, state, self._backlogs, self._watched)
        learned = self._learn(state, seen)
        before = _essence(_state_of(stored))
        held = signals(seen, self._gateway.active.settings.alerts, state.activity, _lasting(state))
        marks = await read_marks(self._gateway)
        decide(state, seen, held, marks, self._gateway.active.settings.alerts)
        due = learned and seen.now_us - self._saved_us >= SAVE_US
        for one in state.outbox:
            await add_samples(self._gateway, one)
        if state.outbox or due or _essence(state) != before or self._shown_is_old(state, seen.now_us):
            stored = await self._save(state, stored)
            self._saved_us = seen.now_us
        if state.outbox:
            appended += len(state.outbox)
            await self._append(state, stored)
        return appended

    def _shown_is_old(self, state: State, now_us: int) -> bool:
        """The sentences of alerts are shown to people: they are stored once a minute."""
        return bool(state.alerts) and now_us - self._saved_us >= SAVE_US

    def _learn(self, state: State, seen: Observation) -> bool:
        """Learn what sources sent. True when something is worth storing."""
        learned = False
        for name, accepted in seen.sources.items():
            activity = state.activity.setdefault(name, Activity())
            learned = quiet.learn(activity, accepted, seen.now_us) or learned
        for name in state.activity.keys() - seen.sources.keys():
            del state.activity[name]
        return learned

    async def _save(self, state: State, was: bytes | None) -> bytes:
        """StoreBusy when another node stored a state meanwhile; nothing was changed then."""
        made = msgspec.json.encode(state)
        if made != was and not await self._gateway.store.settings.swap(STATE, was, made):
            raise StoreBusy("another node decides about alerts now")
        return made

    # -- appending ---------------------------------------------------------------------------------------

    async def _append(self, state: State, stored: bytes | None) -> bytes:
        """Append the outbox, remember the deliveries that follow, and store that it is done."""
        node = (await self._gateway.store.leases.nodes())[0].id
        events = [await self._event(one, node) for one in state.outbox]
        appended = await self._gateway.store.log.append(events)
        audiences = self._gateway.store.log.audiences()
        for one, event, done in zip(state.outbox, events, appended, strict=True):
            for alert in state.alerts:
                if alert.type == one.about and alert.subject in (one.subject, *one.subjects):
                    alert.event = done.offset
            if not done.duplicate or not any(pair.offset == done.offset for pair in state.pairs):
                state.pairs += [Pair(done.offset, number) for number, _ in audiences[event.audience].wanted]
            log.log(_LEVELS.get(one.evidence.severity, logging.INFO), "%s: %s", one.type, one.evidence.summary)
        state.outbox = []
        return await self._save(state, stored)

    async def _event(self, one: Outgoing, node: str) -> NewEvent:
        public_url = self._gateway.active.settings.gateway.public_url
        event = NewEvent(
            source=SYSTEM_SOURCE,
            type=one.type,
            origin=Origin.SYSTEM,
            received_at_us=self._gateway.clock.now_us(),
            audience=0,
            body=msgspec.json.encode(data_of(one, public_url, node)),
            content_type=JSON,
            key=one.subject,
            occurred_at_us=one.at_us,
            dedupe_id=one.id,
        )
        event.audience = await self._audience(event, (one.subject, *one.subjects))
        return event

    async def _audience(self, event: NewEvent, subjects: Sequence[str]) -> int:
        """The routing decision without the destinations that the event is about."""
        active, log_ = self._gateway.active, self._gateway.store.log
        decision = active.decision_today(SYSTEM_SOURCE, event.type, partial(event_view, event), None)
        about = {active.destinations[name].number for name in _names(subjects) if name in active.destinations}
        wanted = tuple(pair for pair in decision.wanted if pair[0] not in about)
        left = {number for number, _ in decision.wanted} & about
        filtered = tuple(sorted({*decision.filtered, *left}))
        return (await log_.audience(SYSTEM_SOURCE, decision.considered, wanted, filtered)).number


_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING}


def _names(subjects: Sequence[str]) -> list[str]:
    return [name for kind, _, name in (one.partition(":") for one in subjects) if kind == "destination"]


def _state_of(stored: bytes | None) -> State:
    """The stored state. One that cannot be read (of a later release) is begun again."""
    if stored is None:
        return State()
    try:
        return msgspec.json.decode(stored, type=State)
    except msgspec.DecodeError:
        log.warning("the stored state of alerts cannot be read; alerts begin again")
        return State()


def _lasting(state: State) -> frozenset[str]:
    return frozenset(f"{one.type} {one.subject}" for one in state.alerts if not one.ended_us)


def _essence(state: State) -> object:
    """What must be stored at once when it changes: all but sentences and what is learned of sources."""
    return (
        state.begun_us,
        [(one.type, one.subject, one.announced, one.ended_us, bool(one.missing_us)) for one in state.alerts],
        state.nodes,
        len(state.moments),
        state.reported,
        [(one.offset, one.destination, one.dead) for one in state.pairs],
        state.lost_dead,
    )


__all__ = ["MARKS", "STATE", "AlertEngine"]
