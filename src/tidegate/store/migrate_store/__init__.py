"""Moving an installation from the embedded store to PostgreSQL, with what is pending; resumable at any point.

Two passes. The log and its attempts are copied in slices, each with its progress in one transaction, while the gateway
may still run on the source. The last pass needs the source's directory for itself: it copies what came meanwhile and
everything that changes (lanes, deferred deliveries, records, settings) in one transaction, checks the counts, and
only then is
the target open to gateways and the source closed to them. Offsets and the instance stay, so every id stays.

Crash at any point: the target says that it is half moved and no gateway starts on it; the same command goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, Conflict, StoreLocked, TidegateError
from tidegate.store.lock import DirectoryLock
from tidegate.store.migrate_store.source import Source
from tidegate.store.migrate_store.target import Progress, Target, open_target
from tidegate.store.sqlite import FILE_NAME

LATE_US = 3600 * 1_000_000  # an attempt is settled long before it is an hour old

Say = Callable[[str, int, int], None]  # (what, done, of how many)


class Moved(msgspec.Struct, frozen=True):
    """What stands in the target now, by table, and where it is (without user and password)."""

    target: str
    rows: dict[str, int]


class StillRunning(TidegateError):
    """The first pass is done and the source is in use: not an accident, but not finished either."""

    code = "source_running"
    status = 409


async def move(directory: Path, url: str, say: Say, clock: Clock) -> Moved:
    """Move the store in `directory` to the database at `url`.

    Raises StillRunning after the first pass while a gateway holds the source, BadRequest when there is no such source,
    Conflict when the target holds something else; what was copied stays and is not copied again.
    """
    if not (directory / FILE_NAME).is_file():
        raise BadRequest(
            f"there is no embedded store in {str(directory)!r}", hint="--from sqlite:DIR, the --data of the gateway"
        )
    with contextlib.ExitStack() as held, Source(directory / FILE_NAME) as source:
        alone = _lock(directory, held)
        target = await open_target(url)
        try:
            progress = await _progress(source, target, clock)
            progress = await _copy_log(source, target, progress, say)
            if not alone:
                raise StillRunning(
                    f"the log is copied up to offset {progress.upto}, and a gateway still runs on {str(directory)!r}",
                    hint="stop that gateway (SIGTERM), then run the same command again: it copies the rest",
                )
            rows = await _finish(source, target, progress, say)
        finally:
            await target.close()
    return Moved(target.shown, rows)


def _lock(directory: Path, held: contextlib.ExitStack) -> bool:
    try:
        lock = DirectoryLock(directory)
    except StoreLocked:
        return False
    held.callback(lock.release)
    return True


async def _progress(source: Source, target: Target, clock: Clock) -> Progress:
    """Where an earlier run stopped; a new beginning in an empty target. Conflict when it is another's."""
    progress = await target.progress()
    if progress is None:
        if not await target.empty():
            raise Conflict(
                f"{target.shown} already holds an installation",
                hint="give an empty database: createdb NAME",
                code="target_in_use",
            )
        progress = Progress(source.instance, 0, clock.now_us())
        await target.begin(progress)
    if progress.instance != source.instance:
        raise Conflict(
            f"{target.shown} is half moved from another installation ({progress.instance}, not {source.instance})",
            hint="go on with that one, or give an empty database: createdb NAME",
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
    tables = source.small_tables()
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
        # Before the commit: cut in between, neither side takes events, and the same command goes on.
        source.close_to_gateways(target.shown)
    say("done", len(tables), len(tables))
    return rows


def _compare(there: dict[str, int], here: dict[str, int]) -> None:
    """Inside the last pass, so that a difference undoes it. More events than the source has: it trimmed meanwhile."""
    short = [f"{table}: {there[table]} there, {here[table]} here" for table in there if here[table] < there[table]]
    if short:
        raise Conflict(
            f"the copy is not complete ({'; '.join(short)}); nothing of this pass was kept",
            hint="run the same command again; if it says so twice, move to an empty database",
            code="move_incomplete",
        )


__all__ = ["Moved", "StillRunning", "move"]
