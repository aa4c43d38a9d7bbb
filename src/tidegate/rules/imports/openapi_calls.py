"""A call of an OpenAPI document that changes something, as an operation. Pure.

Owns the body: its required fields, each from the field of the event with the same name; all writable fields when none
is required.
"""

from __future__ import annotations

import re
from typing import Any

from tidegate.rules.imports.guesses import slug
from tidegate.rules.imports.openapi_parts import Call, path_params
from tidegate.rules.imports.result import Choice, Imported, Tree
from tidegate.rules.imports.schemas import Schemas

MAX_FIELDS = 60
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY_HEADERS = ("idempotency-key", "x-idempotency-key", "idempotence-key", "x-request-idempotency-key")


def expression(name: str) -> str:
    """`{{ data.name }}` for a field of the event."""
    return f"{{{{ data.{name if _NAME.fullmatch(name) else slug(name)} }}}}"


def operation_tree(name: str, call: Call, schemas: Schemas, result: Imported, choice: Choice) -> Tree:
    where = f"{call.method} {call.path}"
    path = call.path
    for param in path_params(path):
        given = slug(param)
        if given in choice.values:
            result.given.setdefault(given, f"{param} in {call.path}")
        path = path.replace(f"{{{param}}}", f"{{with.{given}}}" if given in choice.values else expression(param), 1)
    tree: Tree = {"description": call.summary.replace("{", "(").replace("}", ")")} if call.summary else {}
    tree |= {"method": call.method, "path": path}
    params = {one: expression(one) for one, rule in call.query.items() if rule.get("required") is True}
    if params:
        tree["params"] = params
    for header, rule in call.header.items():
        if header.lower() in _KEY_HEADERS:
            tree["idempotency_header"] = header
        elif rule.get("required") is True:
            tree.setdefault("headers", {})[header] = expression(header)
    _body(tree, call, schemas, result, where)
    fields = schemas.object_of(call.answer)[0]
    if call.method == "POST" and "id" in fields:
        tree["remember"] = {"id": "id"}
    if call.method == "POST" and "idempotency_header" not in tree:
        result.to_do(where, "nothing keeps a repeated call from acting twice",
                     "idempotency_header or look_up, where the API has one")  # fmt: skip
    return tree


def _body(tree: Tree, call: Call, schemas: Schemas, result: Imported, where: str) -> None:
    if not call.body:
        return
    json = next((one for kind, one in call.body.items() if "json" in str(kind).lower()), None)
    form = call.body.get("application/x-www-form-urlencoded")
    media = json if isinstance(json, dict) else form
    if not isinstance(media, dict):
        kinds = ", ".join(map(str, call.body))[:80]
        result.left_out(where, f"the body, which is {kinds}", "only JSON and forms can be sent")
        return
    schema = media.get("schema", {})
    if media is json and schemas.type_of(schema) == "array":
        result.guessed(where, "the body is a list with the event's data as its one item", "look at json")
        tree["json"] = ["{{ data }}"]
        return
    properties, required = schemas.object_of(schema)
    writable = [name for name, one in properties.items() if schemas.resolved(one).get("readOnly") is not True]
    chosen = [name for name in required if name in writable] or writable[:MAX_FIELDS]
    fields: dict[str, Any] = {name: expression(name) for name in chosen if "{" not in name}
    if not fields:
        result.to_do(where, "the document does not describe the fields of the body", "write json = { ... }")
    tree["json" if media is json else "form"] = fields
    left = [name for name in writable if name not in fields]
    if left:
        names = ", ".join(left[:12]) + (f" and {len(left) - 12} more" if len(left) > 12 else "")
        result.left_out(where, f"optional fields of the body: {names}", "add the ones you need")
