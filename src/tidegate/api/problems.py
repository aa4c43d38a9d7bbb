"""Errors as RFC 9457 problem documents, with a stable `code`, a `hint` and the request's ID.

Owns the JSON of a `TidegateError`. Internals never reach a caller: any other exception is reported as `internal` with
the request ID, which the log has beside the traceback.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from tidegate.core.errors import TidegateError

CONTENT_TYPE = "application/problem+json"

_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Request too slow",
    409: "Conflict",
    410: "Gone",
    413: "Body too large",
    421: "Unknown host",
    422: "Invalid configuration",
    429: "Too many requests",
    500: "Internal error",
    501: "Not available in this release",
    502: "The source failed",
    503: "Temporarily unavailable",
    504: "The source timed out",
}
# Members that only some errors have.
_MEMBERS = ("path", "where", "upstream_status", "oldest_cursor")


class ProblemPart(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One of several problems of a configuration."""

    detail: str
    code: str
    hint: str = ""
    path: str = ""
    where: str = ""


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The document. `type` is a name, not an address; `code` is the same name without its prefix."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str = ""
    request_id: str
    path: str = ""  # place in the configuration, `$.routes.big-sales`
    where: str = ""  # FILE:LINE
    upstream_status: int | None = None
    oldest_cursor: str = ""
    problems: list[ProblemPart] = []  # all of them, when a configuration has several


def make(error: TidegateError, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """(status, headers, body) of an error."""
    members: dict[str, Any] = {name: value for name in _MEMBERS if (value := getattr(error, name, None))}
    problems = [
        ProblemPart(detail=one.message, code=one.code, hint=one.hint, path=one.path, where=one.where)
        for one in getattr(error, "problems", ())
    ]
    document = Problem(
        type=f"urn:tidegate:problem:{error.code}",
        title=_TITLES.get(error.status, "Error"),
        status=error.status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        request_id=request_id,
        problems=problems,
        **members,
    )
    headers = [(b"content-type", CONTENT_TYPE.encode())]
    if error.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="tidegate"'))
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_seconds))).encode()))
    elif error.status == 503:
        headers.append((b"retry-after", b"1"))
    return error.status, headers, msgspec.json.encode(document)
