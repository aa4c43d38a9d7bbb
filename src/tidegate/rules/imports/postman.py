"""Postman collections v2.1: a GET becomes a resource, another request an operation. Pure.

Owns how the list is found: by the first saved answer of a request that is JSON. A request without one is taken only
when it is named, and says so. Invariant: no value of a credential or variable that may be secret is taken.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tidegate.rules.imports import guesses
from tidegate.rules.imports.openapi_calls import expression
from tidegate.rules.imports.result import Candidate, Choice, Credential, Imported, ImportRejected, Tree, taken
from tidegate.rules.imports.schemas import Schemas

FORMAT = "postman"
MAX_REQUESTS = 5000
MAX_FOLDERS = 20  # levels
MAX_EXAMPLE = 1 << 20
_VARIABLE = re.compile(r"\{\{\s*([^{}]{1,100}?)\s*\}\}")
_HOST = re.compile(r"(https?://[^/?#\s]+|\{\{[^{}]+\}\}[^/?#\s]*)(.*)", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9._~/-]*")
_OF_THE_CLIENT = ("authorization", "accept", "content-type", "user-agent", "cookie", "host", "content-length")


class Request(msgspec.Struct, kw_only=True):
    """One request. `path` has {NAME} for its variables; `example`: the parsed body of the first saved JSON answer."""

    name: str
    method: str
    base: str
    path: str
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: Tree = {}
    auth: Tree | None = None
    example: Any = None


def read(document: Tree, choice: Choice) -> Imported:
    """The import. ImportRejected for another version, no requests, and a choice that cannot be made."""
    info = document.get("info")
    schema = str(info.get("schema", "")) if isinstance(info, dict) else ""
    if "collection/v2.1" not in schema:
        hint = "export the collection again as Collection v2.1"
        raise ImportRejected("this is not a Postman collection v2.1", hint=hint)
    result = Imported(format=FORMAT)
    result.title = str(info.get("name", ""))[:100] if isinstance(info, dict) else ""
    variables = _variables(document)
    requests = _requests(document, result)
    if not requests:
        raise ImportRejected("the collection has no requests that can be taken", hint="is it the right collection?")
    base = _most_used(requests)
    named: dict[str, Request] = {}
    for one in requests:
        if one.base == base:
            named[guesses.unique(guesses.slug(one.name), named)] = one
        else:
            result.left_out(one.name, f"its address is {one.base[:80]}, not {base[:80]}", "make a source of its own")
    lists = {name: one for name, one in named.items() if one.method == "GET" and not _ends_in_variable(one.path)}
    problems = {name: _problem(name, one, choice) for name, one in lists.items()}
    result.candidates = [Candidate("resource", key, f"GET {one.path}", problems[key]) for key, one in lists.items()]
    actions = {name: one for name, one in named.items() if one.method != "GET"}
    result.candidates += [Candidate("operation", key, f"{one.method} {one.path}") for key, one in actions.items()]
    chosen, wanted = _chosen(result, choice, lists, problems, actions)
    result.base_url = _text(base.rstrip("/"), result, variables, choice)
    if not result.base_url.startswith(("http://", "https://")):
        result.guessed("base_url", "the address begins with a variable; https is taken", "look at base_url")
        result.base_url = f"https://{result.base_url}"
    _credentials(document, [named[name] for name in (*chosen, *wanted)], result)
    for name in chosen:
        result.resources[name] = _resource(name, lists[name], named, result, choice, variables)
    for name in wanted:
        result.operations[name] = _operation(actions[name], result, choice)
    for name in lists:
        if problems[name] and not choice.resources:
            result.left_out(lists[name].name, problems[name], f"--resource {name} --key {name}=FIELD")
    if chosen:
        result.left_out("deletes", "a collection does not say how deletes are noticed",
                        'deletes = { mode = "scan" } in the resources that need it')  # fmt: skip
    return result


def _chosen(
    result: Imported, choice: Choice, lists: dict[str, Request], problems: dict[str, str], actions: dict[str, Request]
) -> tuple[list[str], list[str]]:
    wanted = taken(result.candidates, choice.operations, "operation")
    if choice.everything:
        return [name for name in lists if not problems[name]], list(actions)
    if choice.resources or wanted:
        return taken(result.candidates, choice.resources, "resource"), wanted
    chosen = [name for name in lists if not problems[name]]
    if not chosen:
        raise ImportRejected("no GET of the collection has a saved answer with a list",
                             hint="see what there is: --list; take one: --resource NAME --key NAME=id")  # fmt: skip
    return chosen, []


def _variables(document: Tree) -> dict[str, str]:
    """The values of the collection's variables that are not secret: addresses and plain words."""
    found = {}
    for one in document.get("variable", []) if isinstance(document.get("variable"), list) else []:
        if isinstance(one, dict) and isinstance(one.get("key"), str) and one.get("type") != "secret":
            value = str(one.get("value", ""))
            if re.search(r"ur[li]|host|domain|version|region", one["key"], re.IGNORECASE) and len(value) < 300:
                found[one["key"]] = value
    return found


