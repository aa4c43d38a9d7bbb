"""A gateway with a planted fault: on either store it answers before the commit. The kill test must find what
this one loses.

Run like `python -m tidegate`, with the same arguments.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from typing import Any

from tidegate.cli import main
from tidegate.core.model import Appended
from tidegate.store.postgres.log import PostgresLog
from tidegate.store.sqlite.log import SqliteLog

_guess = itertools.count(1)


def plant(log: Any) -> None:
    append = log.append

    def append_later(self: Any, events: Any, strict: bool = False) -> Any:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        answer.set_result([Appended(next(_guess)) for _ in events])
        loop.call_later(0.02, append, self, events, strict)
        return answer

    log.append = append_later


plant(SqliteLog)
plant(PostgresLog)

if __name__ == "__main__":
    sys.exit(main())
