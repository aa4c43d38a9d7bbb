"""`tidegate conflicts`: changes of both systems to one record, and deciding those that are held.

Each is a call of the API. Nothing is kept here.
"""

from __future__ import annotations

from pathlib import Path

import click

from tidegate.cli import Group
from tidegate.cli.client import JsonObject, find_gateway, segment
from tidegate.cli.json_text import json_text
from tidegate.cli.options import gateway_command


@click.group(cls=Group, invoke_without_command=True)
@click.option("--all", "every", is_flag=True, help="Decided ones too, of the last 30 days.")
@gateway_command
@click.pass_context
def conflicts(ctx: click.Context, every: bool, data: Path, as_json: bool) -> None:
    """Show the conflicts that wait for a decision: both systems changed the same fields of a record."""
    if ctx.invoked_subcommand is not None:
        return
    from tidegate.cli.output import print_json

    client, query = find_gateway(data), {"all": "true"} if every else {}
    if as_json:
        print_json(client.get_page("/conflicts", query))
        return
    found = client.every("/conflicts", query)
    if not found:
        print("no conflicts" if every else "no conflict is held; tidegate conflicts --all shows decided ones")
    for one in found:
        _show(one)


@conflicts.command("resolve")
@click.argument("id")
@click.option(
    "--use", type=click.Choice(["incoming", "current"]), required=True,
    help="incoming: write the change. current: leave the record as it is.",
)  # fmt: skip
@gateway_command
def resolve(id: str, use: str, data: Path, as_json: bool) -> None:
    """Decide the conflict ID, for both directions, and send its deliveries again."""
    from tidegate.cli.output import print_json

    found = find_gateway(data).post(f"/conflicts/{segment(id)}/resolve", {"use": use})
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(one: JsonObject) -> None:
    from tidegate.cli.output import clean

    state = "held" if one["state"] == "held" else f"{one['use']} ({one['decided_by']})"
    print(clean(f"{one['id']}  {state}  {one['operation']}  {one['event']}"))
    for name in ("incoming", "current"):
        side = one[name]
        place = f"{side['source']}/{side['resource']} {side['key']}"
        print(clean(f"  {name:<8}  {place}  {json_text(side['values'])}"))
    if one["state"] == "held":
        print(clean(f"  decide:   tidegate conflicts resolve {one['id']} --use incoming|current"))
