"""`tidegate keys`, `backup` and `doctor`: the operator's verbs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tidegate.cli import Group
from tidegate.cli.client import LONG_SECONDS, NoGateway, find_gateway, segment
from tidegate.cli.options import Span, gateway_verb

_SIGNS = {"failing": "exhausted", "dead_letters": "exhausted", "paused": "paused", "waiting": "pending"}
SCOPES = ("read", "ack", "publish", "pull", "write", "admin")


@click.group(cls=Group, invoke_without_command=True)
@gateway_verb
@click.pass_context
def keys(context: click.Context, data: Path, as_json: bool) -> None:
    """Create, list and delete API keys. Without a verb: list them."""
    if context.invoked_subcommand is None:
        _list(data, as_json)
    else:
        context.default_map = {context.invoked_subcommand: {"data": data, "as_json": as_json}}


@keys.command("list")
@gateway_verb
def list_(data: Path, as_json: bool) -> None:
    """List the keys; their text is never shown again."""
    _list(data, as_json)


def _list(data: Path, as_json: bool) -> None:
    from tidegate.cli.output import local_time, print_json, table

    answer = find_gateway(data).page("/keys")
    if as_json:
        print_json(answer)
        return
    if not answer["data"]:
        print("no keys yet; make one with: tidegate keys create NAME --scope read")
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
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="What it may do.")
@click.option("--source", "sources", multiple=True, help="Bind it to this source; may be given several times.")
@click.option("--expires-in", type=Span(), help="90d, for example.")
@gateway_verb
def create(
    name: str, scopes: tuple[str, ...], sources: tuple[str, ...], expires_in: str | None, data: Path, as_json: bool
) -> None:
    """Create a key. It is shown this once."""
    from tidegate.cli.output import print_json

    wanted: dict[str, Any] = {"name": name, "scopes": list(scopes), "sources": list(sources)}
    if expires_in is not None:
        wanted["expires_in"] = expires_in
    answer = find_gateway(data).post("/keys", wanted)
    if as_json:
        print_json(answer)
        return
    print(answer["key"])
    click.echo("this is the only time it is shown", err=True)


@keys.command()
@gateway_verb
def login(data: Path, as_json: bool) -> None:
    """Print a link that logs one browser in to the dashboard, once, within the hour."""
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
@gateway_verb
def delete(key: str, data: Path, as_json: bool) -> None:
    """Delete a key; who holds it is refused from then on."""
    from tidegate.cli.output import print_json

    find_gateway(data).delete(f"/keys/{segment(key)}")
    if as_json:
        print_json({"deleted": key})
    else:
        print(f"deleted {key}")


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@gateway_verb
def backup(path: Path, data: Path, as_json: bool) -> None:
    """Have the running gateway write a consistent copy of its store to PATH, which must not exist.

    PATH is on the gateway's machine. Keep secret.key beside it: without it, sealed secrets cannot be opened.
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
            print(f"keep {data.absolute() / 'secret.key'} beside it: without it, sealed secrets cannot be opened")


@click.command()
@gateway_verb
def doctor(data: Path, as_json: bool) -> int:
    """Look at the gateway's health: what needs a person and what to do about it, who was turned away, the store.

    Exit 1 when it is not ready, or when the store is set up so that it can lose what was acknowledged.
    """
    from tidegate.cli.output import print_error, print_json
    from tidegate.cli.pull import print_facts

    try:
        facts = find_gateway(data).get("/doctor")
    except NoGateway as error:
        if not as_json:
            print_facts(_local(data))
        else:
            print_json({"ready": error.message, **_local(data)})
        return print_error(error)
    ready = facts.get("ready", "yes")
    troubles = facts.get("troubles", [])
    if as_json:
        print_json(facts)
    else:
        print_facts({"ready": ready})
        facts.pop("ready", None)
        _print_troubles(troubles, facts.pop("rejected_requests", []))
        facts.pop("troubles", None)
        _print_nodes(facts.pop("nodes", []))
        print_facts(facts)
    unsafe = any(one["kind"] == "store" and one["state"] == "failing" for one in troubles)
    return 0 if ready in ("yes", True) and not unsafe else 1


def _print_nodes(nodes: list[dict[str, Any]]) -> None:
    """Where there are several."""
    from tidegate.cli.output import clean, count

    if len(nodes) < 2:
        return
    print(f"nodes: {len(nodes)}")
    for one in nodes:
        behind = f", {count(one['behind'], 'offset')} behind" if one["behind"] else ""
        owned = count(one["partitions"], "partition")
        print(f"  {clean(one['id'])}: {owned}, lease until {one['lease_expires_at']}{behind}")


def _print_troubles(troubles: list[dict[str, Any]], rejected_requests: list[dict[str, Any]]) -> None:
    """What needs a person, each with what to do, before the facts."""
    from rich.text import Text

    from tidegate.cli.output import clean, console, count, span_since, state_sign

    out = console()
    if troubles:
        out.print(Text(f"{count(len(troubles), 'thing needs', 'things need')} attention", style="bold"))
    else:
        out.print("nothing needs attention")
    for one in troubles:
        line = Text("  ").append_text(state_sign(_SIGNS.get(one["state"], "pending"), word=one["word"]))
        line.append(f"  {clean(one['name'])}", style="bold").append(f"  {clean(one['what'])}{span_since(one['since'])}")
        out.print(line)
        out.print(Text(f"      {clean(one['hint'])}", style="dim"))
    if rejected_requests:
        out.print(Text("turned away at the door in the last day", style="bold"))
    for one in rejected_requests:
        times = count(one["count"], "request")
        out.print(Text(f"  {clean(one['source'])}  {times}: {clean(one['reason'].replace('_', ' '))}"))
        if one["hint"]:
            out.print(Text(f"      {clean(one['hint'])}", style="dim"))
    out.print()


def _local(data: Path) -> dict[str, Any]:
    """What can be said without a gateway."""
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
