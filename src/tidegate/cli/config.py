"""`tidegate config`: compare a file with the running gateway, apply it, and show or export the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli import Group
from tidegate.cli.client import Client, JsonObject, find_gateway
from tidegate.cli.json_text import typed
from tidegate.cli.options import gateway_command, json_option

if TYPE_CHECKING:
    from tidegate.config.spec import Config

_ACTIONS = {
    "added": "+", "created": "+", "resumed": "+", "removed": "-", "deleted": "-", "paused": "-",
    "changed": "~", "updated": "~", "moved": "~", "taken over": "~",
}  # fmt: skip


@click.group(cls=Group)
def config() -> None:
    """Compare, apply, export and show the configuration."""


@config.command()
@click.argument("file", default="tidegate.toml", type=click.Path(readable=False, path_type=Path))
@gateway_command
def diff(file: Path, data: Path, as_json: bool) -> None:
    """Show what applying FILE would change in the running gateway.

    Secrets are compared only by whether they are set, because the gateway does not show them.
    """
    import msgspec

    from tidegate.cli.output import clean, print_json
    from tidegate.config.diff import diff_trees
    from tidegate.config.load import load_file

    wanted = _hidden(load_file(file, os.environ).config)
    client = find_gateway(data)
    running = _settled(client.get("/config", {"owner": "file"}))
    left = {one["name"] for one in client.every("/destinations") if one.get("pause_reason") == "left_file"}
    for name in left - set(wanted["destinations"]):
        running["destinations"].pop(name, None)  # it left the file before, so this is not a difference
    changes = [msgspec.to_builtins(one) for one in diff_trees(running, wanted)]
    changes = _announced(changes, left & set(wanted["destinations"]))
    if as_json:
        print_json({"changes": changes})
        return
    _print_changes(changes, "no differences")
    for name in sorted(left - set(wanted["destinations"])):
        print(f"destination {clean(name)} is not in the file and stays paused")
        print("delete it with: tidegate config apply --prune")


def _announced(changes: list[JsonObject], back: set[str]) -> list[JsonObject]:
    """Name what applying does: a destination that leaves the file is paused, one that is back is resumed."""
    for one in changes:
        if one["kind"] == "destination" and one["action"] == "removed":
            one["action"] = "paused"
    named = {one["name"] for one in changes if one["kind"] == "destination"}
    resumed = [
        {"kind": "destination", "name": name, "action": "resumed", "fields": []} for name in sorted(back - named)
    ]
    return resumed + changes


def _hidden(config: Config) -> JsonObject:
    from tidegate.config.secrets import hide_secrets, tree_of

    tree = tree_of(config)
    for kind in ("credentials", "sources", "destinations", "routes"):
        tree[kind] = {name: hide_secrets(item) for name, item in getattr(config, kind).items()}
    return tree


def _settled(answer: JsonObject) -> JsonObject:
    """The gateway's response in the same form: settings without those that equal their default."""

    from tidegate.config.secrets import tree_of
    from tidegate.core.spec import Alerts, Egress, GatewaySettings, Retention

    out = dict(answer)
    tables = {"gateway": GatewaySettings, "egress": Egress, "retention": Retention, "alerts": Alerts}
    for kind, struct in tables.items():
        out[kind] = tree_of(typed(answer.get(kind, {}), struct))
    return out


def _print_changes(changes: list[JsonObject], none: str) -> None:
    from tidegate.cli.output import clean

    if not changes:
        print(none)
    for one in changes:
        name = f" {one['name']}" if one["name"] else ""
        fields = f": {', '.join(one['fields'])}" if one.get("fields") else ""
        print(clean(f"{_ACTIONS.get(one['action'], '*')} {one['kind']}{name} {one['action']}{fields}"))


@config.command("apply")
@click.option(
    "--prune", is_flag=True, help="Delete destinations that are no longer in the file, with their pending deliveries."
)
@gateway_command
def apply_(prune: bool, data: Path, as_json: bool) -> None:
    """Reload the configuration file of the running gateway and apply it. An invalid file changes nothing."""
    from tidegate.cli.output import print_json

    answer = find_gateway(data).post("/config", {"prune": prune})
    if as_json:
        print_json(answer)
        return
    _print_changes(answer["changes"], "no changes")
    if any(one["action"] == "paused" for one in answer["changes"]):
        print(
            "paused destinations are no longer in the file and keep their pending deliveries; "
            "delete them with: tidegate config apply --prune"
        )


@config.command()
@click.option(
    "--owner",
    type=click.Choice(["api", "file", "all"]),
    default="api",
    show_default=True,
    help="Which items: created through the API, in the file, or all.",
)
@gateway_command
def export(owner: str, data: Path, as_json: bool) -> None:
    """Print the items that were created through the API or the dashboard as TOML.

    The same configuration gives the same bytes. Secrets become ${env:...}. To move the items to your file, paste the
    output, set these variables, and run `tidegate config apply`.
    """
    from tidegate.cli.output import print_foreign, print_json

    client = find_gateway(data)
    query = {"owner": None if owner == "all" else owner}
    if as_json:
        print_json(client.get("/config", query))
    else:
        print_foreign(client.request("GET", "/config", query={**query, "format": "toml"}).body)


@config.command()
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write the schema to this file.")
@json_option
def schema(output: Path | None, as_json: bool) -> None:
    """Print the JSON Schema of tidegate.toml, for editors."""
    from tidegate.cli.output import print_wrote
    from tidegate.config.schema import schema_text

    if output is None:
        print(schema_text(), end="")
    else:
        output.write_text(schema_text(), "utf-8")
        print_wrote([output], as_json)


@config.command()
@gateway_command
def show(data: Path, as_json: bool) -> None:
    """Show the active configuration, from the file and from the API. Secrets are hidden."""
    from tidegate.cli.output import print_json

    client = find_gateway(data)
    if as_json:
        print_json(client.get("/config"))
        return
    _show_lists(client)


def _show_lists(client: Client) -> None:
    from tidegate.cli.output import state_badge, table

    sources, destinations, routes = (client.every(f"/{kind}") for kind in ("sources", "destinations", "routes"))
    inputs = ("webhook", "form", "publish", "api")
    print("Sources")
    table(
        ("name", "inputs", "resources", "owner"),
        [
            (s["name"], ", ".join(i for i in inputs if i in s), ", ".join(s.get("resources", {})), s.get("owner"))
            for s in sources
        ],
    )
    print("\nDestinations")
    table(
        ("name", "kind", "url", "state", "owner"),
        [
            (
                d["name"],
                d.get("type", "webhook"),
                d.get("url") or d.get("operation", ""),
                state_badge("paused") if d.get("paused_at") else "",
                d.get("owner"),
            )
            for d in destinations
        ],
    )
    print("\nRoutes")
    table(
        ("name", "from", "to", "selects", "owner"),
        [(r["name"], _names(r["from"]), _names(r["to"]), _selects(r), r.get("owner")) for r in routes],
    )


def _names(value: Any) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _selects(route: JsonObject) -> str:
    parts = [*route.get("types", []), *(f"changes of {name}" for name in route.get("changes", []))]
    text = ", ".join(parts) or "all events"
    return text + (", filtered" if route.get("filter") else "") + ("" if route.get("enabled", True) else " (disabled)")
