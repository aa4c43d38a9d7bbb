"""`tidegate providers`: what ships, what one provider offers, and a check of a file of your own.

Owns what is printed. Needs no gateway and changes nothing. Invariant: a credential that is given to `test` is used for
one page of one resource and is never printed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from tidegate.cli import Group
from tidegate.cli.client import JsonObject
from tidegate.cli.options import json_option


@click.group(cls=Group)
def providers() -> None:
    """List the systems that Tidegate knows, show one, or test a provider file of your own."""


def _folder(function: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--config",
        default="tidegate.toml",
        show_default=True,
        type=click.Path(dir_okay=False, readable=False, path_type=Path),
        help="A configuration whose [gateway] providers is listed too.",
    )(function)


@providers.command(name="list")
@click.argument("word", default="")
@_folder
@json_option
def list_(word: str, config: Path, as_json: bool) -> None:
    """List the providers whose name or title has WORD: what each can receive, poll and call."""
    import msgspec

    from tidegate.cli.output import print_json, table
    from tidegate.providers import provider_names
    from tidegate.providers.summary import summary

    _register(config)
    found = [one for name in provider_names() if word.lower() in (one := summary(name)).title.lower() or word in name]
    if as_json:
        print_json([msgspec.to_builtins(one) for one in found])
        return
    if not found:
        print(f"no provider has {word!r} in its name; list them all: tidegate providers list", file=sys.stderr)
        return
    table(
        ("name", "system", "can", "resources", "operations"),
        [
            (
                one.name,
                one.title,
                ", ".join(one.can),
                " ".join(resource.name for resource in one.resources),
                " ".join(operation.name for operation in one.operations),
            )
            for one in found
        ],
    )


@providers.command()
@click.argument("name")
@_folder
@json_option
def show(name: str, config: Path, as_json: bool) -> None:
    """Show what the provider NAME offers: credentials, limits, resources, operations, and what was confirmed."""
    import msgspec

    from tidegate.cli.output import print_json
    from tidegate.providers import provider_text
    from tidegate.providers.summary import summary

    _register(config)
    one = summary(name)
    if as_json:
        print_json(msgspec.to_builtins(one))
        return
    for line in describe(name, provider_text(name)):
        print(line)


def describe(name: str, text: str) -> list[str]:
    """The lines of `show` for a file's text."""
    import tomllib

    from tidegate.cli.output import clean
    from tidegate.providers.api import api_file
    from tidegate.providers.summary import summary_of

    data = tomllib.loads(text)
    one, file = summary_of(name, text), api_file(data)
    lines = [f"{one.title}: can {', '.join(one.can)}"]
    if "webhook" in data:
        lines += _webhook(name, text)
    if file.api is not None:
        lines += ["", f"API: {file.api.base_url}", f"  documentation: {file.api.docs}", f"  limits: {one.limits}"]
        for kind, choice in file.api.auth.items():
            lines.append(f"  auth {kind}: {choice.help} {choice.link}".rstrip())
            lines += [f"    {key}: {given.help} {given.link}".rstrip() for key, given in choice.fields.items()]
        lines += [f"  with {key}: {given.help}" for key, given in file.api.with_.items()]
        for resource in one.resources:
            lines += ["", f"resource {resource.name}: {resource.description}"]
            lines.append(f"  pages: {resource.pages}; cursor: {resource.cursor}; deletes: {resource.deletes}")
            lines += [f"  webhook: {', '.join(resource.webhook)}"] if resource.webhook else []
            lines += [f"  needs: {', '.join(resource.needs)}"] if resource.needs else []
        for operation in one.operations:
            lines += ["", f"operation {operation.name}: {operation.description}", f"  {operation.request}"]
            lines.append(f"  once: {operation.once or 'nothing keeps a repeated call from acting twice'}")
        lines += ["", f"tested with: {one.tested_with}"]
        lines += [f"source: {text}" for text in one.sources]
        lines += [f"not confirmed: {text}" for text in one.unconfirmed]
    return [clean(line) for line in lines]


