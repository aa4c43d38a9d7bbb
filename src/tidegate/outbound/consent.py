"""Consent of a person at a provider: the address to go to, the way back, and the first token.

Owns pending consents: who asked, for which credential, and the secret of PKCE. They are sealed in the store, so the
answer may come to another node, and a restart in between does no harm. It may not know HTTP servers or pages.
Invariants: a state is used once, and only by the browser that has its cookie, or, when it was begun from a terminal,
by anyone who was given its address; an answer with a foreign, old or used state stores nothing; the code and the token
are in no message. Crash: a consent that was not finished ends by itself; the person begins again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from tidegate.auth.tokens import Token, TokenError, captured
from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, TidegateError
from tidegate.outbound.tokens import NotSent, TokenManager
from tidegate.vault import Vault

CONSENT_SECONDS = 600
MAX_PENDING = 50
COOKIE = "tidegate_oauth"
CALLBACK = "/oauth/callback"
_VALUE = "oauth_pending"
_MAX_SAID = 300


class ConsentFailed(BadRequest):
    """The provider's answer cannot be used; nothing was stored."""

    code = "consent_failed"
    hint = "begin again: tidegate auth connect NAME"


class Values(Protocol):
    """The part of the store's settings that this uses."""

    async def value(self, name: str) -> bytes | None: ...
    async def swap(self, name: str, was: bytes | None, put: bytes) -> bool: ...


class PendingConsent(msgspec.Struct, frozen=True):
    """`cookie`: the digest of the browser's cookie, "" when a terminal began it."""

    state: str  # its digest
    key: str  # of the credential: "credential/crm"
    identity: str
    verifier: str
    redirect_uri: str
    cookie: str
    expires_at: float


class Begun(msgspec.Struct, frozen=True):
    """Where the person goes, and the cookie for the browser that goes there."""

    address: str
    cookie: str


class Consents:
    """The consents of a gateway."""

    def __init__(self, values: Values, vault: Vault, clock: Clock) -> None:
        self._values = values
        self._vault = vault
        self._clock = clock

    async def begin(self, manager: TokenManager, base_url: str, *, browser: bool) -> Begun:
        """Remember a consent. `base_url`: of the gateway, as the person's browser reaches it."""
        state, cookie, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        redirect_uri = base_url.rstrip("/") + CALLBACK
        pending = PendingConsent(
            _digest(state),
            manager.name,
            manager.identity,
            verifier,
            redirect_uri,
            _digest(cookie) if browser else "",
            self._clock.now_us() / 1e6 + CONSENT_SECONDS,
        )
        await self._change(lambda known: [*known[-(MAX_PENDING - 1) :], pending])
        kind: Any = manager.kind
        return Begun(kind.authorization_address(manager.auth, redirect_uri, state, verifier), cookie)

    async def pending(self, state: str, cookie: str) -> PendingConsent:
        """The consent that an answer belongs to, which is used up by this. ConsentFailed for a foreign state."""
        found = next((one for one in await self._load() if hmac.compare_digest(one.state, _digest(state))), None)
        if found is None:
            raise ConsentFailed("this answer belongs to no consent of the last 10 minutes, or was used already")
        if found.cookie and not hmac.compare_digest(found.cookie, _digest(cookie)):
            raise ConsentFailed(
                "this answer belongs to a consent that another browser began", code="consent_foreign",
                hint="finish it in the browser where you began, or begin again",
            )  # fmt: skip
        kept: list[PendingConsent] = []

        def without(known: list[PendingConsent]) -> list[PendingConsent]:
            kept[:] = [one for one in known if one.state != found.state]
            if len(kept) == len(known):
                raise ConsentFailed("this answer was used already")
            return list(kept)

        await self._change(without)
        return found

    async def finish(self, pending: PendingConsent, manager: TokenManager, query: Mapping[str, str]) -> Token:
        """Exchange the code for the first token and store it. ConsentFailed with the provider's own words."""
        if manager.identity != pending.identity:
            raise ConsentFailed("the credential was changed meanwhile", hint="begin again with the new configuration")
        if "error" in query or "code" not in query:
            raise ConsentFailed(f"the provider did not consent: {_said(query)}", code="consent_denied")
        kind: Any = manager.kind
        request = kind.code_request(manager.auth, query["code"], pending.redirect_uri, pending.verifier)
        try:
            answer = await manager.send(request)
        except NotSent as error:
            raise error.error from None
        now_s = self._clock.now_us() / 1e6
        read = kind.read_answer(manager.auth, answer, None, now_s)
        if isinstance(read, TokenError):
            raise ConsentFailed(
                f"the provider gave no token for the consent: {read.detail}",
                hint="check client_id, client_secret and access_token_url, and the redirect URL of the app",
            )
        more = captured(query, getattr(manager.auth, "capture", ()))
        only = tuple(sorted(more.keys() - read.captured.keys()))
        token: Token = msgspec.structs.replace(read, captured={**more, **read.captured}, from_redirect=only)
        await manager.connect(token)
        return token

    # -- keeping -----------------------------------------------------------------------------------------

    async def _load(self) -> list[PendingConsent]:
        return self._open(await self._values.value(_VALUE))

    def _open(self, stored: bytes | None) -> list[PendingConsent]:
        if not stored:
            return []
        try:
            found = msgspec.json.decode(self._vault.open(stored, _VALUE), type=list[PendingConsent])
        except (TidegateError, msgspec.ValidationError):
            return []  # of another key or release: those consents begin again
        now_s = self._clock.now_us() / 1e6
        return [one for one in found if one.expires_at > now_s]

    async def _change(self, change: Any) -> None:
        while True:
            stored = await self._values.value(_VALUE)
            sealed = self._vault.seal(msgspec.json.encode(change(self._open(stored))), _VALUE)
            if await self._values.swap(_VALUE, stored, sealed):
                return


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _said(query: Mapping[str, str]) -> str:
    """The provider's error in its own words, and what the usual ones mean."""
    code = query.get("error", "")
    if not code:
        return "its answer has neither a code nor an error"
    words = query.get("error_description", "")
    meaning = _MEANINGS.get(code, "")
    text = code + (f": {words}" if words else "") + (f" ({meaning})" if meaning else "")
    return " ".join(text.split())[:_MAX_SAID]


_MEANINGS = {
    "access_denied": "the person or an administrator said no",
    "invalid_scope": "the app may not ask for one of the scopes",
    "unauthorized_client": "the app may not use this grant",
    "redirect_uri_mismatch": "the redirect URL is not the one of the app",
    "invalid_request": "a parameter is missing or wrong; see the provider's words",
    "server_error": "the provider failed; try again later",
    "temporarily_unavailable": "the provider is busy; try again later",
    "interaction_required": "the provider wants the person to act first",
}
