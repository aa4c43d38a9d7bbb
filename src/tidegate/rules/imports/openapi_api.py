"""The API of an OpenAPI document: its base URL, its headers and its credentials. Pure.

Owns the table from security schemes to kinds of auth. Invariant: no scope is asked for that no chosen call needs.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from tidegate.rules.imports.guesses import slug
from tidegate.rules.imports.openapi_parts import Call
from tidegate.rules.imports.result import Credential, Imported, Tree
from tidegate.rules.imports.schemas import Schemas

_VARIABLE = re.compile(r"\{([A-Za-z0-9_.-]{1,60})\}")


def describe_api(document: Tree, schemas: Schemas, result: Imported, calls: list[Call]) -> None:
    """Sets the base URL and the credentials that the chosen calls need."""
    external = document.get("externalDocs")
    url = external.get("url") if isinstance(external, dict) else ""
    result.docs = url if isinstance(url, str) and url.startswith("https://") else ""
    result.base_url = _base_url(document, result)
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    schemes = schemes if isinstance(schemes, dict) else {}
    order, scopes = _needed(document, calls)
    names = [name for name in order if name in schemes] or list(schemes)
    for name in names:
        scheme = schemas.resolved(schemes[name])
        found = _credential(str(name), scheme, scopes.get(name, []), result)
        if found is not None and found.kind not in {one.kind for one in result.credentials}:
            result.credentials.append(found)
    if schemes and not result.credentials:
        result.to_do("security", "no kind of credential could be taken", "write auth = { ... } yourself")
    elif not schemes:
        result.to_do("security", "the document names no credential", "add auth = { ... } if the API needs one")
    elif len(result.credentials) > 1:
        kinds = ", ".join(one.kind for one in result.credentials[1:])
        result.left_out("security", f"other kinds of credential: {kinds}", "a provider file (--provider) has them all")


def _base_url(document: Tree, result: Imported) -> str:
    servers = document.get("servers")
    known = [one for one in servers if isinstance(one, dict)] if isinstance(servers, list) else []
    server = known[0] if known else {}
    url = str(server.get("url", "/"))[:500].rstrip("/")
    if len(known) > 1:
        others = ", ".join(str(one.get("url", ""))[:80] for one in known[1:4])
        result.left_out("servers", f"other servers: {others}", "write base_url yourself to use one of them")
    variables = server.get("variables")
    variables = variables if isinstance(variables, dict) else {}
    for name in _VARIABLE.findall(url):
        found = variables.get(name)
        one: Tree = found if isinstance(found, dict) else {}
        given = slug(name)
        result.given[given] = " ".join(str(one.get("description") or f"{name} of the address").split())[:200]
        default = one.get("default")
        if isinstance(default, str) and re.fullmatch(r"[A-Za-z0-9._~-]+", default):
            result.defaults[given] = default
        url = url.replace(f"{{{name}}}", f"{{with.{given}}}")
    if not url.startswith(("https://", "http://", "{with.")):
        result.given["host"] = "The host name of the API; the document has none."
        url = "https://{with.host}" + (url if url.startswith("/") or not url else f"/{url}")
    elif url.startswith("{with."):
        result.guessed("servers", "the address begins with a variable; https is taken", "look at base_url")
        url = f"https://{url}"
    return url


def _needed(document: Tree, calls: list[Call]) -> tuple[list[str], dict[str, list[str]]]:
    """(names of the schemes that the calls need, most needed first; their scopes)."""
    count: dict[str, int] = {}
    scopes: dict[str, list[str]] = {}
    for call in calls:
        needs = document.get("security") if call.security is None else call.security
        for place, one in enumerate(needs if isinstance(needs, list) else []):
            for name, wanted in one.items() if isinstance(one, dict) else ():
                count[name] = count.get(name, 0) + (2 if place == 0 else 1)
                known = scopes.setdefault(name, [])
                known += [text for text in _texts(wanted) if text not in known]
    return sorted(count, key=lambda name: -count[name]), scopes


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _credential(name: str, scheme: Tree, scopes: list[str], result: Imported) -> Credential | None:
    kind, where = scheme.get("type"), f"security scheme {name}"
    if kind == "http":
        word = str(scheme.get("scheme", "")).lower()
        if word == "bearer":
            return Credential("bearer", {}, {"token": "The token."})
        if word in ("basic", "digest"):
            fields = {"username": "The user name.", "password": "The password."}
            return Credential("http_basic" if word == "basic" else "digest", {}, fields)
    elif kind == "apiKey":
        place = scheme.get("in")
        if place in ("header", "query", "cookie") and isinstance(scheme.get("name"), str):
            whole = place == "header" and scheme["name"].lower() == "authorization"
            words = "The whole value of the header, such as Bearer TOKEN." if whole else "The key."
            return Credential("api_key", {"name": scheme["name"], "location": place}, {"api_key": words})
    elif kind == "oauth2":
        return _oauth2(scheme, scopes, where, result)
    result.left_out(where, f"type {str(kind)[:40]} {str(scheme.get('scheme', ''))[:40]}".strip(),
                    "write auth = { ... } yourself")  # fmt: skip
    return None


def _oauth2(scheme: Tree, scopes: list[str], where: str, result: Imported) -> Credential | None:
    flows = scheme.get("flows")
    flows = flows if isinstance(flows, dict) else {}
    for flow, kind in (
        ("clientCredentials", "oauth2_client_credentials"),
        ("authorizationCode", "oauth2_authorization_code"),
    ):
        one = flows.get(flow)
        if not isinstance(one, dict):
            continue
        urls = {"access_token_url": one.get("tokenUrl")}
        if flow == "authorizationCode":
            urls["authorization_url"] = one.get("authorizationUrl")
        if not all(isinstance(url, str) and urlsplit(url).scheme == "https" for url in urls.values()):
            result.left_out(f"{where}, {flow}", "its URLs are not complete https URLs", "write them yourself")
            continue
        fixed: Tree = {**urls, **({"scopes": scopes} if scopes else {})}
        fields = {"client_id": "The client ID of the app.", "client_secret": "The client secret of the app."}
        return Credential(kind, fixed, fields)
    result.left_out(where, f"oauth2 with {', '.join(map(str, flows)) or 'no flow'}", "write auth = { ... } yourself")
    return None
