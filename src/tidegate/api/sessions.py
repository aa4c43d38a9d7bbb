"""Sessions of people at a browser: a one-time login link, a cookie, a CSRF token, and which Host names are ours.

A session is an admin's. Its cookie is HttpOnly and SameSite=Strict, only its SHA-256 is kept, and every request that
changes something must carry the session's CSRF token. The Host of a browser's request must be an address, localhost or
a configured name, so that a foreign name pointed at us (DNS rebinding) reaches nothing. Sessions are kept in the store
and outlive a restart; login links live in this process and end with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import msgspec
from starlette.requests import HTTPConnection

from tidegate.api.keys import REFRESH_SECONDS, UNGUESSABLE, Grant, Keyring, digest
from tidegate.core.clock import Clock
from tidegate.core.errors import Forbidden, TidegateError, Unauthorized
from tidegate.store import Settings

COOKIE = "tidegate_session"
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"
SESSION_SECONDS = 14 * 86400
LINK_SECONDS = 3600
MAX_SESSIONS = 200  # beyond it, the oldest end
MAX_LINKS = 20
MISS_SECONDS = 1.0
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_VALUE = "sessions"


class WrongHost(TidegateError):
    code = "host_not_allowed"
    status = 421
    hint = "add the name to [gateway] allowed_hosts in tidegate.toml, then: tidegate config apply"


class CsrfFailed(Forbidden):
    code = "csrf_failed"
    hint = "reload the page; in scripts, use a key instead of the browser's cookie"


class Session(msgspec.Struct, frozen=True):
    """One login. `hash` is the SHA-256 of the cookie."""

    hash: bytes
    created_at_us: int
    expires_at_us: int


class Sessions:
    """The sessions of this gateway."""

    def __init__(self, settings: Settings, keyring: Keyring, clock: Clock) -> None:
        self._settings = settings
        self._keyring = keyring
        self._clock = clock
        self._sessions: dict[bytes, Session] = {}
        self._links: dict[bytes, int] = {}
        self._missed_at = float("-inf")
        self._read_at = float("-inf")
        self._turn = asyncio.Lock()  # serializes reads and writes of the stored list

    # -- logging in and out ------------------------------------------------------------------------------

    def new_link(self) -> str:
        """A token for one login, within an hour: the `TOKEN` of `/login?token=TOKEN`."""
        token = secrets.token_urlsafe(32)
        while len(self._links) >= MAX_LINKS:
            del self._links[next(iter(self._links))]
        self._links[digest(token)] = self._clock.now_us() + LINK_SECONDS * 1_000_000
        return token

    async def by_link(self, token: str) -> str:
        """The cookie of a new session; the link is used up. Unauthorized when it is used, expired or unknown."""
        expires = self._links.pop(digest(token), None)
        if expires is None or expires <= self._clock.now_us():
            raise Unauthorized("this sign-in link was used, has expired, or is not valid", hint=_LOGIN_HINT)
        try:
            return await self._begin()
        except TidegateError:  # the session may not have been kept: the link is not used up by that
            self._links[digest(token)] = expires
            raise

    async def by_key(self, key: str, address: str = "") -> str:
        """The cookie of a new session for the holder of an admin key. Unauthorized, Forbidden.

        TooManyAttempts after many wrong keys from `address` or from everywhere. Links are too long to guess, so they
        always work.
        """
        attempts, now = self._keyring.attempts, self._clock.monotonic()
        attempts.check(address, now)
        try:
            grant = await self._keyring.check(key, address)
        except Unauthorized:
            if len(key) >= UNGUESSABLE:  # shorter ones are counted by the keyring
                attempts.failed(address, now)
            raise
        grant.need("admin")
        return await self._begin()

    async def _begin(self) -> str:
        cookie = secrets.token_urlsafe(32)
        now = self._clock.now_us()
        session = Session(digest(cookie), now, now + SESSION_SECONDS * 1_000_000)

        def with_it(sessions: list[Session]) -> list[Session]:
            kept = sorted((one for one in sessions if one.expires_at_us > now), key=lambda one: one.created_at_us)
            return [*kept[-(MAX_SESSIONS - 1) :], session]

        await self._change(with_it)
        return cookie

    async def any(self) -> bool:
        """Whether a session is still good."""
        now = self._clock.now_us()
        return any(one.expires_at_us > now for one in (await self._load()).values())

    async def end(self, cookie: str) -> None:
        hashed = digest(cookie)
        await self._change(lambda sessions: [one for one in sessions if one.hash != hashed])

    # -- reading sessions ------------------------------------------------------------------------------------

    async def current(self, request: HTTPConnection) -> Grant | None:
        """The grant of the browser's session, None when there is none. Its `csrf` belongs into every form."""
        cookie = cookie_of(request.headers.get("cookie", ""), request.headers.get("host", ""))
        return await self.of_cookie(cookie) if cookie else None

    async def of_cookie(self, cookie: str) -> Grant | None:
        hashed = digest(cookie)
        session = (await self._load()).get(hashed)
        if session is None:
            session = await self._look_again(hashed)
        if session is None or not hmac.compare_digest(session.hash, hashed):
            return None
        if session.expires_at_us <= self._clock.now_us():
            return None
        # The CSRF token is made of the cookie, so nothing of it needs keeping.
        csrf = hashlib.sha256(b"csrf:" + cookie.encode("utf-8", "surrogatepass")).hexdigest()
        return Grant("session", frozenset(("admin",)), None, session.expires_at_us, csrf)

    async def _look_again(self, hashed: bytes) -> Session | None:
        """It may have begun on another node. Unknown cookies cost at most one read a second."""
        now = self._clock.monotonic()
        if now - self._missed_at < MISS_SECONDS:
            return None
        self._missed_at = now
        return (await self._load(refresh=True)).get(hashed)

    async def _load(self, *, refresh: bool = False) -> dict[bytes, Session]:
        """From memory for a few seconds: one may have ended on another node."""
        if refresh or not self._fresh():
            async with self._turn:
                if refresh or not self._fresh():
                    self._take(_decode(await self._settings.value(_VALUE)))
        return self._sessions

    def _fresh(self) -> bool:
        return self._clock.monotonic() - self._read_at <= REFRESH_SECONDS

    async def _change(self, change: Callable[[list[Session]], list[Session]]) -> None:
        """Changes are serialized here, and repeated when another node wrote first."""
        async with self._turn:
            while True:
                stored = await self._settings.value(_VALUE)
                sessions = change(_decode(stored))
                if await self._settings.swap(_VALUE, stored, msgspec.json.encode(sessions)):
                    self._take(sessions)
                    return

    def _take(self, sessions: Iterable[Session]) -> None:
        self._sessions = {one.hash: one for one in sessions}
        self._read_at = self._clock.monotonic()


