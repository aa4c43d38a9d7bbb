"""A gateway on a disk that fails on demand: the file named by TEST_DISK_FAULT says how, and may change at any time.

"full": no write finds room. "fsync": nothing can be made durable. "read_only": writes are refused. Run like
`python -m tidegate`, with the same arguments.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import apsw

from tidegate.cli import main

FAULT = Path(os.environ["TEST_DISK_FAULT"])


def fault() -> str:
    return FAULT.read_text() if FAULT.exists() else ""


class File(apsw.VFSFile):
    def __init__(self, name: apsw.URIFilename | str | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        match fault():
            case "full":
                raise apsw.FullError
            case "read_only":
                raise apsw.ReadOnlyError
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if fault() == "fsync":
            raise apsw.IOError
        super().xSync(flags)


class Disk(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("failing", "unix")

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> File:  # noqa: N802
        return File(name, flags)


if __name__ == "__main__":
    disk = Disk()
    apsw.set_default_vfs("failing")
    sys.exit(main())
