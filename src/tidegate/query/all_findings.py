"""All findings, as `doctor`, the overview, `explain` and the page of a destination show them.

Owns the order of what is put together: present states and what the process reported (`health.py`), what the store keeps
of deliveries that could not be rendered, what only the alert engine knows, and what people decided. Changes nothing.
"""

from __future__ import annotations

from tidegate.core.findings import Finding
from tidegate.query import alerts, health, render_failures
from tidegate.query.context import ReadContext
from tidegate.query.schemas import Stats


async def all_findings(gateway: ReadContext, counted: Stats, more: list[Finding] | None = None) -> list[Finding]:
    """The most severe first. `more`: findings that the caller knows."""
    found = [*(more or []), *health.findings(gateway, counted)]
    rendered = await render_failures.findings(gateway, counted)
    return health.by_severity(await alerts.with_alerts(gateway, render_failures.without_repeats(found, rendered)))
