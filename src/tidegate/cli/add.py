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
@_adder
def source(name: str, pairs: tuple[str, ...], replace: bool, data: Path, as_json: bool) -> None:
    """Add a source: tidegate add source payments webhook.verify=stripe webhook.secret=..."""
    _put("source", name, pairs, replace, data, as_json)


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
    from tidegate.cli.output import print_json

    item = tree_of_pairs(kind, pairs)
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
