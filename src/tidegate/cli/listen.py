"""`tidegate listen`: the command, and its output without a terminal.

`listener.py` brings the events, `listen_terminal.py` has the keys. The program gets the request that a webhook
destination gets, signed now as the provider does where this key may. Crash: see `listener.py`.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import click

from tidegate.cli.client import JsonObject
from tidegate.cli.listener import Listener, Shown, as_object, line_of
from tidegate.cli.local_post import target_of
from tidegate.cli.options import When, data_option


@click.command()
@click.argument("target", metavar="PORT_OR_URL")
@click.option("--source", required=True, help="The source whose events are brought here.")
@click.option("--type", "types", multiple=True, help="Only this event type, or a pattern such as 'invoice.*'.")
@click.option("--since", type=When(), help="Start with what was received since: 1h, or 2026-11-24T12:00:00Z.")
@click.option("--secret", envvar="TIDEGATE_LISTEN_SECRET", help="Also sign by Standard Webhooks with this secret.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@data_option
def listen(
    target: str,
    source: str,
    types: tuple[str, ...],
    since: str | None,
    secret: str | None,
    as_json: bool,
    data: Path,
) -> int:
    """Bring the events of a source to a program on this machine, until Ctrl-C.

    What comes while this command or the program is away arrives at the next start. On a terminal, keys replay, edit,
    search and copy requests.
    """
    found = target_of(target)
    listener = Listener(data, source, types, found, secret)
    feed = listener.begin(since)
    keys = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    print(_beginning(listener, feed, since), file=sys.stdout if keys else sys.stderr, flush=True)
    if keys:
        from tidegate.cli.listen_terminal import Terminal

        return Terminal(listener).run()
    return _plain(listener, as_json)


def _beginning(listener: Listener, feed: JsonObject, since: str | None) -> str:
    start = f"since {since}" if since else "from now on" if feed["new"] else "after the last answer of your program"
    return f"events of {listener.source} go to {listener.target.url}, {start} (feed {listener.feed})"


def _plain(listener: Listener, as_json: bool) -> int:
    from tidegate.cli.output import print_json

    def report(what: Shown | str) -> None:
        if isinstance(what, str):
            print(f"({what})", file=sys.stderr, flush=True)
        elif as_json:
            print_json(as_object(what), line=True)
        else:
            print(line_of(what), flush=True)

    try:
        listener.run(threading.Event(), report)
    except KeyboardInterrupt:  # how it is ended
        return 0
    return 0
