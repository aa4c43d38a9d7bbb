"""The ordinary receiver: an HTTP request signed by Standard Webhooks 1.0.0 or a provider's scheme. Pure.

Owns its keys, the headers of a delivery and their order; `rules/outbound/bodies.py` makes the body and
`rules/outbound/signing.py` the signature. Each attempt has a signature of its own over id, timestamp and the exact body
bytes; the id is the event's and never changes. Headers that users configured were checked at load. Values that come
from events are made safe here, because a header may hold neither line breaks nor text beyond Latin-1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from msgspec import Meta, structs

from tidegate.auth import AnyAuth, added_by
from tidegate.core.checking import Checker, Path
from tidegate.core.errors import ConfigError
from tidegate.core.model import Event, JsonObject
from tidegate.core.spec import Destination
from tidegate.kinds.answers import Reader, compile_ok_body, reader_of
from tidegate.kinds.base import Kind, Prepare, Request, Transform, header_text, http_head, with_params, with_query
from tidegate.providers import near_provider, webhook_names
from tidegate.providers.shape import load_provider
from tidegate.rules.outbound.bodies import Rendered, compile_body
from tidegate.rules.outbound.forwarding import NOTHING, Forwards, Pairs
from tidegate.rules.outbound.scheme_signing import (
    Message,
    SchemeSigner,
    added_query,
    compile_scheme_signer,
    header_names,
)
from tidegate.rules.outbound.signing import Signer, check_secret
from tidegate.rules.sync.paths import compiled as compiled_path

BodyMode = Literal["auto", "raw", "envelope", "cloudevents", "cloudevents-binary", "form"]
Method = Literal["POST", "PUT", "PATCH", "DELETE", "GET"]
STANDARD = "standard-webhooks"
_SHOWN_BODIES = {"auto": "as it came", "raw": "the raw bytes"}


class WebhookDestination(Destination, frozen=True, kw_only=True, tag="webhook"):
    url: str
    secret: str | list[str] = ""  # made and kept if absent
    headers: dict[str, str] = {}
    auth: AnyAuth | None = None
    body: BodyMode = "auto"
    method: Method = "POST"
    sign: str = STANDARD
    ok: list[Annotated[int, Meta(ge=100, le=599)]] = []
    ok_body: JsonObject = {}
    retry_after_path: str = ""


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
        "method": "The method of the request.",
        "sign": "The scheme that signs: standard-webhooks, or a provider with a shared secret, such as stripe.",
        "ok": "Statuses that mean success, such as [200, 409]. Default: 200 to 299.",
        "ok_body": "Conditions on the JSON of a successful response; it is a failure when they do not match.",
        "retry_after_path": "Where the JSON of a 429 or 503 has the seconds to wait, if it has no Retry-After.",
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
                where = (*at, number) if isinstance(spec.secret, list) else at
                checker.compiled(where, check_secret if spec.sign == STANDARD else str, one)
        if spec.sign != STANDARD:
            checker.compiled((*path, "sign"), _signer, spec.sign, self.secrets(spec) or ("x" * 32,))
        if spec.ok_body:
            checker.compiled((*path, "ok_body"), compile_ok_body, spec.ok_body)
        try:
            compiled_path(spec.retry_after_path)
        except ValueError as error:
            checker.add((*path, "retry_after_path"), str(error), "examples: retry_after, extras.wait_seconds")

    def method(self, spec: WebhookDestination) -> str:
        return spec.method

    def reader(self, spec: WebhookDestination) -> Reader:
        return reader_of(spec.ok, spec.ok_body, spec.retry_after_path)

    def secret_headers(self, spec: WebhookDestination) -> frozenset[str]:
        added = super().secret_headers(spec)
        if spec.sign == STANDARD:
            return added
        schemes = [one for one in load_provider(spec.sign).schemes if one.kind in ("token", "basic")]
        return added | header_names(schemes)  # these send the secret itself

    def address(self, spec: WebhookDestination) -> str:
        return with_params(spec.url, added_by(spec.auth))

    def secrets(self, spec: WebhookDestination) -> tuple[str, ...]:
        return tuple(one for one in ([spec.secret] if isinstance(spec.secret, str) else spec.secret) if one)

    def prepare(self, spec: WebhookDestination, secrets: Sequence[str], transform: Transform | None) -> Prepare:
        return self.prepare_forwarding(spec, secrets, transform, lambda source: NOTHING)

    def prepare_forwarding(
        self, spec: WebhookDestination, secrets: Sequence[str], transform: Transform | None, forwards: Forwards
    ) -> Prepare:
        added = added_by(spec.auth)
        own = () if spec.sign == STANDARD else header_names(load_provider(spec.sign).schemes)
        configured = frozenset(name.lower() for name in (*spec.headers, *(name for name, _ in added.headers), *own))

        def forward(event: Event) -> Pairs:
            return forwards(event.source).of(event.headers, configured)

        render = compile_body(spec.body, transform, forward)
        fixed = http_head(spec.headers, added)
        sign = _signatures(spec, secrets)
        own_signature = spec.sign == STANDARD
        standard = transform is None and spec.body in ("auto", "envelope")

        def prepare(event: Event, event_id: str, attempt: int, timestamp: int) -> Request:
            rendered = render(event, event_id)
            body = rendered.body
            signature, query = sign(event_id, timestamp, rendered)
            extra = "".join([f"{name}: {header_text(value)}\r\n" for name, value in rendered.headers])
            content_type = f"content-type: {header_text(rendered.content_type)}\r\n" if rendered.content_type else ""
            head = (
                f"{fixed}{content_type}{extra}webhook-id: {event_id}\r\nwebhook-timestamp: {timestamp}\r\n{signature}"
                f"tidegate-source: {event.source}\r\ntidegate-type: {header_text(event.type)}\r\n"
                f"tidegate-attempt: {attempt}\r\ntidegate-hops: {event.hops}\r\n"
            )
            return Request(
                head.encode("latin-1"), body, "", len(fixed), standard and body is not event.body,
                own_signature and not rendered.headers, query=query,
            )  # fmt: skip

        return prepare

    def settings(self, spec: WebhookDestination) -> list[tuple[str, str]]:
        found = [("Body", _SHOWN_BODIES.get(spec.body, spec.body))]
        found += [("Method", spec.method)] if spec.method != "POST" else []
        found += [("Signature", spec.sign)] if spec.sign != STANDARD else []
        return found + ([("Success statuses", ", ".join(map(str, spec.ok)))] if spec.ok else [])


def _signatures(spec: WebhookDestination, secrets: Sequence[str]) -> Callable[[str, int, Rendered], tuple[str, str]]:
    """(event id, Unix seconds, body) -> the header lines that sign, and what the signed URL has in its query beside."""
    if not secrets:
        return lambda event_id, timestamp, rendered: ("", "")
    if spec.sign == STANDARD:
        signer = Signer(secrets)
        return lambda event_id, timestamp, rendered: (
            f"webhook-signature: {signer.headers(event_id, timestamp, rendered.body)}\r\n",
            "",
        )
    by_scheme, url, method = _signer(spec.sign, secrets), with_params(spec.url, added_by(spec.auth)), spec.method
    schemes = load_provider(spec.sign).schemes

    def lines(event_id: str, timestamp: int, rendered: Rendered) -> tuple[str, str]:
        message = Message(event_id, timestamp, method, url, rendered.body, rendered.content_type)
        query = added_query(schemes, message)
        if query:
            message = structs.replace(message, url=with_query(url, query))
        return "".join(f"{name}: {header_text(value)}\r\n" for name, value in by_scheme(message)), query

    return lines


def _signer(name: str, secrets: Sequence[str]) -> SchemeSigner:
    if name not in webhook_names():
        raise ConfigError(
            f"{name!r} is not a provider", path="$.sign", hint=f"{near_provider(name)}; list them: tidegate providers"
        )
    return compile_scheme_signer(name, load_provider(name).schemes, secrets)


KIND = Webhook()
