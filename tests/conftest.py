"""What holds for every test file: no two tests share an id, and no property fails because the machine is busy.

Workers that run side by side are told ids, so of two tests with one id the second would be left out without a word.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

settings.register_profile("tidegate", deadline=None)  # a property says what is so, not how fast
settings.load_profile("tidegate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    again = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if again:
        raise pytest.UsageError(f"several tests share an id, so only one of them would be run: {', '.join(again[:5])}")
