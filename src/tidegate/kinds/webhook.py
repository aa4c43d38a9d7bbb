"""The ordinary receiver: an HTTP POST signed by Standard Webhooks 1.0.0. Pure.

Owns its keys, the headers of a delivery and their order; `rules/outbound/bodies.py` makes the body and
`rules/outbound/signing.py` the signature. Each attempt has a signature of its own over id, timestamp and the exact body
bytes; the id is the event's and never changes. Headers that users configured were checked at load. Values that come
from events are made safe here, because a header may hold neither line breaks nor text beyond Latin-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tidegate.auth import Added, AnyAuth, kind_of
from tidegate.core.checking import Checker, Path
from tidegate.core.model import Event
from tidegate.core.spec import Destination
from tidegate.kinds.base import Kind, Prepare, Request, Transform, header_text, http_head, with_params
from tidegate.rules.outbound.bodies import compile_body
from tidegate.rules.outbound.forwarding import NOTHING, Forwards, Pairs
from tidegate.rules.outbound.signing import Signer, secret_key

BodyMode = Literal["auto", "raw", "envelope", "cloudevents"]
_SHOWN_BODIES = {"auto": "as it came", "raw": "the raw bytes"}


class WebhookDestination(Destination, frozen=True, kw_only=True, tag="webhook"):
    url: str
    secret: str | list[str] = ""  # made and kept if absent
    headers: dict[str, str] = {}
    auth: AnyAuth | None = None
    body: BodyMode = "auto"


class Webhook(Kind[WebhookDestination]):
    name = "webhook"
    title = "Webhook"
    spec = WebhookDestination
    help = "An HTTP POST to your own receiver, signed by Standard Webhooks. The default."
    keys = {
        "url": "Where requests are sent.",
        "secret": "What signs; made and kept when it is left out. A list during rotation.",
        "headers": "Headers of every request.",
        "auth": "How requests are authenticated.",
        "body": "What the request holds.",
    }
    examples = {"url": '"https://..."'}
    secret_fields = frozenset({"secret"})
    signs = True

    def check(self, checker: Checker, path: Path, spec: WebhookDestination) -> None:
        checker.url((*path, "url"), spec.url)
        checker.headers((*path, "headers"), spec.headers)
        checker.auth((*path, "auth"), spec.auth, spec.headers)
        at = (*path, "secret")
        checker.secrets(at, spec.secret)
        for number, one in enumerate([spec.secret] if isinstance(spec.secret, str) else spec.secret):
            if one:
                checker.compiled((*at, number) if isinstance(spec.secret, list) else at, secret_key, one)

    def address(self, spec: WebhookDestination) -> str:
        return with_params(spec.url, _added(spec))

    def secrets(self, spec: WebhookDestination) -> tuple[str, ...]:
        return tuple(one for one in ([spec.secret] if isinstance(spec.secret, str) else spec.secret) if one)

    def prepare(self, spec: WebhookDestination, secrets: Sequence[str], transform: Transform | None) -> Prepare:
        return self.prepare_forwarding(spec, secrets, transform, lambda source: NOTHING)

    def prepare_forwarding(
        self, spec: WebhookDestination, secrets: Sequence[str], transform: Transform | None, forwards: Forwards
    ) -> Prepare:
        added = _added(spec)
        configured = frozenset(name.lower() for name in (*spec.headers, *(name for name, _ in added.headers)))

        def forward(event: Event) -> Pairs:
            return forwards(event.source).of(event.headers, configured)

        render = compile_body(spec.body, transform, forward)
        fixed = http_head(spec.headers, added)
        signer = Signer(secrets) if secrets else None
        standard = transform is None and spec.body in ("auto", "envelope")

        def prepare(event: Event, event_id: str, attempt: int, timestamp: int) -> Request:
            rendered = render(event, event_id)
            body = rendered.body
            signature = f"webhook-signature: {signer.headers(event_id, timestamp, body)}\r\n" if signer else ""
            extra = "".join([f"{name}: {header_text(value)}\r\n" for name, value in rendered.headers])
            content_type = f"content-type: {header_text(rendered.content_type)}\r\n" if rendered.content_type else ""
            head = (
                f"{fixed}{content_type}{extra}webhook-id: {event_id}\r\nwebhook-timestamp: {timestamp}\r\n{signature}"
                f"tidegate-source: {event.source}\r\ntidegate-type: {header_text(event.type)}\r\n"
                f"tidegate-attempt: {attempt}\r\ntidegate-hops: {event.hops}\r\n"
            )
            return Request(head.encode("latin-1"), body, "", len(fixed), standard and body is not event.body)

        return prepare

    def settings(self, spec: WebhookDestination) -> list[tuple[str, str]]:
        return [("Body", _SHOWN_BODIES.get(spec.body, spec.body))]


def _added(spec: WebhookDestination) -> Added:
    return Added() if spec.auth is None else kind_of(spec.auth).add(spec.auth)


KIND = Webhook()
