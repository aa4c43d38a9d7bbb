"""OpenAPI 3.0, 3.1 and 3.2: lists become resources, other calls become operations. Pure.

Owns which GET is a list: its JSON answer has one list of objects with a key. May not know the other formats. Everything
that OpenAPI does not say (how deletes are noticed, whether a cursor is inclusive) is noted, never assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tidegate.rules.imports import guesses
from tidegate.rules.imports.openapi_api import describe_api
from tidegate.rules.imports.openapi_calls import operation_tree
from tidegate.rules.imports.openapi_parts import Call, calls_of, items_by_list, path_params
from tidegate.rules.imports.result import Candidate, Choice, Imported, ImportRejected, Tree, taken
from tidegate.rules.imports.schemas import LISTS, Schemas

FORMAT = "openapi"
MAX_CALLS = 20_000
OF_LISTS = ("", *LISTS)
MAX_UNASKED = 25  # resources that are taken without being named


class _List(NamedTuple):
    """A list that can be a resource."""

    call: Call
    name: str
    selector: str
    item: Any
    among: str
    problem: str


def read(document: Tree, choice: Choice) -> Imported:
    """The import. ImportRejected for Swagger 2.0, for no paths, and for a choice that cannot be made."""
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        if str(document.get("swagger", "")).startswith("2"):
            raise ImportRejected("this is Swagger 2.0", hint="convert it to OpenAPI 3 first, then import that")
        raise ImportRejected("the document does not say openapi: 3.x", hint="is it an OpenAPI document?")
    schemas = Schemas(document)
    calls = list(_bounded(calls_of(document, schemas)))
    if not calls:
        raise _no_calls(document)
    result = Imported(format=FORMAT)
    info = document.get("info")
    result.title = str(info.get("title", ""))[:100] if isinstance(info, dict) else ""
    items = items_by_list(calls)
    lists = _lists(calls, items, schemas, choice)
    actions = _named_actions(calls)
    result.candidates = [Candidate("resource", one.name, f"GET {one.call.path}", one.problem) for one in lists]
    result.candidates += [Candidate("operation", name, f"{one.method} {one.path}") for name, one in actions.items()]
    chosen = _chosen(result, lists, choice)
    wanted = taken(result.candidates, choice.operations, "operation")
    if choice.everything:
        wanted = list(actions)
    used = [one.call for one in chosen] + [actions[name] for name in wanted]
    describe_api(document, schemas, result, used)
    for one in chosen:
        result.resources[one.name] = _resource(one, items, schemas, result, choice)
    for name in wanted:
        result.operations[name] = operation_tree(name, actions[name], schemas, result, choice)
    _note_the_rest(result, [] if choice.resources or choice.operations else lists, schemas, chosen)
    _note_calls(result, document, calls, lists, items)
    return result


def _no_calls(document: Tree) -> ImportRejected:
    hooks = document.get("webhooks")
    if isinstance(hooks, dict) and hooks:
        some = ", ".join(str(one)[:40] for one in list(hooks)[:5])
        hint = "receive them: tidegate add source NAME webhook.verify=none; see docs/guides/receive-a-webhook.md"
        return ImportRejected(f"the document has no paths, but webhooks: {some}", hint=hint)
    return ImportRejected("the document has no paths that can be called", hint="is it the right document?")


def _note_calls(
    result: Imported, document: Tree, calls: list[Call], lists: list[_List], items: dict[str, list[Call]]
) -> None:
    """Calls that are neither a list nor the item of one, and paths that are none."""
    known = {one.call.path for one in lists}
    known |= {item.path for path in known for item in items.get(path.rstrip("/"), ())}
    plain = [one.path for one in calls if one.method == "GET" and one.path not in known]
    if plain:
        some = ", ".join(plain[:8]) + (f" and {len(plain) - 8} more" if len(plain) > 8 else "")
        result.left_out("GET", f"the answer has no list of objects: {some}", 'data_selector = "$" takes one object')
    paths = document.get("paths")
    sent = {one.path for one in calls}
    odd = [str(path)[:60] for path in paths if path not in sent] if isinstance(paths, dict) else []
    if odd:
        some = ", ".join(odd[:8]) + (f" and {len(odd) - 8} more" if len(odd) > 8 else "")
        result.left_out("paths", f"no call can be read there: {some}", "correct the document, if you need them")


def _bounded(calls: Iterator[Call]) -> Iterator[Call]:
    for number, call in enumerate(calls):
        if number >= MAX_CALLS:
            raise ImportRejected(f"the document has more than {MAX_CALLS:,} calls", hint="cut it to what you need")
        yield call


def _named_actions(calls: list[Call]) -> dict[str, Call]:
    found: dict[str, Call] = {}
    for call in calls:
        if call.method in ("POST", "PUT", "PATCH", "DELETE"):
            text = call.id or f"{call.method} {call.path}"
            found[guesses.unique(guesses.slug(text.replace("{", "").replace("}", "")), found)] = call
    return found


def _lists(calls: list[Call], items: dict[str, list[Call]], schemas: Schemas, choice: Choice) -> list[_List]:
    """Every GET with a list of objects in its answer, with a name of its own."""
    found: list[_List] = []
    names: dict[str, Call] = {}
    for call in calls:
        if call.method != "GET":
            continue
        last = next((part for part in reversed(call.path.split("/")) if part and "{" not in part), "")
        there = schemas.list_in(call.answer, last)
        if there is None or (call.path.rstrip("/").endswith("}") and there[0] not in OF_LISTS):
            continue  # one item, which has lists of its own
        name = guesses.slug(last, "items")
        if name in names:
            fixed = [part for part in call.path.split("/") if part and "{" not in part]
            name = guesses.slug("_".join(fixed[-2:]), name)
        name = guesses.unique(name, names)
        names[name] = call
        fields = schemas.object_of(there[1])[0]
        key = choice.keys.get(name) or guesses.key_of(fields, noun=guesses.singular(guesses.slug(last)))
        problem = "" if key or _item(call, items, fields)[1] else "the records have no field that is a key"
        found.append(_List(call, name, *there, problem))
    return found


def _chosen(result: Imported, lists: list[_List], choice: Choice) -> list[_List]:
    fit = [one for one in lists if not one.problem]
    if choice.everything:
        return fit
    if choice.resources:
        names = taken(result.candidates, choice.resources, "resource")
        return [one for name in names for one in lists if one.name == name]
    if choice.operations:
        return []
    if len(fit) > MAX_UNASKED:
        raise ImportRejected(
            f"the document has {len(fit)} lists", hint="see them with --list, then take some: --resource NAME"
        )
    if not fit:
        raise ImportRejected("no GET of the document answers with a list of objects that have a key",
                             hint="see what there is: --list; take calls: --operation NAME")  # fmt: skip
    return fit


def _item(call: Call, items: dict[str, list[Call]], fields: Tree) -> tuple[Call | None, str]:
    """(the call of one item, field of the record that it takes); (None, "") without one that fits."""
    for other in items.get(call.path.rstrip("/"), ()):
        key = guesses.key_of(fields, path_params(other.path)[-1])
        if key:
            return other, key
    return None, ""


def _resource(one: _List, items: dict[str, list[Call]], schemas: Schemas, result: Imported, choice: Choice) -> Tree:
    call, where = one.call, f"GET {one.call.path}"
    fields = schemas.object_of(one.item)[0]
    other, item_key = _item(call, items, fields)
    noun = guesses.singular(one.name)
    key = choice.keys.get(one.name) or item_key or guesses.key_of(fields, noun=noun)
    tree: Tree = {"path": call.with_path(result, choice)}
    if other is not None and key == item_key:
        tree["item_path"] = other.with_path(result, choice, item=True)
    if one.selector:
        tree["data_selector"] = one.selector
    if one.among:
        result.guessed(where, f"data_selector is {one.selector}, of the lists {one.among}", "look at a real answer")
    tree["primary_key"] = key
    version = guesses.version_of(fields)
    if version:
        tree["version"] = version
    _pages(tree, call, schemas, result, where)
    call.needed_params(tree, result, choice)
    _incremental(tree, call, version, schemas, result, where)
    left = [name for name in call.query if name not in tree.get("params", {}) and not _is_used(tree, name)]
    if left:
        names = ", ".join(left[:12]) + (f" and {len(left) - 12} more" if len(left) > 12 else "")
        result.left_out(where, f"optional parameters: {names}", "add the ones you need to params")
    return tree


def _is_used(tree: Tree, name: str) -> bool:
    return any(name in (tree.get(key) or {}).values() for key in ("paginator", "incremental"))


def _pages(tree: Tree, call: Call, schemas: Schemas, result: Imported, where: str) -> None:
    size = next((one for one in guesses.LIMITS if one in call.query), "")
    most = _most(schemas, call.query.get(size))
    found = guesses.paginator(call.query, schemas.fields(call.answer), call.answer_headers, most or 100)
    tree["paginator"] = found.value
    if found.value["type"] == "auto":
        result.guessed(where, "the paginator is found by the first page (auto)", "poll once, then pin what it reports")
    elif found.value["type"] != "single_page":
        result.guessed(where, f"the paginator {found.value['type']}, from {found.by}", "compare it with a second page")
    if found.limit_param and most and found.value["type"] != "offset":
        tree["params"] = {found.limit_param: most}


def _most(schemas: Schemas, param: Any) -> int:
    """The number of items that a page may have, 100 at most; 0 when the document does not say it."""
    schema = schemas.resolved(param.get("schema")) if isinstance(param, dict) else {}
    for key in ("maximum", "default"):
        value = schema.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return min(value, 100)
    return 0


def _incremental(tree: Tree, call: Call, version: str, schemas: Schemas, result: Imported, where: str) -> None:
    param = guesses.since_in(call.query)
    if not param:
        return
    if not version or version in ("version", "revision"):
        result.left_out(where, f"{param}: no field of the records says when they changed",
                        "incremental = { cursor_path = ..., param = ... }")  # fmt: skip
        return
    tree["incremental"] = {"cursor_path": version, "param": param, "format": _format(schemas, call, param), "lag": "1m"}
    if guesses.is_exclusive(param):
        tree["incremental"]["exclusive"] = True
    words = "leaves out" if guesses.is_exclusive(param) else "includes"
    result.guessed(where, f"{param} takes {version}, and {words} rows that are equal to it", "check it in its docs")


def _format(schemas: Schemas, call: Call, param: str) -> str:
    schema = schemas.resolved(call.query[param].get("schema"))
    kind = schemas.type_of(schema)
    if kind in ("integer", "number"):
        return "epoch_ms" if "milli" in str(call.query[param].get("description", "")).lower() else "epoch_s"
    return {"date": "date", "date-time": "iso8601"}.get(str(schema.get("format", "")), "auto")


def _note_the_rest(result: Imported, lists: list[_List], schemas: Schemas, chosen: list[_List]) -> None:
    """`lists`: those that were not chosen one by one."""
    for one in lists:
        if one.problem:
            result.left_out(f"GET {one.call.path}", one.problem, f"--resource {one.name} --key {one.name}=FIELD")
    if chosen:
        result.left_out("deletes", "OpenAPI does not say how deletes are noticed",
                        'deletes = { mode = "scan" } in the resources that need it')  # fmt: skip
    if schemas.outside:
        some = ", ".join(sorted(schemas.outside)[:3])
        result.left_out("$ref", f"{len(schemas.outside)} references into other files: {some}", "bundle the document")
    if schemas.broken:
        some = ", ".join(sorted(schemas.broken)[:3])
        result.left_out("$ref", f"{len(schemas.broken)} references that lead nowhere: {some}", "correct the document")
