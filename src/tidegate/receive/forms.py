"""The form door: what a web page's `<form>` sends, read and answered. Pure.

Owns the rules of forms: the content type, the honeypot, the key field, the answer for a browser and for a script.
A form carries no secret, so anybody may send one; what protects the gateway is its size limit, and the sender is
redirected only to the configured address. The bytes enter the log as they came. `multipart/form-data` is refused
by name: the log's readers parse JSON and urlencoded bodies, and a form that no filter can read helps nobody.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

import msgspec

from tidegate.core.spec import FormInput
from tidegate.receive.handshakes import Reply
from tidegate.receive.reading import Reading, bounded_id, bounded_key
from tidegate.rules.inbound.signatures import Headers

FORM_TYPE = b"application/x-www-form-urlencoded"
MAX_FIELDS = 1000
_URL_LETTERS = "%/:=&?~#+!$,;'@()*[]"
_THANKS = b"Thank you, it has been received.\n"


class FormReading(msgspec.Struct):
    """What a form says. `refused`: a reason word, "" when it is a form. Neither: a machine filled the honeypot."""

    reading: Reading | None = None
    refused: str = ""


def read_form(form: FormInput, headers: Headers, body: bytes) -> FormReading:
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != FORM_TYPE:
        return FormReading(refused="content_type")
    fields: dict[str, str] = {}
    if form.honeypot or form.key_field:
        try:
            pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            return FormReading(refused="too_many_fields")
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
    """JSON when the sender asks for it, else a redirect to the configured page (303: the page is fetched by GET).

    `event_id` None: dropped. The answer has the same form then, so that a machine learns nothing from its kind.
    """
    if b"application/json" in headers.get(b"accept", b""):
        body = msgspec.json.encode({"id": event_id})
        return _reply(200 if duplicate else 202, b"application/json", body)
    if form.redirect:
        location = quote(form.redirect, safe=_URL_LETTERS).encode()  # no line break leaves in a header
        return Reply(303, ((b"location", location), (b"content-length", b"0")), b"")
    return _reply(200 if duplicate else 202, b"text/plain; charset=utf-8", _THANKS)


def _reply(status: int, content_type: bytes, body: bytes) -> Reply:
    return Reply(status, ((b"content-type", content_type), (b"content-length", b"%d" % len(body))), body)
