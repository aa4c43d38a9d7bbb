"""What holds for every test: async tests run on uvloop, no two tests share an id, and no property has a time limit.

Workers that run in parallel get ids of tests, so of two tests with one id the second would silently not run.

Temporary folders are in memory where the machine has room for it and `TMPDIR` names no other place: tests kill
processes and not the machine, so what they prove does not depend on the disk, whose flushes would take a good part of
their time.
"""

from __future__ import annotations

import gc
import inspect
import os
import tempfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
import uvloop
from hypothesis import settings

settings.register_profile("tidegate", deadline=None)  # a property states a rule, not a speed
settings.load_profile("tidegate")

MEMORY = Path("/dev/shm")
FREE_BYTES = 6 << 30  # a whole run leaves less than a third of it


def _has_room(folder: Path) -> bool:
    """Whether programs can be written there and run, with enough space for all workers."""
    if not os.access(folder, os.W_OK):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= FREE_BYTES and not found.f_flag & os.ST_NOEXEC


if "TMPDIR" not in os.environ and _has_room(MEMORY):  # before any folder is made; workers inherit it
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def test_...` on a fresh event loop of the kind that `tidegate serve` uses."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    uvloop.run(pyfuncitem.obj(**arguments))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests and all imported modules stay: no collection of garbage goes through them, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    again = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if again:
        raise pytest.UsageError(f"several tests share an id, so only one of them would run: {', '.join(again[:5])}")
