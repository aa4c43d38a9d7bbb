"""`tidegate db migrate`: move an installation from SQLite to PostgreSQL. Works on the stores, not through the API."""

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
@click.option("--to", "target", required=True, metavar="URL", help="An empty database: postgresql://...")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def migrate(source: str, target: str, as_json: bool) -> None:
    """Move an installation to PostgreSQL, with its pending deliveries.

    Run it while the gateway runs to copy the log. Then stop the gateway and run it again to copy the rest; from then
    on, only gateways with --database URL start. If it is interrupted, the next run continues.
    """
    from tidegate.core.clock import Clock
    from tidegate.rules.outbound.addresses import shown_kind
    from tidegate.store.migrate_store import move

    scheme, _, folder = source.partition(":")
    if scheme != "sqlite" or not folder:
        raise BadRequest(
            f"--from: {shown_kind(source)} is not a SQLite store",
            hint="use --from sqlite:DIR, where DIR is the data directory of the gateway",
        )
    if not target.startswith(("postgresql://", "postgres://")):
        raise BadRequest("--to is not a PostgreSQL address", hint="use --to postgresql://USER@HOST/NAME")
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
    print("gateways no longer start on the old directory; keep it until you trust the new store")


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
