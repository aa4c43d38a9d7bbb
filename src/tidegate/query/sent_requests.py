"""Requests as they were sent: from the stored attempts to the schema of the API, and as commands to send one again.

Owns the reading. May not know deliveries or pages. Invariant: nothing is shown that was not sent; what is not kept is
null and says so. Reads the store only; a crash loses nothing.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Sequence

import msgspec

from tidegate.core import ids
from tidegate.core.model import Attempt, Event
from tidegate.core.unseen import visible_lines
from tidegate.query.context import ReadContext
from tidegate.query.schemas import RequestSchema
from tidegate.rules.outbound.bodies import standard_envelope
from tidegate.rules.outbound.sent_requests import RequestAsSent, read_back

FORMATS = ("http", "curl", "python", "httpie")


async def requests_as_sent(
    gateway: ReadContext, event: Event, attempts: Sequence[Attempt]
) -> list[RequestSchema | None]:
    """The request of each attempt; None where it was not kept."""
    numbers = {one.head for one in attempts if one.head}
    heads = await gateway.store.deliveries.request_heads(numbers) if numbers else {}
    event_id = ids.event_id(gateway.store.log.instance, event.offset)
    return [request_schema(one, heads.get(one.head, b""), event, event_id) for one in attempts]


def request_schema(attempt: Attempt, head: bytes, event: Event, event_id: str) -> RequestSchema | None:
    """The request of one attempt. `head`: the stored head that it refers to."""
    if attempt.head and not head:
        return None
    request = read_back(attempt.request, head, event.body, lambda: standard_envelope(event, event_id))
    return None if request is None else _schema(request)


def request_of_test(attempt: Attempt) -> RequestSchema | None:
    """The request of a test send, which is not stored; None when it could not be made."""
    request = read_back(attempt.request, b"", b"", bytes)
    return None if request is None else _schema(request)


def _schema(request: RequestAsSent) -> RequestSchema:
    text, encoding = _text(request.body)
    return RequestSchema(
        method=request.method,
        url=request.url,
        headers=request.headers,
        body=text,
        body_encoding=encoding,
        body_bytes=request.body_bytes,
        body_cut=request.body is not None and len(request.body) < request.body_bytes,
    )


def text_of(body: bytes) -> tuple[str, str]:
    """(text, "utf-8"), or (base64, "base64") when the bytes are not UTF-8."""
    try:
        return body.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), "base64"


def _text(body: bytes | None) -> tuple[str | None, str]:
    if body is None:
        return None, "utf-8"
    try:
        return body.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        if error.start >= len(body) - 3 and error.reason == "unexpected end of data":  # the cut is inside a character
            return body[: error.start].decode("utf-8"), "utf-8"
        return base64.b64encode(body).decode("ascii"), "base64"


# -- to send it again ------------------------------------------------------------------------------------


def copied(request: RequestSchema, as_format: str) -> str:
    """The request as text: an HTTP message, or a command for curl, Python or httpie. Masked values stay masked.

    A command has no character that nobody sees: it is pasted into a terminal, which may act on it.
    """
    body = request.body or ""
    if as_format != "http" and request.body_encoding != "base64" and visible_lines(body) != body:
        encoded = base64.b64encode(body.encode("utf-8", "surrogatepass")).decode("ascii")
        request = msgspec.structs.replace(request, body=encoded, body_encoding="base64")
    return _WRITERS[as_format](request)


def _http(request: RequestSchema) -> str:
    head = "".join(f"{name}: {value}\n" for name, value in request.headers)
    return f"{request.method} {request.url}\n{head}\n{request.body if request.body is not None else ''}"


def _curl(request: RequestSchema) -> str:
    parts = [f"curl -i -X {request.method} {shlex.quote(request.url)}"]
    parts += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in request.headers]
    if request.body_encoding == "base64":
        return f"echo {request.body} | base64 -d | " + " \\\n  ".join([*parts, "--data-binary @-"])
    return " \\\n  ".join([*parts, f"--data-binary {shlex.quote(request.body or '')}"])


def _python(request: RequestSchema) -> str:
    body = repr(request.body or "") + ".encode()"
    imports = "import urllib.request"
    if request.body_encoding == "base64":
        imports, body = "import base64\nimport urllib.request", f"base64.b64decode({request.body!r})"
    headers = "".join(f"    {name!r}: {value!r},\n" for name, value in request.headers)
    return (
        f"{imports}\n\nrequest = urllib.request.Request(\n    {request.url!r},\n    data={body},\n"
        f"    headers={{\n{_indented(headers)}    }},\n    method={request.method!r},\n)\n"
        "with urllib.request.urlopen(request) as answer:\n    print(answer.status, answer.read().decode())\n"
    )


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def _httpie(request: RequestSchema) -> str:
    parts = [f"http {request.method} {shlex.quote(request.url)}"]
    parts += [shlex.quote(f"{name}:{value}") for name, value in request.headers]
    source = f"printf %s {shlex.quote(request.body or '')}"
    if request.body_encoding == "base64":
        source = f"echo {request.body} | base64 -d"
    return f"{source} | " + " \\\n  ".join(parts)


_WRITERS: dict[str, Callable[[RequestSchema], str]] = {
    "http": _http,
    "curl": _curl,
    "python": _python,
    "httpie": _httpie,
}