def _webhook(name: str, text: str) -> list[str]:
    import tomllib

    from tidegate.providers.shape import EVIDENCE, webhook_half

    half = webhook_half(tomllib.loads(text))
    kinds = list(dict.fromkeys(f"{scheme.kind} {scheme.digest}".strip() for scheme in half.schemes))
    lines = ["", f"webhook: verify = {name!r}; {', '.join(kinds) or 'not signed'}"]
    lines += [f"  secret: {half.secret_help}"] if half.secret_help else []
    lines += [f"  set up: {half.setup}"] if half.setup else []
    lines += [f"  samples: {', '.join(sample.type for sample in half.samples)}"] if half.samples else []
    for fact, evidence in (
        ("signature", half.confirmed.signature),
        ("places of type, ids, key and times", half.confirmed.places),
        ("answer, retries and set-up", half.confirmed.delivery),
    ):
        lines.append(f"  {fact}: {EVIDENCE[evidence]}")
    lines += [f"  source: {one}" for one in half.sources]
    return lines + [f"  not confirmed: {one}" for one in half.unconfirmed]


@providers.command()
@click.argument("file", type=click.Path(dir_okay=False, readable=False, path_type=Path))
@click.option("--resource", default="", help="The resource of which one page is asked for.")
@click.option("--auth", "kind", default="", help="The kind of credential. Default: the first one of the file.")
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="A credential or a value of `with`; env:NAME."
)
@click.option("--allow", multiple=True, metavar="NETWORK", help="A private network that may be asked: 127.0.0.1/32.")
@json_option
def test(file: Path, resource: str, kind: str, given: tuple[str, ...], allow: tuple[str, ...], as_json: bool) -> int:
    """Check a provider FILE of your own: its keys, samples and signatures.

    With --set it also asks the API for one page of each resource. Exits 2 when the file is wrong, and 1 when a page
    cannot be read.
    """
    from tidegate.cli.output import clean, print_error, print_json
    from tidegate.config.checks_provider import check_provider_text
    from tidegate.config.problems import ConfigRejected
    from tidegate.config.provider_folder import read_provider_file
    from tidegate.core.errors import ConfigError
    from tidegate.receive.samples_of_providers import try_samples

    text = read_provider_file(file, shipped_too=True)
    half, problems = check_provider_text(text, file.stem, str(file))
    errors: list[ConfigError] = problems.errors()
    tried = try_samples(file.stem, text, str(file)) if not errors else None
    if tried is None or (errors := tried.errors):
        return print_error(ConfigRejected(errors))
    asked = []
    if given and half.api is not None:
        from tidegate.cli.add_provider import Choices, ask_once, values_of

        names = [resource] if resource else list(half.resources)
        choices = Choices("try", file.stem, kind or next(iter(half.api.auth), ""), values_of(given, os.environ), names)
        asked = asyncio.run(ask_once(choices, half, text, list(allow)))
    if as_json:
        import msgspec

        print_json(
            {"ok": not any(one.error for one in asked), "notes": tried.notes, "live": msgspec.to_builtins(asked)}
        )
    else:
        print(f"{file} is valid")
        for note in tried.notes:
            print(clean(f"  note: {note}"))
        for line in describe(file.stem, text):
            print(f"  {line}".rstrip())
        from tidegate.cli.check_live import show as show_live

        for one in asked:
            show_live(one)
    return 1 if any(one.error for one in asked) else 0


@providers.command()
def schema() -> None:
    """Print the JSON Schema of provider files, for editors."""
    from tidegate.config.schema_provider import provider_schema_text

    print(provider_schema_text(), end="")


def _register(config: Path) -> None:
    """The user's own files, when there is a configuration that names them."""
    import tomllib

    from tidegate.config.provider_folder import provider_files
    from tidegate.providers import register

    try:
        tree: JsonObject = tomllib.loads(config.read_text("utf-8"))
    except (OSError, ValueError):
        return
    register(provider_files(tree, config.parent))
