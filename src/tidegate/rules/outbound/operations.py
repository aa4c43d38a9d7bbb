"""Operations: from an event to the request of an API call, and from its answer to what it means. Pure.

Owns the meaning of `[sources.X.operations.NAME]`. A value of `path`, `params`, `headers`, `json` and `form` is a
constant or has `{{ expression }}`, as in `set` of a transform; `remembered` and `delivery_id` may be named too. May not
know sockets, credentials or the store. Invariants: a value cannot leave its place (a path segment stays one segment, a
header stays one line); a request that lacks a part of its path is not sent; an answer that says it failed is a failure,
whatever its status. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.core.model import JsonObject
from tidegate.core.spec import LookUp, Operation
from tidegate.rules.language.expressions import Copies
from tidegate.rules.language.numbers import decode_json, encode_json
from tidegate.rules.language.templates import RenderFailed
from tidegate.rules.language.transforms import compile_value, split_expressions, written
from tidegate.rules.language.view import MISSING, PARTS, dig

NAMES = (*PARTS, "remembered", "credential", "delivery_id")
MAX_BODY_BYTES = 4 << 20
MAX_SHOWN = 200
MAX_REMEMBERED_CHARACTERS = 1024
_HEADER_SAFE = "!#$%&'()*+,-./:;<=>?@[]^_`{|}~ "

View = dict[str, Any]


class ApiCall(NamedTuple):
    """The request of an operation, without address and credential. `path` has its query, encoded."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None


class Reading(NamedTuple):
    """What an answer means. `problem` is "" for a success."""

    ok: bool
    problem: str
    value: Any  # the decoded body; None when it is not JSON


