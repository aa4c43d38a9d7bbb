"""`tidegate add`: define a source, a destination or a route through the API, key by key as in the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from tidegate.cli import Group
from tidegate.cli.client import ApiError, find_gateway, segment
from tidegate.cli.options import F, gateway_verb
from tidegate.core.errors import Conflict

_EXAMPLES = {
    "source": "tidegate add source payments webhook.verify=stripe webhook.secret=whsec_...",
    "destination": "tidegate add destination crm url=https://crm.example.com/hooks rate=50/s",
    "route": "tidegate add route sales from=payments to=crm 'types=[\"charge.succeeded\"]'",
}


@click.group(cls=Group)
def add() -> None:
    """Add a source, a destination or a route to a running gateway.

    Keys are those of tidegate.toml, dotted where they are nested; a value is a text, or TOML when it reads as a list,
    a table, a number or true and false.
    """


def _adder(function: F) -> F:
    for option in (
        gateway_verb,
        click.option("--replace", is_flag=True, help="Replace one of this name."),
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
                f"the {kind} {name!r} exists already", hint=f"tidegate add {kind} {name} ... --replace", code="exists"
            )
    answer = client.put(path, item)
    if as_json:
        print_json(answer)
    else:
        print(f"{kind} {name} is in force; put it into a file with: tidegate config export")


def tree_of_pairs(kind: str, pairs: tuple[str, ...]) -> dict[str, Any]:
    """`("url=https://x", "auth.type=bearer")` as a tree. UsageError for what is no pair, and for a key given twice."""
    tree: dict[str, Any] = {}
    for pair in pairs:
        dotted, equals, text = pair.partition("=")
        if not equals or not all(dotted.split(".")):
            raise click.UsageError(f"{pair!r} is not KEY=VALUE, as in: {_EXAMPLES[kind]}")
        *parents, last = dotted.split(".")
        node: Any = tree
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise click.UsageError(f"'{part}' in {pair!r} is no table")
        if last in node:
            raise click.UsageError(f"'{dotted}' is given twice")
        node[last] = _value(text)
    return tree


def _value(text: str) -> Any:
    """A list, a table, a number or true and false as TOML; everything else is a text."""
    if text[:1] in '[{"' or text in ("true", "false") or text.lstrip("-").replace(".", "", 1).isdigit():
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text
