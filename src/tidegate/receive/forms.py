"""Reads and answers what the `<form>` of a web page or a script on it sends. Pure.

Owns the rules of forms: which pages may send one, the content types, the honeypot, files, the key field, the answer for
a browser and for a script. A form carries no secret, so anyone may send one; the size limit and the rate protect the
gateway, and the sender is redirected only to the configured address. The bytes are stored unchanged. Fields that hold
files are refused by name. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from tidegate.core.spec import FormInput
from tidegate.receive.answers import problem
from tidegate.receive.handshakes import Reply
from tidegate.receive.reading import Reading
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.values import as_text, bounded_id, bounded_key
from tidegate.rules.language.body import read_body
from tidegate.rules.language.urlencoded import TOO_MANY, read_urlencoded

FORM_TYPE = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data"
UNREADABLE = "form_unreadable"
_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"
_THANKS = b"Thank you, it has been received.\n"
_PREFLIGHT_SECONDS = b"600"

_NO_FORM = problem(
    415,
    "content_type",
    "Unsupported Media Type",
    "send the form as application/x-www-form-urlencoded, multipart/form-data or a JSON object",
)
_MANY_FIELDS = problem(413, "too_many_fields", "Content Too Large", "the form has too many fields")
_UNREADABLE = problem(400, "form_unreadable", "Bad Request", "the fields of the form could not be read")
_ORIGIN = problem(403, "origin_not_allowed", "Forbidden", "this page may not send this form")


class FormReading(msgspec.Struct):
    """`reading` is what the form says. With `refused`, `reason` and `detail` are for the list of rejected requests.
    Neither is set when the honeypot was filled."""

    reading: Reading | None = None
    refused: Reply | None = None
    reason: str = ""
    detail: str = ""


def read_form(form: FormInput, headers: Headers, body: bytes) -> FormReading:
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    fields: Mapping[str, Any] = {}
    guess = ""
    if kind == FORM_TYPE:
        if form.honeypot or form.key_field:
            pairs, why, guess = read_urlencoded(body, headers.get(b"content-type", b"").decode("latin-1"))
            if why:
                refused, reason = (_MANY_FIELDS, "too_many_fields") if why is TOO_MANY else (_UNREADABLE, UNREADABLE)
                return FormReading(refused=refused, reason=reason, detail=why)
            fields = _first_filled(pairs)
    elif kind == MULTIPART or kind == b"application/json":
        read = read_body(body, headers.get(b"content-type", b"").decode("latin-1"))
        if not isinstance(read.value, dict):
            why = read.why or "the body is not an object"
            return FormReading(refused=_UNREADABLE, reason=UNREADABLE, detail=why)
        fields, guess = read.value, read.guess
        if kind == MULTIPART and (files := _files(fields)):
            named = ", ".join(files)[:200]
            refused = problem(
                415, "form_files", "Unsupported Media Type", f"files are not accepted; leave out the fields: {named}"
            )
            return FormReading(refused=refused, reason="form_files", detail=f"fields with files: {named}")
    else:
        return FormReading(refused=_NO_FORM, reason="content_type", detail=kind.decode("latin-1")[:100])
    if form.honeypot and as_text(fields.get(form.honeypot)).strip():
        return FormReading()
    delivery_id = headers.get(b"webhook-id") or headers.get(b"idempotency-key")
    return FormReading(
        Reading(
            form.event_type,
            bounded_key(fields.get(form.key_field)) if form.key_field else None,
            bounded_id(delivery_id.decode("latin-1")) if delivery_id else None,
            "",
            None,
            guess=guess,
        )
    )


def _first_filled(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields[name] = fields.get(name) or value
    return fields


def _files(fields: Mapping[str, Any]) -> list[str]:
    """Names of the fields that hold files. A file input where nothing was chosen is sent as an empty file without a
    name, and is none."""
    return [name for name, value in fields.items() if any(map(_is_file, value if isinstance(value, list) else [value]))]


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and "filename" in value and bool(value["filename"] or value.get("bytes"))


# -- which page sends it ---------------------------------------------------------------------------------


def origin_of(headers: Headers) -> str:
    """The origin of the page: `Origin`, else that of `Referer`; "" when neither says."""
    origin = headers.get(b"origin", b"").decode("latin-1").strip().lower()
    if origin:
        return origin
    try:
        parts = urlsplit(headers.get(b"referer", b"").decode("latin-1").lower())
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def origin_refused(form: FormInput, headers: Headers) -> FormReading | None:
    """Why the page may not send the form; None when it may."""
    if not form.allowed_origins:
        return None
    origin = origin_of(headers)
    if origin in form.allowed_origins:
        return None
    detail = f"{origin[:100]!r} is not one of allowed_origins" if origin else "the request names no origin"
    return FormReading(refused=_ORIGIN, reason="origin_not_allowed", detail=detail)


def preflight(form: FormInput, headers: Headers) -> Reply | None:
    """The answer to OPTIONS of an allowed page, whose script sends JSON; None for any other request."""
    if not form.allowed_origins or b"access-control-request-method" not in headers:
        return None
    if origin_refused(form, headers) is not None:
        return None
    allowed = (
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", b"accept, content-type, idempotency-key"),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
        (b"content-length", b"0"),
    )
    return with_origin(form, headers, Reply(204, allowed, b""))


def with_origin(form: FormInput, headers: Headers, reply: Reply) -> Reply:
    """The answer, readable by scripts of an allowed page."""
    origin = headers.get(b"origin")
    if origin is None or origin.decode("latin-1").strip().lower() not in form.allowed_origins:
        return reply
    added = ((b"access-control-allow-origin", origin.strip()), (b"vary", b"origin"))
    return Reply(reply.status, (*reply.headers, *added), reply.body)


# -- answers ---------------------------------------------------------------------------------------------


def form_answer(form: FormInput, headers: Headers, event_id: str | None, *, duplicate: bool = False) -> Reply:
    """JSON for a script, else a redirect (303) to the configured page, else a line of text.

    A script asks for JSON with `Accept`, sends JSON, or is a `fetch` by what the browser says of it. `event_id` is None
    for a dropped form. The answer has the same format then, so a bot cannot detect the honeypot.
    """
    if _is_script(headers):
        body = msgspec.json.encode({"id": event_id})
        return _reply(200 if duplicate else 202, b"application/json", body)
    if form.redirect:
        location = quote(form.redirect, safe=_URL_CHARACTERS).encode()  # a header may not hold a line break
        return Reply(303, ((b"location", location), (b"content-length", b"0")), b"")
    return _reply(200 if duplicate else 202, b"text/plain; charset=utf-8", _THANKS)


def _is_script(headers: Headers) -> bool:
    return (
        b"application/json" in headers.get(b"accept", b"")
        or headers.get(b"content-type", b"").lower().startswith(b"application/json")
        or headers.get(b"sec-fetch-mode", b"navigate") in (b"cors", b"same-origin")
    )


def _reply(status: int, content_type: bytes, body: bytes) -> Reply:
    return Reply(status, ((b"content-type", content_type), (b"content-length", b"%d" % len(body))), body)
