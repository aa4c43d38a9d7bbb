"""A copy of the live file: one snapshot, page by page, while the writer continues.

Owns the file that the copy grows in: `TARGET.partial`, created for one backup and readable only by its owner; it gets
its final name when it is complete and on disk. The read transaction is held, so writes and trims go on and the copy
does not start again. It ends early when the store closes. After a crash the partial file stays, and the next backup to
the same name reports it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import apsw

from tidegate.core.errors import BadRequest, Conflict, StoreBroken, StoreBusy

PAGES = 500  # of one step
Progress = Callable[[int, int], None]


def copy(source: str, target: Path, progress: Progress | None, ending: threading.Event) -> None:
    """Runs on a thread of its own. `ending` stops it with StoreBusy. After an error no file is left."""
    if not target.is_absolute() or target.exists() or not target.parent.is_dir():
        raise BadRequest(
            f"cannot back up to {str(target)!r}",
            hint="use an absolute path of a new file in an existing folder",
        )
    partial = target.with_name(target.name + ".partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise Conflict(
            f"{str(partial)!r} exists: a backup to this path is running, or one was interrupted",
            hint="wait for it, delete that file, or use another path",
            code="exists",
        ) from None
    except OSError as error:
        raise StoreBroken(f"cannot write {str(partial)!r}: {error.strerror}", hint="use another path") from error
    try:
        _copy_pages(source, partial, progress, ending)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.rename(target)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, apsw.Error | OSError):
            raise StoreBroken(f"the backup failed: {type(error).__name__}: {error}") from error
        raise


def _copy_pages(source: str, partial: Path, progress: Progress | None, ending: threading.Event) -> None:
    reader = apsw.Connection(source, flags=apsw.SQLITE_OPEN_READONLY)
    writer = apsw.Connection(str(partial))
    try:
        reader.execute("BEGIN; SELECT count(*) FROM settings").fetchall()
        with writer.backup("main", reader, "main") as backup:
            while not backup.done:
                if ending.is_set():
                    raise StoreBusy("the backup was stopped because the gateway is stopping", retry_after_seconds=10)
                backup.step(PAGES)
                if progress is not None:
                    progress(backup.page_count - backup.remaining, backup.page_count)
        writer.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        writer.close(True)
        reader.close(True)
