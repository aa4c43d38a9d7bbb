"""What the tests of the catalog run for each double: all polls, all operations, and that nothing is left out."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.catalog import doubles
from support.catalog.configured import source_of
from support.catalog.driver import polled
from support.catalog.operations import Operations
from support.catalog.shape import Double
from tidegate.providers import provider_data

CHANGES = int(os.environ.get("TIDEGATE_CATALOG_CHANGES", "200"))
MODULES = sorted(path.stem for path in Path(doubles.__path__[0]).glob("[a-z]*.py"))
MEMORY = Path("/dev/shm")


def modules(first: str, last: str) -> list[str]:
    """The doubles whose names begin with a character from `first` to `last`."""
    return [name for name in MODULES if first <= name[0] <= last]


def double_of(module: str) -> Double:
    found: Double = importlib.import_module(f"support.catalog.doubles.{module}").DOUBLE
    return found


@contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory where there is one."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as name:
        yield Path(name)


async def poll(module: str) -> None:
    """Poll each resource through CHANGES changes of its rows. AssertionError for what is missed or invented."""
    double = double_of(module)
    with folder() as path:
        async with polled(path, double, source_of(double)) as one:
            await one.live(CHANGES)
            for name in one.names:
                await one.check(name)


async def operate(module: str) -> None:
    """Run each operation, and again after an answer that was lost."""
    double = double_of(module)
    with folder() as path:
        async with polled(path, double, source_of(double)) as one:
            one.quiet = True  # rows come from operations alone, also while a poll of the start is on its way
            operations = Operations(one)
            for name in one.source.operations:
                await operations.check(name)


def check_complete(module: str) -> None:
    """The double knows each resource and each operation of the provider file, and the file says that it is tested."""
    double, data = double_of(module), provider_data(double_of(module).name)
    assert module == double.name.replace("-", "_")
    assert set(double.resources) == set(data["resources"]), double.name
    assert set(double.operations) == set(data.get("operations", {})), double.name
    assert data["api"]["tested_with"] in ("double", "program"), double.name
    choice = data["api"].get("auth", {}).get(double.auth.config["type"])
    if choice is not None:  # where the credential goes; its value is the user's
        given = {**choice.get("set", {}), **dict.fromkeys(choice.get("fields", {}))}
        for key in ("name", "location"):
            wanted = double.auth.config.get(key, "")
            assert given.get(key, "") in (None, wanted), f"{double.name}: {key} of auth is {wanted!r}"
