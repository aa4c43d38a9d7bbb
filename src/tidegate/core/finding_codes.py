"""The codes of findings: how severe each is, its label, what it means and what to do.

Owns the one table that `doctor`, the pages, `explain` and `docs/reference/findings.md` read. To add a finding, add a
row and report it. Invariant: a code that is reported somewhere is a row here (`tests/pure/test_findings.py`). `{name}`
in a remedy is the name in the finding's subject.
"""

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
UNKNOWN = FindingCode(WARNING, "unknown finding", "This release has no description of this code.", "")

CODES: dict[str, FindingCode] = {
    # -- process
    "config_warning": FindingCode(
        WARNING,
        "configuration warning",
        "The configuration file is valid and says something that is probably not intended.",
        "correct the file, then: tidegate config apply",
    ),
    "config_out_of_date": FindingCode(
        ERROR,
        "configuration not read",
        "The configuration that another node changed could not be read, so this node still uses the previous one.",
        "check the database; the node tries again by itself where a retry can help",
    ),
    "rejections_not_stored": FindingCode(
        WARNING,
        "rejections not stored",
        "Rejected requests could not be written to the store, so `doctor` and the pages do not show them.",
        "check the store: tidegate doctor",
    ),
    "rejections_dropped": FindingCode(
        NOTICE,
        "rejections dropped",
        "More requests were rejected at once than are kept, so the list of rejected requests has gaps.",
        "look at the list for what sends them: tidegate doctor",
    ),
    "findings_dropped": FindingCode(
        WARNING,
        "findings dropped",
        "There were more findings than are kept, so the least severe and oldest were dropped.",
        "resolve the findings in this list; the samples name some of those that were dropped",
    ),
    # -- requests
    "delivery_id_reused": FindingCode(
        WARNING,
        "delivery id used again",
        "Requests of this source carried a delivery id that came before with another type or another body. Each was"
        " stored as an event of its own.",
        "set `dedupe` in [sources.{name}.webhook]: `scope` for what the id is unique by, `volatile` for paths that"
        " differ between repeats, or `enabled = false`",
    ),
    "body_unreadable": FindingCode(
        WARNING,
        "body not readable",
        "The body of accepted requests of this source could not be read, so filters, keys and event types see nothing"
        " of it. The bytes were stored and are delivered as they came.",
        "compare the Content-Type and Content-Encoding that the sender sets with what it sends: tidegate explain ID",
    ),
}