def _requests(document: Tree, result: Imported) -> list[Request]:
    found: list[Request] = []
    level = [(document, "", document.get("auth"))]
    for _ in range(MAX_FOLDERS):
        below = []
        for folder, path, auth in level:
            _note_scripts(folder, path or "the collection", result)
            for item in folder.get("item", []) if isinstance(folder.get("item"), list) else []:
                if not isinstance(item, dict):
                    continue
                name = str(item.get("name", ""))[:100]
                if isinstance(item.get("item"), list):
                    below.append((item, f"{path}{name}/", item.get("auth", auth)))
                    continue
                one = _request(item, name, auth, result)
                if one is not None:
                    found.append(one)
                if len(found) > MAX_REQUESTS:
                    raise ImportRejected(f"the collection has more than {MAX_REQUESTS:,} requests", hint="split it")
        level = below
    if level:
        raise ImportRejected(f"the folders are more than {MAX_FOLDERS} levels deep", hint="flatten the collection")
    return found


def _note_scripts(item: Tree, where: str, result: Imported) -> None:
    if isinstance(item.get("event"), list) and item["event"]:
        result.left_out(where, "its scripts", "what they set has to be written by hand")


def _request(item: Tree, name: str, auth: Any, result: Imported) -> Request | None:
    _note_scripts(item, name, result)
    asked = item.get("request")
    asked = {"method": "GET", "url": asked} if isinstance(asked, str) else asked
    if not isinstance(asked, dict):
        return None
    method = str(asked.get("method", "GET")).upper()
    url = asked.get("url")
    raw = str(url.get("raw", "")) if isinstance(url, dict) else str(url or "")
    found = _HOST.fullmatch(raw.strip())
    if method not in ("GET", "POST", "PUT", "PATCH", "DELETE") or found is None:
        result.left_out(name, f"{method[:20]} {raw[:80]}: not a request that can be sent", "write it by hand")
        return None
    path, _, query = found[2].partition("?")
    path = _VARIABLE.sub(lambda one: f"{{{one[1]}}}", path.partition("#")[0])
    path = re.sub(r"(?<=/):([A-Za-z0-9_]+)", r"{\1}", path)
    if re.search(r"\s", path):
        result.left_out(name, "its path has blanks", "write it by hand")
        return None
    rows = url.get("query") if isinstance(url, dict) else None
    body = asked.get("body")
    return Request(
        name=name, method=method, base=found[1], path=path or "/",
        query=_pairs(rows) if isinstance(rows, list) else dict(parse_qsl(query, keep_blank_values=True)),
        headers={key: value for key, value in _pairs(asked.get("header")).items() if key.lower() not in _OF_THE_CLIENT},
        body=body if isinstance(body, dict) and not body.get("disabled") else {},
        auth=next((one for one in (asked.get("auth"), auth) if isinstance(one, dict)), None),
        example=_example(item.get("response")),
    )  # fmt: skip


def _pairs(rows: Any) -> dict[str, str]:
    return {
        str(one["key"]): str(one.get("value") or "")
        for one in (rows if isinstance(rows, list) else [])
        if isinstance(one, dict) and one.get("key") and not one.get("disabled")
    }


def _example(answers: Any) -> Any:
    """The first saved answer that is JSON and a success."""
    for one in answers if isinstance(answers, list) else []:
        body = one.get("body") if isinstance(one, dict) else None
        code = one.get("code", 200) if isinstance(one, dict) else 0
        if isinstance(body, str) and len(body) <= MAX_EXAMPLE and isinstance(code, int) and 200 <= code < 300:
            try:
                return msgspec.json.decode(body)
            except (ValueError, RecursionError):
                continue
    return None


def schema_of(value: Any, depth: int = 5) -> Tree:
    """A JSON Schema of an example, as deep as lists are looked for."""
    if isinstance(value, dict):
        inner = {key: schema_of(one, depth - 1) for key, one in value.items()} if depth else {}
        return {"type": "object", "properties": inner}
    if isinstance(value, list):
        return {"type": "array", "items": schema_of(value[0], depth - 1) if value and depth else {}}
    return {"type": "string" if isinstance(value, str) else "number"}


