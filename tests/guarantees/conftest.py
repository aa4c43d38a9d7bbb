"""Each guarantee that takes a `deployment` runs once on every store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from support.gateway.deployment import DEPLOYMENTS, Deployment


@pytest.fixture(params=DEPLOYMENTS)
def new_deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Deployment]:
    """Makes deployments on one store, each fresh."""
    numbers = itertools.count(1)

    def make() -> Deployment:
        folder = tmp_path / f"deployment{next(numbers)}"
        folder.mkdir()
        return DEPLOYMENTS[request.param](folder)

    return make


@pytest.fixture
def deployment(new_deployment: Callable[[], Deployment]) -> Deployment:
    return new_deployment()
