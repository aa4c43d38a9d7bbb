"""The request that brings an event to a developer's machine, where the command line sends it (`tidegate listen`).

Owns its headers and its signature: a webhook destination without a secret of its own, and with `sign` the signature of
the source's provider made now, so that the provider's own package accepts an event of yesterday or an edited one. May
not know HTTP or who asks. Invariants: nothing is stored or sent here; without `sign` no secret takes part, and headers
are those that a destination would get. Nothing here survives a crash, and nothing is lost by one.
"""

from __future__ import annotations

import msgspec

from tidegate.core import ids
from tidegate.core.errors import ConfigError
from tidegate.core.model import Event
from tidegate.deliver.edit import Edit, edited_body, edited_headers, event_named
from tidegate.deliver.ports import Ports
from tidegate.kinds import kind_of
from tidegate.kinds.webhook import WebhookDestination
from tidegate.providers.shape import provider_of
from tidegate.rules.language.view import QUERY, noted
from tidegate.rules.outbound.scheme_signing import Message, SchemeSigner, added_query, compile_scheme_signer

_RECEIVER = WebhookDestination(url="http://127.0.0.1/")

Pairs = list[tuple[str, str]]


class LocalRequest(msgspec.Struct, frozen=True):
    """`signed`: a signature was made now, with the secret of the source."""

    headers: Pairs
    body: bytes
    signed: bool


async def local_request(ports: Ports, event_id: str, edit: Edit | None = None, *, sign: bool = False) -> LocalRequest:
    """The request for one event of the log, edited or as it is. NotFound, BadRequest."""
    event = await event_named(ports, event_id)
    now_s = ports.clock.now_us() // 1_000_000
    if edit is not None:
        headers = edited_headers(event, event_id, edit.headers)
        event = msgspec.structs.replace(event, body=edited_body(event, edit.body), headers=headers)
    kind = kind_of(_RECEIVER)
    prepare = kind.prepare_forwarding(_RECEIVER, (), None, ports.active.forwards)
    request = prepare(event, ids.event_id(ports.log.instance, event.offset), 1, now_s)
    pairs: Pairs = []
    for line in request.head.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(": ")
        pairs.append((name, value))
    signature = _signature(ports, event, now_s, request.body) if sign else []
    names = {name.lower() for name, _ in signature}
    return LocalRequest(
        [pair for pair in pairs if pair[0].lower() not in names] + signature, request.body, bool(signature)
    )


def _signature(ports: Ports, event: Event, now_s: int, body: bytes) -> Pairs:
    """The headers that the provider of the source would sign with now; [] when only the provider can sign."""
    source = ports.active.sources.get(event.source)
    if source is None or source.spec.webhook is None:
        return []
    provider = provider_of(source.spec.webhook)
    secrets = source.secrets(now_s * 1_000_000)[:1]
    signer: SchemeSigner
    try:
        signer = compile_scheme_signer(event.source, provider.schemes, secrets)
    except ConfigError:  # a public key, or a signature inside the body: the request goes as it came
        return []
    public_url = ports.active.settings.gateway.public_url.rstrip("/")
    query = noted(event.headers, QUERY)
    url = f"{public_url}/in/{event.source}" + (f"?{query}" if query else "")
    event_id = ids.event_id(ports.log.instance, event.offset)
    message = Message(event_id, now_s, "POST", url, body, event.content_type)
    if (wanted := added_query(provider.schemes, message)) and wanted not in query:
        return []  # the body was edited, and the query that goes to the receiver has the hash of the old one
    return signer(message)
