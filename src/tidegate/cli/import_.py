"""`tidegate import FORMAT FILE`: a source, or a provider file, from what another tool knows about an API.

Owns what is printed and written. The file is read once, nothing is asked for over a network, and what is printed has
been checked as `tidegate check` does. Invariant: the report names everything that was left out or guessed; an existing
file is never replaced.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli import Group
from tidegate.cli.options import json_option

if TYPE_CHECKING:
    from tidegate.rules.imports import Choice, Imported

Tree = dict[str, Any]
HEADERS: Tree = {
    "api": {"with": {"*": {}}, "auth": {"*": {"fields": {"*": {}}}}},
    "resources": {"*": {}},
    "operations": {"*": {}},
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LABELS = {"to_do": "to do", "guessed": "guessed", "left_out": "left out"}


@click.group(cls=Group, name="import")
def import_() -> None:
    """Make a source from an OpenAPI document, a Postman collection, a dlt REST configuration or an Airbyte manifest.

    The configuration goes to stdout, and a report of what was left out or guessed, with its remedy, to stderr.
    """


def _command(name: str, line: str) -> None:
    @import_.command(name=name, help=f"{line} Nothing is sent to the API.")
    @click.argument("file", type=click.Path(dir_okay=False, readable=False, path_type=Path))
    @click.option("--list", "listing", is_flag=True, help="List what can be taken, and stop.")
    @click.option("--resource", multiple=True, help="A list to take, by its name or path in --list. May be repeated.")
    @click.option(
        "--operation", multiple=True, help="A call to take, by its name or request in --list. May be repeated."
    )
    @click.option("--all", "everything", is_flag=True, help="Take everything that can be taken.")
    @click.option("--key", multiple=True, metavar="NAME=FIELD", help="The primary key of a resource.")
    @click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A value that the document leaves open.")
    @click.option("--name", default="", help="The name of the source. Default: from the document's title.")
    @click.option(
        "--provider",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write a provider file in place of printing a source.",
    )
    @json_option
    def command(file: Path, **options: Any) -> int:
        return run(name, file, options)


_command("openapi", "OpenAPI 3.x: lists become resources, other calls become operations.")
_command("postman", "A Postman collection v2.1: lists by their saved answers, other requests as operations.")
_command("dlt", "A dlt REST configuration as JSON, YAML or TOML.")
_command("airbyte", "A declared subset of Airbyte low-code manifests (YAML).")


def run(format: str, file: Path, options: Tree) -> int:
    """The whole command. ImportRejected and ConfigError change nothing."""
    from tidegate.cli.output import print_json, table
    from tidegate.rules.imports import Choice, ImportRejected, import_document
    from tidegate.rules.imports.document import MAX_BYTES

    keys, values = _pairs(options["key"], "--key"), _pairs(options["given"], "--set")
    choice = Choice(
        resources=options["resource"], operations=options["operation"], values=values, keys=keys,
        everything=options["everything"] or options["listing"],
    )  # fmt: skip
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImportRejected(f"{str(file)!r} cannot be read: {error.strerror}", hint="check the path") from None
    result = import_document(format, data, file.name, choice)
    if options["listing"]:
        if options["as_json"]:
            import msgspec

            print_json({"candidates": msgspec.to_builtins(result.candidates)})
        else:
            rows = [(one.kind, one.name, one.request, one.problem) for one in result.candidates]
            table(("kind", "name", "request", "cannot be taken because"), rows)
        return 0
    if options["provider"] is not None:
        return _write_provider(result, options["provider"], options["as_json"])
    return _print_source(result, options["name"], choice, options["as_json"])


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    found = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not name or not equals or not value:
            raise click.UsageError(f"{option} needs NAME=VALUE, and got '{pair[:60]}'")
        found[name] = value
    return found


def _print_source(result: Imported, name: str, choice: Choice, as_json: bool) -> int:
    from tidegate.cli.output import print_json
    from tidegate.config.export import source_toml
    from tidegate.config.load import load_text
    from tidegate.core.errors import ConfigError
    from tidegate.core.unseen import visible_lines
    from tidegate.rules.imports.guesses import slug

    name = name or slug(result.title, "imported")[:40].strip("_")
    if _NAME.fullmatch(name) is None:
        raise click.UsageError(f"'{name[:60]}' is not a name (allowed: a-z, 0-9, _ and -)")
    tree, variables = result.source(name, choice.values)
    text = source_toml(name, tree)
    problems: list[ConfigError] = []
    try:
        load_text(text, "the import", dict.fromkeys(variables, "value"))
    except ConfigError as error:
        problems = list(getattr(error, "problems", [error]))
    if as_json:
        print_json({"toml": text, "environ": variables, "report": report(result), "ok": not problems})
    else:
        print(visible_lines(text), end="")
        _print_report(result, variables)
    return _print_problems(problems)


def _write_provider(result: Imported, file: Path, as_json: bool) -> int:
    from tidegate.cli.output import print_json
    from tidegate.config import toml
    from tidegate.config.checks_provider import check_provider_text
    from tidegate.core.errors import Conflict

    if file.suffix != ".toml" or _NAME.fullmatch(file.stem) is None:
        raise click.UsageError(f"'{file.name[:80]}' is not the name of a provider file (example: clocks.toml)")
    text = toml.write(result.provider(), HEADERS)
    _, problems = check_provider_text(text, file.stem, str(file))
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise Conflict(f"{file} exists already", hint="choose another name, or remove it", code="exists") from None
    if as_json:
        print_json({"file": str(file), "report": report(result), "ok": not len(problems)})
    else:
        print(f"wrote {file}")
        _print_report(result, {})
    return _print_problems(problems.errors())


def _print_problems(problems: list[Any]) -> int:
    from tidegate.cli.output import error_lines

    for one in problems:
        print(error_lines(one), file=sys.stderr)
    return 2 if problems else 0


def report(result: Imported) -> Tree:
    """What was taken, and every note."""
    import msgspec

    return {
        "resources": list(result.resources),
        "operations": list(result.operations),
        "notes": msgspec.to_builtins(result.notes),
        "notes_dropped": result.notes_dropped,
    }


def _print_report(result: Imported, variables: dict[str, str]) -> None:
    from tidegate.cli.output import clean, count

    def line(text: str) -> None:
        print(clean(text), file=sys.stderr)

    line(f"taken: {count(len(result.resources), 'resource')}, {count(len(result.operations), 'operation')}")
    for variable, words in variables.items():
        line(f"export {variable}=...   # {words}")
    for kind, label in _LABELS.items():
        for note in result.notes:
            if note.kind == kind:
                line(f"{label}: {note.where}: {note.what} -> {note.remedy}")
    if result.notes_dropped:
        line(f"and {result.notes_dropped} more notes; import fewer resources at a time to see them")
