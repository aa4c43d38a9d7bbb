"""After a complete scan: which known records are missing, and which of those were deleted.

Owns the confirmation of deletes and the records that the source has and does not list. Knows no pages. Invariants: one
absence proves nothing; a scan that misses more than `max_ratio` deletes nothing until a person releases it, and counts
only records that are still missing; records that the source showed to exist are asked again in each scan and do not
count. Crash: a scan that was not committed is repeated.
"""

from __future__ import annotations

from tidegate.core.clock import Clock
from tidegate.pull.engine_state import MAX_UNLISTED
from tidegate.pull.fetch import Fetcher
from tidegate.pull.page_rows import MAX_ROWS
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.run import Run
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.changes import Copy, make_copy
from tidegate.rules.sync.deletes import ScanResult, decide, twice_missing
from tidegate.rules.sync.healing import SCANS_KEPT
from tidegate.rules.sync.incremental import higher
from tidegate.rules.sync.items import cursor_value
from tidegate.rules.sync.spec import Resource
from tidegate.store import Records

MAX_CANDIDATES = 10_000  # of one scan; the next scan finds the others


class DeleteScan:
    """Finds the deletes of one resource."""

    def __init__(
        self, resource: Resource, writer: RecordWriter, records: Records, fetcher: Fetcher, clock: Clock
    ) -> None:
        self._resource = resource
        self._writer = writer
        self._records = records
        self._fetcher = fetcher
        self._clock = clock

    async def finish(self, run: Run) -> None:
        """Decide about the records that a complete run did not show, and store the deletes."""
        writer, rule = self._writer, self._resource.deletes
        missing, live = await self._missing(run)
        unlisted = set(writer.engine_state.unlisted) & set(missing)
        fresh = [key for key in missing if key not in unlisted]
        limit = 1.0 if len(fresh) <= run.accepted_missing else rule.max_ratio
        result = decide(fresh, live - len(unlisted), limit)
        writer.statistics.scans += 1
        self._report_ratio(result, len(fresh), live - len(unlisted))
        candidates = result.candidates[:MAX_CANDIDATES]
        if rule.confirm == "get" and self._resource.item_path:
            copies = await self._by_get(run, [*candidates, *sorted(unlisted)])
        else:
            copies = self._by_second_scan(run, tuple(fresh[:MAX_CANDIDATES]), result.stopped_by_ratio)
        for at in range(0, len(copies), MAX_ROWS):
            run.applied.add(await writer.apply(copies[at : at + MAX_ROWS], silent=run.silent))
        if self._decided(result, len(fresh)):
            state = writer.engine_state
            state.scanned_from_us = [*state.scanned_from_us, run.started_us][-SCANS_KEPT:]
        writer.move(scanned_at_us=self._clock.now_us())

    def _decided(self, result: ScanResult, missing: int) -> bool:
        """Whether the scan decided about every record that it missed: what it left was there when it began."""
        if result.stopped_by_ratio or missing > MAX_CANDIDATES:
            return False
        return "deletes_unconfirmed" not in self._writer.health.of_run

    def _report_ratio(self, result: ScanResult, missing: int, live: int) -> None:
        writer = self._writer
        writer.engine_state.stopped_missing = missing if result.stopped_by_ratio else 0
        if not result.stopped_by_ratio:
            writer.health.resolve("deletes_stopped")
            return
        writer.statistics.stopped_by_ratio += 1
        writer.statistics.failed(self._ratio_text(result, missing, live), self._clock.now_us())
        writer.health.note("deletes_stopped", self._ratio_text(result, missing, live))

    def _ratio_text(self, result: ScanResult, missing: int, live: int) -> str:
        return (
            f"a scan missed {missing:,} of {live:,} records ({result.ratio:.0%}, max_ratio is "
            f"{self._resource.deletes.max_ratio:.0%}): nothing was deleted"
        )

    async def _by_get(self, run: Run, keys: list[str]) -> list[Copy]:
        """Ask for each missing item. What exists is remembered as unlisted."""
        writer = self._writer
        copies, failures = await self._fetcher.fetch_all([(key, run.origin) for key in keys])
        run.requests += len(keys)
        if failures:  # those stay known, and the next scan asks again
            failure = next(iter(failures.values()))
            writer.statistics.failed(failure.message, self._clock.now_us())
            writer.health.note("deletes_unconfirmed", failure.message, count=len(failures))
        else:
            writer.health.resolve("deletes_unconfirmed")
        if self._resource.deletes.mode != "scan":  # no scan is due: the next poll reads everything once more
            writer.engine_state.candidates = sorted(failures)
        alive = sorted(copy.key for copy in copies if not copy.deleted)
        asked = {copy.key for copy in copies}
        kept = [key for key in writer.engine_state.unlisted if key in keys and key not in asked]
        writer.engine_state.unlisted = sorted({*alive, *kept})[:MAX_UNLISTED]
        if alive:
            writer.health.note(
                "unlisted_records", f"the source has {alive[0]!r} and does not list it", count=len(alive)
            )
        return copies

    def _by_second_scan(self, run: Run, candidates: tuple[str, ...], stopped: bool) -> list[Copy]:
        """What this scan and the one before missed. A scan that the ratio stopped is the first of the two as well."""
        state = self._writer.engine_state
        if stopped:
            state.candidates = sorted(candidates)
            return []
        gone = twice_missing(candidates, state.candidates)
        state.candidates = sorted(set(candidates) - set(gone))
        return [self._tombstone(key, run) for key in gone]

    async def _missing(self, run: Run) -> tuple[list[str], int]:
        """(live keys that the scan did not show, number of live records). Later records are not missing."""
        missing: list[str] = []
        live = 0
        after: str | None = None
        while page := await self._records.page(self._writer.source, self._writer.name, after_key=after, limit=MAX_ROWS):
            live += len(page)
            after = page[-1].key
            missing.extend(
                one.key
                for one in page
                if one.key not in run.seen
                and one.answered_at_us < run.started_us
                and not self._before_initial_value(one.body)
            )
        return missing, live

    def _before_initial_value(self, body: bytes) -> bool:
        """Whether the scan did not ask for a record, because its cursor is before `initial_value`."""
        rule = self._resource.incremental
        if rule is None or not rule.initial_value:
            return False
        at = cursor_value(parse_json(body), rule.cursor_path)
        return at is not None and higher(rule.initial_value, at, None)

    def _tombstone(self, key: str, run: Run) -> Copy:
        return make_copy(
            key,
            None,
            ignore=(),
            version=None,
            origin=run.origin,
            asked_at_us=run.started_us,
            answered_at_us=self._clock.now_us(),
            deleted=True,
        )
