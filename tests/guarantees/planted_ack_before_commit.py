"""A gateway with a planted fault: it answers before the commit. The kill test must find what this one loses.

Run like `python -m tidegate`, with the same arguments.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from typing import Any

from tidegate.cli import main
from tidegate.model import Appended
from tidegate.store.sqlite.log import SqliteLog

_append = SqliteLog.append
_guess = itertools.count(1)


def append_later(self: SqliteLog, events: Any, strict: bool = False) -> Any:
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    answer.set_result([Appended(next(_guess)) for _ in events])
    loop.call_later(0.02, _append, self, events, strict)
    return answer


SqliteLog.append = append_later  # type: ignore[method-assign,assignment]

if __name__ == "__main__":
    sys.exit(main())
