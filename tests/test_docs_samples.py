"""Every sample in the documentation works: configurations pass `tidegate check`, commands and options exist.

The rules are functions over text, so that the last tests can show each of them failing.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from support.docs_pages import DOCS, FENCE, PAGES, ROOT, SPAN, name_of
from support.mail.certificates import make_certificate
from tidegate.cli import COMMANDS, cli
from tidegate.config.checks_provider import check_provider_text
from tidegate.config.load import load_file
from tidegate.core.errors import ConfigError
from tidegate.core.model import SYSTEM_SOURCE

# -- configurations --------------------------------------------------------------------------------------


class Anything(dict[str, str]):
    """An environment in which every variable is set, to a secret that is long enough for all schemes."""

    def __missing__(self, name: str) -> str:
        return "https://hooks.example.com/x" if name.endswith("URL") else "whsec_" + "QUJD" * 8

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]

    def __contains__(self, name: object) -> bool:
        return True


def shown(language: str) -> list[Any]:
    """(page and line, block) of the code blocks in a language."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in FENCE.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2], id=f"{name_of(page)}:{line}"))
    return found


def with_what_it_names(block: str) -> str:
    """Part of a configuration, plus the sources and destinations that its routes name and it does not define."""
    tree = tomllib.loads(block)
    sources: dict[str, set[str]] = {}
    destinations: set[str] = set()
    for route in tree.get("routes", {}).values():
        for name in names(route["from"]):
            if name not in ("*", SYSTEM_SOURCE) and name not in tree.get("sources", {}):
                sources.setdefault(name, set()).update(route.get("changes", ()))
        destinations.update(name for name in names(route["to"]) if name not in tree.get("destinations", {}))
    made = [f'[destinations.{name}]\nurl = "https://b.example"' for name in destinations]
    for name, resources in sources.items():
        made.append(f'[sources.{name}.api]\nbase_url = "https://a.example"')
        made += [f'[sources.{name}.resources.{one}]\npath = "/a"' for one in resources]
    return "\n".join([block, *made])


def names(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("block", shown("toml"))
def test_every_sample_configuration_is_valid(block: str, tmp_path: Path) -> None:
    if "title" in tomllib.loads(block):  # a provider file
        _, problems = check_provider_text(block, "clocks", "sample")
        assert [f"{error.where} {error.message}" for error in problems.errors()] == []
        return
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "stripe").write_text("whsec_" + "QUJD" * 8)
    make_certificate(tmp_path, "localhost")
    for name in re.findall(r"\$\{file:([a-z-]+\.(?:pem|key))\}", block):
        (tmp_path / name).write_bytes((tmp_path / f"server{Path(name).suffix}").read_bytes())
    file = tmp_path / "tidegate.toml"
    file.write_text(with_what_it_names(block))
    load_file(file, Anything())


@pytest.mark.parametrize("block", shown("json"))
def test_every_json_sample_is_valid(block: str) -> None:
    json.loads(block)


@pytest.mark.parametrize("block", shown("python"))
def test_every_python_sample_compiles(block: str) -> None:
    compile(block, "documentation", "exec")


# -- commands --------------------------------------------------------------------------------------------


def commands() -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(cli)
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        found.append(((name,), command))
        if isinstance(command, click.Group):
            found += [((name, part), one) for part, one in command.commands.items()]
    return found


ALL_COMMANDS = dict(commands())
TARGETS = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def sample_commands(text: str) -> list[list[str]]:
    """`tidegate ...` and `make ...` in code spans and shell blocks."""
    places = SPAN.findall(FENCE.sub("", text))
    places += [line for language, block in FENCE.findall(text) if language == "sh" for line in block.splitlines()]
    found = []
    for place in places:
        for piece in re.split(r"&&|\||\$\(|;", place.partition(" # ")[0]):
            words = piece.split("#")[0].replace(")", " ").split()
            if words and words[0] in ("tidegate", "make") and len(words) > 1:
                found.append(words)
    return found


def unknown_command(words: list[str]) -> str | None:
    """The error in a sample command; None if it is valid."""
    if words[0] == "make":
        return None if words[1] in TARGETS or "=" in words[1] else f"make has no target {words[1]}"
    if words[1] in ("COMMAND", "--help", "--version"):
        return None
    if (words[1],) not in ALL_COMMANDS:
        return f"there is no command {words[1]}"
    key = tuple(words[1:3]) if tuple(words[1:3]) in ALL_COMMANDS else (words[1],)
    group = ALL_COMMANDS[key]
    if isinstance(group, click.Group) and len(words) > 2 and words[2][0] != "-" and words[2].islower():
        return f"{words[1]} has no {words[2]}"
    options = {"--help"}.union(*[one.opts for one in group.params])
    wrong = [word for word in words if word.startswith("-") and word.partition("=")[0] not in options]
    return f"{' '.join(key)} has no option {wrong[0]}" if wrong else None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_sample_command_exists(page: Path) -> None:
    wrong = [reason for words in sample_commands(page.read_text()) if (reason := unknown_command(words)) is not None]
    assert wrong == []


def test_every_command_and_option_has_a_row() -> None:
    text = (DOCS / "reference" / "command-line.md").read_text()
    for words, command in commands():
        assert f"## `tidegate {' '.join(words)}`" in text
        section = text.partition(f"## `tidegate {' '.join(words)}`\n")[2].partition("\n## ")[0]
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help and all(f"`{name}`" in section for name in option.opts), (words, option.opts)


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "`make demo`" in text and "`make test`" in text


# -- the rules of this file can fail ---------------------------------------------------------------------


def test_a_wrong_configuration_and_a_wrong_command_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(with_what_it_names('[routes.a]\nfrom = "x"\nto = "y"\ncolor_of = 1'))
    with pytest.raises(ConfigError, match="color_of"):
        load_file(tmp_path / "a.toml", Anything())
    assert sample_commands(
        "`tidegate evnts` and\n```sh\nX=1; tidegate keys create a --scop read  # b\nmake tset\n```\n"
    ) == [
        ["tidegate", "evnts"],
        ["tidegate", "keys", "create", "a", "--scop", "read"],
        ["make", "tset"],
    ]
    wrong = ["tidegate evnts", "tidegate keys create a --scop read", "tidegate config aply", "make tset"]
    assert [unknown_command(words.split()) for words in wrong] == [
        "there is no command evnts",
        "keys create has no option --scop",
        "config has no aply",
        "make has no target tset",
    ]
    assert unknown_command(["tidegate", "explain", "ID", "--json"]) is None
