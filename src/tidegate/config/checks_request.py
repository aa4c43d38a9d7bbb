"""What must hold in the requests of one resource: its paths, its placeholders, its body, its format and its times.

Owns which placeholders are known where. Adds to `Problems`. Pure. Invariant: a placeholder that is accepted here has a
value when the request is made, or its parameter or header is left out.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from tidegate.auth import referred, request_auth
from tidegate.config.lines import Path
from tidegate.config.problems import nearest
from tidegate.config.spec import Source
from tidegate.config.validate import Validator
from tidegate.rules.sync.formats import AUTO, FORMATS
from tidegate.rules.sync.placeholders import CURSOR, END, START, names_in, names_in_json, unknown
from tidegate.rules.sync.spec import Resource

_CREDENTIAL = re.compile(r"\{credential\.([A-Za-z0-9_]+)\}")


def check_request(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    _paths(validator, path, resource)
    _placeholders(validator, path, resource, source)
    validator.headers((*path, "headers"), resource.headers)
    for name in ("cursor_body_path", "offset_body_path", "page_body_path", "limit_body_path"):
        if getattr(resource.paginator, name, "") and not isinstance(resource.json, dict):
            validator.add(
                (*path, "paginator", name), f"'{name}' needs a JSON body", 'add method = "POST" and json = { }'
            )
    if resource.json is not None and resource.method == "GET":
        validator.add((*path, "json"), "a GET request has no body", 'add method = "POST"')
    for number, origin in enumerate(resource.origins):
        validator.url((*path, "origins", number), origin, bare=True)
    if 410 in resource.empty:
        validator.add((*path, "empty"), "410 means that the cursor has expired", "remove it")
    _format(validator, path, resource)
    if resource.header_row and resource.paginator.__struct_config__.tag != "single_page":
        hint = "ask for everything at once, and remove paginator"
        validator.add((*path, "header_row"), "only the first page has the names of the columns", hint)
    _schedule(validator, path, resource)


def _paths(validator: Validator, path: Path, resource: Resource) -> None:
    for key, value in (("path", resource.path), ("item_path", resource.item_path)):
        if not value and key == "item_path":
            continue
        at = (*path, key)
        seen = validator.problems.show(at, value)
        if not value.startswith("/") or value.startswith("//") or re.search(r"[\s\x00-\x1f#]", value):
            validator.add(at, f"{seen} is not a path below base_url", "start it with one '/' and encode spaces and '#'")
        elif ".." in urlsplit(value).path.split("/"):
            validator.add(at, f"{seen} leads out of base_url", "remove '..'")
    parts = _parts(resource)
    holes = names_in(resource.item_path)
    names = [hole for hole in holes if hole in parts]
    if resource.item_path and not names and holes.count("id") != 1 and all(hole == "id" for hole in holes):
        seen = validator.problems.show((*path, "item_path"), resource.item_path)
        validator.add((*path, "item_path"), f"{seen} does not have '{{id}}' exactly once", "write it as /orders/{id}")


def _parts(resource: Resource) -> list[str]:
    """The names of a composite key, which `item_path` may use."""
    keys = resource.primary_key
    return keys if isinstance(keys, list) and len(keys) > 1 else []


def _placeholders(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    fixed = [f"with.{name}" for name in resource.with_] + _captured(resource, source)
    known = list(fixed)
    if resource.incremental is not None:
        known += [START, END]
    if resource.parent is not None:
        known += [f"resources.{resource.parent.resource}.{name}" for name in resource.parent.with_]
    _known(validator, (*path, "path"), names_in(resource.path), known)
    _known(validator, (*path, "item_path"), names_in(resource.item_path), ["id", *_parts(resource), *fixed])
    items = resource.item_params or {}
    for key, table in (("params", resource.params), ("item_params", items), ("headers", resource.headers)):
        for name, value in table.items():
            for one in value if isinstance(value, list) else [value]:
                _known(validator, (*path, key, name), names_in(one) if isinstance(one, str) else [], known)
    _known(validator, (*path, "json"), names_in_json(resource.json), known)
    if resource.incremental is not None:
        _known(validator, (*path, "incremental", "value"), names_in(resource.incremental.value), [CURSOR])
        rule = resource.incremental
        needed = START in names_in(resource.path) or START in names_in_json(resource.json)
        if needed and not rule.initial_value and rule.max_age is None:
            validator.add(
                (*path, "incremental", "initial_value"),
                f"{{{START}}} in path or json needs a value for the first poll",
                'add initial_value, such as "1970-01-01T00:00:00Z"',
            )


def _captured(resource: Resource, source: Source) -> list[str]:
    """`credential.NAME` for what the credential of the source captures; for a shared one, every name that is used."""
    auth = request_auth(source.api.auth) if source.api is not None else None
    if referred(auth):
        text = msgspec.json.encode(resource).decode()
        return [f"credential.{name}" for name in _CREDENTIAL.findall(text)]
    return [f"credential.{name.rpartition('.')[2]}" for name in getattr(auth, "capture", ())]


def _known(validator: Validator, path: Path, names: list[str], known: list[str]) -> None:
    for one in unknown(names, known):
        hint = f"did you mean '{{{one.nearest}}}'?" if one.nearest else _hint(known)
        validator.add(path, f"unknown placeholder '{{{one.name}}}'", hint)


def _hint(known: list[str]) -> str:
    listed = ", ".join(f"{{{name}}}" for name in known[:8])
    literal = "braces that are text are written twice: {{name}}"
    return f"known here: {listed}; {literal}" if known else f"no placeholder is known here; {literal}"


def _format(validator: Validator, path: Path, resource: Resource) -> None:
    if resource.format != AUTO and resource.format not in FORMATS:
        seen = validator.problems.show((*path, "format"), resource.format)
        validator.add(
            (*path, "format"), f"{seen} is not a format", nearest(resource.format, [AUTO, *FORMATS], "format")
        )
    if resource.format in ("ndjson", "csv") and resource.data_selector:
        validator.add(
            (*path, "data_selector"), f"{resource.format} has nothing but rows", "remove data_selector, or set format"
        )


def _schedule(validator: Validator, path: Path, resource: Resource) -> None:
    from tidegate.rules.sync.cron import check_cron

    if resource.schedule:
        if resource.poll is not None:
            validator.add((*path, "schedule"), "'poll' and 'schedule' both say when to poll", "keep one of them")
        try:
            check_cron(resource.schedule, resource.timezone)
        except ValueError as error:
            at = "timezone" if "time zone" in str(error) else "schedule"
            validator.add((*path, at), str(error), 'examples: schedule = "0 6 * * 1-5", timezone = "Europe/Berlin"')
    elif resource.timezone != "UTC":
        validator.add((*path, "timezone"), "'timezone' is only used with 'schedule'", "remove it, or add schedule")
