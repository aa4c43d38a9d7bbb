"""Checks a provider file: its shape, its placeholders, and that everything in it works in a user's source.

Owns what must hold beyond the structs of `providers/api.py`. The resources and operations are put into a source with
the examples of the file and go through the checks of `tidegate.toml`, so a file cannot give what a user could not
write. Samples go through the readers of pages. Pure. Invariant: problems are at the line of the file; what is accepted
can be used by name. Crash: nothing is kept.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

from tidegate import auth
from tidegate.config.checks_source import check_source
from tidegate.config.expand import PLAIN_VALUE, Tree, expand, filled, mentioned_in
from tidegate.config.lines import Path
from tidegate.config.problems import Problems, nearest
from tidegate.config.shape import check_shape
from tidegate.config.spec import Source
from tidegate.config.validate import Validator
from tidegate.core.errors import ConfigError
from tidegate.providers import API_TABLES
from tidegate.providers.api import ApiFile, ApiHalf, AuthChoice, Given, ProviderResource, api_tree
from tidegate.providers.shape import Provider, webhook_half
from tidegate.rules.language.view import MISSING
from tidegate.rules.sync import instants
from tidegate.rules.sync.items import cursor_value, field, item_value, read_page, row_key
from tidegate.rules.sync.spec import Resource

MAX_FILE_BYTES = 1 << 20
MAX_SAMPLE_ROWS = 50
# Keys of a resource that only the user can know.
_OF_THE_USER = {
    "use": "write the keys themselves",
    "with": "declare values as [api.with.NAME]",
    "poll": "write it as suggested_poll",
    "schedule": "leave it out; the user says when",
}


def check_provider_text(text: str, name: str, where: str) -> tuple[ApiFile, Problems]:
    """Parse and check the text of a provider file called `name`; errors call it `where`.

    Returns the API half and what was found; ConfigError when the text is too large, or not TOML.
    """
    if len(text.encode()) > MAX_FILE_BYTES:
        raise ConfigError(f"the file has more than {MAX_FILE_BYTES} bytes", where=where, hint="split it")
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(
            f"the file is not valid TOML: {str(error)[:200]}", where=where, hint="check this line and the one before it"
        ) from None
    problems = Problems(where, text, data)
    return check_provider(data, name, problems), problems


def check_provider(data: Tree, name: str, problems: Problems) -> ApiFile:
    """Check the content of a provider file. Adds to `problems`."""
    own = {key: value for key, value in data.items() if key not in ("webhook", *API_TABLES)}
    check_shape(own, Provider, problems)
    check_shape(data.get("webhook", {}), Provider, problems, ("webhook",))
    if len(problems):
        return ApiFile()
    try:
        webhook_half(data)
    except msgspec.ValidationError as error:
        problems.add(("webhook",), f"the webhook half does not fit: {error}", "see docs/guides/add-a-provider.md")
    tree = api_tree(data)
    check_shape(tree, ApiFile, problems)
    if len(problems):
        return ApiFile()
    file = msgspec.convert(tree, ApiFile)
    for entry in tree.get("resources", {}):
        for key, hint in _OF_THE_USER.items():
            if key in tree["resources"][entry]:
                problems.add(("resources", entry, key), f"'{key}' is a key of the user", hint)
    _references(file, problems)
    _placeholders(tree, file, problems)
    if file.api is None:
        if file.resources or file.operations:
            problems.add((), "the file has resources or operations and no [api]", "add [api] with base_url")
        return file
    for kind, choice in file.api.auth.items():
        _auth(("api", "auth", kind), kind, choice, problems)
    if not len(problems):
        _in_a_source(data, name, file.api, problems)
    if not len(problems):
        for entry, resource in file.resources.items():
            if resource.sample:
                examples = {one: rule.example or rule.default for one, rule in file.api.with_.items()}
                given = msgspec.convert(filled(tree["resources"][entry], examples), ProviderResource)
                _sample(("resources", entry, "sample"), given, problems)
    return file


def _references(file: ApiFile, problems: Problems) -> None:
    """The names of resources in operations, parents and feeds of deletes are those of the file."""
    named: list[tuple[Path, str]] = [
        (("operations", name, "resource"), one.resource) for name, one in file.operations.items()
    ]
    for name, resource in file.resources.items():
        named.append((("resources", name, "deletes", "resource"), resource.deletes.resource))
        if resource.parent is not None:
            named.append((("resources", name, "parent", "resource"), resource.parent.resource))
    for path, name in named:
        if name and name not in file.resources:
            problems.add(path, f"unknown resource '{name}'", nearest(name, file.resources, "resource"))


def _placeholders(tree: Tree, file: ApiFile, problems: Problems) -> None:
    """Every `{with.NAME}` is declared, every declared value is used, and examples fit their patterns."""
    declared = file.api.with_ if file.api is not None else {}
    used: set[str] = set()
    for path, node in _texts(tree, ()):
        names = mentioned_in(node)
        used |= names
        for one in sorted(names - declared.keys()):
            problems.add(path, f"{{with.{one}}} is not declared", nearest(one, declared, "value") or f"add {one}")
    for name, given in declared.items():
        _given(("api", "with", name), given, problems)
        if name not in used:
            problems.add(("api", "with", name), f"no text has {{with.{name}}}", "remove it")


def _texts(node: Any, path: Path) -> list[tuple[Path, str]]:
    """Every text below `node`, with its path; names of parameters and of members of JSON too."""
    if isinstance(node, str):
        return [(path, node)]
    if isinstance(node, list):
        return [found for number, one in enumerate(node) for found in _texts(one, (*path, number))]
    if isinstance(node, dict):
        return [found for key, one in node.items() for found in [((*path, key), key), *_texts(one, (*path, key))]]
    return []


def _given(path: Path, given: Given, problems: Problems) -> None:
    pattern = given.pattern or PLAIN_VALUE
    try:
        fits = re.compile(pattern)
    except re.error as error:
        problems.add((*path, "pattern"), f"the pattern is not a regular expression: {error}", "try it with Python's re")
        return
    for key in ("example", "default"):
        text = getattr(given, key)
        if text and fits.fullmatch(text) is None:
            problems.add((*path, key), f"the {key} does not fit the pattern {pattern}", "change one of them")
    if given.pattern and not given.example:
        problems.add(path, "a pattern needs an example that fits it", "add example = ...")


def _auth(path: Path, kind: str, choice: AuthChoice, problems: Problems) -> None:
    """Each key exists in the kind of credential, and no required one is left out."""
    found = auth.KINDS.get(kind)
    if found is None:
        problems.add(path, f"{kind!r} is not a kind of auth", nearest(kind, auth.KINDS, "kind"))
        return
    known = {one.encode_name: one for one in msgspec.structs.fields(found.spec)}
    for table in ("set", "fields"):
        for key in getattr(choice, table):
            if key not in known:
                problems.add((*path, table, key), f"{kind} has no key '{key}'", nearest(key, known, "key"))
    for key, given in choice.fields.items():
        _given((*path, "fields", key), given, problems)
    for key, one in known.items():
        if one.required and key not in choice.set and key not in choice.fields:
            hint = f"add [{'.'.join(map(str, path))}.fields.{key}], or the key to set"
            problems.add(path, f"{kind} needs '{key}'", hint)


# -- in a source -----------------------------------------------------------------------------------------


def example_of(given: Given) -> str:
    return given.example or given.default or "x"


def example_source(data: Tree, name: str, api: ApiHalf, kind: str = "") -> Tree:
    """A source that takes everything from the file, with its examples. `kind`: the kind of auth."""
    choice = api.auth.get(kind)
    credential = {"type": kind, **{key: example_of(one) for key, one in choice.fields.items()}} if choice else None
    return {
        "publish": {},
        "api": {
            "provider": name,
            "with": {key: example_of(one) for key, one in api.with_.items()},
            **({"auth": credential} if credential else {}),
        },
        "resources": {key: {"use": key, "poll": "5m"} for key in data.get("resources", {})},
        "operations": {key: {"use": key} for key in data.get("operations", {})},
    }


def _in_a_source(data: Tree, name: str, api: ApiHalf, problems: Problems) -> None:
    """Take everything from the file with each kind of credential, and check it as a user's source."""
    for kind in list(api.auth) or [""]:
        own = Problems(problems.name, None, None)
        tree = expand(example_source(data, name, api, kind), (), lambda _: data, own)
        check_shape(tree, Source, own)
        if not len(own):
            check_source(Validator(own), (), msgspec.convert(tree, Source), None)
        given = api.auth[kind].fields if kind else {}
        for error in own.errors():
            parts = tuple(error.path.removeprefix("$.").split("."))
            if parts[:2] == ("api", "auth") and parts[-1] in given:
                continue  # an example of a credential need not work
            at = ("api", "auth", kind, "set", *parts[2:]) if parts[:2] == ("api", "auth") else parts
            problems.add(at, error.message, error.hint or "")
        for warning in own.warnings:
            problems.add((), warning, "remove what has no effect")


