"""`tidegate stats`: what was measured in a window, per resource, source and destination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tidegate.cli.client import JsonObject, find_gateway
from tidegate.cli.options import gateway_command


@click.command()
@click.option(
    "--window",
    type=click.Choice(["1h", "24h", "7d", "30d"]),
    default="24h",
    show_default=True,
    help="The time that is measured, up to now.",
)
@gateway_command
def stats(window: str, data: Path, as_json: bool) -> None:
    """Show what was measured: requests, empty polls, delays, missed webhooks, deliveries.

    With --json, prints all figures of GET /stats with their intervals.
    """
    from tidegate.cli.output import local_time, print_json, span

    answer = find_gateway(data).get("/stats", {"window": window})
    if as_json:
        print_json(answer)
        return
    measured = answer["measured"]
    if measured["since"] is None:
        print("nothing was measured yet; counts begin with the first event or poll")
        return
    print(f"window {window}: measured for {span(measured['covered_seconds'])}, since {local_time(measured['since'])}")
    _resources(measured["resources"])
    _reconciled(answer["resources"])
    _sources(measured["sources"])
    _destinations(measured["destinations"])


def _resources(found: JsonObject) -> None:
    from tidegate.cli.output import table

    if not found:
        return
    print("\nResources")
    columns = (
        "resource", "requests", "a day", "per change", "empty polls", "changes", "median", "p99", "missed", "late",
        "quota used", "throttled", "saved", "cost a day",
    )  # fmt: skip
    table(columns, [(name, *_resource(one)) for name, one in found.items()], right=columns[1:])
    _healed(found)


def _healed(found: JsonObject) -> None:
    """A line for each resource whose webhooks missed changes: how many, and for how long."""
    from tidegate.cli.output import clean, count

    lines = []
    for name, one in found.items():
        webhooks = one["webhooks"]
        if webhooks["healed"]:
            late = f", {webhooks['late']:,} of their webhooks came later" if webhooks["late"] else ""
            gone = webhooks["missing_for"]
            parts = f"median {_quantile(gone['p50'])}, 95% within {_quantile(gone['p95'])}"
            lines.append(f"  {clean(name)}: {count(webhooks['healed'], 'change')} healed, missing for {parts}{late}")
    if lines:
        print("\nHealed (list them: tidegate events --healed)")
        print("\n".join(lines))


def _reconciled(found: JsonObject) -> None:
    """The interval that `reconcile = "auto"` chose, its reason, and what it was before."""
    from tidegate.cli.output import clean, local_time, span

    chosen = {name: one for name, one in found.items() if one["reconcile_auto"]}
    if chosen:
        print('\nReconciled by what webhooks miss (reconcile = "auto")')
    for name, one in chosen.items():
        since = f" since {local_time(one['reconcile_since'])}" if one["reconcile_since"] else ""
        print(f"  {clean(name)}: every {span(one['reconcile_every_seconds'])}{since}: {clean(one['reconcile_reason'])}")
        for change in one["reconcile_changes"][-3:]:
            before, after = span(change["before_seconds"]), span(change["after_seconds"])
            print(f"    {local_time(change['at'])}  {before} to {after}")


def _resource(one: JsonObject) -> tuple[str, ...]:
    requests, polls, webhooks, limit = one["requests"], one["polls"], one["webhooks"], one["rate_limit"]
    return (
        f"{requests['total']:,}",
        _figure(requests["per_day"]),
        _figure(requests["per_change"]),
        _share(polls["empty"]),
        f"{one['changes']:,}",
        _quantile(one["delay"]["p50"]),
        _quantile(one["delay"]["p99"]),
        _share(webhooks["missed"]),
        f"{webhooks['late']:,}",
        "-" if limit["used"] is None else f"{limit['used']:.0%}",
        _span(limit["throttled_seconds"] or None),
        f"{one['saved']:,}",
        _figure(requests["cost_per_day"]),
    )


def _sources(found: JsonObject) -> None:
    from tidegate.cli.output import table

    if not found:
        return
    print("\nSources")
    columns = ("source", "events", "webhooks", "doubled", "requests", "requests a day", "changes", "cost a day")
    rows = [
        (
            name,
            f"{one['accepted']:,}",
            f"{one['accepted_by_origin'].get('webhook', 0):,}",
            _share(one["doubled"]),
            f"{one['requests']['total']:,}",
            _figure(one["requests"]["per_day"]),
            f"{one['changes']:,}",
            _figure(one["requests"]["cost_per_day"]),
        )
        for name, one in found.items()
    ]
    table(columns, rows, right=columns[1:])


def _destinations(found: JsonObject) -> None:
    from tidegate.cli.output import table

    if not found:
        return
    print("\nDestinations")
    columns = ("destination", "delivered", "failed attempts", "exhausted", "median", "p99", "pending")
    rows = [
        (
            name,
            f"{one['delivered']:,}",
            _share(one["failed_share"]),
            f"{one['exhausted']:,}",
            _quantile(one["delay"]["p50"]),
            _quantile(one["delay"]["p99"]),
            _figure(one["pending_mean"]),
        )
        for name, one in found.items()
    ]
    table(columns, rows, right=columns[1:])


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _share(one: JsonObject) -> str:
    """`1.2% (0.4-3.1%)`: with its interval."""
    if one["share"] is None:
        return "-"
    return f"{one['share']:.1%} ({one['low'] * 100:.1f}-{one['high'] * 100:.1f}%)"


def _quantile(one: JsonObject) -> str:
    """`12 s`, or `~30 s (0 s-1 min)` where only bounds are known."""
    if one["seconds"] is None:
        return "-"
    if one["low"] == one["high"]:
        return _span(one["seconds"])
    return f"~{_span(one['seconds'])} ({_span(one['low'])}-{_span(one['high'])})"


def _span(seconds: Any) -> str:
    from tidegate.cli.output import span

    return "-" if seconds is None else span(seconds)
