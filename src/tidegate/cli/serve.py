"""`tidegate serve` and `tidegate demo`: commands that run a gateway in this process."""

from __future__ import annotations

import gc
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
    help="The configuration file (default: ./tidegate.toml if it exists).",
)
@data_option
@click.option(
    "--host", envvar="TIDEGATE_HOST", default="127.0.0.1", show_default=True, help="The address to listen on."
)
@click.option(
    "--port",
    envvar="TIDEGATE_PORT",
    default=8420,
    show_default=True,
    type=_PORT,
    help="The port to listen on; 0 chooses a free one.",
)
@click.option(
    "--ingest-port",
    envvar="TIDEGATE_INGEST_PORT",
    type=_PORT,
    help="Serve only /in/* on this additional port.",
)
@click.option(
    "--database",
    envvar="TIDEGATE_DATABASE",
    metavar="URL",
    help="postgresql://... (default: SQLite in the data directory).",
)
def serve(config: Path | None, data: Path, host: str, port: int, ingest_port: int | None, database: str | None) -> int:
    """Run the gateway until SIGTERM or Ctrl-C.

    Prints `ready http://HOST:PORT` to stdout when it accepts requests; logs go to stderr. SIGHUP reloads the file.
    Every option can be set by a variable (TIDEGATE_PORT, ...); TIDEGATE_ADMIN_KEY sets an admin key.
    """
    gc.disable()  # until it is ready: the collector's looks at what is imported are a tenth of a start
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
    """Rejects a key that cannot be sent in a header, and one that is too short."""
    from tidegate.api.keys import check_admin_key

    key = os.environ.get("TIDEGATE_ADMIN_KEY")
    if key and re.fullmatch("[!-~]+", key) is None:
        raise TidegateError(
            "TIDEGATE_ADMIN_KEY has characters that cannot be sent in a header (allowed: ASCII without spaces)",
            code="usage",
            hint="export TIDEGATE_ADMIN_KEY=$(openssl rand -hex 24)",
        )
    if key:
        check_admin_key(key, "TIDEGATE_ADMIN_KEY")
    return key or None


@click.command()
@click.option(
    "--port", envvar="TIDEGATE_PORT", default=8420, show_default=True, type=_PORT, help="The port of the gateway."
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="Keep the data in this directory (default: a temporary directory).",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the story page in a browser.")
def demo(port: int, data: Path | None, open_browser: bool) -> None:
    """Start the sample company: six small systems, a gateway between them, and a guided tour in the browser."""
    # The sample company is a separate program that replaces this process.
    words = [sys.executable, "-m", "tidegate_company", "--port", str(port), "--command", _own_command()]
    if data is not None:
        words += ["--data", str(data)]
    if open_browser:
        words.append("--open")
    sys.stdout.flush()
    os.execv(sys.executable, words)  # noqa: S606 - our own interpreter and module


def _own_command() -> str:
    """The command to run again: `.venv/bin/tidegate` below this directory, else the whole path, else the name."""
    ran = Path(sys.argv[0])
    if ran.name != "tidegate":
        return f"{sys.executable} -m tidegate"
    try:
        return str(ran.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(ran) if ran.is_absolute() and os.access(ran, os.X_OK) else "tidegate"
