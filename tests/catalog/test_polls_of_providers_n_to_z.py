"""Providers from n to z: every resource is polled, and every operation run, through the double of its API."""

from __future__ import annotations

import pytest

from support.catalog.cases import check_complete, modules, operate, poll

MODULES = modules("n", "z")


@pytest.mark.parametrize("module", MODULES)
async def test_no_change_is_missed_or_invented(module: str) -> None:
    await poll(module)


@pytest.mark.parametrize("module", MODULES)
async def test_operations_write_once_as_far_as_the_api_allows(module: str) -> None:
    await operate(module)


@pytest.mark.parametrize("module", MODULES)
def test_the_double_knows_everything_that_the_provider_file_has(module: str) -> None:
    check_complete(module)
