"""One process per data directory: an advisory lock on `DIR/lock`.

Invariant: at most one process holds it. After a crash the kernel has freed it, however the process ended.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tidegate.core.errors import StoreLocked


class DirectoryLock:
    """Held from construction to `release()`. Raises StoreLocked, naming the process that holds it."""

    def __init__(self, directory: Path) -> None:
        path = directory / "lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._fd, 32).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise StoreLocked(f"{directory} is in use by process {holder or 'unknown'}") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._fd)
