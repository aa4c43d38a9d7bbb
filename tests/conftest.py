"""What holds for every test: async tests run on uvloop, no two tests share an id, and no property has a time limit.

Workers that run in parallel get ids of tests, so of two tests with one id the second would silently not run.
"""

from __future__ import annotations

import inspect
from collections import Counter

import pytest
import uvloop
from hypothesis import settings

settings.register_profile("tidegate", deadline=None)  # a property states a rule, not a speed
settings.load_profile("tidegate")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def test_...` on a fresh event loop of the kind that `tidegate serve` uses."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    uvloop.run(pyfuncitem.obj(**arguments))
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    again = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if again:
        raise pytest.UsageError(f"several tests share an id, so only one of them would run: {', '.join(again[:5])}")
