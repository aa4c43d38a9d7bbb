"""The command line: `tidegate COMMAND`. This file has the table of commands and what all of them share.

Owns exit codes (0 success, 2 wrong usage or configuration, 1 any other failure) and how an error is printed. Every
command on a gateway is a call of its API. A command's module is imported only when the command runs, so
`tidegate --help` stays fast. Nothing here keeps state; Ctrl-C ends any command without a traceback.
"""

from __future__ import annotations

import keyword
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from tidegate import __version__

# command -> (module in this package, its line in `--help`)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("serve", "Start the sample company with a guided tour"),
    "init": ("check", "Write a commented tidegate.toml and its schema"),
    "serve": ("serve", "Run the gateway"),
    "check": ("check", "Check a configuration file and list all problems"),
    "config": ("config", "Compare, apply, export and show the configuration"),
    "add": ("add", "Add a source, a destination or a route to a running gateway"),
    "providers": ("providers", "List the systems that Tidegate knows, and test a provider file"),
    "import": ("import_", "Make a source from OpenAPI, Postman, dlt or Airbyte"),
    "events": ("events", "List events, newest first"),
    "tail": ("events", "Follow new events"),
    "explain": ("explain", "Show where an event went and why"),
    "replay": ("replay", "Deliver events from the log again"),
    "pause": ("destination", "Pause a destination"),
    "resume": ("destination", "Resume a paused destination"),
    "test": ("destination", "Send a signed test event to a destination"),
    "rotate": ("rotate", "Rotate the secret of a source or a destination"),
    "trigger": ("trigger", "Send a test event through a source, signed as its provider does"),
    "listen": ("listen", "Bring the events of a source to a program on this machine"),
    "pull": ("pull", "Get data from a source now, through the cache"),
    "call": ("call", "Call an operation of a source: create, change or delete something there"),
    "poll": ("pull", "Poll a resource now"),
    "baseline": ("pull", "Take the present state of a resource without change events"),
    "records": ("pull", "Show the stored records of a resource"),
    "advise": ("advise", "API or webhook: what each resource costs, what to set, and apply it"),
    "shadow": ("shadow", "Both ways at once: which is sooner, cheaper and more complete"),
    "simulate": ("simulate", "Compare polling and webhooks on a trace of changes"),
    "stats": ("stats", "Show what was measured: requests, empty polls, delays, missed webhooks"),
    "conflicts": ("conflicts", "Show changes of both systems to one record; decide held ones"),
    "alerts": ("alerts", "Show alerts; acknowledge and mute them"),
    "auth": ("auth", "Show the state of credentials, and sign in at a provider"),
    "keys": ("admin", "Create, list and delete API keys"),
    "backup": ("admin", "Write a consistent copy of the running store"),
    "doctor": ("admin", "Show the gateway's health and what needs attention"),
    "db": ("db", "Move the store to PostgreSQL"),
}


def _attribute(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


class Group(click.Group):
    """A command with subcommands: lists them when the name is unknown or missing."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            from tidegate.config.problems import nearest

            raise click.UsageError(f"there is no command {args[0][:60]!r}; {nearest(args[0], names, 'command')}", ctx)
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            names = ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"'{ctx.command_path}' needs a command: {names}", ctx)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS]", "COMMAND ..."]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, command.get_short_help_str(100)) for name, command in found if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Commands(Group):
    """The group of all commands, whose modules are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(f"tidegate.cli.{entry[0]}"), _attribute(cmd_name))
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            print(ctx.get_help(), file=sys.stderr)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of a pipe ended; click would treat it as a failure
            _forget_stdout()
            ctx.exit(0)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:
        raise SystemExit(_run(self, args))


def _run(group: Commands, args: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if args is None else args)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process; its number must not be reused for a socket
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    try:
        code = click.Group.main(group, words, prog_name="tidegate", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:  # as above, while flushing
        _forget_stdout()
        return 0
    except (click.Abort, KeyboardInterrupt):
        return 1
    except Exception as error:
        if "--debug" in words or os.environ.get("TIDEGATE_DEBUG"):
            raise
        return _report(error)


def _report(error: Exception) -> int:
    """Print the error; returns the exit code."""
    from tidegate.cli.output import print_error
    from tidegate.core.errors import TidegateError

    if isinstance(error, click.ClickException):
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx is not None else "tidegate"
        # Some messages of click are lists with one choice a line.
        message = " ".join(error.format_message().split())
        return print_error(TidegateError(message, code="usage", hint=f"{path} --help"))
    if isinstance(error, TidegateError):
        return print_error(error)
    if isinstance(error, OSError):
        _forget_stdout()
        name = f": {error.filename}" if error.filename else ""
        reason = (error.strerror or type(error).__name__).lower()
        hint = "check the file and the disk, then run the command again"
        return print_error(TidegateError(f"cannot read or write{name}: {reason}", code="io_failed", hint=hint))
    hint = "run the command with --debug for a traceback, and please report it"
    return print_error(TidegateError(f"internal error: {type(error).__name__}: {error}", hint=hint))


def _forget_stdout() -> None:
    """Python flushes stdout again at exit, which would print a second error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tidegate", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show a traceback for errors.")
def cli(debug: bool) -> None:
    """One gateway for webhooks and APIs: receive, deliver, pull and query.

    Commands call the gateway at TIDEGATE_URL with TIDEGATE_KEY, or the local gateway whose data directory is
    ./tidegate-data (set another with --data or TIDEGATE_DATA).
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return _run(cli, args)
