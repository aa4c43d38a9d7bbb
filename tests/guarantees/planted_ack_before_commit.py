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


class NobodyWaits:
    """The answer of the store comes after ours, and goes nowhere."""

    def done(self) -> bool:
        return True

    def set_result(self, result: Any) -> None: ...

    def set_exception(self, error: Any) -> None: ...


def plant_one(log: Any) -> None:
    append_one = log.append_one

    def append_one_later(self: Any, event: Any, receipt: Any) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, append_one, self, event, NobodyWaits())
        loop.call_soon(receipt.set_result, Appended(next(_guess)))

    log.append_one = append_one_later


plant(SqliteLog)
plant(PostgresLog)
plant_one(SqliteLog)  # that of PostgreSQL calls `append`

if __name__ == "__main__":
    sys.exit(main())