class CompiledOperation:
    """One operation, ready to make requests and to read answers. ConfigError when it cannot work."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        copies = Copies(NAMES)
        self._path = compile_path(operation.path, copies, "$.path")
        self._params = compile_value(operation.params, "$.params", copies)
        self._headers = compile_value(operation.headers, "$.headers", copies)
        self._json = None if operation.json is None else compile_value(operation.json, "$.json", copies)
        self._form = compile_value(operation.form, "$.form", copies)
        self._key = compile_value(operation.key, "$.key", copies)
        self._record_key = compile_value(operation.record_key, "$.record_key", copies)
        named = msgspec.json.encode(operation).decode()
        self.names_remembered = "remembered" in named
        self.names_captured = "credential." in named
        self.look_up = None if operation.look_up is None else _LookUp(operation.look_up)
        request = [operation.path, operation.params, operation.headers, operation.json, operation.form]
        # A request that uses no id of the look-up creates: where the ids are known there is nothing left to do.
        self.creates_once = self.look_up is not None and b"remembered" not in msgspec.json.encode(request)
        self._graphql = isinstance(operation.json, dict) and "query" in operation.json

    def request(self, view: View) -> ApiCall:
        """RenderFailed when the request cannot be made for this event."""
        one = self.operation
        headers = _headers(self._headers(view))
        body: bytes | None = None
        if self._json is not None:
            value = self._json(view)
            body = encode_json(without_nulls(value) if one.nulls == "omit" else value)
            headers = {"Content-Type": "application/json", **headers}
        elif one.form:
            pairs = [(name, written(value)) for name, value in self._form(view).items() if value is not None]
            body = urlencode(pairs).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        if body is not None and len(body) > MAX_BODY_BYTES:
            raise RenderFailed(f"the body of the call has {len(body)} bytes; {MAX_BODY_BYTES} are allowed")
        if one.idempotency_header:
            headers[one.idempotency_header] = str(view.get("delivery_id", ""))
        return ApiCall(one.method, self._path(view) + _query(self._params(view)), headers, body)

    def key(self, view: View) -> str:
        """Our key for what the call creates or changes; "" when the event has none."""
        return written(self._key(view))

    def record_key(self, view: View) -> str:
        """The key of the record that the call changes; "" when it is not known before."""
        return written(self._record_key(view))

    def has_ids(self, known: Mapping[str, str]) -> bool:
        """Whether all that the look-up would find is known. False without a look-up."""
        return self.look_up is not None and all(name in known for name in self.look_up.spec.result)

    def read(self, status: int, body: bytes) -> Reading:
        """What an answer means as this API says it."""
        one = self.operation
        value = _decoded(body)
        accepted = status in one.ok if one.ok else 200 <= status < 300
        if not accepted:
            return Reading(False, f"answered {status}{_shown(body)}", value)
        if status == 204 or not body.strip():
            return Reading(True, "", None)
        problem = self._problem(status, value, body)
        return Reading(not problem, problem, value)

    def _problem(self, status: int, value: Any, body: bytes) -> str:
        one = self.operation
        if value is None and (one.ok_path or one.error_path or one.items_path or one.remember):
            return f"answered {status} with a body that is not JSON{_shown(body)}"
        if one.ok_path and dig(value, one.ok_path) in _FALSE:
            return f"answered {status}, and {one.ok_path} is not true{_shown(body)}"
        if one.error_path and dig(value, one.error_path) not in _FALSE:
            return f"answered {status}, and {one.error_path} is {_cut(dig(value, one.error_path))}"
        if isinstance(value, dict) and (self._graphql or "data" in value) and _is_errors(value.get("errors")):
            return f"answered {status} with errors: {_cut(value['errors'][0])}"
        return self._items(value) if one.items_path else ""

    def _items(self, value: Any) -> str:
        """Which items of a multi-status answer failed."""
        items = dig(value, self.operation.items_path)
        if not isinstance(items, list):
            return f"{self.operation.items_path} is not a list in the answer"
        failed = [item for item in items if not _item_ok(dig(item, self.operation.item_status_path))]
        return f"{len(failed)} of {len(items)} items failed: {_cut(failed[0])}" if failed else ""

    def remembered(self, value: Any) -> dict[str, str]:
        """The ids to keep of an answer. Raises RenderFailed for one that is not there."""
        found = picked(value, self.operation.remember)
        missing = [name for name in self.operation.remember if name not in found]
        if missing:
            path = self.operation.remember[missing[0]]
            raise RenderFailed(f"the answer has nothing to remember at {path!r}")
        return found


class _LookUp:
    """A question to the API that finds what an earlier call, or somebody else, created."""

    def __init__(self, spec: LookUp) -> None:
        self.spec = spec
        copies = Copies(NAMES)
        self._path = compile_path(spec.path, copies, "$.look_up.path")
        self._params = compile_value(spec.params, "$.look_up.params", copies)

    def request(self, view: View) -> ApiCall:
        return ApiCall("GET", self._path(view) + _query(self._params(view)), {}, None)

    def found(self, body: bytes) -> dict[str, str]:
        """The ids in the answer; {} when there is no such thing yet."""
        return picked(_decoded(body), self.spec.result)


_FALSE: tuple[object, ...] = (None, False, "", 0, [], {}, MISSING)


def picked(value: Any, paths: Mapping[str, str]) -> dict[str, str]:
    """The scalars at paths, as text."""
    found = {}
    for name, path in paths.items():
        one = dig(value, path) if value is not None else MISSING
        if isinstance(one, str | int | float) and not isinstance(one, bool) and one != "":
            found[name] = written(one)[:MAX_REMEMBERED_CHARACTERS]
    return found


def compile_path(text: str, copies: Copies, where: str) -> Callable[[View], str]:
    """`/contacts/{{ data.id }}`: each value becomes one encoded segment, and never an empty one."""
    if not text.startswith("/"):
        raise ConfigError(
            f"{text[:60]!r} does not begin with '/'", path=where, hint="write it below base_url: /contacts"
        )
    literals, expressions = split_expressions(text, where, copies)
    if any(character in "".join(literals) for character in " \r\n#"):
        raise ConfigError(f"{text[:60]!r} is not a path", path=where, hint="encode blanks as %20")
    query_from = next((number for number, literal in enumerate(literals) if "?" in literal), len(literals))

    def render(view: View) -> str:
        out = [literals[0]]
        for number, (expression, literal) in enumerate(zip(expressions, literals[1:], strict=True)):
            value = written(expression(view))
            if number < query_from and value in ("", ".", ".."):
                raise RenderFailed(f"the path {text!r} has no value for its place {number + 1}")
            out += (quote(value, safe=""), literal)
        return "".join(out)

    return render


def without_nulls(value: Any) -> Any:
    """The value without members that are null, so that a field the event lacks is left out of the call."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def _query(params: JsonObject) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        pairs += [(name, written(one)) for one in (value if isinstance(value, list) else [value]) if one is not None]
    return f"?{urlencode(pairs, quote_via=quote)}" if pairs else ""


def _headers(values: JsonObject) -> dict[str, str]:
    return {name: quote(written(value), safe=_HEADER_SAFE) for name, value in values.items() if value is not None}


def _decoded(body: bytes) -> Any:
    try:
        return decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_errors(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _item_ok(status: Any) -> bool:
    """The status of one item: a number, or a word such as "ok"."""
    if isinstance(status, bool):
        return status
    if isinstance(status, str) and not status.isdecimal():
        return status.lower() in ("ok", "success", "succeeded", "created", "updated", "accepted")
    try:
        return 200 <= int(status) < 300
    except (TypeError, ValueError):
        return False


def _cut(value: Any) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else encode_json(value).decode()
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _shown(body: bytes) -> str:
    text = " ".join(body[: 4 * MAX_SHOWN].decode("utf-8", "replace").split())
    return f": {_cut(text)}" if text else ""


def json_body(body: bytes) -> Any:
    """The body of an answer for the API: JSON as it is, other text as a string."""
    try:
        return decode_json(body) if body.strip() else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace")


def check_operation(operation: Operation) -> None:
    """ConfigError when it cannot be compiled."""
    CompiledOperation(operation)


__all__ = ["ApiCall", "CompiledOperation", "Reading", "check_operation", "json_body"]