def _most_used(requests: list[Request]) -> str:
    counts: dict[str, int] = {}
    for one in requests:
        counts[one.base] = counts.get(one.base, 0) + 1
    return max(counts, key=lambda base: counts[base])


def _ends_in_variable(path: str) -> bool:
    return path.rstrip("/").endswith("}")


def _last(path: str) -> str:
    return next((part for part in reversed(path.split("/")) if part and "{" not in part), "items")


def _problem(name: str, one: Request, choice: Choice) -> str:
    if name in choice.keys:
        return ""
    if one.example is None:
        return "no field is known to be the key: it has no saved JSON answer"
    found = Schemas({}).list_in(schema_of(one.example), _last(one.path))
    if found is None:
        return "its saved answer has no list of objects"
    key = guesses.key_of(found[1].get("properties", {}), noun=guesses.singular(guesses.slug(_last(one.path))))
    return "" if key else "the records of its saved answer have no field that is a key"


def _text(text: str, result: Imported, variables: dict[str, str], choice: Choice) -> str:
    """A text with `{with.NAME}` for each variable; a variable with an address is replaced by it."""

    def one(found: re.Match[str]) -> str:
        name = found[1]
        if variables.get(name, "").startswith(("http://", "https://")) and "{{" not in variables[name]:
            return variables[name].rstrip("/")
        return _given(name, result, variables)

    return _VARIABLE.sub(one, text)


def _given(name: str, result: Imported, variables: dict[str, str]) -> str:
    given = guesses.slug(name.lstrip("$"))
    result.given.setdefault(given, f"The variable {name} of the collection.".replace("{", "(").replace("}", ")"))
    if _PLAIN.fullmatch(variables.get(name, "")) and "/" not in variables.get(name, ""):
        result.defaults.setdefault(given, variables.get(name, ""))
    return f"{{with.{given}}}"


def _path(path: str, result: Imported, variables: dict[str, str], *, item: bool = False) -> str:
    head, slash, _ = path.rstrip("/").rpartition("/")
    text = head if item else path
    text = re.sub(r"\{([^{}]+)\}", lambda one: _given(one[1], result, variables), text)
    return f"{text}{slash}{{id}}" if item else text


def _resource(
    name: str, one: Request, named: dict[str, Request], result: Imported, choice: Choice, variables: dict[str, str]
) -> Tree:
    found = Schemas({}).list_in(schema_of(one.example), _last(one.path)) if one.example is not None else None
    fields: Tree = found[1].get("properties", {}) if found is not None else {}
    tree: Tree = {"path": _path(one.path, result, variables)}
    key = choice.keys.get(name) or guesses.key_of(fields, noun=guesses.singular(guesses.slug(_last(one.path))))
    same = [other for other in named.values() if other.method == "GET" and _ends_in_variable(other.path)]
    if any(other.path.rstrip("/").rpartition("/")[0] == one.path.rstrip("/") for other in same) and key == "id":
        tree["item_path"] = _path(f"{one.path.rstrip('/')}/{{id}}", result, variables, item=True)
    if found is not None and found[0]:
        tree["data_selector"] = found[0]
    if found is not None and found[2]:
        result.guessed(one.name, f"data_selector is {found[0]}, of the lists {found[2]}", "look at a real answer")
    tree["primary_key"] = key
    version = guesses.version_of(fields)
    if version:
        tree["version"] = version
    size = next((one.query[param] for param in guesses.LIMITS if one.query.get(param, "").isdecimal()), "")
    limit = max(1, min(int(size[:6]), 1000)) if size else 100
    pages = guesses.paginator(one.query, Schemas({}).fields(schema_of(one.example)), [], limit)
    if pages.value["type"] == "single_page" and one.example is None:
        pages = pages._replace(value={"type": "auto"})
    tree["paginator"] = pages.value
    result.guessed(one.name, f"the paginator {pages.value['type']}, from {pages.by}", "compare it with a second page")
    since = guesses.since_in(one.query)
    used = {str(value) for value in pages.value.values()}
    if since and version and version not in ("version", "revision"):
        tree["incremental"] = {"cursor_path": version, "param": since, "lag": "1m"}
        result.guessed(one.name, f"{since} takes {version}", "check in its docs whether equal rows are included")
        used.add(since)
    params = {
        param: int(value) if value.isdecimal() and len(value) < 10 and not value.startswith("0") else
        _VARIABLE.sub(lambda found: _given(found[1], result, variables), value)
        for param, value in one.query.items() if param not in used
    }  # fmt: skip
    if params:
        tree["params"] = params
    _headers(tree, one, lambda text: _VARIABLE.sub(lambda found: _given(found[1], result, variables), text), result)
    return tree


