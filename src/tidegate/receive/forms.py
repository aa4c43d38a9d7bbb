"""Reads and answers what the `<form>` of a web page sends. Pure.

Owns the rules of forms: the content type, the honeypot, the key field, the answer for a browser and for a script.
A form carries no secret, so anyone may send one; the size limit protects the gateway, and the sender is redirected
only to the configured address. The bytes are stored unchanged. `multipart/form-data` is rejected, because filters and
transforms read only JSON and urlencoded bodies. Crash: nothing is kept.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

import msgspec

from tidegate.core.spec import FormInput
from tidegate.receive.handshakes import Reply
from tidegate.receive.reading import Reading
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.values import bounded_id, bounded_key

FORM_TYPE = b"application/x-www-form-urlencoded"
MAX_FIELDS = 1000
_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"
_THANKS = b"Thank you, it has been received.\n"


class FormReading(msgspec.Struct):
    """`reading` is what the form says; `rejected` is a reason word. Neither is set when the honeypot was filled."""

    reading: Reading | None = None
    rejected: str = ""


def read_form(form: FormInput, headers: Headers, body: bytes) -> FormReading:
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != FORM_TYPE:
        return FormReading(rejected="content_type")
    fields: dict[str, str] = {}
    if form.honeypot or form.key_field:
        try:
            pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            return FormReading(rejected="too_many_fields")
        for name, value in pairs:
            fields[name] = fields.get(name) or value
    if form.honeypot and fields.get(form.honeypot, "").strip():
        return FormReading()
    delivery_id = headers.get(b"webhook-id") or headers.get(b"idempotency-key")
    return FormReading(
        Reading(
            form.event_type,
            bounded_key(fields.get(form.key_field)) if form.key_field else None,
            bounded_id(delivery_id.decode("latin-1")) if delivery_id else None,
            "",
            None,
        )
    )


def form_answer(form: FormInput, headers: Headers, event_id: str | None, *, duplicate: bool = False) -> Reply:
    """JSON when the sender accepts JSON, else a redirect (303) to the configured page, else a line of text.

    `event_id` is None for a dropped form. The answer has the same format then, so a bot cannot detect the honeypot.
    """
    if b"application/json" in headers.get(b"accept", b""):
        body = msgspec.json.encode({"id": event_id})
        return _reply(200 if duplicate else 202, b"application/json", body)
    if form.redirect:
        location = quote(form.redirect, safe=_URL_CHARACTERS).encode()  # a header may not hold a line break
        return Reply(303, ((b"location", location), (b"content-length", b"0")), b"")
    return _reply(200 if duplicate else 202, b"text/plain; charset=utf-8", _THANKS)


def _reply(status: int, content_type: bytes, body: bytes) -> Reply:
    return Reply(status, ((b"content-type", content_type), (b"content-length", b"%d" % len(body))), body)
