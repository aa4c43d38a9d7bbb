"""Findings on a terminal: a badge, the name and the sentence on one line, the remedy and samples below.

Owns this layout for `doctor` and `explain`. The gateway writes the sentences; text from outside is cleaned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.core.finding_codes import Severity
from tidegate.core.findings import Finding

if TYPE_CHECKING:
    from rich.console import Console

_STATES = {Severity.ERROR: "exhausted", Severity.WARNING: "pending", Severity.NOTICE: "filtered"}


def print_findings(out: Console, findings: Sequence[Finding]) -> None:
    from rich.text import Text

    from tidegate.cli.output import clean, span_since, state_badge

    for one in findings:
        state = "paused" if one.code.startswith("destination_") and one.title == "paused" else _STATES[one.severity]
        line = Text("  ").append_text(state_badge(state, label=one.title))
        times = f" ({one.count:,} times)" if one.count > 1 else ""
        lasts = span_since(one.first_at) if one.last_at is None else ""
        line.append(f"  {clean(one.name)}", style="bold").append(f"{lasts}  {clean(one.summary)}{times}")
        if one.muted_until or one.acknowledged_at:
            line.append("  (muted)" if one.muted_until else "  (acknowledged)", style="dim")
        out.print(line)
        for sample in one.samples[:1]:
            out.print(Text(f"      for example: {clean(sample)}", style="dim"))
        if one.remedy:
            out.print(Text(f"      {clean(one.remedy)}", style="dim"))