def _headers(tree: Tree, one: Request, text: Any, result: Imported) -> None:
    kept = {}
    for name, value in one.headers.items():
        if re.search(r"key|token|secret|auth|signature|password", name, re.IGNORECASE):
            result.left_out(one.name, f"the header {name}, which may be a credential", "write it as auth = { ... }")
        else:
            kept[name] = text(value)
    if kept:
        tree["headers"] = kept


def _operation(one: Request, result: Imported, choice: Choice) -> Tree:
    def filled(text: str) -> str:
        return _VARIABLE.sub(lambda found: expression(found[1].lstrip("$")), text)

    path = re.sub(r"\{([^{}]+)\}", lambda found: expression(found[1]), one.path)
    tree: Tree = {"description": one.name.replace("{", "(").replace("}", ")"), "method": one.method, "path": path}
    if one.query:
        tree["params"] = {name: filled(value) for name, value in one.query.items()}
    _headers(tree, one, filled, result)
    mode = one.body.get("mode")
    if mode == "raw":
        try:
            text = re.sub(r'(?<!")\{\{[^{}]+\}\}(?!")', "null", str(one.body.get("raw", "")))
            body = msgspec.json.decode(text) if text.strip() else None
        except (ValueError, RecursionError):
            body = None
            result.left_out(one.name, "its body, which is not JSON", "write json = { ... }")
        if body is not None:
            tree["json"] = _from_event(body) if isinstance(body, dict) else ["{{ data }}"]
            result.guessed(one.name, "each field of the body comes from the event's field of that name", "edit json")
    elif mode == "urlencoded":
        tree["form"] = {name: expression(name) for name in _pairs(one.body.get("urlencoded"))}
    elif mode:
        result.left_out(one.name, f"its body, which is {str(mode)[:40]}", "only JSON and forms can be sent")
    if one.method == "POST":
        result.to_do(one.name, "nothing keeps a repeated call from acting twice",
                     "idempotency_header or look_up, where the API has one")  # fmt: skip
    return tree


def _from_event(body: Tree, prefix: str = "", depth: int = 8) -> Tree:
    return {
        name: _from_event(value, f"{prefix}{name}.", depth - 1)
        if isinstance(value, dict) and value and depth and re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII)
        else f"{{{{ data.{prefix}{name} }}}}" if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else expression(name)
        for name, value in body.items() if "{" not in name
    }  # fmt: skip


# -- credentials -----------------------------------------------------------------------------------------


def _credentials(document: Tree, used: list[Request], result: Imported) -> None:
    tables: list[Any] = [one.auth for one in used if one.auth is not None] or [document.get("auth")]
    for table in tables:
        found = _credential(table, result) if isinstance(table, dict) else None
        if found is not None and found.kind not in {one.kind for one in result.credentials}:
            result.credentials.append(found)
    if not result.credentials:
        result.to_do("auth", "the collection names no credential that could be taken", "add auth = { ... }")
    else:
        result.left_out("auth", "the values of credentials", "export the variables that the source names")


def _credential(table: Tree, result: Imported) -> Credential | None:
    kind = table.get("type")
    own = table.get(str(kind))
    rows: dict[str, Any] = (
        own if isinstance(own, dict)
        else {str(one.get("key")): one.get("value") for one in own if isinstance(one, dict)} if isinstance(own, list)
        else {}
    )  # fmt: skip
    if kind == "bearer":
        return Credential("bearer", {}, {"token": "The token."})
    if kind in ("basic", "digest"):
        fields = {"username": "The user name.", "password": "The password."}
        return Credential("http_basic" if kind == "basic" else "digest", {}, fields)
    if kind == "apikey":
        name = str(rows.get("key") or "X-API-Key")
        if "{" in name:
            name = "X-API-Key"
            result.guessed("auth", "the header of the key is X-API-Key", "look at auth")
        place = "query" if rows.get("in") == "query" else "header"
        return Credential("api_key", {"name": name, "location": place}, {"api_key": "The key."})
    url = str(rows.get("accessTokenUrl") or "")
    if kind == "oauth2" and rows.get("grant_type") == "client_credentials" and urlsplit(url).scheme == "https":
        scopes = str(rows.get("scope") or "").split()
        fixed: Tree = {"access_token_url": url, **({"scopes": scopes} if scopes else {})}
        fields = {"client_id": "The client ID of the app.", "client_secret": "The client secret of the app."}
        return None if "{" in url else Credential("oauth2_client_credentials", fixed, fields)
    if kind not in (None, "noauth"):
        result.left_out("auth", f"the kind {str(kind)[:40]}", "write auth = { ... } yourself")
    return None
