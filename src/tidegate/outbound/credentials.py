"""What credentials add to requests, for pulls, deliveries and operations alike.

Owns the one place that turns a configured credential into headers and parameters: fixed ones at once, signed ones from
the request, tokens from their `TokenManager`. It may not know records, deliveries or stores. Invariants: a reference
uses the token of the shared credential, so there is one refresh for all its users; a token that was given for one
origin is not used for another; a credential whose reference leads nowhere fails and sends nothing. Crash: tokens are in
the store; a digest challenge is asked for again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.auth import Added, RequestFacts, TokenKind, kind_of, referred, request_auth
from tidegate.auth.base import AuthKind
from tidegate.auth.digest import parse_challenge
from tidegate.core.errors import CredentialDead
from tidegate.core.spec import Auth
from tidegate.outbound.rate_budgets import RateBudget, RateBudgets
from tidegate.outbound.tokens import TokenManager, TokenPorts
from tidegate.rules.outbound.connect_options import ConnectOptions

Headers = Sequence[tuple[str, str]]


class Credential:
    """A credential as senders use it. This one adds nothing; the kinds below override what they do.

    `per_request`: `ready` needs the facts of the request. `header_names`: what it sets, so that the values are shown
    nowhere.
    """

    per_request = False
    header_names: tuple[str, ...] = ()
    always = Added()  # what is added to every request alike
    fixed = True  # nothing else is ever added

    def ready(self, facts: RequestFacts | None) -> Added | None:
        """What to add, without waiting; None when `get` has to be awaited first."""
        return _NOTHING

    async def get(self, facts: RequestFacts | None) -> Added:
        """What to add. CredentialDead, CredentialFailed, StoreBusy: then nothing may be sent."""
        return self.ready(facts) or _NOTHING

    async def refused(self, used: Added, headers: Headers) -> bool:
        """A request was answered 401. Whether to repeat it once, with what `get` gives now."""
        return False

    def accepted(self, used: Added) -> None:
        """A request was not answered 401."""

    @property
    def captured(self) -> Mapping[str, str]:
        """What was kept of the token answer."""
        return {}

    @property
    def unproven(self) -> Collection[str]:
        """The names of `captured` that came with the redirect of a browser, and not from the token service."""
        return ()

    @property
    def http(self) -> bool:
        """Whether the token service is called by http, as on a network of your own."""
        return False


_NOTHING = Added()
NO_CREDENTIAL = Credential()


class FixedCredential(Credential):
    """The same for each request."""

    def __init__(self, auth: Auth) -> None:
        kind = kind_of(auth)
        self.always = kind.add(auth)
        self.header_names = kind.header_names(auth)

    def ready(self, facts: RequestFacts | None) -> Added | None:
        return self.always


class SigningCredential(Credential):
    """Signs each request; with a challenge of the server, where the kind wants one."""

    per_request = True
    fixed = False

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._kind: AuthKind[Any] = kind_of(auth)
        self.header_names = self._kind.header_names(auth)
        self._challenge = ""
        self._count = 0

    def ready(self, facts: RequestFacts | None) -> Added | None:
        if facts is None:
            return _NOTHING
        if self._challenge:
            self._count += 1
            counted = RequestFacts(facts.method, facts.url, facts.headers, facts.body, facts.timestamp, self._count)
            return self._kind.add(self._auth, request=counted, token=self._challenge)
        return self._kind.add(self._auth, request=facts)

    async def refused(self, used: Added, headers: Headers) -> bool:
        if not self._kind.challenged:
            return False
        challenges = [value for name, value in headers if name.lower() == "www-authenticate"]
        found = next((one for one in challenges if parse_challenge(one) is not None), "")
        if not found:
            return False
        parameters = parse_challenge(found) or {}
        if used.headers and parameters.get("stale", "").lower() != "true" and found == self._challenge:
            return False  # the answer to this challenge was wrong: it is the password
        repeat = not used.headers or parameters.get("stale", "").lower() == "true"
        self._challenge, self._count = found, 0
        return repeat


class TokenCredential(Credential):
    """A token from a token service."""

    fixed = False

    def __init__(self, manager: TokenManager) -> None:
        self.manager = manager
        self._kind = manager.kind
        self.header_names = manager.kind.header_names(manager.auth)
        self._text: str | None = None
        self._added = _NOTHING

    def ready(self, facts: RequestFacts | None) -> Added | None:
        text = self.manager.current()
        if text is None:
            return None
        return self._added if text is self._text else self._add(text)

    def _add(self, text: str) -> Added:
        self._text, self._added = text, self._kind.add(self.manager.auth, token=text)
        return self._added

    async def get(self, facts: RequestFacts | None) -> Added:
        return self._add(await self.manager.get())

    async def refused(self, used: Added, headers: Headers) -> bool:
        return await self.manager.refused(self._token_of(used))

    def accepted(self, used: Added) -> None:
        if used is self._added and self._text is not None:
            self.manager.accepted(self._text)

    def _token_of(self, used: Added) -> str:
        return used.headers[0][1].rpartition(" ")[2] if used.headers else ""

    @property
    def captured(self) -> Mapping[str, str]:
        return self.manager.captured

    @property
    def unproven(self) -> Collection[str]:
        return self.manager.unproven

    @property
    def http(self) -> bool:
        return self._kind.token_url(self.manager.auth).lower().startswith("http://")


class MissingCredential(Credential):
    """A reference that leads nowhere: another node may have deleted what it names."""

    fixed = False

    def __init__(self, name: str) -> None:
        self._name = name

    def ready(self, facts: RequestFacts | None) -> Added | None:
        return None

    async def get(self, facts: RequestFacts | None) -> Added:
        raise CredentialDead(
            f"there is no credential {self._name!r}", cause="unknown", hint=f"add [credentials.{self._name}]"
        )


class NeedsGateway(MissingCredential):
    """A credential with a token, where there is no store to keep it in."""

    async def get(self, facts: RequestFacts | None) -> Added:
        raise CredentialDead(
            f"{self._name} needs a token, which only a running gateway acquires",
            cause="no_gateway",
            hint="start the gateway, then: tidegate auth status",
        )


class SharedCredential(msgspec.Struct, frozen=True):
    """A shared credential as configured. `options`: how its token service is reached."""

    auth: Auth
    options: ConnectOptions | None = None
    rate: str | None = None


class Credentials:
    """All credentials of a process, by what they belong to. Call `configure` when the shared ones change."""

    def __init__(self, ports: TokenPorts | None = None, budgets: RateBudgets | None = None) -> None:
        """`ports`: None where no token can be acquired; such credentials fail then. `budgets`: None: no shared rates"""
        self._ports = ports
        self._budgets = budgets
        self._shared: dict[str, SharedCredential] = {}
        self._managers: dict[str, TokenManager] = {}
        self._signing: dict[str, tuple[Auth, SigningCredential]] = {}

    def configure(self, shared: Mapping[str, SharedCredential]) -> None:
        self._shared = dict(shared)

    def budget_of(self, auth: Auth | None) -> RateBudget | None:
        """The budget of the shared credential that `auth` refers to; None without one or without a rate."""
        name = referred(request_auth(auth))
        shared = self._shared.get(name) if name else None
        return None if shared is None or self._budgets is None else self._budgets.of(f"credential/{name}", shared.rate)

    def budget_of_source(self, name: str, rate: str | None) -> RateBudget | None:
        """The budget of the API of a source; None without a rate."""
        return None if self._budgets is None else self._budgets.of(f"source/{name}", rate)

    def of(self, owner: str, auth: Auth | None, origin: str = "", options: ConnectOptions | None = None) -> Credential:
        """The credential of an owner, `source/NAME` or `destination/NAME`, for requests to `origin`.

        `options`: how its token service is reached; a shared credential has its own.
        """
        auth = request_auth(auth)
        if auth is None:
            return NO_CREDENTIAL
        name = referred(auth)
        if name:
            if name not in self._shared:
                return MissingCredential(name)
            shared = self._shared[name]
            owner, auth, origin, options = f"credential/{name}", shared.auth, "", shared.options
        kind = kind_of(auth)
        if isinstance(kind, TokenKind):
            if self._ports is None:
                return NeedsGateway(owner)
            return TokenCredential(self._manager(owner, kind, auth, origin, options))
        if kind.per_request:
            kept = self._signing.get(owner)
            if kept is None or kept[0] != auth:
                kept = self._signing[owner] = auth, SigningCredential(auth)
            return kept[1]
        return FixedCredential(auth)

    def _manager(
        self, owner: str, kind: TokenKind[Any], auth: Auth, origin: str, options: ConnectOptions | None
    ) -> TokenManager:
        manager = self._managers.get(owner)
        assert self._ports is not None
        made = TokenManager(owner, kind, auth, self._ports, origin, options)
        if manager is None or manager.identity != made.identity or manager.auth != auth or manager.options != options:
            manager = self._managers[owner] = made
        return manager

    async def stop(self) -> None:
        """Wait for refreshes that were sent."""
        for manager in list(self._managers.values()):
            await manager.stop()
