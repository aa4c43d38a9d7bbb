"""GraphQL as far as lists and mutations need it: one document, its fields, arguments and variables.

`run` finds the field of a double for each root field of the operation, and cuts every answer to the fields that were
selected. So a resource that forgets to ask for a field does not get it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from support.catalog.shape import Refused

_TOKEN = re.compile(r'"""(?:.|\n)*?"""|"(?:\\.|[^"\\])*"|\.\.\.|[A-Za-z_]\w*|-?\d+(?:\.\d+)?|[{}()\[\]:$!=@|&]|\S')
_SKIP = re.compile(r"[\s,]+|#[^\n]*")


class Field(msgspec.Struct):
    name: str
    alias: str
    arguments: dict[str, Any]
    fields: list[Field]

    def find(self, *names: str) -> Field | None:
        """A field below, by its path."""
        at: Field | None = self
        for name in names:
            at = next((one for one in at.fields if one.name == name), None) if at is not None else None
        return at


class Document(msgspec.Struct):
    kind: str  # query or mutation
    fields: list[Field]


class _Parser:
    def __init__(self, text: str, variables: dict[str, Any]) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.variables = dict(variables)
        self.fragments: dict[str, list[Field]] = {}

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise Refused("bad_request", f"Syntax Error: expected {wanted or 'more'}, found {token!r}")
        self.at += 1
        return token

    def document(self) -> Document:
        kind = "query"
        if self.peek() in ("query", "mutation"):
            kind = self.take()
            if self.peek() not in ("{", "("):
                self.take()  # the name of the operation
            if self.peek() == "(":
                self._declared()
        fields = self._selection()
        if self.peek():
            raise Refused("bad_request", f"Syntax Error: {self.peek()!r} after the operation")
        return Document(kind, fields)

    def _declared(self) -> None:
        self.take("(")
        known = set()
        while self.peek() != ")":
            self.take("$")
            name = self.take()
            known.add(name)
            self.take(":")
            needed = False
            while self.peek() not in ("$", ")", "="):
                needed = self.take() == "!"
            if self.peek() == "=":
                self.take()
                self.variables.setdefault(name, self._value())
            if needed and self.variables.get(name) is None:
                raise Refused("bad_request", f"Variable ${name} of a required type was not provided")
        self.take(")")
        for name in set(self.variables) - known:
            del self.variables[name]
        for name in known:
            self.variables.setdefault(name, None)

    def _selection(self) -> list[Field]:
        self.take("{")
        fields = []
        while self.peek() != "}":
            if self.peek() == "...":
                self.take()
                if self.peek() == "on":
                    self.take()
                    self.take()
                fields += self._selection()
                continue
            fields.append(self._field())
        self.take("}")
        if not fields:
            raise Refused("bad_request", "Syntax Error: an empty selection")
        return fields

    def _field(self) -> Field:
        alias = name = self.take()
        if self.peek() == ":":
            self.take()
            name = self.take()
        arguments: dict[str, Any] = {}
        if self.peek() == "(":
            self.take()
            while self.peek() != ")":
                argument = self.take()
                self.take(":")
                arguments[argument] = self._value()
            self.take(")")
        return Field(name, alias, arguments, self._selection() if self.peek() == "{" else [])

    def _value(self) -> Any:
        token = self.take()
        if token == "$":
            name = self.take()
            if name not in self.variables:
                raise Refused("bad_request", f"Variable ${name} is not defined")
            return self.variables[name]
        if token == "[":
            found = []
            while self.peek() != "]":
                found.append(self._value())
            self.take("]")
            return found
        if token == "{":
            members = {}
            while self.peek() != "}":
                name = self.take()
                self.take(":")
                members[name] = self._value()
            self.take("}")
            return members
        if token.startswith('"'):
            return msgspec.json.decode(token)
        if token in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token]
        if re.fullmatch(r"-?\d+", token):
            return int(token)
        return float(token) if re.fullmatch(r"-?\d+\.\d+", token) else token  # an enum


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        skipped = _SKIP.match(text, at)
        if skipped is not None:
            at = skipped.end()
            continue
        token = _TOKEN.match(text, at)
        assert token is not None
        found.append(token[0])
        at = token.end()
    return found


def parse(body: Any) -> Document:
    """The document of a request body: `query` and `variables`."""
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise Refused("bad_request", "the body has no query")
    return _Parser(body["query"], body.get("variables") or {}).document()


def cut(value: Any, fields: list[Field], place: str = "") -> Any:
    """The value with the selected fields only. A field that does not exist is an error, as is a missing selection."""
    if isinstance(value, list):
        return [cut(one, fields, place) for one in value]
    if not isinstance(value, dict):
        if fields and value is not None:
            raise Refused("bad_request", f"{place} has no fields")
        return value
    if not fields:
        raise Refused("bad_request", f"{place} must have a selection of subfields")
    found = {}
    for field in fields:
        if field.name == "__typename":
            found[field.alias] = "T"
            continue
        if field.name not in value:
            raise Refused("bad_request", f"Field '{field.name}' doesn't exist on type '{place}'")
        found[field.alias] = cut(value[field.name], field.fields, field.name)
    return found


Resolver = Callable[[Field], Any]


def run(body: Any, queries: dict[str, Resolver], mutations: dict[str, Resolver]) -> dict[str, Any]:
    """`data` of the answer. Refused for what the schema does not have."""
    document = parse(body)
    known = mutations if document.kind == "mutation" else queries
    out = {}
    for field in document.fields:
        if field.name not in known:
            raise Refused("bad_request", f"Field '{field.name}' doesn't exist on type '{document.kind.title()}'")
        value = known[field.name](field)
        out[field.alias] = None if value is None else cut(value, field.fields, field.name)
    return out
