"""A declared subset of Airbyte low-code manifests: a stream becomes a resource. Pure.

Owns the subset. Taken: HttpRequester (GET, or POST with a JSON body), RecordSelector with DpathExtractor,
DefaultPaginator with PageIncrement, OffsetIncrement, or CursorPagination whose value is a path of the response or a
header; DatetimeBasedCursor; ApiKey, Bearer, Basic and OAuth authenticators; `config` values. A stream that would read
something else without the rest (partitions, custom components, expressions) cannot be taken, and says why.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from tidegate.rules.imports import guesses
from tidegate.rules.imports.airbyte_manifest import CannotTake, Manifest, child, words
from tidegate.rules.imports.result import Candidate, Choice, Credential, Imported, ImportRejected, Tree, taken

FORMAT = "airbyte"
MAX_STREAMS = 1000
_FORMATS = {"%s": "epoch_s", "%ms": "epoch_ms", "%Y-%m-%d": "date"}
_RESPONSE = re.compile(
    r"\{\{\s*response((?:\[['\"][^'\"\]]+['\"]\]|\.\w+|\.get\(['\"][^'\"]+['\"](?:,[^)]*)?\))+)\s*\}\}"
)
_COUNTED = re.compile(_RESPONSE.pattern.removesuffix(r"\s*\}\}") + r"\s*\+\s*1\s*\}\}")
_HEADER = re.compile(r"\{\{\s*headers\[['\"]([A-Za-z-]+)['\"]\]\s*\}\}")
_LINK = re.compile(r"headers\[['\"]link['\"]\]\[['\"]next['\"]\]\[['\"]url['\"]\]", re.IGNORECASE)
_PART = re.compile(r"\[['\"]([^'\"\]]+)['\"]\]|\.get\(['\"]([^'\"]+)['\"]|\.(\w+)")
_IGNORED = {
    "transformations": "transform events in a route instead", "incremental_sync": "", "retriever": "",
    "schema_loader": "use schemas of the source to check events", "name": "", "primary_key": "", "type": "",
    "$parameters": "", "state_migrations": "nothing to do", "schema_normalization": "nothing to do",
}  # fmt: skip


def read(document: Tree, choice: Choice) -> Imported:
    """The import. ImportRejected when it is not a manifest, and for a choice that cannot be made."""
    streams = document.get("streams")
    if not isinstance(streams, list) or not streams or "check" not in document:
        raise ImportRejected("the document is not an Airbyte manifest with streams",
                             hint="it has version, check and streams; connectors in Python have none")  # fmt: skip
    if len(streams) > MAX_STREAMS:
        raise ImportRejected(f"the manifest has more than {MAX_STREAMS:,} streams", hint="split it")
    result = Imported(format=FORMAT, title="Airbyte import")
    manifest = Manifest(document, result)
    found: dict[str, Tree] = {}
    taken_trees: dict[str, tuple[Tree, str, Tree]] = {}
    for row in streams:
        stream = manifest.resolved(row, {})
        title = words(stream.get("name")) or words(child(stream, "$parameters").get("name"))
        name = guesses.unique(guesses.slug(title), found)
        found[name] = stream
        problem, path = "", ""
        try:
            taken_trees[name] = _stream(name, stream, manifest, result, choice)
            path = taken_trees[name][0]["path"]
        except CannotTake as error:
            problem = str(error)
            result.left_out(name, problem, "write this resource by hand")
        result.candidates.append(Candidate("resource", name, f"GET {path}".strip(), problem))
    chosen = taken(result.candidates, choice.resources, "resource") or list(taken_trees)
    taken(result.candidates, choice.operations, "operation")
    if not chosen and not choice.everything:
        raise ImportRejected("no stream of the manifest can be taken", hint="see why: --list")
    base = taken_trees[chosen[0]][1] if chosen else "https://unknown.invalid"
    for name in chosen:
        tree, own_base, requester = taken_trees[name]
        if own_base != base:
            result.left_out(name, f"its address is {own_base[:80]}, not {base[:80]}", "make a source of its own")
            continue
        result.resources[name] = tree
        _credential(child(requester, "authenticator"), manifest, result)
        _secret_headers(requester, manifest, result)
    result.base_url = base
    if not result.credentials:
        result.to_do("auth", "the manifest has no credential that could be taken", "add auth = { ... } if it needs one")
    dynamic = document.get("dynamic_streams")
    if isinstance(dynamic, list) and dynamic:
        result.left_out(
            "dynamic_streams", f"{len(dynamic)} kinds of streams that the API names", "write resources by hand"
        )
    result.left_out("deletes", "a manifest does not say how deletes are noticed",
                    'deletes = { mode = "scan" } in the resources that need it')  # fmt: skip
    return result


def _split(url: str, path: str) -> tuple[str, str]:
    """`url` is the whole address of a newer manifest: (its base, its path)."""
    if path:
        return url, path
    scheme, slashes, rest = url.partition("://")
    host, slash, below = rest.partition("/")
    return scheme + slashes + host, slash + below


def _stream(name: str, stream: Tree, manifest: Manifest, result: Imported, choice: Choice) -> tuple[Tree, str, Tree]:
    """(the resource, the base URL, the requester) of a stream. CannotTake when it needs more than the subset."""
    retriever = child(stream, "retriever")
    requester = child(retriever, "requester")
    for one, kinds in ((stream, ("DeclarativeStream",)), (retriever, ("SimpleRetriever",)),
                       (requester, ("HttpRequester",))):  # fmt: skip
        if one.get("type") not in (None, *kinds):
            raise CannotTake(f"it is of type {words(one.get('type'))[:60]}")
    if retriever.get("partition_router"):
        raise CannotTake(f"it has a partition router ({words(child(retriever, 'partition_router').get('type'))[:60]})")
    base, path = manifest.text(words(requester.get("url_base"))), manifest.text(words(requester.get("path")))
    if not base:
        base, path = _split(manifest.text(words(requester.get("url"))), path)
    if not base.startswith(("https://", "http://")):
        raise CannotTake(f"its address is {base[:80] or 'empty'}")
    tree: Tree = {"path": path if path.startswith("/") else f"/{path}"}
    method = words(requester.get("http_method") or "GET").upper()
    if method == "POST":
        tree["method"] = "POST"
        tree["json"] = manifest.tree(child(requester, "request_body_json"))
    elif method != "GET":
        raise CannotTake(f"it is read with {method[:20]}")
    selector = _selector(child(retriever, "record_selector"), name, manifest, result)
    if selector:
        tree["data_selector"] = selector
    key = choice.keys.get(name) or stream.get("primary_key")
    key = key[0] if isinstance(key, list) and len(key) == 1 else key
    tree["primary_key"] = key if isinstance(key, str) or _is_strings(key) else "id"
    if not key:
        result.guessed(name, "the primary key is id", f"--key {name}=FIELD")
    params = _params(child(requester, "request_parameters"), manifest)
    plain = _headers(requester, manifest)[1]
    headers = {key: str(value) for key, value in _params(plain, manifest).items()}
    _paginator(tree, params, child(retriever, "paginator"), name, result)
    if params:
        tree["params"] = params
    if headers:
        tree["headers"] = headers
    _incremental(tree, child(stream, "incremental_sync"), name, manifest, result)
    for key in sorted(stream.keys() - {key for key, hint in _IGNORED.items() if not hint}):
        result.left_out(name, str(key)[:60], _IGNORED.get(str(key), "a key with no meaning here"))
    if requester.get("error_handler"):
        result.left_out(name, "error_handler", "see gone, empty, ok_path and limits")
    return tree, base.rstrip("/"), requester


def _is_strings(key: Any) -> bool:
    return isinstance(key, list) and bool(key) and all(isinstance(one, str) for one in key)


def _selector(selector: Tree, name: str, manifest: Manifest, result: Imported) -> str:
    if selector.get("record_filter"):
        result.left_out(name, "record_filter: all rows become records", "filter events in a route instead")
    extractor = child(selector, "extractor")
    if extractor.get("type") not in (None, "DpathExtractor"):
        raise CannotTake(f"its extractor is {words(extractor.get('type'))[:60]}")
    parts = extractor.get("field_path")
    names = [manifest.text(words(one)) for one in parts] if isinstance(parts, list) else []
    if any(one == "**" for one in names):
        raise CannotTake("its field_path has **")
    return ".".join(one for one in names if one != "*")


def _headers(requester: Tree, manifest: Manifest) -> tuple[dict[str, str], Tree]:
    """(headers that are a credential, with what each is; the other headers)."""
    found = child(requester, "request_headers")
    texts = {str(name): manifest.secret(value) if isinstance(value, str) else None for name, value in found.items()}
    secret = {name: text for name, text in texts.items() if text is not None}
    return secret, {name: value for name, value in found.items() if str(name) not in secret}


def _secret_headers(requester: Tree, manifest: Manifest, result: Imported) -> None:
    """The last one is the credential where the manifest has no other; the others are headers of the API."""
    for name, text in reversed(_headers(requester, manifest)[0].items()):
        if not result.credentials:
            result.credentials.append(Credential("api_key", {"name": name, "location": "header"}, {"api_key": text}))
        elif result.credentials[0].set.get("name") != name:
            result.secret_headers[name] = text


def _params(found: Tree, manifest: Manifest) -> Tree:
    out: Tree = {}
    for name, value in found.items():
        if isinstance(value, str):
            out[name] = manifest.text(value)
        elif isinstance(value, int | float | bool):
            out[name] = value
    return out


def _paginator(tree: Tree, params: Tree, found: Tree, name: str, result: Imported) -> None:
    if found.get("type") in (None, "NoPagination"):
        tree["paginator"] = {"type": "single_page"}
        return
    strategy, token, size = (
        child(found, key) for key in ("pagination_strategy", "page_token_option", "page_size_option")
    )
    kind, per_page = words(strategy.get("type")), strategy.get("page_size")
    count = per_page if isinstance(per_page, int) and per_page > 0 else 0
    size_param = words(size.get("field_name")) if size.get("inject_into") == "request_parameter" else ""
    is_param = token.get("inject_into") == "request_parameter"
    param = words(token.get("field_name"))
    if kind == "PageIncrement" and is_param:
        first = strategy.get("start_from_page", 0)
        tree["paginator"] = {"type": "page_number", "page_param": param, "base_page": first if _is_count(first) else 0}
        base = tree["paginator"]["base_page"]
        unsent = "; Airbyte asks for its first page without a number" if base == 0 else ""
        result.guessed(name, f"the first page is {base}, as the manifest counts{unsent}",
                       "set base_page = 1 if the API counts from 1; a poll reports that")  # fmt: skip
    elif kind == "OffsetIncrement" and is_param and size_param:
        tree["paginator"] = {"type": "offset", "offset_param": param, "limit_param": size_param, "limit": count or 100}
        return
    elif kind == "CursorPagination":
        tree["paginator"] = _cursor(words(strategy.get("cursor_value")), token, param, is_param)
        if tree["paginator"]["type"] == "page_number":
            result.guessed(name, "the first page is 1: the manifest adds 1 to the number of a page",
                           "set base_page = 0 if the API counts from 0; a poll reports it")  # fmt: skip
        if strategy.get("stop_condition"):
            result.left_out(name, "stop_condition: the walk ends when there is no token", "has_more_path, if needed")
    else:
        asked = ", ".join(one for one in (kind[:60], words(token.get("inject_into"))[:40]) if one)
        raise CannotTake(f"its pages ({asked}) are not in the subset")
    if size_param and count:
        params[size_param] = count


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _cursor(value: str, token: Tree, param: str, is_param: bool) -> Tree:
    if _COUNTED.fullmatch(value) is not None and is_param:
        return {"type": "page_number", "page_param": param, "base_page": 1}
    match, header = _RESPONSE.fullmatch(value), _HEADER.fullmatch(value)
    path = ".".join(next(part for part in parts if part) for parts in _PART.findall(match[1])) if match else ""
    if token.get("type") == "RequestPath":
        if path:
            return {"type": "json_link", "next_url_path": path}
        if _LINK.search(value):
            return {"type": "header_link"}
    elif is_param and path:
        return {"type": "cursor", "cursor_path": path, "cursor_param": param}
    elif is_param and header:
        return {"type": "header_cursor", "cursor_key": header[1], "cursor_param": param}
    raise CannotTake(f"its next page is the expression {value[:80]}")


def _incremental(tree: Tree, found: Tree, name: str, manifest: Manifest, result: Imported) -> None:
    if not found:
        return
    start, field = child(found, "start_time_option"), manifest.text(words(found.get("cursor_field")))
    if found.get("type") not in (None, "DatetimeBasedCursor") or start.get("inject_into") != "request_parameter":
        result.left_out(name, "incremental_sync: no parameter asks for what changed", "every poll reads the whole list")
        return
    form = words(found.get("datetime_format"))
    rule: Tree = {"cursor_path": field, "param": words(start.get("field_name"))}
    rule["format"] = _FORMATS.get(form, "iso8601" if form.startswith("%Y-%m-%dT%H:%M:%S") else "auto")
    end = child(found, "end_time_option")
    if end.get("inject_into") == "request_parameter":
        rule["end_param"] = words(end.get("field_name"))
    days = re.fullmatch(r"P([0-9])D", words(found.get("lookback_window")))
    if days is not None and 0 < int(days[1]) <= 7:
        rule["lag"] = f"{days[1]}d"
    elif found.get("lookback_window"):
        result.left_out(name, f"lookback_window {words(found['lookback_window'])[:40]}", "lag, up to 7d")
    tree["incremental"] = rule
    if "created" in field.lower():
        result.guessed(name, f"the cursor {field} shows new records, and no changes", "use a field of changes")
    if found.get("start_datetime"):
        result.left_out(name, "start_datetime", "initial_value is the first cursor, max_age how old it may be")
    if found.get("step"):
        result.left_out(
            name, f"step {words(found['step'])[:20]}", 'window = "30d" beside it, with initial_value or max_age'
        )


def _credential(found: Tree, manifest: Manifest, result: Imported) -> None:
    kind = words(found.get("type"))
    one: Credential | None = None
    if kind == "BearerAuthenticator":
        one = Credential("bearer", {}, {"token": "The token."})
    elif kind == "BasicHttpAuthenticator":
        one = Credential("http_basic", {}, {"username": "The user name.", "password": "The password."})
    elif kind == "ApiKeyAuthenticator":
        place = child(found, "inject_into")
        name = words(found.get("header") or place.get("field_name")) or "Authorization"
        location = "query" if place.get("inject_into") == "request_parameter" else "header"
        whole = words(found.get("api_token"))[:60] if name.lower() == "authorization" else ""
        text = f"The whole value of the header, which is {manifest.shown(whole)}." if whole else "The key."
        one = Credential("api_key", {"name": name, "location": location}, {"api_key": text})
    elif kind == "OAuthAuthenticator":
        url = words(found.get("token_refresh_endpoint"))
        fields = {"client_id": "The client ID of the app.", "client_secret": "The client secret of the app."}
        if urlsplit(url).scheme == "https" and "{" not in url and found.get("refresh_token"):
            one = Credential("oauth2_refresh_token", {"access_token_url": url},
                             {**fields, "refresh_token": "The first refresh token."})  # fmt: skip
        elif urlsplit(url).scheme == "https" and "{" not in url:
            one = Credential("oauth2_client_credentials", {"access_token_url": url}, fields)
    if one is None:
        if kind not in ("", "NoAuth"):
            result.left_out("auth", f"the authenticator {kind[:60]}", "write auth = { ... } yourself")
    elif one.kind not in {known.kind for known in result.credentials}:
        result.credentials.append(one)
