"""Which credentials the active configuration has, who uses each, and for which origin. Pure. Crash: nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.auth import client_certificate, referred, request_auth
from tidegate.config.spec import Credential, Source
from tidegate.core.spec import Auth, Destination
from tidegate.kinds import kind_of
from tidegate.outbound.credentials import SharedCredential
from tidegate.rules.outbound.addresses import ALL, parse_target
from tidegate.rules.outbound.connect_options import ConnectOptions
from tidegate.rules.outbound.proxies import connect_options
from tidegate.rules.sync.base_urls import place_of


class CredentialOwner(msgspec.Struct, frozen=True):
    """A configured credential. `key` is "credential/NAME", "source/NAME", "destination/NAME" or "mailbox/NAME"."""

    key: str
    auth: Auth
    origin: str = ""  # that it is for; "" for a shared one
    options: ConnectOptions | None = None
    used_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.key.partition("/")[2]


def credential_use(spec: Any) -> tuple[str, str] | None:
    """(name of the shared credential, origin that it is sent to); None when the item uses none."""
    mailbox = _mailbox(spec)
    found = _auth_of(spec)
    if found is None:
        return (
            (referred(mailbox), mailbox_origin(spec.imap.host)) if mailbox is not None and referred(mailbox) else None
        )
    auth, address, _ = found
    name = referred(auth)
    return (name, _origin(spec, address)) if name else None


def credential_owners(
    credentials: Mapping[str, Credential], sources: Mapping[str, Source], destinations: Mapping[str, Destination]
) -> list[CredentialOwner]:
    """Every configured credential: the shared ones first, then those of sources and destinations."""
    users: dict[str, list[str]] = {name: [] for name in credentials}
    own = []
    for kind, items in (("source", sources), ("destination", destinations)):
        for name, spec in items.items():
            found = _auth_of(spec)
            if found is None:
                continue
            auth, address, options = found
            if referred(auth):
                users.get(referred(auth), []).append(f"{kind}/{name}")
            else:
                own.append(CredentialOwner(f"{kind}/{name}", auth, _origin(spec, address), options))
    for name, source in sources.items():
        mailbox = _mailbox(source)
        if mailbox is not None and referred(mailbox):
            users.get(referred(mailbox), []).append(f"mailbox/{name}")
        elif mailbox is not None and source.imap is not None:
            own.append(CredentialOwner(f"mailbox/{name}", mailbox, mailbox_origin(source.imap.host)))
    shared = [
        CredentialOwner(
            f"credential/{name}", one.auth, options=shared_credential(one).options, used_by=tuple(users[name])
        )
        for name, one in credentials.items()
    ]
    return shared + own


def _origin(spec: Any, address: str) -> str:
    """What a token for an address belongs to."""
    return place_of(address) if isinstance(spec, Source) else parse_target(address, ALL).origin


def shared_credential(spec: Credential) -> SharedCredential:
    """A shared credential, ready for use."""
    return SharedCredential(spec.auth, connect_options(spec.ca, spec.proxy, None), spec.rate)


def mailbox_origin(host: str) -> str:
    """What a token for a mailbox belongs to."""
    return f"imap://{host}"


def _mailbox(spec: Any) -> Auth | None:
    return request_auth(spec.imap.auth) if isinstance(spec, Source) and spec.imap is not None else None


def _auth_of(spec: Any) -> tuple[Auth, str, ConnectOptions | None] | None:
    """(credential, address, how it is reached) of a source or destination; None without a credential."""
    if isinstance(spec, Source) and spec.api is not None:
        api = spec.api
        auth, address = request_auth(api.auth), api.base_url
        options = connect_options(api.ca, api.proxy, client_certificate(api.auth))
    elif isinstance(spec, Destination):
        auth = request_auth(getattr(spec, "auth", None))
        address = kind_of(spec).address(spec) if auth is not None else ""
        options = kind_of(spec).connect_options(spec) if auth is not None else None
    else:
        return None
    return None if auth is None else (auth, address, options)
