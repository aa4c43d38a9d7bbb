"""A resource with a parent: one list for each record of the parent resource.

Owns the order of the parents and what a run over all of them adds up to. Knows no pages: each list is walked by the
poller. Invariants: parents come in the order of their keys, so a run that stopped goes on at the parent where it was;
a parent whose list the source does not have (403, 404, 410) is reported, and then nothing counts as missing; each
parent has its own cursor, up to MAX_PARENT_CURSORS. Crash: the place in the engine state names the parent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from tidegate.core.errors import UpstreamError
from tidegate.core.model import RecordState
from tidegate.pull.engine_state import Place
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.run import ParentRow, Run
from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.paginators import PageRequest
from tidegate.rules.sync.paths import compiled
from tidegate.rules.sync.placeholders import Scalar, text_of
from tidegate.rules.sync.spec import Parent
from tidegate.store import Records

PARENTS_AT_ONCE = 200  # read from the store
NO_LIST = (403, 404, 410)

Walk = Callable[[Run, PageRequest | None], Awaitable[None]]


class Family:
    """The parents of one resource."""

    def __init__(self, parent: Parent, writer: RecordWriter, records: Records, walk: Walk, tag: str) -> None:
        self._parent = parent
        self._writer = writer
        self._records = records
        self._walk = walk
        self._tag = tag

    async def run(self, run: Run, place: Place | None) -> None:
        """Walk the list of every parent, from `place` on. What `run` counts is then the sum."""
        request = place.request if place is not None and place.url else None
        after = place.parent if place is not None else ""
        found = False
        async for parent in self._parents(after):
            found = True
            if parent.key != after:
                request = None
            await self._one(run, parent, request)
        if not found and not (await self._records.state(self._writer.source, self._parent.resource)).first_done:
            name = f"{self._writer.source}/{self._parent.resource}"
            raise UpstreamError(
                f"{name} has no records yet, so there is nothing to ask for",
                code="parent_not_ready",
                hint=f"nothing: this poll runs again; or poll the parent now: tidegate poll {name}",
            )
        self._end(run)

    async def _one(self, run: Run, parent: ParentRow, request: PageRequest | None) -> None:
        part = run.part(parent, resumed=request is not None)
        if request is None:
            self._writer.engine_state.place = part.place(PageRequest(""), self._tag)
        try:
            await self._walk(part, request)
        except UpstreamError as error:
            if error.upstream_status not in NO_LIST or part.pages:
                raise
            part.walk.complete = False
            self._writer.health.note("parent_failed", f"{self._parent.resource} {parent.key!r}: {error.message}")
        finally:
            run.add_part(part)

    def _end(self, run: Run) -> None:
        state = self._writer.engine_state
        state.place = None
        if run.records_seen + run.records_before:
            self._writer.move(first_done=True)

    async def _parents(self, start: str) -> AsyncIterator[ParentRow]:
        """Live records of the parent resource by key, from `start` on."""
        after: str | None = None
        while page := await self._records.page(
            self._writer.source, self._parent.resource, after_key=after, limit=PARENTS_AT_ONCE
        ):
            after = page[-1].key
            for record in page:
                row = self._row(record) if record.key >= start else None
                if row is not None:
                    yield row

    def _row(self, record: RecordState) -> ParentRow | None:
        """None, and a note, for a parent without one of the fields."""
        value = parse_json(record.body)
        values: dict[str, Scalar | None] = {}
        for name in self._parent.with_:
            found = compiled(name).first(value)
            if found is MISSING or not isinstance(found, str | int | float | bool) or found == "":
                self._writer.health.note("parent_failed", f"{self._parent.resource} {record.key!r} has no {name!r}")
                return None
            values[name] = found
        fields = {f"_{self._parent.resource}_{name}": text_of(one) for name, one in values.items() if one is not None}
        return ParentRow(record.key, values, fields)