# -- samples ---------------------------------------------------------------------------------------------


def _sample(path: Path, resource: Resource, problems: Problems) -> None:
    """The page has rows, and each row has its key, its version and its cursor."""
    assert isinstance(resource, ProviderResource)
    try:
        page = read_page(200, resource.sample.encode(), resource)
    except ValueError as error:
        problems.add(path, f"the sample cannot be read as a page: {error}", "check data_selector and format")
        return
    if not page.rows:
        problems.add(path, "the sample has no rows, so the resource can never match", "check data_selector")
    for row in page.rows[:MAX_SAMPLE_ROWS]:
        _row(path, item_value(row), resource, problems)


def _row(path: Path, record: Any, resource: Resource, problems: Problems) -> None:
    keys = resource.primary_key if isinstance(resource.primary_key, list) else [resource.primary_key]
    own = [one for one in keys if resource.parent is None or not one.startswith(f"_{resource.parent.resource}_")]
    try:
        row_key(record, own)
    except ValueError as error:
        problems.add(path, f"a row of the sample has no key: {error}", "check primary_key")
    if resource.version and field(record, resource.version) in (MISSING, None):
        problems.add(path, f"a row of the sample has no version at {resource.version!r}", "check version")
    rule = resource.incremental
    if rule is None or not rule.cursor_path:
        return
    cursor = cursor_value(record, rule.cursor_path)
    if cursor is None:
        problems.add(path, f"a row of the sample has no cursor at {rule.cursor_path!r}", "check cursor_path")
        return
    named = instants.declared(rule.format)
    if named is not None and instants.read(cursor) is None and not instants.is_in(cursor, named):
        problems.add(path, f"the cursor {cursor[:40]!r} of the sample is not a time", "check cursor_path and format")
