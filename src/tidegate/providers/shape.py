"""The shape of a provider, and how a user's webhook input becomes one.

Owns what a provider file may say: schemes, where type, id, key and time stand, handshakes, the answer. Also turns
what stands in `[sources.NAME.webhook]` (a preset's name, a table, `none`, own places) into the same shape, so that
the door knows one thing only. Knows no provider by name. An unknown key or a wrong type in a file is refused.
"""

from __future__ import annotations

from functools import cache

import msgspec

from tidegate.core import units
from tidegate.core.spec import HmacScheme, WebhookInput
from tidegate.providers import provider_data
from tidegate.rules.inbound.signatures import Scheme


class _Data(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Place(_Data, frozen=True):
    """Where a value stands: in a header, at a dotted path of the JSON body, or it is always the same.

    Of a list of places the first that holds something wins. Exactly one of the three is given.
    """

    header: str = ""
    path: str = ""
    constant: str = ""

    def __post_init__(self) -> None:
        if bool(self.header) + bool(self.path) + bool(self.constant) != 1:
            raise ValueError("a place is one of header, path, constant")


class Handshake(_Data, frozen=True):
    """A request that is no event and wants an answer of its own: how a provider proves that an address is ours.

    It applies when `method` fits and everything named by the `when_*` keys is there (a value of "*": any).
    `signed` ones are verified first. Texts of `headers` and `body` may hold `{query:NAME}`, `{header:NAME}` and
    `{body:PATH}`, with `|hmac_hex` or `|hmac_base64` for the HMAC-SHA256 of the value under the secret.
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


class Answer(_Data, frozen=True):
    """What a provider demands as the answer to an accepted event, when 202 with the id does not do."""

    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    body: str = ""


class Provider(_Data, frozen=True):
    """Everything the receive door has to know about one outside system."""

    title: str = ""
    docs: str = ""  # where the provider describes its webhooks
    schemes: tuple[Scheme, ...] = ()  # () accepts everything: `verify = "none"`
    type: tuple[Place, ...] = ()
    delivery_id: tuple[Place, ...] = ()  # before webhook-id and Idempotency-Key, which are always understood
    key: tuple[Place, ...] = ()
    occurred_at: tuple[Place, ...] = ()  # seconds or milliseconds since 1970, or RFC 3339
    data_path: str = ""  # the part of the body that is `data`; "" is the whole
    handshakes: tuple[Handshake, ...] = ()
    answer: Answer | None = None


@cache
def load_provider(name: str) -> Provider:
    """A preset by its name. ConfigError when there is none of that name."""
    return msgspec.convert(provider_data(name), Provider)


def scheme_of(table: HmacScheme) -> Scheme:
    """A user's own `verify = { type = "hmac", ... }` in the words of the provider files."""
    return Scheme(
        header=table.header,
        prefix=table.prefix,
        digest=table.digest,
        encoding=table.encoding,
        signed=table.signed,
        timestamp_header=table.timestamp_header,
        tolerance_seconds=units.seconds(table.tolerance),
        id_header=table.id_header,
        secret_encoding=table.secret_encoding,
    )


# What a sender that follows no convention of ours most often does (CloudEvents, Standard Webhooks, our envelope).
GENERIC_TYPE = (Place(path="type"),)


def provider_of(input: WebhookInput) -> Provider:
    """What `[sources.NAME.webhook]` says, as a provider: the preset, with the user's own places before its own."""
    if isinstance(input.verify, HmacScheme):
        base = Provider(schemes=(scheme_of(input.verify),), type=GENERIC_TYPE)
    elif input.verify == "none":
        base = Provider(type=GENERIC_TYPE)
    else:
        base = load_provider(input.verify)
    types = _places(constant=input.event_type, header=input.type_header, path=input.type_path)
    return msgspec.structs.replace(
        base,
        type=types[:1] if input.event_type else types + base.type,
        delivery_id=_places(header=input.id_header, path=input.id_path) + base.delivery_id,
        key=_places(path=input.key_path) + base.key,
    )


def _places(*, constant: str = "", header: str = "", path: str = "") -> tuple[Place, ...]:
    given = {"constant": constant, "header": header, "path": path}
    return tuple(Place(**{field: value}) for field, value in given.items() if value)
