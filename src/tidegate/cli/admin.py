"""`tidegate keys`, `backup` and `doctor`: commands for operators."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli import Group
from tidegate.cli.client import LONG_SECONDS, JsonObject, NoGateway, find_gateway, segment
from tidegate.cli.json_text import typed
from tidegate.cli.options import Span, gateway_command

if TYPE_CHECKING:
    from tidegate.core.findings import Finding

SCOPES = ("read", "ack", "publish", "pull", "call", "write", "admin")


@click.group(cls=Group, invoke_without_command=True)
@gateway_command
@click.pass_context
def keys(context: click.Context, data: Path, as_json: bool) -> None:
    """Create, list and delete API keys. Without a subcommand, lists them."""
    if context.invoked_subcommand is None:
        _list(data, as_json)
    else:
        context.default_map = {context.invoked_subcommand: {"data": data, "as_json": as_json}}


@keys.command("list")
@gateway_command
def list_(data: Path, as_json: bool) -> None:
    """List the keys, without their secret text."""
    _list(data, as_json)


def _list(data: Path, as_json: bool) -> None:
    from tidegate.cli.output import local_time, print_json, table

    answer = find_gateway(data).get_page("/keys")
    if as_json:
        print_json(answer)
        return
    if not answer["data"]:
        print("no keys yet; create one with: tidegate keys create NAME --scope read")
        return
    table(
        ("id", "name", "scopes", "sources", "created", "expires"),
        [
            (
                key["id"],
                key["name"],
                ", ".join(key["scopes"]),
                ", ".join(key["sources"]) or "all",
                local_time(key["created_at"]),
                local_time(key.get("expires_at")) or "never",
            )
            for key in answer["data"]
        ],
    )


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="A scope of the key; can be repeated.",
)
@click.option("--source", "sources", multiple=True, help="Limit the key to this source; can be repeated.")
@click.option("--expires-in", type=Span(), help="When the key expires, for example 90d.")
@gateway_command
def create(
    name: str, scopes: tuple[str, ...], sources: tuple[str, ...], expires_in: str | None, data: Path, as_json: bool
) -> None:
    """Create a key. It is shown only once."""
    from tidegate.cli.output import print_json

    wanted: JsonObject = {"name": name, "scopes": list(scopes), "sources": list(sources)}
    if expires_in is not None:
        wanted["expires_in"] = expires_in
    answer = find_gateway(data).post("/keys", wanted)
    if as_json:
        print_json(answer)
        return
    print(answer["key"])
    click.echo("store this key now: it is not shown again", err=True)


@keys.command()
@gateway_command
def login(data: Path, as_json: bool) -> None:
    """Print a link that signs one browser in to the dashboard. It works once, within an hour."""
    from tidegate.cli.output import print_json

    client = find_gateway(data)
    answer = client.post("/keys/login")
    link = {"url": client.url + answer["path"], "expires_at": answer["expires_at"]}
    if as_json:
        print_json(link)
    else:
        print(link["url"])


@keys.command()
@click.argument("key", metavar="ID_OR_NAME")
@gateway_command
def delete(key: str, data: Path, as_json: bool) -> None:
    """Delete a key. Requests with it are rejected from then on."""
    from tidegate.cli.output import print_json

    find_gateway(data).delete(f"/keys/{segment(key)}")
    if as_json:
        print_json({"deleted": key})
    else:
        print(f"deleted {key}")


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@gateway_command
def backup(path: Path, data: Path, as_json: bool) -> None:
    """Write a consistent copy of the running gateway's store to PATH, which must not exist.

    PATH is on the gateway's machine. Keep a copy of secret.key with it: stored secrets cannot be read without it.
    """
    from tidegate.cli.output import print_json, waiting

    client = find_gateway(data)
    place = path.absolute() if client.local else path
    with waiting(f"writing {place}"):
        answer = client.post("/backup", {"path": str(place)}, timeout=LONG_SECONDS)
    if as_json:
        print_json(answer)
    else:
        print(f"wrote {answer['path']}, {answer['bytes']:,} bytes")
        if client.local and sys.stdout.isatty():
            print(f"keep a copy of {data.absolute() / 'secret.key'} with it: stored secrets cannot be read without it")


@click.command()
@gateway_command
def doctor(data: Path, as_json: bool) -> int:
    """Show the gateway's health: findings with their remedies, rejected requests, nodes, and facts about the store.

    Exits 1 when the gateway is not ready, or when the store can lose acknowledged events.
    """

    from tidegate.cli.output import print_error, print_json
    from tidegate.cli.pull import print_facts
    from tidegate.core.finding_codes import Severity
    from tidegate.core.findings import Finding

    try:
        facts = find_gateway(data).get("/doctor")
    except NoGateway as error:
        if not as_json:
            print_facts(_local(data))
        else:
            print_json({"ready": error.message, **_local(data)})
        return print_error(error)
    found = typed(facts["findings"], list[Finding])
    if as_json:
        print_json(facts)
    else:
        print_facts({"ready": facts["ready"]})
        _print_health(found)
        _print_nodes(facts["nodes"])
        print_facts({name: value for name, value in facts.items() if name not in ("ready", "findings", "nodes")})
    unsafe = any(one.kind == "store" and one.severity is Severity.ERROR for one in found)
    return 0 if facts["ready"] == "yes" and not unsafe else 1


def _print_health(found: list[Finding]) -> None:
    """Findings that need attention first, then notices."""
    from rich.text import Text

    from tidegate.cli.findings import print_findings
    from tidegate.cli.output import console, count
    from tidegate.core.finding_codes import Severity

    out = console()
    urgent = [one for one in found if one.severity is not Severity.NOTICE]
    notices = [one for one in found if one.severity is Severity.NOTICE]
    if urgent:
        headline = f"{count(len(urgent), 'finding needs', 'findings need')} attention"
        out.print(Text(headline, style="bold"))
    else:
        out.print("all systems healthy")
    print_findings(out, urgent)
    if notices:
        out.print(Text("notices", style="bold"))
        print_findings(out, notices)
    out.print()


def _print_nodes(nodes: list[JsonObject]) -> None:
    """Only when there are several."""
    from tidegate.cli.output import clean, count

    if len(nodes) < 2:
        return
    print(f"nodes: {len(nodes)}")
    for one in nodes:
        behind = f", {count(one['behind'], 'offset')} behind" if one["behind"] else ""
        held = count(one["partitions"], "partition")
        print(f"  {clean(one['id'])}: {held}, lease until {one['lease_expires_at']}{behind}")


def _local(data: Path) -> JsonObject:
    """Facts that need no gateway."""
    import platform
    import shutil

    from tidegate import __version__

    there = data.is_dir()
    return {
        "tidegate": __version__,
        "python": platform.python_version(),
        "data": str(data.absolute()),
        "data_exists": there,
        "free_bytes": shutil.disk_usage(data if there else Path()).free,
    }
