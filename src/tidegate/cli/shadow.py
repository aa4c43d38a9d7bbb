"""`tidegate shadow`: both ways of a resource at once, compared. A call of the API; nothing is kept here."""

from __future__ import annotations

from pathlib import Path

import click

from tidegate.cli.client import JsonObject, find_gateway
from tidegate.cli.options import ResourceName, gateway_command
from tidegate.core.errors import NotFound

HINT = 'add shadow = { way = "webhook", duration = "7d" } to a resource that is polled and has a webhook'


@click.command()
@click.argument("resources", nargs=-1, type=ResourceName(), metavar="[SOURCE/RESOURCE]...")
@gateway_command
def shadow(resources: tuple[tuple[str, str], ...], data: Path, as_json: bool) -> None:
    """Show which way is sooner, cheaper and more complete, of resources that have `shadow`."""
    from tidegate.cli.output import print_json

    names = {f"{source}/{resource}" for source, resource in resources}
    client = find_gateway(data)
    found = [one for one in client.every("/shadow", {}) if not names or one["resource"] in names]
    unknown = names - {one["resource"] for one in found}
    if unknown:
        raise NotFound(f"{min(unknown)} has no shadow", hint=HINT)
    if as_json:
        print_json({"data": found})
        return
    if not found:
        print(f"no resource compares both ways; {HINT}")
    for one in found:
        _show(one)


def _show(one: JsonObject) -> None:
    from tidegate.cli.output import clean, local_time, span, table

    ends = f", ends {local_time(one['ends_at'])}" if one["state"] != "ended" and one["ends_at"] else ""
    print(f"{one['resource']}: {one['state']}, measured for {span(one['measured_seconds'])}{ends}")
    for text in one["sentences"]:
        print(f"  {text}")
    columns = ("way", "role", "found", "missed", "requests", "a day", "bytes", "cost a day", "webhooks")
    table(columns, [_row(way) for way in one["ways"]], right=columns[2:])
    for way in one["ways"]:
        if way["error"]:
            print(clean(f"  The last {way['way']} failed: {way['error']}"))
    if one["undecided"] or one["left_out"]:
        print(f"  {one['undecided']:,} changes are not decided yet, {one['left_out']:,} were left out.")
    if one["own_writes"]:
        print(f"  {one['own_writes']:,} of our own writes are left out: their answers come before any poll.")


def _row(way: JsonObject) -> tuple[str, ...]:
    share = way["missed_share"]["estimate"]
    return (
        way["way"],
        "makes records" if way["makes_records"] else "only measures",
        f"{way['found']:,}",
        "-" if share is None else f"{way['missed']:,} ({share:.1%})",
        f"{way['requests']:,}",
        "-" if way["requests_per_day"] is None else f"{way['requests_per_day']:,.1f}",
        f"{way['bytes']:,}",
        "-" if way["cost_per_day"] is None else f"{way['cost_per_day']:,.2f}",
        f"{way['webhooks']:,}",
    )