def _decode(stored: bytes | None) -> list[Session]:
    return msgspec.json.decode(stored, type=list[Session]) if stored else []


async def current(request: HTTPConnection) -> Grant | None:
    """The session of a request that came through the app; what pages ask."""
    sessions: Sessions = request.scope["tidegate"].sessions
    return await sessions.current(request)


_LOGIN_HINT = "sign in with an admin key, or create a new link: tidegate keys login"


def cookie_name(host: str) -> str:
    """Browsers keep cookies by host and not by port: the name has the port, so that two gateways do not take turns."""
    try:
        port = urlsplit(f"//{host}").port
    except ValueError:
        port = None
    return f"{COOKIE}_{port}" if port else COOKIE


def cookie_of(header: str, host: str = "") -> str | None:
    """Our cookie's value in a Cookie header: the one of this host's port, else the one without a port."""
    found = dict(part.strip().partition("=")[::2] for part in reversed(header.split(";")))
    return found.get(cookie_name(host), found.get(COOKIE))


def check_csrf(grant: Grant, token: str | None) -> None:
    """CsrfFailed unless the request carries the session's token, in the header or the form's field."""
    if not token or not hmac.compare_digest(grant.csrf.encode(), token.encode("utf-8", "surrogatepass")):
        raise CsrfFailed("the request has no valid CSRF token")


def cookie_header(cookie: str, *, secure: bool, host: str = "", ended: bool = False) -> str:
    """The value of Set-Cookie. `secure` when the browser came over TLS; `host` is the Host it asked for."""
    parts = [f"{cookie_name(host)}={'' if ended else cookie}", "Path=/", "HttpOnly", "SameSite=Strict"]
    parts.append(f"Max-Age={0 if ended else SESSION_SECONDS}")
    if secure:
        parts.append("Secure")
    return "; ".join(parts)


def check_host(host: str, names: Iterable[str]) -> None:
    """WrongHost unless the Host header is an address, localhost, or one of our names. Ports do not matter."""
    name = host_name(host)
    if name == "localhost" or name.endswith(".localhost") or _is_address(name):
        return
    if name not in {one.lower() for one in names}:
        raise WrongHost(f"host {host[:80]!r} is not allowed")


def host_name(host: str) -> str:
    """`[::1]:8420` is `::1`, `Gate.example.com:443` is `gate.example.com`; "" when it is malformed."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
