"""The schema of a provider, and the step from a user's webhook input to a provider.

Owns what a provider file may say: signature schemes, the places of type, id, key and time, handshakes, the answer.
Turns `[sources.NAME.webhook]` (a preset's name, a table, `none`, own places) into the same struct, so that the ingress
handles one struct only. Knows no provider by name. Invariant: an unknown key or a wrong type in a file is rejected.
Crash: nothing is kept.
"""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any, Literal

import msgspec

from tidegate.core import units
from tidegate.core.errors import ConfigError
from tidegate.core.spec import CustomScheme, WebhookInput
from tidegate.providers import API_TABLES, provider_text
from tidegate.rules.inbound.places import Place, place_of
from tidegate.rules.inbound.signatures import Scheme

__all__ = ["EVIDENCE", "Answer", "Dedupe", "Handshake", "Place", "Provider", "load_provider", "provider_of"]


class _Data(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Handshake(_Data, frozen=True):
    """A request that is not an event and needs its own answer: a provider checks that you own the address.

    It applies when `method` matches and every value of the `when_*` keys is present ("*" matches any value). A `signed`
    handshake is verified first. `headers` and `body` may contain `{query:NAME}`, `{header:NAME}` and `{body:PATH}`,
    with `|hmac_hex` or `|hmac_base64` for the HMAC of the value, keyed with the secret (`digest`, `secret_digest`).
    `body` may contain `{token}`, the configured handshake token. Anybody who asks gets such an HMAC, so `pattern`
    bounds what a "*" matches: it must leave out what the provider signs as an event.

    With `visit`, a URL of the request on one of `visit_hosts` is fetched before the answer. It needs a signature, and a
    `{token}` too, because anybody can have a provider send such a request.
    """

    method: str = "POST"
    signed: bool = False
    when_header: dict[str, str] = {}
    when_query: dict[str, str] = {}
    when_body: dict[str, str] = {}
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = {}
    body: str = ""
    pattern: str = ""  # a regular expression for the whole of every value that "*" stands for
    digest: Literal["sha1", "sha256"] = "sha256"
    secret_digest: Literal["", "sha1"] = ""  # the key is this digest of the secret
    token_help: str = "the verify token that you entered at the provider"  # noqa: S105 - a help text
    show: str = ""  # a value that the operator has to enter somewhere, such as "{body:verification_token}"
    visit: str = ""  # such as "{body:SubscribeURL}"; then `show` is what is confirmed
    visit_hosts: tuple[str, ...] = ()  # the hosts that the URL may name; a star stands for one label

    def needs_token(self) -> bool:
        return any("{token}" in text for text in (self.body, *self.when_query.values(), *self.when_body.values()))


class Answer(_Data, frozen=True):
    """The answer to an accepted event that a provider requires instead of 202 with the id."""

    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    body: str = ""


class Dedupe(_Data, frozen=True):
    """How repeats are recognized. `scope`: what a delivery id is unique by (`type`, `key`, `header:NAME`, `query:NAME`
    or a path). `volatile`: paths of the body that differ between repeats of one event."""

    enabled: bool = True
    scope: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()


class Sample(_Data, frozen=True):
    """A request as the provider sends it, for tests and `trigger`. `{now}`, `{now_ms}`, `{secret}` and `{signature}` in
    the body are filled when it is signed."""

    type: str
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = {}


Evidence = Literal["package", "published", "code", "documentation", "notes"]
EVIDENCE = {
    "package": "a package that verifies or makes its webhooks agrees in the tests",
    "published": "a signed request that was published passes in the tests",
    "code": "read in code of the system or of a package",
    "documentation": "read in its documentation",
    "notes": "not looked up: from notes and general knowledge",
}


class Confirmed(_Data, frozen=True):
    """How the facts of a file were confirmed, the best evidence first: see EVIDENCE. `signature`: what is signed, how,
    and where. `places`: type, ids, key and times. `delivery`: handshake, answer, time limit, retries and set-up."""

    signature: Evidence = "notes"
    places: Evidence = "notes"
    delivery: Evidence = "notes"


class Provider(_Data, frozen=True):
    """Everything that the ingress needs to know about one outside system, and what people have to know to set it up.

    `sources` names where the facts can be checked; `unconfirmed` names facts that are known not to be confirmed.
    """

    title: str = ""
    docs: str = ""  # URL of the provider's documentation of its webhooks
    sources: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()
    confirmed: Confirmed = Confirmed()  # how the facts were confirmed
    secret_help: str = ""  # which value of the provider the secret is
    setup: str = ""  # where the address is entered, or which call registers it
    answer_within: str = ""  # how long the provider waits for an answer
    retries: str = ""
    schemes: tuple[Scheme, ...] = ()  # () accepts everything, as with `verify = "none"`
    methods: tuple[str, ...] = ("POST",)
    type: tuple[Place, ...] = ()
    delivery_id: tuple[Place, ...] = ()
    dedupe: Dedupe = Dedupe()
    forward_headers: tuple[str, ...] = ()  # what receivers need; a name may end in *
    key: tuple[Place, ...] = ()
    occurred_at: tuple[Place, ...] = ()  # seconds or milliseconds since 1970, or RFC 3339
    version: tuple[Place, ...] = ()  # what orders the versions of a record
    deleted_types: tuple[str, ...] = ()  # event types that say that a record was deleted
    data_path: str = ""  # the part of the body that is `data`; "" is the whole body
    split: str = ""  # path of the list whose items are events, for `split = "auto"`; "$" is the body, "feed" a feed
    # The beginning of a content type whose bodies hold `data_path`; other bodies are `data` as a whole. With "-batch"
    # behind it, they are the list that `split` names (CloudEvents).
    structured: str = ""
    max_body: str = ""  # the largest body that the provider sends, when it is over 1 MiB
    handshakes: tuple[Handshake, ...] = ()
    answer: Answer | None = None
    samples: tuple[Sample, ...] = ()


def load_provider(name: str) -> Provider:
    """The webhook half of a preset by its name. ConfigError when the name is unknown, or when it has none."""
    return _of_text(name, provider_text(name))


@cache
def _of_text(name: str, text: str) -> Provider:
    data = tomllib.loads(text)
    if "webhook" not in data:
        hint = 'describe the scheme: verify = { type = "hmac", ... }'
        raise ConfigError(f"the provider {name!r} has no webhook half", code="provider_unknown", hint=hint)
    return webhook_half(data)


def webhook_half(data: dict[str, Any]) -> Provider:
    """The webhook half of a file's content. msgspec.ValidationError when it does not fit."""
    own = {key: value for key, value in data.items() if key not in ("webhook", *API_TABLES)}
    return msgspec.convert({**own, **data.get("webhook", {})}, Provider)


def scheme_of(table: CustomScheme) -> Scheme:
    """The scheme of a user's own `verify = { type = "hmac", ... }`."""
    header = table.header
    if not header and table.type in ("bearer", "basic", "jwt") and not table.query and not table.path:
        header = "authorization"
    words = {"bearer": "Bearer ", "basic": "Basic "}
    return Scheme(
        kind="token" if table.type == "bearer" or table.type == "mtls" else table.type,
        header=header,
        query=table.query,
        path=table.path,
        items=table.items,
        prefix=table.prefix or (words.get(table.type, "") if header.lower() == "authorization" else ""),
        list_separator=table.list_separator,
        name_separator=table.name_separator,
        digest=table.digest,
        encoding=table.encoding,
        signed=table.signed,
        timestamp_header=table.timestamp_header,
        timestamp_prefix=table.timestamp_prefix,
        timestamp_first=table.timestamp_first,
        timestamp_path=table.timestamp_path,
        timestamp_unit=table.timestamp_unit,
        tolerance_seconds=units.seconds(table.tolerance),
        id_header=table.id_header,
        secret_encoding=table.secret_encoding,
        secret_prefix=table.secret_prefix,
        secret_digest=table.secret_digest,
        url_port=table.url_port,
        body_hash_query=table.body_hash_query,
        claims=table.claims,
        keys_url=table.keys_url,
        max_age_seconds=units.seconds(table.max_age),
    )


# Where a sender without a preset usually has the type (CloudEvents, Standard Webhooks, the envelope of Tidegate).
GENERIC_TYPE = (Place(path="type"),)
DEFAULT_MAX_BODY = "1MiB"
FEED = "feed"  # the value of `split` for RSS, Atom and JSON Feed


def provider_of(input: WebhookInput) -> Provider:
    """`[sources.NAME.webhook]` as a provider: the preset, with the user's places before those of the preset."""
    if isinstance(input.verify, CustomScheme):
        base = Provider(schemes=(scheme_of(input.verify),), type=GENERIC_TYPE)
    elif input.verify == "none":
        base = Provider(type=GENERIC_TYPE)
    else:
        base = load_provider(input.verify)
    if input.handshake:
        base = msgspec.structs.replace(base, handshakes=base.handshakes + load_provider(input.handshake).handshakes)
    types = _places(constant=input.event_type, header=input.type_header, path=input.type_path)
    dedupe = base.dedupe
    split = base.split if input.split == "auto" or (base.structured and not input.split) else input.split
    if split == FEED:  # a feed shows its latest entries each time; a changed entry is an event of its own
        base = msgspec.structs.replace(base, delivery_id=(*base.delivery_id, Place(path="id")))
        dedupe = dedupe if dedupe.scope else msgspec.structs.replace(dedupe, scope=("updated",))
    return msgspec.structs.replace(
        base,
        type=types[:1] if input.event_type else types + base.type,
        delivery_id=_places(header=input.id_header, path=input.id_path) + base.delivery_id,
        key=_places(path=input.key_path) + base.key,
        occurred_at=_places(path=input.time_path) + base.occurred_at,
        dedupe=Dedupe(
            enabled=input.dedupe.enabled and dedupe.enabled,
            scope=dedupe.scope if input.dedupe.scope is msgspec.UNSET else tuple(input.dedupe.scope),
            volatile=dedupe.volatile if input.dedupe.volatile is msgspec.UNSET else tuple(input.dedupe.volatile),
        ),
        forward_headers=base.forward_headers + tuple(input.forward_headers),
        methods=tuple(input.methods) or base.methods,
        answer=Answer(**msgspec.structs.asdict(input.answer)) if input.answer is not None else base.answer,
        split=split,
        max_body=input.max_body or base.max_body or DEFAULT_MAX_BODY,
    )


def _places(*, constant: str = "", header: str = "", path: str = "") -> tuple[Place, ...]:
    found = [Place(constant=constant)] if constant else []
    if header:
        found.append(Place(header=header))
    return (*found, place_of(path)) if path else tuple(found)
