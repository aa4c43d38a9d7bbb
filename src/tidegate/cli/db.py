"""`tidegate db migrate`: move an installation from the embedded store to PostgreSQL. Works on the stores themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tidegate.cli import Group
from tidegate.cli.output import count, print_json
from tidegate.core.errors import BadRequest


@click.group(cls=Group)
def db() -> None:
    """Move the store to PostgreSQL."""


@db.command()
@click.option("--from", "source", required=True, metavar="sqlite:DIR", help="The data directory to move.")
@click.option("--to", "target", required=True, metavar="URL", help="postgresql://..., an empty database.")
@click.option("--json", "as_json", is_flag=True, help="Print what was moved as JSON.")
def migrate(source: str, target: str, as_json: bool) -> None:
    """Move an installation to PostgreSQL, with its pending deliveries.

    Run it while the gateway runs: the log is copied. Then stop the gateway and run it again: it copies the rest, and
    from then on only gateways with --database URL start. Interrupted, it goes on where it stood.
    """
    from tidegate.core.clock import Clock
    from tidegate.rules.outbound.addresses import shown_kind
    from tidegate.store.migrate_store import move

    scheme, _, folder = source.partition(":")
    if scheme != "sqlite" or not folder:
        raise BadRequest(
            f"--from: {shown_kind(source)} is no embedded store", hint="--from sqlite:DIR, the gateway's --data"
        )
    if not target.startswith(("postgresql://", "postgres://")):
        raise BadRequest("--to is no PostgreSQL address", hint="--to postgresql://USER@HOST/NAME")
    with _bar() as say:
        moved = asyncio.run(move(Path(folder), target, say, Clock()))
    if as_json:
        print_json({"target": moved.target, "rows": moved.rows})
        return
    print(f"moved to {moved.target}:")
    for table, rows in moved.rows.items():
        if rows:
            print(f"  {count(rows, 'row'):>14}  {table.replace('_', ' ')}")
    print("next: start the nodes with --database and the old secret.key (in --data, or as TIDEGATE_SECRET_KEY)")
    print("no gateway starts on the old directory any more; keep it until you trust the new one")


@contextmanager
def _bar() -> Iterator[Any]:
    """A progress bar on a terminal's stderr; a line at each tenth elsewhere."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        tenths: dict[str, int] = {}

        def line(what: str, done: int, total: int) -> None:
            tenth = done * 10 // max(total, 1)
            if tenths.get(what) != tenth:
                tenths[what] = tenth
                print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task("events", total=None)
        yield lambda what, done, total: shown.update(task, description=what, completed=done, total=total)
