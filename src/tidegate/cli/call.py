"""`tidegate call`: call an operation of a source now."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tidegate.cli.client import LONG_SECONDS, find_gateway, segment
from tidegate.cli.json_text import json_text, read_json
from tidegate.cli.options import ResourceName, gateway_command


@click.command()
@click.argument("operation", type=ResourceName(), metavar="SOURCE/OPERATION")
@click.argument("data_json", default="{}", metavar="[DATA]")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Set a field of the data; JSON or text.")
@click.option("--key", help="Our key of what the call creates or changes.")
@click.option("--idempotency-key", help="Make the call once within a day, however often you repeat the command.")
@gateway_command
def call(
    operation: tuple[str, str],
    data_json: str,
    sets: tuple[str, ...],
    key: str | None,
    idempotency_key: str | None,
    data: Path,
    as_json: bool,
) -> None:
    """Call SOURCE/OPERATION with DATA, which is JSON, @FILE, or - for standard input."""  # fmt: skip

    from tidegate.cli.output import clean, print_json

    body: dict[str, Any] = {"data": _with(_read(data_json), sets)}
    if key is not None:
        body["key"] = key
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
    path = f"/call/{segment(operation[0])}/{segment(operation[1])}"
    found = find_gateway(data).request("POST", path, body=body, headers=headers, timeout=LONG_SECONDS).json()
    if as_json:
        print_json(found)
        return
    again = " (the answer of an earlier call)" if found["repeated"] else ""
    asked = found["request"] or "nothing was sent, because it exists already: its look-up"
    print(clean(f"{asked} answered {found['status']} in {found['duration_ms']:g} ms{again}"))
    for name, value in found["remembered"].items():
        print(clean(f"remembered {name} = {value}"))
    if found["body"] is not None:
        for line in json_text(found["body"], indent=2).splitlines():
            print(clean(line))


def _read(text: str) -> Any:

    raw = sys.stdin.read() if text == "-" else Path(text[1:]).read_text("utf-8") if text.startswith("@") else text
    try:
        return read_json(raw)
    except ValueError as error:
        hint = """write it as '{"email": "ada@example.com"}'"""
        raise click.UsageError(f"DATA is not JSON: {error}; {hint}") from None


def _with(data: Any, sets: tuple[str, ...]) -> Any:

    for one in sets:
        path, mark, text = one.partition("=")
        if not mark or not path or not isinstance(data, dict):
            raise click.UsageError(
                f"--set {one[:60]!r} is not PATH=VALUE (example: --set customer.email=a@example.com)"
            )
        try:
            value: Any = read_json(text)
        except ValueError:
            value = text
        node = data
        *parents, name = path.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise click.UsageError(f"--set {one[:60]!r}: {parent!r} is not an object")
        node[name] = value
    return data
