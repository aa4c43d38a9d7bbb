"""`tidegate events` and `tidegate tail`: list the log and follow it."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path

import click

from tidegate.cli.client import Client, JsonObject, NoGateway, find_gateway, segment
from tidegate.cli.json_text import read_json
from tidegate.cli.options import F, When, gateway_command
from tidegate.core.model import Origin

_ORIGINS = tuple(origin.value for origin in Origin)
_RECONNECT_SECONDS = (1.0, 2.0, 5.0, 10.0)


def _filters(function: F) -> F:
    for option in (
        click.option("--healed", is_flag=True, help="Only changes that a poll found and no webhook had reported."),
        click.option("--origin", type=click.Choice(_ORIGINS), help="Only events of this origin."),
        click.option("--key", help="Only events with this key."),
        click.option("--type", "type_", help="Only events of this type."),
        click.option("--source", help="Only events of this source."),
    ):
        function = option(function)
    return function


@click.command()
@_filters
@click.option("--since", type=When(), help="Received at or after: 2026-11-24T12:00:00Z, or 2h for two hours ago.")
@click.option("--until", type=When(), help="Received before.")
@click.option("-q", "--search", help="Only events with this text in the body.")
@click.option(
    "--limit", "-n", type=click.IntRange(1, 500), default=20, show_default=True, help="Maximum number of items (1-500)."
)
@click.option("--cursor", help="Continue after the previous page.")
@gateway_command
def events(
    source: str | None,
    type_: str | None,
    key: str | None,
    origin: str | None,
    healed: bool,
    since: str | None,
    until: str | None,
    search: str | None,
    limit: int,
    cursor: str | None,
    data: Path,
    as_json: bool,
) -> None:
    """List events, newest first. Times are local; with --json, they are UTC."""
    from tidegate.cli.output import local_time, next_page, print_json, table, way_badge

    chosen = {"source": source, "type": type_, "key": key, "origin": origin, "since": since, "until": until}
    client = find_gateway(data)
    only = {"healed": "true"} if healed else {}
    page = client.get_page("/events", {**chosen, **only, "q": search, "limit": limit, "cursor": cursor})
    if not page["data"] and cursor is None:
        _check_source(client, source)
    if as_json:
        print_json(page)
        return
    if not page["data"]:
        which = " match" if search or healed or any(chosen.values()) else ""
        print(f"no events{' on this page' if page.get('next_cursor') or cursor else which}")
    else:
        more = ("missing for",) if healed else ()
        table(
            ("received", "way", "source", "type", "key", *more, "id"),
            [
                (
                    local_time(e["received_at"]), way_badge(e["origin"]), e["source"], e["type"], e["key"],
                    *([_missing(e)] if healed else []), e["id"],
                )
                for e in page["data"]
            ],
        )  # fmt: skip
    if page.get("next_cursor"):
        words = [word for name, value in chosen.items() if value for word in (f"--{name}", value)]
        words += ["--healed"] if healed else []
        words += ["--search", search] if search else []
        words += ["--limit", str(limit)] if limit != 20 else []
        print(next_page("events", *words, "--cursor", page["next_cursor"]), file=sys.stderr)


def _missing(event: JsonObject) -> str:
    """`12 min`, or `at most 1 h` where only a bound is known."""
    from tidegate.cli.output import span

    found = event["change"]["healed"]
    longest = found["missed_for_seconds"]
    if longest is None:
        return "unknown"
    return span(longest) if longest == found["missed_for_at_least_seconds"] else f"at most {span(longest)}"


@click.command()
@_filters
@click.option("--after", metavar="EVENT_ID", help="Start after this event instead of now.")
@gateway_command
def tail(
    source: str | None,
    type_: str | None,
    key: str | None,
    origin: str | None,
    healed: bool,
    after: str | None,
    data: Path,
    as_json: bool,
) -> int:
    """Follow new events until Ctrl-C. With --json, prints one object a line.

    When the gateway stops, tail waits for it and continues after the last event.
    """
    client = find_gateway(data)
    _check_source(client, source)
    query = {"source": source, "type": type_, "key": key, "origin": origin, "healed": "true" if healed else None}
    if sys.stdout.isatty() and not as_json:
        print("(following new events; stop with Ctrl-C)", file=sys.stderr)
    with suppress(KeyboardInterrupt):  # how a stream is ended
        _follow(client, query, after, as_json)
    return 0


def _check_source(client: Client, source: str | None) -> None:
    """Not found, with the sources that exist: a mistyped name would wait forever, or match nothing."""
    if source is not None:
        client.get(f"/sources/{segment(source)}")


def _follow(client: Client, query: JsonObject, last: str | None, as_json: bool) -> None:
    from tidegate.cli.output import clean

    failures = 0
    connected = False
    while True:
        try:
            for kind, id_, text in client.stream("/events/stream", query, last):
                connected, failures = True, 0
                last = id_ or last
                if kind == "message":
                    _print_event(read_json(text), as_json)
                elif kind != "reconnect":
                    print(f"({clean(kind)}: {clean(text)})", file=sys.stderr)
            connected = True  # it responded and ended normally
        except NoGateway as error:
            if not connected:
                raise
            if failures == 0:
                print(f"({error.message}; waiting for it)", file=sys.stderr)
        time.sleep(_RECONNECT_SECONDS[min(failures, len(_RECONNECT_SECONDS) - 1)])
        failures += 1


def _print_event(event: JsonObject, as_json: bool) -> None:
    from tidegate.cli.output import clean, console, local_time, print_json, way_badge

    if as_json:
        print_json(event, line=True)
        return
    from rich.text import Text

    key = f"  {clean(event['key'])}" if event.get("key") else ""
    line = Text(f"{local_time(event['received_at'], date=False)}  ")
    line.append_text(way_badge(event["origin"]))
    line.append(f"  {clean(event['source'])}  ").append(clean(event["type"]), style="bold")
    line.append(f"{key}  ").append(clean(event["id"]), style="dim")
    console().print(line)
    sys.stdout.flush()
