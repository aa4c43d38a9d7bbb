"""How an answer over HTTP reads where a destination has rules of its own.

Owns those rules: success statuses, conditions on the body, and a wait that is in the body. Pure; may not know the
request. Invariants: an answer that a rule turns into a failure says which one and why; a wait that is at the named
place and cannot be read says so. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.core.model import JsonObject, Outcome
from tidegate.kinds.base import Answer, Result, read_http
from tidegate.rules.language.filters import compile_filter, explain_filter
from tidegate.rules.language.numbers import decode_json
from tidegate.rules.sync.body_wait import decoded, overlooked, wait_text
from tidegate.rules.sync.upstream_rate_limit import seconds_until

Reader = Callable[[Answer, int], Result]
"""(answer, microseconds since 1970) -> what it means."""


def reader_of(ok: Sequence[int], ok_body: Mapping[str, Any], retry_after_path: str = "") -> Reader:
    """The reading of one destination.

    `ok`: success statuses, 2xx when empty; `ok_body`: conditions of a filter; `retry_after_path`: where the body of a
    429 or 503 has the seconds to wait, for a receiver that sends no Retry-After.
    """
    statuses = frozenset(ok)
    matches = compile_ok_body(ok_body) if ok_body else None
    if not ok and matches is None:
        return lambda answer, now_us: _with_wait(read_http(answer, now_us), answer, retry_after_path, now_us)

    def read(answer: Answer, now_us: int) -> Result:
        result = _by_status(read_http(answer, now_us), statuses)
        if result.outcome is not Outcome.OK:
            return _with_wait(result, answer, retry_after_path, now_us)
        reason = None if matches is None else _why_not(answer.body, ok_body, matches)
        return result if reason is None else msgspec.structs.replace(result, outcome=Outcome.HTTP_ERROR, detail=reason)

    return read


def _with_wait(result: Result, answer: Answer, path: str, now_us: int) -> Result:
    """With the wait of the body. Without a named place, one that looks like a wait is named in the detail."""
    if result.status not in (429, 503) or result.retry_after is not None or not answer.body:
        return result
    value = decoded(answer.body)
    if not path:
        found = overlooked(value)
        if found is None:
            return result
        detail = f"the body has {found.path} = {found.text}: if that is the time to wait, set `retry_after_path`"
        return msgspec.structs.replace(result, detail=result.detail or detail)
    text = wait_text(value, path)
    wait = seconds_until(text, now_us) if text else None
    if text and wait is None:
        detail = f"`retry_after_path` {path} has {text!r}, which is neither seconds nor an instant"
        return msgspec.structs.replace(result, detail=result.detail or detail)
    return msgspec.structs.replace(result, retry_after=wait)


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
        value = decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "`ok_body` needs a JSON response, and this one is not JSON or longer than 4 KiB"
    if not isinstance(value, dict):
        return "`ok_body` needs a JSON object as the response"
    return None if matches({"data": value}) else f"`ok_body` does not match: {_reason(ok_body, value)}"


def _reason(ok_body: Mapping[str, Any], value: JsonObject) -> str:
    return str(explain_filter({"data": dict(ok_body)}, {"data": value})).replace("data.", "")
