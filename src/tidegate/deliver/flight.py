"""A delivery on its way: what its sender must remember until the answer comes, or the lack of one. No I/O.

Lives in memory only: after a crash it is sent again, with the same id and attempt number.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.model import Exceptional


class Flight(msgspec.Struct):
    """One request on its way."""

    offset: int
    number: int
    started_at_us: int
    started: float
    exception: Exceptional | None  # None: it came from the lane
    key: str
    probe: bool
    pending: Any = None
