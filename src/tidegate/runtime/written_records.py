"""Which records operations write to, and which systems a change reaches through them.

Owns the reading of the active configuration for this. May not know records. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidegate.kinds import kind_of


class WrittenRecords:
    """`sources` and `by_number`: the active sources and destinations; `wanted`: destinations of an audience."""

    def __init__(
        self,
        sources: Callable[[], Mapping[str, Any]],
        by_number: Callable[[], Mapping[int, Any]],
        wanted: Callable[[int], list[int]],
    ) -> None:
        self._sources = sources
        self._by_number = by_number
        self._wanted = wanted

    def targets(self, source: str, resource: str, audience: int) -> list[str] | None:
        """The sources that a change is written to; None when no operation writes to records of the resource."""
        found = self._sources().get(source)
        if found is None or all(one.resource != resource for one in found.spec.operations.values()):
            return None
        by_number = self._by_number()
        specs = [by_number[number].spec for number in self._wanted(audience) if number in by_number]
        return sorted({called for one in specs if (called := kind_of(one).calls(one)[0])})
