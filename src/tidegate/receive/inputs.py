"""Compiles the webhook or form input of a source into what the ingress needs, once per configuration.

Owns the step from `[sources.NAME.webhook]` or `.form` to an `Input`. Knows neither requests nor the store.
Invariant: an input never changes; a new configuration compiles new ones. An input holds secret keys, so its `repr`
shows only the name. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tidegate.config.spec import Source
from tidegate.core import units
from tidegate.core.errors import NotFound
from tidegate.core.spec import CustomScheme, FormInput, WebhookInput
from tidegate.providers.shape import FEED, Answer, Provider, provider_of
from tidegate.receive.address_rates import AddressRates
from tidegate.receive.handshakes import CompiledHandshake, Reply, compile_handshake
from tidegate.receive.reading import Reader, compile_reader
from tidegate.receive.splitting import Split, compile_split
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.repeats import volatile_paths
from tidegate.rules.inbound.schemas import Schemas, compile_schemas
from tidegate.rules.inbound.senders import Networks, parse_networks
from tidegate.rules.inbound.signatures import Scheme, Verifier, compile_verifier
from tidegate.rules.inbound.signatures.readers import no_keys
from tidegate.rules.language.paths import Names
from tidegate.runtime import ActiveConfiguration

Fetched = Callable[[str], bytes | None]
"""The content of a URL that a scheme names, None while it is not there."""


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """`form` is set for a form, `read` for a webhook. `verify` is None with `verify = "none"`: accept everything."""

    source: str
    max_body: int
    url: str = ""  # the address that the provider calls, "" when no public_url is configured
    provider: str = ""  # the preset, or the kind of the scheme
    schemes: tuple[Scheme, ...] = ()
    allow: bytes = b"POST"
    methods: frozenset[str] = frozenset({"POST"})
    no_post: bool = False  # POST is not one of them
    one_event: bool = False  # each POST is one event
    split: Split | None = None
    splits_slowly: bool = False  # outside the event loop
    verify: Verifier | None = None
    allow_from: Networks = ()  # (): from everywhere
    by_proxy: bool = False  # what proves a request is a header that only a trusted proxy may set
    read: Reader | None = None
    read_item: Reader | None = None  # of an item that `split` gives
    volatile: tuple[Names, ...] = ()  # paths of the body that may differ between repeats
    answer: Reply | None = None  # None: 202 with the id
    handshakes: tuple[CompiledHandshake, ...] = ()
    post_handshakes: bool = False
    visits: bool = False  # one of them needs the visit of a URL
    batch_type: bytes = b""  # the beginning of the only content type that is split; b"": every request is
    item_type: bytes = b"application/json"
    form: FormInput | None = None
    rates: AddressRates | None = None  # of a form
    schemas: Schemas | None = None
    refuses_invalid: bool = False
    until_us: int = 0  # when one of its secrets ends, so that it must be compiled again; 0: never
    test: bool = False  # of `tidegate trigger`: its events are marked

    def __repr__(self) -> str:
        return f"Input({self.source!r})"

    def is_batch(self, headers: Headers) -> bool:
        """Whether a request of a source that splits is one with several events."""
        return headers.get(b"content-type", b"").lower().startswith(self.batch_type)


class Inputs:
    """The inputs of the active configuration by source, each compiled at its first request."""

    def __init__(
        self, active: ActiveConfiguration, fetched: Fetched = no_keys, now_us: Callable[[], int] = lambda: 0
    ) -> None:
        self._active = active
        self._fetched = fetched
        self._now_us = now_us
        self._compiled: dict[str, Input] = {}

    def get(self, name: str) -> Input | None:
        """The input of a source; None when there is no such source or it has neither a webhook nor a form."""
        found = self._compiled.get(name)
        if found is None or (found.until_us and found.until_us <= self._now_us()):
            source = self._active.sources.get(name)
            if source is None or (source.spec.webhook is None and source.spec.form is None):
                return None
            public_url = self._active.settings.gateway.public_url
            now_us = self._now_us()
            found = compile_input(name, source.spec, public_url, self._fetched, source.secrets(now_us))
            if end_us := source.next_end_us(now_us):
                found = msgspec.structs.replace(found, until_us=end_us)
            self._compiled[name] = found
        return found

    def names(self) -> list[str]:
        """Names of the sources with a webhook or a form."""
        return [
            name
            for name, source in self._active.sources.items()
            if source.spec.webhook is not None or source.spec.form is not None
        ]

    def forget(self) -> None:
        """Drop the compiled inputs, because the configuration changed."""
        self._compiled = {}


def compile_input(
    name: str, source: Source, public_url: str, fetched: Fetched = no_keys, secrets: Sequence[str] | None = None
) -> Input:
    """The webhook or form input of a source. NotFound when it has neither, ConfigError when it is inconsistent.

    `secrets`: those of a rotation too, newest first; None for the configured ones.
    """
    if source.webhook is not None:
        return _webhook(name, source.webhook, public_url, fetched, secrets)
    if source.form is not None:
        rate = source.form.rate
        return Input(
            source=name,
            max_body=units.size_bytes(source.form.max_body),
            form=source.form,
            rates=_rates(rate) if rate is not None else None,
        )
    raise NotFound(f"source {name!r} has no webhook and no form input")


def _webhook(name: str, input: WebhookInput, public_url: str, fetched: Fetched, secrets: Sequence[str] | None) -> Input:
    provider = provider_of(input)
    if secrets is None:
        secrets = [input.secret] if isinstance(input.secret, str) else input.secret
    handshakes = tuple(compile_handshake(rule, secrets, input.handshake_token) for rule in provider.handshakes)
    no_post = "POST" not in provider.methods and not any(one.method == "POST" for one in handshakes)
    return Input(
        source=name,
        max_body=units.size_bytes(provider.max_body),
        url=f"{public_url.rstrip('/')}/in/{name}" if public_url else "",
        provider=input.verify if isinstance(input.verify, str) else input.verify.type,
        schemes=provider.schemes,
        allow=_allow(provider),
        methods=frozenset(provider.methods),
        no_post=no_post,
        one_event=not no_post and (not provider.split or bool(provider.structured)),
        batch_type=f"{provider.structured}-batch".encode() if provider.structured else b"",
        item_type=f"{provider.structured}+json".encode() if provider.structured else b"application/json",
        split=compile_split(provider.split),
        splits_slowly=provider.split == FEED,
        allow_from=parse_networks(input.allow_from),
        by_proxy=isinstance(input.verify, CustomScheme) and input.verify.type == "mtls",
        verify=compile_verifier(provider.schemes, secrets, fetched) if provider.schemes else None,
        read=compile_reader(provider),
        read_item=compile_reader(provider, of_item=True) if provider.split else None,
        volatile=volatile_paths(provider.dedupe.volatile),
        schemas=compile_schemas(input.schemas),
        refuses_invalid=input.on_invalid == "refuse",
        answer=_reply(provider.answer) if provider.answer is not None else None,
        handshakes=handshakes,
        post_handshakes=any(one.method == "POST" for one in handshakes),
        visits=any(one.visited is not None for one in handshakes),
    )


def _rates(rate: str) -> AddressRates:
    count = float(rate.partition("/")[0])
    return AddressRates(count, count / units.per_second(rate))


def _allow(provider: Provider) -> bytes:
    return ", ".join(sorted({*provider.methods, *(rule.method for rule in provider.handshakes)})).encode()


def _reply(answer: Answer) -> Reply:
    body = answer.body.encode()
    headers = [(b"content-length", b"%d" % len(body))]
    if body:
        headers.append((b"content-type", answer.content_type.encode()))
    return Reply(answer.status, tuple(headers), body)
