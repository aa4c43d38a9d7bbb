"""The codes of findings: how severe each is, its label, what it means and what to do.

Owns the one table that `doctor`, the pages, `explain` and `docs/reference/findings.md` read. To add a finding, add a
row to the module of its subject and report it. Invariant: a code that is reported somewhere is a row here
(`tests/pure/test_findings.py`). `{name}` in a remedy is the name in the finding's subject.
"""

from __future__ import annotations

from tidegate.core.finding_codes.deliveries import DELIVERIES
from tidegate.core.finding_codes.process import PROCESS
from tidegate.core.finding_codes.rejections import REJECTIONS
from tidegate.core.finding_codes.requests import REQUESTS
from tidegate.core.finding_codes.resources import RESOURCES
from tidegate.core.finding_codes.shape import ERROR, NOTICE, WARNING, FindingCode, Severity

__all__ = ["CODES", "ERROR", "NOTICE", "UNKNOWN", "WARNING", "FindingCode", "Severity"]

UNKNOWN = FindingCode(WARNING, "unknown finding", "This release has no description of this code.", "")

CODES: dict[str, FindingCode] = {**DELIVERIES, **REQUESTS, **REJECTIONS, **PROCESS, **RESOURCES}
