"""`tidegate serve` and `tidegate demo`: the verbs that run a gateway in this process."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from tidegate.cli.options import Port, data_option
from tidegate.core.errors import TidegateError

_PORT = Port()
_FILE = Path("tidegate.toml")


@click.command()
@click.option(
    "--config",
    envvar="TIDEGATE_CONFIG",
    type=click.Path(readable=False, path_type=Path),
    help="The configuration file; ./tidegate.toml when there is one.",
)
@data_option
@click.option(
    "--host", envvar="TIDEGATE_HOST", default="127.0.0.1", show_default=True, help="The address to listen on."
)
@click.option("--port", envvar="TIDEGATE_PORT", default=8420, show_default=True, type=_PORT, help="0 takes a free one.")
@click.option(
    "--ingest-port",
    envvar="TIDEGATE_INGEST_PORT",
    type=_PORT,
    help="Answer /in/* on this port, and nothing else there.",
)
@click.option(
    "--database", envvar="TIDEGATE_DATABASE", metavar="URL", help="postgresql://...; SQLite in --data without it."
)
def serve(config: Path | None, data: Path, host: str, port: int, ingest_port: int | None, database: str | None) -> int:
    """Run the gateway until SIGTERM or Ctrl-C.

    The first line on stdout when it accepts requests is `ready http://HOST:PORT`; logs go to stderr. SIGHUP reads
    the file again. Every option is also a variable (TIDEGATE_PORT, ...); TIDEGATE_ADMIN_KEY sets an admin key.
    """
    from tidegate.process.gateway import ServeOptions
    from tidegate.process.serve import serve as run

    return run(
        ServeOptions(
            config=_FILE if config is None and _FILE.is_file() else config,
            data=data,
            host=host,
            port=port,
            ingest_port=ingest_port,
            database=database,
            admin_key=_admin_key(),
        )
    )


def _admin_key() -> str | None:
    """Refuses a key that no header can carry, and one that can be guessed."""
    from tidegate.api.keys import check_admin_key

    key = os.environ.get("TIDEGATE_ADMIN_KEY")
    if key and re.fullmatch("[!-~]+", key) is None:
        raise TidegateError(
            "TIDEGATE_ADMIN_KEY has a space, a line's end or a letter beyond ASCII, so no request could carry it",
            code="usage",
            hint="export TIDEGATE_ADMIN_KEY=$(openssl rand -hex 24)",
        )
    if key:
        check_admin_key(key, "TIDEGATE_ADMIN_KEY")
    return key or None


@click.command()
@click.option(
    "--port", envvar="TIDEGATE_PORT", default=8420, show_default=True, type=_PORT, help="Where the gateway listens."
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="Keep what happens; without it a temporary directory.",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the story page in a browser.")
def demo(port: int, data: Path | None, open_browser: bool) -> None:
    """Start the sample company: six small systems, a gateway between them, and a page that tells the story."""
    # The sample company knows nothing of the gateway's code: it is a program of its own, and takes over this process.
    words = [sys.executable, "-m", "tidegate_company", "--port", str(port), "--command", _own_command()]
    if data is not None:
        words += ["--data", str(data)]
    if open_browser:
        words.append("--open")
    sys.stdout.flush()
    os.execv(sys.executable, words)  # noqa: S606 - our own interpreter and module


def _own_command() -> str:
    """How the user can call us again: `.venv/bin/tidegate` below this directory, else the whole path, else the name."""
    ran = Path(sys.argv[0])
    if ran.name != "tidegate":
        return f"{sys.executable} -m tidegate"
    try:
        return str(ran.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(ran) if ran.is_absolute() and os.access(ran, os.X_OK) else "tidegate"
