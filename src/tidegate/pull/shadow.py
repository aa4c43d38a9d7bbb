"""Both ways of a resource at once: notes what each way found, compares it, and ends the comparison in time.

Owns the link between the engine that makes the records of a resource and the one beside it that only measures
(`shadow`). Each notes its sightings in its own state, in the transaction of its records; what is decided is stored by
the one that measures. Knows no HTTP and no schedule; the rules are in `rules/measure/shadow.py`. Invariant: after
`duration` the part that measures makes no request and reads no webhook, until the configuration of `shadow` changes.
Crash: sightings are as durable as the records that they are of, and a version is decided once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from tidegate.core.clock import Clock
from tidegate.core.model import Origin
from tidegate.core.units import seconds
from tidegate.pull.counts import ResourceCounts
from tidegate.pull.engine_state import EngineState
from tidegate.pull.resource_health import ResourceHealth
from tidegate.rules.measure import shadow as rules
from tidegate.rules.measure.shadow import OTHER, POLL, WEBHOOK, ShadowFigures, Sightings
from tidegate.rules.sync.changes import Copy
from tidegate.rules.sync.shadow import tag_of
from tidegate.rules.sync.spec import Resource, Shadow
from tidegate.rules.sync.versions import written_alike
from tidegate.store import Records

STEP_SECONDS = 60.0
KEYS_AT_ONCE = 500
ARRIVED = ("changed", "late", "own", "out_of_order")  # webhooks that brought a version; a repeated one did before
ORIGINS = {
    POLL: (Origin.POLL, Origin.RECONCILE, Origin.PULL),
    WEBHOOK: (Origin.WEBHOOK, Origin.PUBLISH),
}


class Writer(Protocol):
    """What a comparison needs of a record writer."""

    source: str
    name: str
    resource: Resource
    clock: Clock
    engine_state: EngineState
    counts: ResourceCounts
    health: ResourceHealth

    async def save(self, **moved: Any) -> None: ...


class ShadowEnded(Exception):
    """The comparison is over: the part that measures stops."""


class Part(NamedTuple):
    """What an engine is of a comparison. `measures`: it makes no events, and ends with the comparison."""

    comparison: Comparison
    way: str
    measures: bool

    def sighter(self, writer: Writer) -> Sighter:
        self.comparison.writers[self.way] = writer
        return Sighter(writer, self)


class Sighter:
    """Notes in the state of one writer what its way finds."""

    def __init__(self, writer: Writer, part: Part) -> None:
        self.measures = part.measures
        self._writer = writer
        self._comparison = part.comparison
        self._way = part.way

    def use(self) -> None:
        """The state was read: begin, where it belongs to another comparison."""
        state, now_us, tag = self._writer.engine_state, self._writer.clock.now_us(), self._comparison.tag
        if state.sightings.tag != tag:
            state.sightings = Sightings(tag=tag, since_us=now_us)
        if self.measures and state.shadow.tag != tag:
            state.shadow = ShadowFigures(tag=tag, started_us=now_us)
        if self.measures and state.shadow.ended_us:
            self._comparison.end()
        self._writer.counts.sightings = None if self._comparison.over else state.sightings

    def changed(self, copy: Copy) -> None:
        """A copy that no webhook pushed made a change. The answer to our own write comes before any poll."""
        if copy.origin in ORIGINS[self._way]:
            self._note(copy, Sightings.add)
        elif copy.origin is Origin.WRITE:
            self.wrote(copy)

    def wrote(self, copy: Copy) -> None:
        """What our own write made: of an answer, or of the first list after it when the answer has no version."""
        if self._way == POLL and (copy.version is not None or copy.deleted):
            self._note(copy, Sightings.write)

    def pushed(self, copy: Copy, result: str) -> None:
        """A webhook was merged."""
        sightings = self._writer.counts.sightings
        if sightings is not None:
            sightings.webhooks += 1
            sightings.webhook_bytes += len(copy.body)
        if self._way == WEBHOOK and result in ARRIVED:
            self._note(copy, Sightings.add)

    def polled(self, began_us: int) -> None:
        """A poll has finished."""
        sightings = self._writer.counts.sightings
        if sightings is None or self._way != POLL:
            return
        sightings.began_us = began_us
        if not sightings.based_us and began_us >= sightings.since_us:
            sightings.based_us = self._writer.clock.now_us()

    def _note(self, copy: Copy, put: Callable[[Sightings, str, int], None]) -> None:
        sightings = self._writer.counts.sightings
        if sightings is None:
            return
        if copy.version is None and not copy.deleted:
            self._writer.health.note("shadow_without_version", repr(copy.key))
            return
        before = sightings.dropped
        name = name_of(copy.key, copy.version, self._writer.resource.version_kind, copy.deleted)
        put(sightings, name, self._writer.clock.now_us())
        if sightings.dropped > before:
            self._writer.health.note("shadow_sightings_dropped", repr(copy.key))


class Comparison:
    """Of one resource. `writers`: by the way that each is."""

    def __init__(self, records: Records, clock: Clock, rule: Shadow) -> None:
        self.rule = rule
        self.tag = tag_of(rule)
        self.over = False
        self.writers: dict[str, Writer] = {}
        self._records = records
        self._clock = clock
        self._duration_us = int(seconds(rule.duration) * 1_000_000)
        self._wait_us = int(seconds(rule.wait) * 1_000_000)

    def part(self, *, measures: bool) -> Part:
        return Part(self, self.rule.way if measures else OTHER[self.rule.way], measures)

    async def step(self) -> None:
        """Decide what is due. ShadowEnded when the comparison is over. Raises what the store raises."""
        own = self.writers[self.rule.way]
        if self.over:
            raise ShadowEnded
        figures, now_us = own.engine_state.shadow, self._clock.now_us()
        moved = await self._settle(figures, now_us)
        if now_us < figures.started_us + self._duration_us:
            if moved:
                await own.save()
            return
        figures.ended_us = now_us
        own.health.note("shadow_ended", f"after {self.rule.duration}")
        await own.save()
        self.end()
        raise ShadowEnded

    def end(self) -> None:
        """Nothing is noted any more."""
        self.over = True
        for writer in self.writers.values():
            writer.counts.sightings = None

    async def _settle(self, figures: ShadowFigures, now_us: int) -> bool:
        if self.writers.keys() != {POLL, WEBHOOK}:
            return False
        found = {way: writer.engine_state.sightings for way, writer in self.writers.items()}
        made = rules.due(figures, found[POLL], found[WEBHOOK], now_us, self._wait_us)
        if made is None:
            return False
        held = {way: await self._held(OTHER[way], versions) for way, versions in made.alone.items()}
        rules.settle(figures, found[POLL], found[WEBHOOK], made, held)
        return True

    async def _held(self, way: str, versions: Iterable[str]) -> set[str]:
        """Those of `versions` that the records of a way have, found by that way."""
        writer = self.writers[way]
        keys, found = list({rules.key_of(one) for one in versions}), set()
        for at in range(0, len(keys), KEYS_AT_ONCE):
            known = await self._records.known(writer.source, writer.name, keys[at : at + KEYS_AT_ONCE])
            kind = writer.resource.version_kind
            found |= {
                name_of(one.key, one.version, kind, one.deleted) for one in known.values() if one.origin in ORIGINS[way]
            }
        return found & set(versions)


def name_of(key: str, version: str | None, kind: str, deleted: bool) -> str:
    """The name of a version of a record, the same for both ways."""
    return rules.version_of(key, "deleted" if deleted else written_alike(version or "", kind))
