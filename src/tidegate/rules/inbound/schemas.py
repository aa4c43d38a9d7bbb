"""Checks events against JSON Schema, by their type.

Owns which schema applies and the words of what does not fit. The first pattern that matches the type counts. Knows no
store. Invariants: nothing is fetched (`$ref` stays inside the schema); patterns take linear time; any body gives an
answer and nothing raises on a request. Crash: nothing is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidegate.core.errors import ConfigError
from tidegate.rules.language.body import read_body
from tidegate.rules.language.patterns import compile_types

MAX_WORDS = 200
MAX_SCHEMAS = 100


class Schemas:
    """The compiled schemas of one source."""

    def __init__(self, checks: Sequence[tuple[Callable[[str], bool], Any]]) -> None:
        self._checks = checks

    def why_not(self, type_: str, body: bytes, content_type: str, encoding: str) -> str:
        """What does not fit, in words; "" when all does, or no schema is for the type."""
        validator = next((one for matches, one in self._checks if matches(type_)), None)
        if validator is None:
            return ""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            parsed = read_body(body, content_type, encoding)
            if not parsed.readable:
                return parsed.why[:MAX_WORDS] or "the body is empty"
            value = parsed.value
        try:
            error = next(iter(validator.iter_errors(value)), None)
        except (ValueError, RecursionError, OverflowError) as problem:  # a value that no JSON of the library holds
            return f"the body cannot be checked: {problem}"[:MAX_WORDS]
        if error is None:
            return ""
        place = ".".join(str(name) for name in error.instance_path)
        return f"{f'{place}: ' if place else ''}{error.message}"[:MAX_WORDS]


def compile_schemas(schemas: Mapping[str, str]) -> Schemas | None:
    """None without schemas. ConfigError for a schema that is none, or without the library."""
    if not schemas:
        return None
    if len(schemas) > MAX_SCHEMAS:
        raise ConfigError(f"{len(schemas)} schemas are too many (maximum {MAX_SCHEMAS})", path="$.schemas")
    try:
        import jsonschema_rs
    except ModuleNotFoundError:
        raise ConfigError(
            "schemas need the package jsonschema-rs, which is not installed",
            path="$.schemas",
            hint="pip install 'tidegate[schema]'",
            code="extra_missing",
        ) from None
    checks: list[tuple[Callable[[str], bool], Any]] = []
    for pattern, text in schemas.items():
        try:
            schema = json.loads(text)
            options = jsonschema_rs.RegexOptions()
            validator = jsonschema_rs.validator_for(schema, retriever=_nothing, pattern_options=options)
        except (ValueError, RecursionError) as error:
            reason = str(error).partition("\n")[0][:MAX_WORDS]
            raise ConfigError(
                f"the schema of {pattern[:80]!r} is not a JSON Schema: {reason}",
                path=f"$.schemas.{pattern}",
                hint="write JSON Schema as JSON, with every $ref inside the same schema",
            ) from None
        checks.append((compile_types((pattern,)), validator))
    return Schemas(checks)


def _nothing(uri: str) -> Any:
    raise ValueError("a schema of another address is not fetched")
