"""`tidegate trigger`: a test event of a source, from the sample of its provider or published.

Owns the question before a test event leaves this machine. The gateway makes, signs and sends the event. Crash: the
event was stored or it was not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tidegate.cli.client import ApiError, Client, JsonObject, find_gateway, segment
from tidegate.cli.json_text import read_json
from tidegate.cli.options import gateway_command


@click.command()
@click.argument("source")
@click.argument("type_", metavar="TYPE")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Set a field of the body: data.n=1.")
@click.option("--payload", "-d", help="The body as JSON instead of the sample's, or @FILE.")
@click.option("--key", help="The key of the event; only for a publish input.")
@click.option("--yes", is_flag=True, help="Do not ask before it reaches destinations on other machines.")
@click.option("--dry-run", is_flag=True, help="Only show where it would go.")
@gateway_command
def trigger(
    source: str,
    type_: str,
    settings: tuple[str, ...],
    payload: str | None,
    key: str | None,
    yes: bool,
    dry_run: bool,
    data: Path,
    as_json: bool,
) -> None:
    """Send a test event of TYPE through SOURCE, signed as its provider does.

    The event is the sample of the provider file, with a new ID and the time of now, and is marked: a route leaves it
    out with `filter = { test = false }`. A source with a publish input gets a published event.
    """
    body = None if payload is None else _payload(payload)
    asked: JsonObject = {"type": type_, "set": dict(_setting(one) for one in settings)}
    if body is not None:
        asked["body"] = body
    client = find_gateway(data)
    why = None
    if key is None:
        try:
            _trigger(client, source, {**asked, "elsewhere": yes, "dry_run": dry_run}, as_json)
            return
        except ApiError as error:
            if error.code not in ("no_webhook_input", "forbidden"):
                raise
            why = error
    if dry_run:
        raise click.UsageError("--dry-run needs a source with a webhook input")
    try:
        _publish(client, source, type_, _with(body, asked["set"]), key, as_json)
    except ApiError as error:
        if why is not None and error.code == "no_publish_input" and why.code == "forbidden":
            raise why from None  # the webhook input needs another scope
        raise


def _trigger(client: Client, source: str, asked: JsonObject, as_json: bool) -> None:
    path = f"/sources/{segment(source)}/trigger"
    try:
        answer = client.post(path, asked)
    except ApiError as error:
        if error.code != "reaches_elsewhere" or not sys.stdin.isatty():
            raise
        click.confirm(f"{error.message}. Send it?", abort=True, err=True)
        answer = client.post(path, {**asked, "elsewhere": True})
    _print(source, answer, as_json)


def _print(source: str, answer: JsonObject, as_json: bool) -> None:
    from tidegate.cli.output import clean, print_json

    if as_json:
        ids = answer["ids"]
        print_json({**answer, **({"id": ids[0]} if ids else {})})
        return
    if answer["note"]:
        print(f"({clean(answer['note'])})", file=sys.stderr)
    places = ", ".join(f"{clean(one['name'])} ({clean(one['address'])})" for one in answer["destinations"])
    if answer["status"] is None:
        print(f"it would go to: {places or 'no destination'}")
        return
    for id_ in answer["ids"]:
        print(f"{id_} is stored, goes to {places or 'no destination'}: tidegate explain {id_}")
    if not answer["ids"]:
        print(f"{clean(source)} answered {answer['status']} and stored nothing: it took the request for a handshake")


def _publish(client: Client, source: str, type_: str, body: Any, key: str | None, as_json: bool) -> None:
    from tidegate.cli.output import print_json

    event: JsonObject = {"source": source, "type": type_, "data": body}
    if key is not None:
        event["key"] = key
    answer = client.post("/events", event)
    if as_json:
        print_json(answer)
    else:
        print(f"{answer['id']} is stored: tidegate explain {answer['id']}")


def _with(body: Any, settings: dict[str, Any]) -> Any:
    """The data of a published event with the fields that were set."""
    from tidegate.rules.language.paths import parse_path

    found: Any = {} if body is None else body
    for path, value in settings.items():
        names = parse_path(path)
        node = found
        for name in names[:-1]:
            node = node.setdefault(name, {}) if isinstance(node, dict) else None
        if not names or not isinstance(node, dict):
            raise click.BadParameter(f"{path!r} is not a path of objects", param_hint="--set")
        node[names[-1]] = value
    return found


def _setting(text: str) -> tuple[str, Any]:
    """`a.b=1`: the value is JSON, else text."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise click.BadParameter(
            f"{text[:60]!r} is not PATH=VALUE (example: data.object.amount=100)", param_hint="--set"
        )
    try:
        return path, read_json(value)
    except ValueError:
        return path, value


def _payload(text: str) -> Any:
    """The JSON in `text`, or in the file after an @."""
    try:
        return read_json(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except OSError as error:
        reason = (error.strerror or "not a file").lower()
        raise click.BadParameter(f"{text[1:]!r} cannot be read: {reason}", param_hint="--payload") from None
    except ValueError as error:
        raise click.BadParameter(f"{text[:60]!r} is not JSON: {error}", param_hint="--payload") from None
