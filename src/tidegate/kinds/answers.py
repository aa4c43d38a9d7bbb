"""How an answer over HTTP reads where a destination has rules of its own: success statuses, and conditions on the body.

Owns those two rules. Pure; may not know the request. Invariant: an answer that a rule turns into a failure says which
one and why. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.core.model import JsonObject, Outcome
from tidegate.kinds.base import Answer, Result, read_http
from tidegate.rules.language.filters import compile_filter, explain_filter

Reader = Callable[[Answer, int], Result]
"""(answer, microseconds since 1970) -> what it means."""


def reader_of(ok: Sequence[int], ok_body: Mapping[str, Any]) -> Reader:
    """The reading of one destination. `ok`: success statuses, 2xx when empty; `ok_body`: conditions of a filter."""
    if not ok and not ok_body:
        return read_http
    statuses = frozenset(ok)
    matches = compile_ok_body(ok_body) if ok_body else None

    def read(answer: Answer, now_us: int) -> Result:
        result = _by_status(read_http(answer, now_us), statuses)
        if matches is None or result.outcome is not Outcome.OK:
            return result
        reason = _why_not(answer.body, ok_body, matches)
        return result if reason is None else msgspec.structs.replace(result, outcome=Outcome.HTTP_ERROR, detail=reason)

    return read


def compile_ok_body(ok_body: Mapping[str, Any]) -> Callable[[JsonObject], bool]:
    """The conditions of `ok_body`, which are those of a filter on `data`. ConfigError with the path of the error."""
    return compile_filter({"data": dict(ok_body)}, "$.ok_body")


def _by_status(result: Result, statuses: frozenset[int]) -> Result:
    if not statuses or result.outcome not in (Outcome.OK, Outcome.HTTP_ERROR):
        return result
    if result.status in statuses:
        return Result(Outcome.OK, result.status)
    if result.outcome is Outcome.HTTP_ERROR:
        return result
    detail = f"{result.status} is not one of the success statuses in `ok`"
    return msgspec.structs.replace(result, outcome=Outcome.HTTP_ERROR, detail=detail)


def _why_not(body: bytes, ok_body: Mapping[str, Any], matches: Callable[[JsonObject], bool]) -> str | None:
    """Why the body is an error; None when it is a success."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "`ok_body` needs a JSON response, and this one is not JSON or longer than 4 KiB"
    if not isinstance(value, dict):
        return "`ok_body` needs a JSON object as the response"
    return None if matches({"data": value}) else f"`ok_body` does not match: {_reason(ok_body, value)}"


def _reason(ok_body: Mapping[str, Any], value: JsonObject) -> str:
    return str(explain_filter({"data": dict(ok_body)}, {"data": value})).replace("data.", "")
