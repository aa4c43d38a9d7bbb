"""Tokens of one credential: acquired once, kept in the store, refreshed early, by one process at a time.

Owns the token in memory and the steps of a refresh. It may not know who uses the token. The kind of the credential
(`tidegate.auth`) says what is sent and reads the answer; the store keeps the token sealed and has the lock.

A refresh goes through these steps, and each one is durable before the next begins:

1. read the row: another node may have refreshed already, then its token is used and nothing is sent
2. lock the row, with a fence that grows; read it again
3. announce the attempt, when the request may use up the refresh token (it rotates)
4. send the request
5. put the new token and release the lock
6. use it

After a crash between 3 and 5 nobody knows whether the provider took the request. The row says so (`attempts`). The next
process sends the old refresh token once more: a provider with a grace period, or one that does not rotate, answers
with a token. If it is refused, or if that process crashes too, the credential is dead with the cause
`refresh_interrupted`, and a person signs in again. `invalid_grant` without an interruption is believed only after the
row was read again. A dead credential sends nothing, so there is no loop.

Invariants: a token is used only after it was stored; two refreshes of one credential never run at the same time, on any
node; a caller that is canceled does not cancel a refresh that was sent; no message holds a token.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from tidegate.auth.tokens import NoGrant, Token, TokenAnswer, TokenError, TokenErrorKind, TokenKind, TokenRequest
from tidegate.core.clock import Clock
from tidegate.core.errors import CredentialDead, CredentialFailed, StoreBroken, TidegateError, UpstreamError
from tidegate.core.findings import Findings
from tidegate.core.spec import Auth
from tidegate.rules.outbound.connect_options import ConnectOptions
from tidegate.vault import Vault

LOCK_SECONDS = 30.0  # longer than a token request may take (`token_client.TOKEN_SECONDS`)
WAIT_SECONDS = 40.0  # for another process that refreshes
FIRST_LOOK_SECONDS = 0.01  # between two looks at its row; doubles
LAST_LOOK_SECONDS = 0.25
EARLY_SECONDS = 300.0  # before the end, a refresh starts in the background
EARLY_SHARE = 0.1  # of the lifetime, when that is shorter
LEAST_SECONDS = 5.0  # a token that ends sooner is not used for a new request
FIRST_RETRY_SECONDS = 1.0  # after a failed token request; doubles
LAST_RETRY_SECONDS = 300.0
DEAD_LOOK_SECONDS = 5.0  # between two looks whether somebody signed in again
REFUSED_SECONDS = 30.0  # between two refreshes for tokens that are refused from the start; doubles
EXPIRING_SECONDS = 86_400.0  # a token that nothing can renew is reported so long before its end
MAX_ATTEMPTS = 2  # announced and not answered: the first one, and the one try after a crash


class SealedToken(Protocol):
    """A row of the store."""

    @property
    def body(self) -> bytes: ...
    @property
    def fence(self) -> int: ...
    @property
    def attempts(self) -> int: ...


class TokenStore(Protocol):
    """What this needs of `store.Credentials`."""

    async def get(self, name: str) -> SealedToken | None: ...
    async def lock(self, name: str, owner: str, seconds: float) -> SealedToken | None: ...
    async def announce(self, name: str, fence: int) -> bool: ...
    async def put(self, name: str, fence: int, body: bytes) -> bool: ...
    async def release(self, name: str, fence: int) -> None: ...


class NotSent(Exception):
    """The token request did not leave this machine. `error` says why."""

    def __init__(self, error: TidegateError) -> None:
        super().__init__(error.message)
        self.error = error


class Kept(msgspec.Struct, frozen=True):
    """The sealed body of a row.

    `identity`: a digest of whom the token was given to. `dead`: the cause, "" while it lives. `uncertain`: the answer
    to the last refresh never arrived, so the provider may have taken it.
    """

    identity: str
    token: Token | None = None
    dead: str = ""
    detail: str = ""
    uncertain: bool = False
    changed_at: float = 0.0


class TokenPorts(msgspec.Struct, frozen=True):
    """Shared by all tokens of a process. `send` raises NotSent, or UpstreamError when the answer was lost."""

    store: TokenStore
    vault: Vault
    send: Callable[[TokenRequest, ConnectOptions | None], Awaitable[TokenAnswer]]
    clock: Clock
    findings: Findings
    owner: str  # of locks: this process


class TokenManager:
    """The token of one credential. `name` is `credential/NAME`, `source/NAME` or `destination/NAME`."""

    def __init__(
        self,
        name: str,
        kind: TokenKind[Any],
        auth: Auth,
        ports: TokenPorts,
        place: str = "",
        options: ConnectOptions | None = None,
    ) -> None:
        """`place`: the origin that the token may go to, "" when the credential has more than one.

        `options`: how the token service is reached.
        """
        self.options = options
        self.name = name
        self.subject = name.replace("/", ":", 1)
        self.kind = kind
        self.auth = auth
        self.identity = _digest([kind.name, *kind.identity(auth), place])
        self._ports = ports
        self._clock = ports.clock
        self._token: Token | None = None
        self._fresh_until_us = 0
        self._text: str | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._failure: TidegateError | None = None
        self._failures = 0
        self._retry_at = 0.0  # monotonic: no token request before
        self._accepted = ""  # a token that the other side took
        self._unaccepted = ""  # a token that came after a 401 and was not accepted yet
        self._refused_again = 0

    # -- the hot path ------------------------------------------------------------------------------------

    def current(self) -> str | None:
        """The token, without waiting; None when there is none that can be used. Starts an early refresh."""
        if self._clock.now_us() < self._fresh_until_us:
            return self._text
        token = self._token
        if token is None or not self._usable(token):
            return None
        if self._refreshing is None and self._clock.monotonic() >= self._retry_at and self._renewable(token):
            self._start(token.access_token)
        return token.access_token

    async def get(self) -> str:
        """The token; waits for a refresh. CredentialDead, CredentialFailed, StoreBusy."""
        text = self.current()
        if text is not None:
            return text
        await self._renew("")
        assert self._token is not None
        return self._token.access_token

    def accepted(self, used: str) -> None:
        """The other side took the token."""
        if used != self._accepted:
            self._accepted, self._refused_again = used, 0
            self._ports.findings.resolve("credential_refused", self.subject)

    async def refused(self, used: str) -> bool:
        """The other side answered 401. Whether there is another token, so that the request can be repeated once.

        A token that came after a 401 and was itself never accepted is not refreshed again at once: then it is not the
        token that is wrong.
        """
        if self._token is not None and self._token.access_token != used and self._usable(self._token):
            return True
        if used == self._unaccepted and used != self._accepted:
            self._ports.findings.report("credential_refused", self.subject, "the new token was answered 401")
            if self._clock.monotonic() < self._retry_at:
                return False
            self._refused_again += 1
        self._fresh_until_us = 0
        await self._renew(used)
        assert self._token is not None
        self._unaccepted = self._token.access_token
        wait = min(REFUSED_SECONDS * 2 ** min(self._refused_again, 5), 900.0)
        self._retry_at = self._clock.monotonic() + wait if self._refused_again else self._retry_at
        return self._token.access_token != used

    @property
    def captured(self) -> dict[str, str]:
        return self._token.captured if self._token is not None else {}

    @property
    def unproven(self) -> tuple[str, ...]:
        """The names of captured values that came with a redirect."""
        return self._token.from_redirect if self._token is not None else ()

    # -- one refresh at a time in this process -----------------------------------------------------------

    def _start(self, seen: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._refresh_once(seen), name=f"token {self.name}")
        self._refreshing = task
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not task.cancelled():
            task.exception()  # a caller that waits gets it; an early refresh has none

    async def _renew(self, seen: str) -> None:
        """Wait until there is a token other than `seen`. Raises what the refresh raised."""
        if self._failure is not None and self._clock.monotonic() < self._retry_at:
            raise self._failure
        await asyncio.shield(self._refreshing or self._start(seen))
        if self._token is None or self._token.access_token == seen:
            # The refresh that ran had begun before `seen` was refused.
            await asyncio.shield(self._refreshing or self._start(seen))

    async def stop(self) -> None:
        """Wait for a refresh that was sent."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing], timeout=LOCK_SECONDS)

    async def _refresh_once(self, seen: str) -> None:
        try:
            await self._refresh(seen)
        except TidegateError as error:
            self._failed(error)
            raise
        self._failure, self._failures, self._retry_at = None, 0, 0.0
        for code in ("credential_failing", "credential_dead"):
            self._ports.findings.resolve(code, self.subject)
        self._report_token()

    # -- the steps ---------------------------------------------------------------------------------------

    async def _refresh(self, seen: str) -> None:
        row = await self._ports.store.get(self.name)
        if row is not None and self._adopted(self._open(row), seen):
            return
        locked = await self._locked(seen)
        if locked is None:
            return
        try:
            await self._refresh_locked(locked, seen)
        except BaseException:
            # Frees the lock for the next one. The count of attempts stays: the answer may have been lost.
            await asyncio.shield(self._ports.store.release(self.name, locked.fence))
            raise

    async def _locked(self, seen: str) -> SealedToken | None:
        """The locked row; None when another process refreshed meanwhile, and its token is used."""
        store, until = self._ports.store, self._clock.monotonic() + WAIT_SECONDS
        wait = FIRST_LOOK_SECONDS
        while True:
            locked = await store.lock(self.name, self._ports.owner, LOCK_SECONDS)
            if locked is not None:
                return locked
            if self._clock.monotonic() > until:
                raise CredentialFailed(
                    f"another process has refreshed the token of {self.name} for {WAIT_SECONDS:.0f} s",
                    retry_after_seconds=LOCK_SECONDS,
                )
            await asyncio.sleep(wait * (0.5 + self._clock.random()))
            wait = min(2 * wait, LAST_LOOK_SECONDS)
            row = await store.get(self.name)
            if row is not None and self._adopted(self._open(row), seen):
                return None

    async def _refresh_locked(self, row: SealedToken, seen: str) -> None:
        kept = self._open(row)
        if self._adopted(kept, seen):
            await self._ports.store.release(self.name, row.fence)
            return
        interrupted = row.attempts > 0 or kept.uncertain
        if row.attempts >= MAX_ATTEMPTS:
            raise await self._die(row, kept, "refresh_interrupted", "it was interrupted twice")
        request = self._request(kept)
        if request.uses_up and not await self._ports.store.announce(self.name, row.fence):
            raise self._lock_lost()
        try:
            answer = await self.send(request)
        except NotSent as error:
            await self._put(row, msgspec.structs.replace(kept, uncertain=interrupted))
            raise error.error from None
        except UpstreamError:  # the provider may have taken it
            await self._put(row, msgspec.structs.replace(kept, uncertain=request.uses_up))
            raise
        read = self.kind.read_answer(self.auth, answer, kept.token, self._clock.now_us() / 1e6)
        if isinstance(read, TokenError):
            raise await self._refused_by_service(row, kept, read, interrupted=interrupted, uses_up=request.uses_up)
        await self._put(row, Kept(self.identity, read, changed_at=read.obtained_at))
        self._use(read)

    def _request(self, kept: Kept) -> TokenRequest:
        try:
            return self.kind.token_request(self.auth, kept.token, self._clock.now_us() // 1_000_000)
        except NoGrant:
            if kept.token is None:
                raise self._dead("not_connected", "nobody signed in yet") from None
            raise self._dead("no_refresh_token", "the token ended, and the provider gave no refresh token") from None
        except ValueError as error:
            raise CredentialFailed(f"the token request of {self.name} cannot be made: {error}") from None

    async def _refused_by_service(
        self, row: SealedToken, kept: Kept, refused: TokenError, *, interrupted: bool, uses_up: bool
    ) -> TidegateError:
        """The error of an answer without a token. What it means is stored before it is raised."""
        if refused.kind is TokenErrorKind.GRANT and uses_up:
            again = await self._ports.store.get(self.name)
            if again is None or again.fence != row.fence or again.body != row.body:
                return self._lock_lost()  # somebody signed in again, or took the lock
            cause = "refresh_interrupted" if interrupted else refused.code
            return await self._die(row, kept, cause, refused.detail)
        unclear = refused.kind is TokenErrorKind.LATER and uses_up
        await self._put(row, msgspec.structs.replace(kept, uncertain=interrupted or unclear))
        later = refused.kind is TokenErrorKind.LATER
        return CredentialFailed(
            f"the token service of {self.name} gave no token: {refused.detail}",
            hint="try again later; the service may be down" if later else self._configuration_hint(),
            retryable=later,
        )

    async def _put(self, row: SealedToken, kept: Kept) -> None:
        body = self._ports.vault.seal(msgspec.json.encode(kept), _purpose(self.name))
        if not await self._ports.store.put(self.name, row.fence, body):
            raise self._lock_lost()

    async def _die(self, row: SealedToken, kept: Kept, cause: str, detail: str) -> CredentialDead:
        at = self._clock.now_us() / 1e6
        await self._put(row, msgspec.structs.replace(kept, dead=cause, detail=detail, changed_at=at))
        return self._dead(cause, detail)

    # -- state -------------------------------------------------------------------------------------------

    def _open(self, row: SealedToken) -> Kept:
        """What a row has; nothing, when it was given to another identity."""
        if not row.body:
            return Kept(self.identity)
        try:
            kept = msgspec.json.decode(self._ports.vault.open(row.body, _purpose(self.name)), type=Kept)
        except msgspec.ValidationError as error:
            raise StoreBroken(f"the stored token of {self.name} cannot be read: {error}") from None
        return kept if kept.identity == self.identity else Kept(self.identity)

    def _adopted(self, kept: Kept, seen: str) -> bool:
        """Use a stored token, if it is another one than `seen` and lasts. CredentialDead when the row says so."""
        if kept.dead:
            raise self._dead(kept.dead, kept.detail)
        token = kept.token
        if token is None or token.access_token == seen or not self._usable(token):
            return False
        self._use(token)
        return True

    def _use(self, token: Token) -> None:
        self._token, self._text = token, token.access_token
        if token.expires_at is None:
            self._fresh_until_us = 1 << 62
        else:
            lifetime = max(0.0, token.expires_at - token.obtained_at)
            early = min(EARLY_SECONDS, lifetime * EARLY_SHARE)
            self._fresh_until_us = int((token.expires_at - max(early, LEAST_SECONDS)) * 1e6)

    def _usable(self, token: Token) -> bool:
        return token.expires_at is None or self._clock.now_us() / 1e6 < token.expires_at - LEAST_SECONDS

    def _renewable(self, token: Token) -> bool:
        return not self.kind.consent or bool(token.refresh_token)

    # -- errors and findings -----------------------------------------------------------------------------

    def _failed(self, error: TidegateError) -> None:
        self._failures += 1
        now = self._clock.monotonic()
        backoff = min(FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 16), LAST_RETRY_SECONDS)
        wait = max(error.retry_after_seconds or 0.0, backoff * (0.8 + 0.4 * self._clock.random()))
        self._failure = error
        if isinstance(error, CredentialDead):
            self._retry_at = now + DEAD_LOOK_SECONDS
            self._ports.findings.report("credential_dead", self.subject, error.message, remedy=error.hint)
        else:
            self._retry_at = now + min(wait, LAST_RETRY_SECONDS)
            self._ports.findings.report("credential_failing", self.subject, error.message, remedy=error.hint)

    def _dead(self, cause: str, detail: str) -> CredentialDead:
        return CredentialDead(
            f"the credential of {self.name} is dead ({cause}): {detail}",
            hint=f"sign in again: tidegate auth connect {self.name.partition('/')[2]}"
            if self.kind.consent
            else self._configuration_hint(),
            cause=cause,
        )

    def _configuration_hint(self) -> str:
        return f"check the keys of auth in [{self.name.replace('/', 's.', 1)}], and the app at the provider"

    def _lock_lost(self) -> CredentialFailed:
        return CredentialFailed(
            f"another process took over the refresh of {self.name}", retry_after_seconds=FIRST_RETRY_SECONDS
        )

    def _report_token(self) -> None:
        token = self._token
        assert token is not None
        missing = missing_scopes(self.kind.wanted_scopes(self.auth), token)
        if missing:
            self._ports.findings.report("credential_scopes", self.subject, f"not granted: {', '.join(missing)}")
        else:
            self._ports.findings.resolve("credential_scopes", self.subject)
        lacking = [one for one in getattr(self.auth, "capture", ()) if one.rpartition(".")[2] not in token.captured]
        if lacking:
            said = f"the answer of the token service has no {', '.join(lacking)}"
            self._ports.findings.report("credential_capture", self.subject, said)
        else:
            self._ports.findings.resolve("credential_capture", self.subject)
        ends = token.expires_at is not None and not self._renewable(token)
        if ends and token.expires_at is not None and token.expires_at - self._clock.now_us() / 1e6 < EXPIRING_SECONDS:
            self._ports.findings.report("credential_expiring", self.subject, "no refresh token came with it")
        else:
            self._ports.findings.resolve("credential_expiring", self.subject)

    # -- for consent and status --------------------------------------------------------------------------

    async def connect(self, token: Token) -> None:
        """Store the first token of a consent, in place of whatever was there. Waits for a refresh that runs."""
        store, until = self._ports.store, self._clock.monotonic() + WAIT_SECONDS
        while (row := await store.lock(self.name, self._ports.owner, LOCK_SECONDS)) is None:
            if self._clock.monotonic() > until:
                raise CredentialFailed(f"the token of {self.name} is being refreshed; sign in again")
            await asyncio.sleep(LAST_LOOK_SECONDS)
        await self._put(row, Kept(self.identity, token, changed_at=token.obtained_at))
        self._use(token)
        self._failure, self._failures, self._retry_at = None, 0, 0.0
        for code in ("credential_failing", "credential_dead"):
            self._ports.findings.resolve(code, self.subject)
        self._report_token()

    async def send(self, request: TokenRequest) -> TokenAnswer:
        """A request of a consent to the token service. NotSent, UpstreamError."""
        return await self._ports.send(request, self.options)

    async def kept(self) -> Kept:
        """The stored state, for people."""
        row = await self._ports.store.get(self.name)
        return self._open(row) if row is not None else Kept(self.identity)

    @property
    def failure(self) -> TidegateError | None:
        return self._failure


def missing_scopes(wanted: Any, token: Token) -> list[str]:
    """The scopes that were asked for and not granted; none when the answer did not say."""
    if token.scopes is None:
        return []
    granted = {one.lower() for one in token.scopes}
    return [one for one in wanted if one.lower() not in granted and one.lower() not in _NOT_GRANTED_BY_NAME]


# Scopes that providers take and do not list among the granted ones.
_NOT_GRANTED_BY_NAME = frozenset({"offline_access", "openid", "profile", "email", "refresh_token"})


def new_owner() -> str:
    """The name of this process as the owner of locks."""
    return secrets.token_hex(8)


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _purpose(name: str) -> str:
    return f"token/{name}"


__all__ = ["Kept", "NotSent", "TokenManager", "TokenPorts", "TokenStore", "missing_scopes", "new_owner"]
