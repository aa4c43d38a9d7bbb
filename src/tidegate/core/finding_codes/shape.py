"""What a finding code has: severity, label, meaning and remedy. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """`error`: events are delayed or can be lost until you act. `warning`: look at it. `notice`: for information."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class FindingCode(NamedTuple):
    severity: Severity
    title: str
    meaning: str
    remedy: str


ERROR, WARNING, NOTICE = Severity
