"""A copy of the live file: one snapshot, page by page, beside the writer.

Owns the place where the copy grows: `TARGET.partial`, made for one backup alone and readable by its owner only; it gets
its name when it is whole and on disk. The read transaction is held, so writers and trims go on and the copy does not
begin anew. Ends early when the store closes. Crash: the partial file stays, and the next backup to that name says so.
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
    """Runs on a thread of its own. `ending` breaks it off with StoreBusy. What it raises leaves nothing behind."""
    if not target.is_absolute() or target.exists() or not target.parent.is_dir():
        raise BadRequest(
            f"cannot back up to {str(target)!r}",
            hint="give an absolute path of a file that does not exist, in a folder that does",
        )
    partial = target.with_name(target.name + ".partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise Conflict(
            f"{str(partial)!r} exists: a backup to this place is being written, or one broke off",
            hint="wait for it, or delete that file; or name another place",
            code="exists",
        ) from None
    except OSError as error:
        raise StoreBroken(f"cannot write {str(partial)!r}: {error.strerror}", hint="name another place") from error
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
                    raise StoreBusy("the gateway is stopping: the backup was broken off", retry_after_seconds=10)
                backup.step(PAGES)
                if progress is not None:
                    progress(backup.page_count - backup.remaining, backup.page_count)
        writer.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        writer.close(True)
        reader.close(True)
