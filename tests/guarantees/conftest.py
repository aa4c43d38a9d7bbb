"""Each guarantee that takes a `home` runs once on every store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from support.homes import HOMES, Home


@pytest.fixture(params=HOMES)
def new_home(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Home]:
    """Makes homes on one store, each fresh."""
    numbers = itertools.count(1)

    def make() -> Home:
        folder = tmp_path / f"home{next(numbers)}"
        folder.mkdir()
        return HOMES[request.param](folder)

    return make


@pytest.fixture
def home(new_home: Callable[[], Home]) -> Home:
    return new_home()
