"""Moves an installation from the embedded store to PostgreSQL, with everything that is pending. It can be resumed.

There are two passes. The first copies the log and its attempts in slices, each with its progress in one transaction; a
gateway may still run on the source. The last pass needs the source's directory for itself: it copies the rest of the
log and everything that changes (lanes, deferred deliveries, records, settings) in one transaction and compares the
counts. Only then can gateways start on the target, and no longer on the source. Offsets and the instance stay the same,
so every id stays the same.

Invariant: never do both sides accept events. After a crash the target is marked as incomplete, no gateway starts on it,
and the same command continues.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, Conflict, StoreLocked, TidegateError
from tidegate.store.lock import DirectoryLock
from tidegate.store.migrate_store.source import SMALL, Source
from tidegate.store.migrate_store.target import Progress, Target, open_target
from tidegate.store.sqlite import FILE_NAME

LATE_US = 3600 * 1_000_000  # an attempt is always settled within an hour

Say = Callable[[str, int, int], None]  # (what, done, total)


class Moved(msgspec.Struct, frozen=True):
    """The rows in the target by table, and its address without user and password."""

    target: str
    rows: dict[str, int]


class StillRunning(TidegateError):
    """The first pass is done, and the source is still in use: run the command again when it is not."""

    code = "source_running"
    status = 409


async def move(directory: Path, url: str, say: Say, clock: Clock) -> Moved:
    """Move the store in `directory` to the database at `url`.

    Raises StillRunning after the first pass while a gateway uses the source, BadRequest when there is no such source,
    Conflict when the target has other data. Rows that were copied stay and are not copied again.
    """
    if not (directory / FILE_NAME).is_file():
        raise BadRequest(
            f"there is no embedded store in {str(directory)!r}",
            hint="use --from sqlite:DIR with the --data directory of the gateway",
        )
    with contextlib.ExitStack() as held, Source(directory / FILE_NAME) as source:
        alone = _lock(directory, held)
        target = await open_target(url)
        try:
            progress = await _progress(source, target, clock)
            progress = await _copy_log(source, target, progress, say)
            if not alone:
                raise StillRunning(
                    f"the log is copied up to offset {progress.upto}, and a gateway still uses {str(directory)!r}",
                    hint="stop that gateway (SIGTERM), then run the same command again: it copies the rest",
                )
            rows = await _finish(source, target, progress, say)
        finally:
            await target.close()
    return Moved(target.name, rows)


def _lock(directory: Path, held: contextlib.ExitStack) -> bool:
    try:
        lock = DirectoryLock(directory)
    except StoreLocked:
        return False
    held.callback(lock.release)
    return True


async def _progress(source: Source, target: Target, clock: Clock) -> Progress:
    """Where an earlier run stopped, or a new start in an empty target. Conflict for a target of another source."""
    progress = await target.progress()
    if progress is None:
        if not await target.empty():
            raise Conflict(
                f"{target.name} already holds an installation",
                hint="use an empty database: createdb NAME",
                code="target_in_use",
            )
        progress = Progress(source.instance, 0, clock.now_us())
        await target.begin(progress)
    if progress.instance != source.instance:
        raise Conflict(
            f"{target.name} has an incomplete copy of installation {progress.instance}, not of {source.instance}",
            hint="finish that copy, or use an empty database: createdb NAME",
            code="target_in_use",
        )
    return progress


async def _copy_log(source: Source, target: Target, progress: Progress, say: Say) -> Progress:
    head = source.head()
    await target.make_room(head)
    while progress.upto < head:
        after, end = progress.upto, source.slice_end(progress.upto, head)
        progress = msgspec.structs.replace(progress, upto=end)
        await target.copy_slice(source.events(after, end), source.attempts_of(after, end), progress)
        say("events", end, head)
    return progress


async def _finish(source: Source, target: Target, progress: Progress, say: Say) -> dict[str, int]:
    source.count_events()
    tables = SMALL
    rows: dict[str, int] = {}
    async with target.last_pass() as last:
        await last.late_attempts(source.attempts_since(progress.began_at_us - LATE_US))
        await last.differs(source.differing())
        for number, table in enumerate(tables):
            say(table, number, len(tables))
            rows[table] = await last.copy(table, source.rows(table), source.columns(table))
        await last.settle_in(source.head(), source.high_water_mark(), source.oldest(), source.settings())
        rows |= {"events": await last.count("events"), "attempts": await last.count("attempts")}
        _compare(source.counts([*tables, "events", "attempts"]), rows)
        # Before the commit: after a crash in between, neither side accepts events, and the same command continues.
        source.close_to_gateways(target.name)
    say("done", len(tables), len(tables))
    return rows


def _compare(there: dict[str, int], here: dict[str, int]) -> None:
    """Within the last pass, so a difference undoes it. More events than in the source mean that it trimmed some."""
    short = [f"{table}: {there[table]} there, {here[table]} here" for table in there if here[table] < there[table]]
    if short:
        raise Conflict(
            f"the copy is not complete ({'; '.join(short)}); nothing of this pass was stored",
            hint="run the same command again; if it fails again, use an empty database",
            code="move_incomplete",
        )


__all__ = ["Moved", "StillRunning", "move"]
