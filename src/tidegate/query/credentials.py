"""The state of every credential, for `tidegate auth status`, the API and the pages.

Owns the shape and what each state is called. Reads the stored tokens; shows no token and no secret. Crash: nothing is
kept.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tidegate.auth import TokenKind, kind_of
from tidegate.core.clock import rfc3339
from tidegate.core.errors import NotFound
from tidegate.outbound.credentials import TokenCredential
from tidegate.outbound.tokens import Kept, TokenManager, missing_scopes
from tidegate.query.context import ReadContext
from tidegate.runtime.credential_use import CredentialOwner, credential_owners

State = Literal["fixed", "ready", "not_connected", "no_token_yet", "expired", "failing", "dead"]


class CredentialSchema(msgspec.Struct):
    """`fixed`: nothing to renew. `no_token_yet`: the first use asks for one. `expired`: the next use renews it."""

    name: str
    belongs_to: str  # "credential", "source", "destination" or "mailbox"
    type: str
    state: State
    cause: str = ""  # of `dead` and `failing`, a word
    message: str = ""
    expires_at: str | None = None
    obtained_at: str | None = None
    renewable: bool = True
    scopes: list[str] | None = None  # as granted; null when the provider does not say
    missing_scopes: list[str] = []
    used_by: list[str] = []
    next: str = ""  # what to do


async def list_credentials(gateway: ReadContext) -> list[CredentialSchema]:
    return [await _schema(gateway, one) for one in owners(gateway)]


def owners(gateway: ReadContext) -> list[CredentialOwner]:
    active = gateway.active
    return credential_owners(
        {name: one.spec for name, one in active.credentials.items()},
        {name: one.spec for name, one in active.sources.items()},
        {name: one.spec for name, one in active.destinations.items()},
    )


def manager_of(gateway: ReadContext, owner: CredentialOwner) -> TokenManager | None:
    """The token of a credential; None for one without a token."""
    found = gateway.credentials.of(owner.key, owner.auth, owner.origin, owner.options)
    return found.manager if isinstance(found, TokenCredential) else None


def consent_owner(gateway: ReadContext, name: str) -> tuple[CredentialOwner, TokenManager]:
    """The credential that a person signs in for: a name, or `source/NAME` and the like. NotFound."""
    for owner in owners(gateway):
        if name in (owner.key, owner.name):
            kind, manager = kind_of(owner.auth), manager_of(gateway, owner)
            if isinstance(kind, TokenKind) and kind.consent and manager is not None:
                return owner, manager
    raise NotFound(
        f"there is no credential {name[:80]!r} that a person signs in for",
        hint="list them: tidegate auth status; the type must be oauth2_authorization_code",
    )


async def _schema(gateway: ReadContext, owner: CredentialOwner) -> CredentialSchema:
    kind = kind_of(owner.auth)
    found = CredentialSchema(owner.name, owner.key.partition("/")[0], kind.name, "fixed", used_by=list(owner.used_by))
    manager = manager_of(gateway, owner)
    if manager is not None:
        await _describe(found, manager, gateway.clock.now_us() / 1e6)
    return found


async def _describe(found: CredentialSchema, manager: TokenManager, now_s: float) -> None:
    kept, failure = await manager.kept(), manager.failure
    token = kept.token
    connect = f"tidegate auth connect {found.name}" if manager.kind.consent else ""
    if token is not None:
        found.obtained_at = rfc3339(int(token.obtained_at * 1e6))
        found.expires_at = None if token.expires_at is None else rfc3339(int(token.expires_at * 1e6))
        found.scopes = None if token.scopes is None else list(token.scopes)
        found.missing_scopes = missing_scopes(manager.kind.wanted_scopes(manager.auth), token)
        found.renewable = not manager.kind.consent or bool(token.refresh_token)
    found.state = _state(kept, manager, now_s)
    if found.state == "dead":
        found.cause, found.message = kept.dead, kept.detail
        found.next = connect or "correct the credential"
    elif failure is not None and found.state != "not_connected":
        found.state, found.cause, found.message, found.next = "failing", failure.code, failure.message, failure.hint
    elif found.state == "not_connected" or found.missing_scopes or not found.renewable:
        found.next = connect


def _state(kept: Kept, manager: TokenManager, now_s: float) -> State:
    if kept.dead:
        return "dead"
    if kept.token is None:
        return "not_connected" if manager.kind.consent else "no_token_yet"
    expires_at = kept.token.expires_at
    return "ready" if expires_at is None or expires_at > now_s else "expired"
