"""The rows of a page as copies: keys, versions, cursors, and rows that cannot be read.

Owns which rows become copies: a row that cannot be read is counted with its reason, and a key that more than one row
has is settled so that an unchanged list makes no change. Knows no requests and no store. Invariant: a row is a copy, or
is noted. Crash: nothing here is durable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from tidegate.core.errors import UpstreamError
from tidegate.pull.engine_state import MAX_DUPLICATES
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.run import Run
from tidegate.pull.sources import PullResponse
from tidegate.pull.yielding import Yielder
from tidegate.rules.sync.canonical import HASH_BYTES, without
from tidegate.rules.sync.changes import Copy, make_copy
from tidegate.rules.sync.deletes import is_deleted
from tidegate.rules.sync.incremental import is_pinned
from tidegate.rules.sync.items import cursor_value, item_value, record_version, row_key, row_text
from tidegate.rules.sync.page_end import MAX_KEYS
from tidegate.rules.sync.paths import is_raw
from tidegate.rules.sync.spec import Resource
from tidegate.rules.sync.versions import order
from tidegate.store import Records

MAX_ROWS = 500  # of one transaction
MAX_ROW_BYTES = 2 << 20
ROWS_AT_ONCE = 16  # between two looks at the clock
MAX_BYTES_AT_ONCE = 65_536
MAX_DUPLICATE_ROWS = 20  # of one key
UNIQUE_AFTER_RUNS = 2  # runs in a row that show one row of a key


class PageRowReader:
    """Reads the rows of one resource."""

    def __init__(self, resource: Resource, writer: RecordWriter, records: Records) -> None:
        self._resource = resource
        self._writer = writer
        self._records = records
        self._marks_deletes = resource.deletes.mode in ("flag", "in_band")

    @property
    def _duplicates(self) -> dict[str, int]:
        return self._writer.engine_state.duplicates

    async def copies(self, run: Run, rows: Any, response: PullResponse) -> AsyncIterator[tuple[list[Copy], bool]]:
        """The copies of a page in slices of at most MAX_ROWS, the last one (which may be empty) marked."""
        yielder = Yielder()
        slice_: list[Copy] = []
        size = 0
        keys: set[int] = set()
        signature, hashes, tracked = 0, run.hashes, bool(self._duplicates)
        pause_at = 0  # the size of the rows since the last look at the clock counts too
        for at, row in enumerate(rows):
            if not at % ROWS_AT_ONCE or size >= pause_at:
                await yielder.pause()
                pause_at = size + MAX_BYTES_AT_ONCE
            copy = self._copy(run, row, response)
            if copy is None:
                signature += hash(bytes(row) if is_raw(row) else repr(row))
                continue
            number = hash(copy.key)
            signature += number ^ hash(copy.hash)  # a sum: rows in another order are the same page
            if number not in hashes and number not in keys and not (tracked or run.not_unique):
                keys.add(number)
                if len(hashes) < MAX_KEYS:
                    hashes[number] = _content(copy)
            else:
                same_page = number in keys
                keys.add(number)
                if not self._is_new(run, number, copy, same_page=same_page):
                    continue
            if len(slice_) == MAX_ROWS or size > MAX_ROW_BYTES:
                yield slice_, False
                slice_, size, pause_at = [], 0, 0
            slice_.append(copy)
            size += len(copy.body)
        signature = (signature & 0xFFFFFFFFFFFFFFFF or 1) if rows else 0
        run.walk.note_rows(keys, signature, unique=not run.not_unique and not run.duplicates)
        yield slice_, True

    def _copy(self, run: Run, row: Any, response: PullResponse) -> Copy | None:
        resource = self._resource
        try:
            value = item_value(row)
            if run.parent is not None and isinstance(value, dict):
                value = {**value, **run.parent.fields}
            copy = make_copy(
                row_key(value, resource.primary_key),
                value,
                ignore=resource.ignore,
                version=record_version(value, resource.version),
                origin=run.origin,
                asked_at_us=response.sent_at_us,
                answered_at_us=response.received_at_us,
                deleted=self._marks_deletes and is_deleted(value, resource.deletes),
            )
        except ValueError as error:
            self._unreadable(run, row, error)
            return None
        run.records_seen += 1
        if run.ignores_unused and run.records_seen <= MAX_ROWS:
            run.ignores_unused = {one for one in run.ignores_unused if without(value, one) is value}
        if copy.version is None and resource.version:
            run.without_version += 1
        if run.find_deletes:
            run.seen.add(copy.key)
        if resource.incremental is not None and resource.incremental.cursor_path:
            at = cursor_value(value, resource.incremental.cursor_path)
            if at is not None and not is_pinned(value, resource.incremental.pinned_path):
                run.see_cursor(at, copy.key)
            run.without_cursor += at is None
        return copy

    def _unreadable(self, run: Run, row: Any, error: ValueError) -> None:
        """One bad row does not stop a resource; but then a missing record proves nothing."""
        run.unreadable += 1
        self._writer.statistics.unreadable += 1
        text = f"{error}: {row_text(row)}"
        self._writer.health.note("rows_skipped", text)
        if self._resource.on_bad_row == "fail":
            raise UpstreamError(
                f"a row cannot be read: {text}",
                code="row_unreadable",
                hint='correct primary_key or data_selector, or set on_bad_row = "report" to skip such rows',
            )

    def _is_new(self, run: Run, number: int, copy: Copy, *, same_page: bool) -> bool:
        """False for a row whose key another row of the run has, unless their versions say which is newer.

        Two rows of one page are two rows; on two pages it may be one row that moved and changed in between, so the
        next run decides.
        """
        if copy.key in run.not_unique:
            return False  # the first of its rows was applied; from the next run on they are compared together
        if copy.key in self._duplicates:
            kept = run.duplicates.setdefault(copy.key, [])
            if len(kept) < MAX_DUPLICATE_ROWS:
                kept.append(copy)
            return False
        before = run.hashes.get(number)
        run.came_twice += before is not None and not same_page
        if before is None or before[:HASH_BYTES] == copy.hash:
            if len(run.hashes) < MAX_KEYS:
                run.hashes[number] = _content(copy)
            return True
        if same_page:
            run.twice_on_page.add(copy.key)
            self._writer.health.note("duplicate_keys", f"key {copy.key!r} has more than one row")
        version = before[HASH_BYTES:].decode("utf-8", "surrogatepass")
        if version and copy.version is not None:
            found = order(copy.version, version, self._resource.version_kind)
            if found:
                return True  # the merge rule takes the later of the two
        run.not_unique.add(copy.key)
        if len(self._duplicates) < MAX_DUPLICATES:
            self._duplicates[copy.key] = 0
        return False

    def forget_circle(self, run: Run) -> None:
        """Rows that were read twice because the walk went in a circle are not two rows of a key."""
        if run.walk.in_circle:
            for key in run.not_unique - run.twice_on_page:
                self._duplicates.pop(key, None)

    async def settle_duplicates(self, run: Run) -> list[Copy]:
        """At the end of a walk: what to apply for keys that had more than one row before.

        Nothing when one of the rows is what is known; a key that has one row now is unique again.
        """
        if not run.duplicates:
            return []
        known = await self._records.known(self._writer.source, self._writer.name, list(run.duplicates))
        chosen: list[Copy] = []
        for key, copies in run.duplicates.items():
            if len({copy.hash for copy in copies}) == 1:
                # Once proves little: the other row may be on a page that was not read, or have moved between pages.
                self._duplicates[key] += 0 if run.rows_lost else 1
                if self._duplicates[key] >= UNIQUE_AFTER_RUNS:
                    del self._duplicates[key]
                    chosen.append(copies[-1])
                continue
            self._duplicates[key] = 0
            self._writer.health.note("duplicate_keys", f"key {key!r} has {len(copies)} rows")
            state = known.get(key)
            if state is None or all(copy.hash != state.hash for copy in copies):
                chosen.append(min(copies, key=lambda copy: copy.hash))
        return chosen


def _content(copy: Copy) -> bytes:
    """The hash and the version of a copy in one object that the garbage collector does not visit."""
    return copy.hash if copy.version is None else copy.hash + copy.version.encode("utf-8", "surrogatepass")
