"""One call of an OpenAPI document: its parameters, its body and its answer, as the import needs them. Pure.

Owns where a path parameter goes: `{with.NAME}`, or `{id}` at the end of an item's path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tidegate.rules.imports.guesses import slug
from tidegate.rules.imports.result import Choice, Imported, Tree
from tidegate.rules.imports.schemas import Schemas

METHODS = ("get", "post", "put", "patch", "delete")
_PARAM = re.compile(r"\{([^{}/]{1,100})\}")
_OF_THE_CLIENT = ("authorization", "accept", "content-type", "user-agent", "if-none-match", "if-modified-since")
_SAFE_PATH = re.compile(r"/[^\s{}?#]*")


class Call(msgspec.Struct, kw_only=True):
    """`query`, `header` and `path_params`: parameters by name, as they are in the document, references resolved."""

    path: str
    method: str
    id: str = ""
    summary: str = ""
    query: dict[str, Tree] = {}
    header: dict[str, Tree] = {}
    in_path: dict[str, Tree] = {}
    body: Tree = {}
    answer: Any = {}
    answer_headers: list[str] = []
    security: Any = None

    def with_path(self, result: Imported, choice: Choice, *, item: bool = False) -> str:
        """The path with `{with.NAME}` for its parameters; with `item`, `{id}` for the last one."""
        names = path_params(self.path)
        text = self.path
        for place, name in enumerate(names):
            if item and place == len(names) - 1:
                text = text.replace(f"{{{name}}}", "{id}", 1)
                continue
            given = slug(name).replace("-", "_")
            result.given.setdefault(given, _help(self.in_path.get(name, {}), f"{name} in {self.path}"))
            text = text.replace(f"{{{name}}}", f"{{with.{given}}}", 1)
        return text

    def needed_params(self, tree: Tree, result: Imported, choice: Choice) -> None:
        """Adds required query parameters and headers to a resource."""
        params, headers = dict(tree.get("params", {})), {}
        for name, one in self.query.items():
            if one.get("required") is True and name not in params and not _is_of(tree, name):
                params[name] = self._value(name, one, result)
        for name, one in self.header.items():
            if one.get("required") is True:
                headers[name] = str(self._value(name, one, result))
        if params:
            tree["params"] = params
        if headers:
            tree["headers"] = headers

    def _value(self, name: str, one: Tree, result: Imported) -> Any:
        """A required value: the default of the document, the only one that is allowed, or the user's."""
        schema = one.get("schema") if isinstance(one.get("schema"), dict) else {}
        assert isinstance(schema, dict)
        allowed = schema.get("enum")
        found = schema.get("default", allowed[0] if isinstance(allowed, list) and len(allowed) == 1 else None)
        if isinstance(found, str | int | float | bool) and "{" not in str(found):
            return found
        given = slug(name).replace("-", "_")
        result.given.setdefault(given, _help(one, f"{name} of {self.method} {self.path}"))
        return f"{{with.{given}}}"


def _is_of(tree: Tree, name: str) -> bool:
    return any(name in (tree.get(key) or {}).values() for key in ("paginator", "incremental"))


def _help(one: Tree, fallback: str) -> str:
    text = " ".join(str(one.get("description") or fallback).split())
    return text[:200].replace("{", "(").replace("}", ")")


def path_params(path: str) -> list[str]:
    return _PARAM.findall(path)


def items_by_list(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """The GETs of one item by the path of their list: `/pets/{petId}` is one item of `/pets`."""
    found: dict[str, list[Call]] = {}
    for call in calls:
        head, slash, tail = call.path.rstrip("/").rpartition("/")
        if call.method == "GET" and slash and _PARAM.fullmatch(tail) is not None:
            found.setdefault(head, []).append(call)
    return found


def calls_of(document: Tree, schemas: Schemas) -> Iterator[Call]:
    """Every call of the document whose path can be sent."""
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        item = schemas.resolved(item)
        if _SAFE_PATH.fullmatch(_PARAM.sub("x", path)) is None:
            continue
        for method in METHODS:
            one = item.get(method)
            if isinstance(one, dict):
                yield _call(path, method, one, item, schemas)


def _call(path: str, method: str, one: Tree, item: Tree, schemas: Schemas) -> Call:
    call = Call(
        path=path, method=method.upper(), id=str(one.get("operationId", ""))[:200],
        summary=" ".join(str(one.get("summary", "")).split())[:200], security=one.get("security"),
        query={}, header={}, in_path={},
    )  # fmt: skip
    for place in (item.get("parameters"), one.get("parameters")):
        for param in place if isinstance(place, list) else ():
            param = schemas.resolved(param)
            name, where = param.get("name"), param.get("in")
            if not isinstance(name, str) or not name:
                continue
            param = {**param, "schema": schemas.resolved(param.get("schema"))}
            if where == "query":
                call.query[name] = param
            elif where == "header" and name.lower() not in _OF_THE_CLIENT:
                call.header[name] = param
            elif where == "path":
                call.in_path[name] = param
    body = schemas.resolved(one.get("requestBody"))
    content = body.get("content")
    call.body = content if isinstance(content, dict) else {}
    _answer(call, one.get("responses"), schemas)
    return call


def _answer(call: Call, responses: Any, schemas: Schemas) -> None:
    if not isinstance(responses, dict):
        return
    good = next((one for one in ("200", "201", "202", "2XX", "default") if one in responses), "")
    answer = schemas.resolved(responses.get(good))
    headers, content = answer.get("headers"), answer.get("content")
    call.answer_headers = list(headers) if isinstance(headers, dict) else []
    for kind, media in content.items() if isinstance(content, dict) else ():
        if "json" in str(kind).lower() and isinstance(media, dict):
            call.answer = media.get("schema", {})
            return
