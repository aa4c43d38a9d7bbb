"""Work that began outside a task and turns out to need one. Imports only the standard library.

A hot path may run a coroutine by hand, without a task (`process/edge/taskless.py`). What needs a task, because it uses
`asyncio.timeout`, cancels itself or awaits more than a future, calls `need_task` first. The caller then runs the same
request again in a task, so nothing may have been done before that call that cannot be done twice.
"""

from __future__ import annotations

import asyncio


class NeedsTask(Exception):
    """Raised outside a task: do the same again inside one."""


def need_task() -> None:
    """Raises NeedsTask when no task runs."""
    if asyncio.current_task() is None:
        raise NeedsTask
