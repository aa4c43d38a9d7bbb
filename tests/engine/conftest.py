"""What the tests of several engines ask for by name."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from support.receiver.post_client import Run


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both loops: they differ in when writes leave and how sockets end."""
    return asyncio.run if request.param == "asyncio" else uvloop.run
