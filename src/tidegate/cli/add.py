"""`tidegate add`: create a source, a destination or a route through the API, with the keys of the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from tidegate.cli import Group
from tidegate.cli.client import ApiError, JsonObject, find_gateway, segment
from tidegate.cli.options import F, gateway_command
from tidegate.cli.propose import resource
from tidegate.core.errors import Conflict

_EXAMPLES = {
    "source": "tidegate add source payments webhook.verify=stripe webhook.secret=whsec_...",
    "destination": "tidegate add destination crm url=https://crm.example.com/hooks rate=50/s",
    "route": "tidegate add route sales from=payments to=crm 'types=[\"charge.succeeded\"]'",
}


@click.group(cls=Group)
def add() -> None:
    """Add a source, a destination or a route to a running gateway, or propose a resource.

    Keys are those of tidegate.toml, with dots where they are nested. A value is text, or TOML if it is a list, a table,
    a number, true or false.
    """


def _adder(function: F) -> F:
    for option in (
        gateway_command,
        click.option("--replace", is_flag=True, help="Replace an existing item of this name."),
        click.argument("pairs", metavar="KEY=VALUE...", nargs=-1, required=True),
        click.argument("name"),
    ):
        function = option(function)
    return function


@add.command()
@gateway_command
@click.option("--replace", is_flag=True, help="Replace an existing item of this name.")
@click.option("--provider", default="", help="The provider whose API it has. Default: the one of this name.")
@click.option("--auth", "kind", default="", help="The kind of credential. Default: the first one of the provider.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A credential or value; env:NAME, file:PATH.")
@click.option("--resource", multiple=True, help="A resource of the provider; repeatable. Default: its first one.")
@click.option("--operation", multiple=True, help="An operation of the provider; repeatable.")
@click.option("--poll", default="", help="How often the resources are polled. Default: what the provider suggests.")
@click.option("--base-url", default="", help="Another address of the same API: a sandbox, or a server of your own.")
@click.option("--allow", multiple=True, metavar="NETWORK", help="A private network that may be asked: 127.0.0.1/32.")
@click.option(
    "--file",
    default="tidegate.toml",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration that the source is added to.",
)
@click.option("--running", is_flag=True, help="Add it to the running gateway instead of a file.")
@click.option("--no-try", is_flag=True, help="Write it without asking the API first.")
@click.option("--yes", is_flag=True, help="Ask no questions; what is missing is an error.")
@click.argument("name")
@click.argument("pairs", metavar="[KEY=VALUE...]", nargs=-1)
def source(name: str, pairs: tuple[str, ...], data: Path, as_json: bool, replace: bool, **options: Any) -> int:
    """Add a source: tidegate add source github, or with keys of your own.

    Without KEY=VALUE, NAME is a provider (or --provider is): asks for what its API needs, tries it, shows three
    records, and writes the source to --file. With keys, as in `tidegate add source payments webhook.verify=stripe`, the
    source is created in the running gateway.
    """
    if pairs:
        _put("source", name, pairs, replace, data, as_json)
        return 0
    from tidegate.cli.add_provider import add as add_from_provider

    return add_from_provider(name, options, lambda name, tree: _send("source", name, tree, replace, data, as_json))


@add.command()
@_adder
def destination(name: str, pairs: tuple[str, ...], replace: bool, data: Path, as_json: bool) -> None:
    """Add a destination: tidegate add destination crm url=https://crm.example.com/hooks"""
    _put("destination", name, pairs, replace, data, as_json)


@add.command()
@_adder
def route(name: str, pairs: tuple[str, ...], replace: bool, data: Path, as_json: bool) -> None:
    """Add a route: tidegate add route sales from=payments to=crm"""
    _put("route", name, pairs, replace, data, as_json)


def _put(kind: str, name: str, pairs: tuple[str, ...], replace: bool, data: Path, as_json: bool) -> None:
    _send(kind, name, tree_of_pairs(kind, pairs), replace, data, as_json)


def _send(kind: str, name: str, item: JsonObject, replace: bool, data: Path, as_json: bool) -> None:
    from tidegate.cli.output import print_json

    client = find_gateway(data)
    path = f"/{kind}s/{segment(name)}"
    if not replace:
        try:
            client.get(path)
        except ApiError as error:
            if error.status != 404:
                raise
        else:
            raise Conflict(
                f"{kind} {name!r} already exists", hint=f"tidegate add {kind} {name} ... --replace", code="exists"
            )
    answer = client.put(path, item)
    if as_json:
        print_json(answer)
    else:
        print(f"{kind} {name} is active; to move it to a file, run: tidegate config export")


add.add_command(resource)


def tree_of_pairs(kind: str, pairs: tuple[str, ...]) -> JsonObject:
    """`("url=https://x", "auth.type=bearer")` as a tree. UsageError for a bad pair or a repeated key."""
    tree: JsonObject = {}
    for pair in pairs:
        dotted, equals, text = pair.partition("=")
        if not equals or not all(dotted.split(".")):
            raise click.UsageError(f"{pair!r} is not KEY=VALUE (example: {_EXAMPLES[kind]})")
        *parents, last = dotted.split(".")
        node: Any = tree
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise click.UsageError(f"'{part}' in {pair!r} is not a table")
        if last in node:
            raise click.UsageError(f"'{dotted}' is given twice")
        node[last] = _value(text)
    return tree


def _value(text: str) -> Any:
    """A list, a table, a number, true or false as TOML; everything else is text."""
    if text[:1] in '[{"' or text in ("true", "false") or text.lstrip("-").replace(".", "", 1).isdigit():
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text
