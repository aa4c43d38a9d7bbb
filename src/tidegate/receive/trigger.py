"""A test event of a source, signed as its provider does and sent through the ingress itself (`tidegate trigger`).

Owns the request and the input that accepts it: an input of the source with the mark `test`, and where the provider
signs with a key that only it has, with a throwaway key in place of the provider's. That input lives for one request and
nobody outside can reach it. May not know HTTP or destinations. Invariants: the request passes every check of
`/in/SOURCE`, and what is stored has the note `test`; no secret is in what is returned. Crash: as for any request, the
event is stored or it is not.
"""

from __future__ import annotations

import secrets as random
from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from tidegate.config.spec import Source
from tidegate.core.errors import BadRequest
from tidegate.core.model import NewEvent
from tidegate.providers.shape import Provider, load_provider, provider_of
from tidegate.receive.ingress import Ingress
from tidegate.receive.inputs import Input, compile_input
from tidegate.receive.samples import Wanted, make
from tidegate.rules.inbound.signatures import compile_verifier
from tidegate.rules.inbound.signatures.as_provider import Draft, StandIn, sign, stand_in
from tidegate.rules.inbound.signatures.scheme import Scheme, secret_bytes

NO_SECRET = "tidegate-trigger"  # noqa: S105 - for a scheme that needs none


class Triggered(msgspec.Struct, frozen=True):
    """A request that is ready to be sent. `note`: what was done beyond the sample, in words."""

    input: Input
    headers: list[tuple[bytes, bytes]]
    query: bytes
    body: bytes
    note: str
    throwaway: bool  # signed with a key made for this request


class Answered(NamedTuple):
    status: int
    body: bytes


def prepare(
    name: str, source: Source, public_url: str, wanted: Wanted, now_us: int, secrets: Sequence[str] | None = None
) -> Triggered:
    """The request for one source with a webhook. `secrets`: see `compile_input`. BadRequest when it cannot be made."""
    webhook = source.webhook
    assert webhook is not None
    provider = provider_of(webhook)
    if secrets is None:
        secrets = [webhook.secret] if isinstance(webhook.secret, str) else webhook.secret
    secrets = [one for one in secrets if one]
    of_items = (
        isinstance(webhook.verify, str) and webhook.verify != "none" and bool(load_provider(webhook.verify).split)
    )
    signer, rest = _signer(provider, secrets)
    made = make(provider, wanted, now_us, lambda count: random.token_hex((count + 1) // 2)[:count], _shown(signer))
    if signer is not None and signer.scheme.id_header:
        made.headers[signer.scheme.id_header.lower()] = f"msg_{random.token_hex(8)}"
    url = f"{public_url.rstrip('/')}/in/{name}" if public_url else ""
    query = urlencode(made.query)
    draft = Draft(f"{url}?{query}" if query else url, made.headers, made.content(), query)
    done = draft if signer is None else sign(signer, draft, now_us)
    keys = signer.keys if signer is not None else {}
    input = compile_input(name, source, public_url, keys.get, secrets)
    changed: dict[str, Any] = {"test": True, "answer": None}
    if signer is not None and signer.private is not None:
        changed["verify"] = compile_verifier([signer.scheme, *rest], [signer.secret], keys.get)
    input = msgspec.structs.replace(input, **changed)
    if not of_items or made.note or wanted.body is not None:
        _check_type(input, done, wanted.type)
    headers = [
        (key.encode("latin-1", "replace"), text.encode("latin-1", "replace")) for key, text in done.headers.items()
    ]
    headers.append((b"user-agent", b"tidegate-trigger"))
    private = signer is not None and signer.private is not None
    return Triggered(input, headers, done.query.encode(), done.body, made.note, private)


def _signer(provider: Provider, secrets: Sequence[str]) -> tuple[StandIn | None, list[Scheme]]:
    """(what signs, no other schemes); None for a source that verifies nothing."""
    if not provider.schemes:
        return None, []
    for scheme in provider.schemes:
        secret = next((one for one in secrets if secret_bytes(scheme, one) is not None), "")
        one = stand_in(scheme, secret or NO_SECRET)
        if secret or one.private is not None:
            return one, []
    raise BadRequest("the source has no secret that can sign", hint="set `secret` of the source")


def _shown(signer: StandIn | None) -> str:
    """The secret as a body may hold it (a token in the body)."""
    if signer is None or signer.private is not None:
        return ""
    return (secret_bytes(signer.scheme, signer.secret) or b"").decode("utf-8", "replace")


def _check_type(input: Input, done: Draft, type_: str) -> None:
    assert input.read is not None
    headers = {
        name.encode("latin-1", "replace"): text.encode("latin-1", "replace") for name, text in done.headers.items()
    }
    found = input.read(headers, done.body, done.query.encode()).type
    if found != type_ and input.split is None:
        raise BadRequest(
            f"this source would read the type {found!r} and not {type_!r}",
            hint=f"use: tidegate trigger {input.source} {found}, or give the body: --payload",
        )


def events_of(ingress: Ingress, one: Triggered, now_us: int) -> list[NewEvent]:
    """The events that the request will become, to see where they would go."""
    return ingress.drafts(one.input, one.headers, one.query, one.body, now_us)


async def send(ingress: Ingress, one: Triggered) -> Answered:
    """Send the request through the ingress; its answer."""
    scope: MutableMapping[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST" if "POST" in one.input.methods else min(one.input.methods),
        "path": f"/in/{one.input.source}",
        "query_string": one.query,
        "headers": [*one.headers, (b"content-length", b"%d" % len(one.body))],
        "client": ("tidegate trigger", 0),
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": one.body, "more_body": False}

    async def collect(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await ingress.for_one(one.input)(scope, receive, collect)
    return Answered(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]))
