"""dlt REST configuration (a dict as JSON, YAML or TOML): each resource becomes a resource. Pure.

Owns the table of dlt's keys. Paginators, paths and placeholders have the same meaning there and here; a key without one
here is noted. A value of a credential is never taken.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from tidegate.rules.imports import guesses
from tidegate.rules.imports.result import Candidate, Choice, Credential, Imported, ImportRejected, Tree, taken

FORMAT = "dlt"
MAX_RESOURCES = 1000
_PAGES: dict[str, tuple[str, dict[str, str]]] = {  # dlt's type -> (ours, dlt's key -> ours)
    "json_link": ("json_link", {"next_url_path": "next_url_path"}),
    "json_response": ("json_link", {"next_url_path": "next_url_path"}),
    "header_link": ("header_link", {"links_next_key": "rel"}),
    "header_cursor": ("header_cursor", {"cursor_key": "cursor_key", "cursor_param": "cursor_param"}),
    "cursor": ("cursor", {name: name for name in ("cursor_path", "cursor_param", "cursor_body_path")}),
    "json_cursor": ("cursor", {name: name for name in ("cursor_path", "cursor_param", "cursor_body_path")}),
    "offset": ("offset", {"limit": "limit", "offset": "base_offset", "offset_param": "offset_param",
                          "limit_param": "limit_param", "total_path": "total_path", "has_more_path": "has_more_path",
                          "offset_body_path": "offset_body_path", "limit_body_path": "limit_body_path"}),
    "page_number": ("page_number", {"base_page": "base_page", "page_param": "page_param", "total_path": "total_path",
                                    "has_more_path": "has_more_path", "page_body_path": "page_body_path"}),
    "single_page": ("single_page", {}),
    "auto": ("auto", {}),
}  # fmt: skip
_INTEGERS = ("limit", "base_offset", "base_page")
_TAKEN = ("name", "endpoint", "primary_key", "include_from_parent", "write_disposition")
_OF_ENDPOINT = ("path", "method", "params", "json", "headers", "data_selector", "paginator", "incremental")
_PARENT = re.compile(r"\{resources\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_.]+)\}")


def read(document: Tree, choice: Choice) -> Imported:
    """The import. ImportRejected when it has no client or no resources, and for a choice that cannot be made."""
    client, rows = document.get("client"), document.get("resources")
    if not isinstance(client, dict) or not isinstance(rows, list) or not rows:
        raise ImportRejected("a dlt REST configuration has client and a list of resources",
                             hint="write the dict that rest_api_source gets as JSON")  # fmt: skip
    if len(rows) > MAX_RESOURCES:
        raise ImportRejected(f"it has more than {MAX_RESOURCES:,} resources", hint="split it")
    result = Imported(format=FORMAT)
    url = client.get("base_url")
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise ImportRejected("client.base_url is not an http or https URL", hint="write it into client")
    result.base_url = url.rstrip("/")
    result.title = (urlsplit(url).hostname or "").removeprefix("www.").removeprefix("api.")
    result.headers = _headers(client.get("headers"), "client", result)
    _credential(client.get("auth"), result)
    for key in client.keys() - {"base_url", "headers", "auth", "paginator"}:
        result.left_out(f"client.{key}", "a key with no meaning here", "see the keys of [sources.NAME.api]")
    defaults = document.get("resource_defaults")
    defaults = defaults if isinstance(defaults, dict) else {}
    found = {guesses.slug(str(one.get("name", ""))): one for one in map(_row, rows) if one.get("name")}
    trees = {name: _resource(name, _merged(defaults, one), client, result) for name, one in found.items()}
    result.candidates = [Candidate("resource", name, f"{one.get('method', 'GET')} {one['path']}")
                         for name, one in trees.items()]  # fmt: skip
    chosen = list(trees) if choice.everything or not choice.resources else taken(
        result.candidates, choice.resources, "resource")  # fmt: skip
    for name in list(chosen):
        parent = trees[name].get("parent", {}).get("resource")
        if parent is not None and parent in trees and parent not in chosen:
            chosen.insert(0, parent)
    taken(result.candidates, choice.operations, "operation")
    for name in chosen:
        parent = trees[name].get("parent", {}).get("resource")
        if parent is not None and (parent not in trees or "parent" in trees[parent]):
            result.left_out(name, f"its parent {parent} is missing or has a parent itself", "write it by hand")
            continue
        result.resources[name] = {**trees[name], **({"primary_key": choice.keys[name]} if name in choice.keys else {})}
    result.left_out("deletes", "dlt does not say how deletes are noticed",
                    'deletes = { mode = "scan" } in the resources that need it')  # fmt: skip
    return result


def _row(row: Any) -> Tree:
    if isinstance(row, str):
        return {"name": row}
    return row if isinstance(row, dict) else {}


def _merged(defaults: Tree, one: Tree) -> Tree:
    """A resource with the defaults; the tables `endpoint` and `params` are joined."""
    default, own = _endpoint(defaults), _endpoint(one)
    params = {**_dict(default.get("params")), **_dict(own.get("params"))}
    endpoint = {**default, **own, **({"params": params} if params else {})}
    endpoint.setdefault("path", one.get("name", ""))
    return {**defaults, **one, "endpoint": endpoint}


def _endpoint(one: Tree) -> Tree:
    found = one.get("endpoint")
    return {"path": found} if isinstance(found, str) else _dict(found)


def _dict(value: Any) -> Tree:
    return value if isinstance(value, dict) else {}


def _resource(name: str, one: Tree, client: Tree, result: Imported) -> Tree:
    endpoint = one["endpoint"]
    path = str(endpoint["path"])
    tree: Tree = {"path": path if path.startswith("/") else f"/{path}"}
    if str(endpoint.get("method", "GET")).upper() == "POST":
        tree["method"] = "POST"
        if isinstance(endpoint.get("json"), dict | list):
            tree["json"] = endpoint["json"]
    selector = _path(str(endpoint.get("data_selector") or ""), name, result)
    if selector:
        tree["data_selector"] = selector
    key = one.get("primary_key")
    tree["primary_key"] = key if isinstance(key, str) or (isinstance(key, list) and key) else "id"
    if not key:
        result.guessed(name, "the primary key is id", f"--key {name}=FIELD")
    headers = _headers(endpoint.get("headers"), name, result)
    if headers:
        tree["headers"] = headers
    tree["paginator"] = _paginator(endpoint.get("paginator", client.get("paginator")), name, result)
    _params(tree, endpoint, name, result)
    _parent(tree, name, result)
    if one.get("write_disposition") not in (None, "merge"):
        result.left_out(name, "write_disposition: records are always kept by their key", "nothing to do")
    for key in sorted(one.keys() - set(_TAKEN)):
        result.left_out(f"{name}.{key}", "a key with no meaning here", "transform events in a route instead")
    for key in sorted(endpoint.keys() - set(_OF_ENDPOINT)):
        result.left_out(f"{name}.endpoint.{key}", "a key with no meaning here", "see gone, empty, ok_path, error_path")
    return tree


def _path(path: str, where: str, result: Imported) -> str:
    """A JSONPath of dlt as a path here."""
    text = path if path.startswith("$..") else path.removeprefix("$.").removesuffix("[*]").removesuffix(".*")
    if text not in ("", "$") and re.search(r"[*?@()]|\.\.", text):
        result.left_out(where, f"the path {path[:80]!r}", "write data_selector for a plain path")
        return ""
    return text


def _paginator(found: Any, where: str, result: Imported) -> Tree:
    given = {"type": found} if isinstance(found, str) else _dict(found)
    kind = str(given.get("type", ""))
    if kind not in _PAGES:
        if found is None:
            result.guessed(where, "the paginator is found by the first page (auto)", "pin what a poll reports")
        else:
            result.left_out(where, f"the paginator {kind[:60] or found!r}", "see paginators in the reference")
        return {"type": "auto"}
    ours, keys = _PAGES[kind]
    tree: Tree = {"type": ours}
    for key, value in given.items():
        if key in keys and _fits(keys[key], value):
            name = keys[key]
            tree[name] = _path(value, where, result) if name.endswith("_path") else value
        elif key != "type" and value is not None:
            result.left_out(where, f"{key} of the paginator", "see the keys of the paginator in the reference")
    if ours == "json_link" and "next_url_path" not in tree:
        tree["next_url_path"] = "next"
    return tree


def _fits(key: str, value: Any) -> bool:
    if key in _INTEGERS:
        return isinstance(value, int) and not isinstance(value, bool) and value >= (1 if key == "limit" else 0)
    return isinstance(value, str)


def _params(tree: Tree, endpoint: Tree, name: str, result: Imported) -> None:
    kept: Tree = {}
    for param, value in _dict(endpoint.get("params")).items():
        table = _dict(value)
        if table.get("type") == "incremental":
            _incremental(tree, {**table, "start_param": param}, name, result)
        elif table.get("type") == "resolve":
            text = f"{{resources.{table.get('resource')}.{table.get('field')}}}"
            if f"{{{param}}}" in tree["path"]:
                tree["path"] = tree["path"].replace(f"{{{param}}}", text)
            else:
                kept[param] = text
        elif isinstance(value, str | int | float | bool):
            kept[param] = value
        else:
            result.left_out(name, f"the parameter {param}", "write it into params")
    if kept:
        tree["params"] = kept
    if isinstance(endpoint.get("incremental"), dict):
        _incremental(tree, endpoint["incremental"], name, result)


def _incremental(tree: Tree, table: Tree, name: str, result: Imported) -> None:
    path = _path(str(table.get("cursor_path") or ""), name, result)
    if not path:
        result.left_out(name, "incremental without a plain cursor_path", "write incremental = { ... }")
        return
    rule: Tree = {"cursor_path": path}
    for key, ours in (("start_param", "param"), ("end_param", "end_param")):
        if isinstance(table.get(key), str):
            rule[ours] = table[key]
    first = table.get("initial_value")
    if isinstance(first, str | int | float) and not isinstance(first, bool):
        rule["initial_value"] = str(first)
    lag = table.get("lag")
    if isinstance(lag, int | float) and not isinstance(lag, bool) and 0 < lag <= 604_800:
        rule["lag"] = f"{lag:g}s"
    if table.get("row_order") in ("asc", "desc"):
        rule["row_order"] = table["row_order"]
    for key in sorted(table.keys() - {"type", "cursor_path", "start_param", "end_param", "initial_value", "lag",
                                      "row_order"}):  # fmt: skip
        result.left_out(name, f"{key} of incremental", "see the keys of incremental in the reference")
    if "param" in rule or "{incremental.start_value}" in f"{tree['path']}{tree.get('json')}{tree.get('params')}":
        tree["incremental"] = rule
    else:
        result.left_out(name, "incremental that no request uses", "add param, or poll the whole list")


def _parent(tree: Tree, name: str, result: Imported) -> None:
    found = _PARENT.findall(f"{tree['path']} {tree.get('params')} {tree.get('json')}")
    if not found:
        return
    parents = list(dict.fromkeys(parent for parent, _ in found))
    if len(parents) > 1:
        result.left_out(name, f"the parents {', '.join(parents[1:])}", "a resource has one parent")
    own = guesses.slug(parents[0])
    tree["parent"] = {"resource": own, "with": list(dict.fromkeys(key for one, key in found if one == parents[0]))}
    tree["path"] = tree["path"].replace(f"{{resources.{parents[0]}.", f"{{resources.{own}.")


def _headers(found: Any, where: str, result: Imported) -> dict[str, str]:
    kept = {}
    for name, value in _dict(found).items():
        if not isinstance(value, str) or re.search(r"auth|key|token|secret|cookie", name, re.IGNORECASE):
            result.left_out(where, f"the header {name}, which may be a credential", "write it as auth = { ... }")
        else:
            kept[name] = value
    return kept


def _credential(found: Any, result: Imported) -> None:
    table = {"type": found} if isinstance(found, str) else _dict(found)
    kind = str(table.get("type") or ("bearer" if "token" in table else ""))
    if not table:
        result.to_do("client.auth", "the configuration names no credential", "add auth = { ... } if the API needs one")
    elif kind == "bearer":
        result.credentials.append(Credential("bearer", {}, {"token": "The token."}))
    elif kind == "api_key":
        place = table.get("location") if table.get("location") in ("header", "query", "cookie") else "header"
        fixed = {"name": str(table.get("name") or "Authorization"), "location": place}
        result.credentials.append(Credential("api_key", fixed, {"api_key": "The key."}))
    elif kind == "http_basic":
        fields = {"username": "The user name.", "password": "The password."}
        result.credentials.append(Credential("http_basic", {}, fields))
    elif kind == "oauth2_client_credentials" and urlsplit(str(table.get("access_token_url"))).scheme == "https":
        fields = {"client_id": "The client ID of the app.", "client_secret": "The client secret of the app."}
        fixed = {"access_token_url": str(table["access_token_url"])}
        result.credentials.append(Credential(kind, fixed, fields))
    else:
        result.left_out("client.auth", f"the kind {kind[:60]}", "write auth = { ... } yourself")
