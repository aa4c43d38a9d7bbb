"""API keys: who calls, and what the caller may do.

A key is `tg_` and 43 random characters. Only its SHA-256 is stored. The digests are in memory, so a check costs
microseconds. They are read again when an unknown key comes (at most once a second) and every ten seconds, so a key
revoked on another node stops working soon. The admin key of the environment is chosen by a person: one that is short
enough to be guessed is checked only as often as `attempts` allows. Crash: keys are in the store.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence

import msgspec

from tidegate.api.attempts import Attempts
from tidegate.core import ids
from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, Conflict, Forbidden, NotFound, TidegateError, Unauthorized
from tidegate.store import ApiKey, Settings

SCOPES = ("read", "ack", "publish", "pull", "call", "write", "admin")
REFRESH_SECONDS = 10.0
MISS_SECONDS = 1.0  # an attacker's guesses cost one read a second
MAX_KEYS = 10_000
MIN_ADMIN_KEY = 24  # characters of a key that a person chose
UNGUESSABLE = 43  # characters: 32 random bytes in base64. Shorter wrong keys count as guesses
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,62}")


class Grant(msgspec.Struct, frozen=True):
    """What a caller may do. `sources` None: all. `csrf` is set for a session: a browser must send it back.

    `id` names the key, also among keys of the same name; callers without a stored key have none.
    """

    name: str
    scopes: frozenset[str]
    sources: frozenset[str] | None = None
    expires_at_us: int | None = None
    csrf: str = ""
    id: str = ""

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def need(self, scope: str) -> None:
        """Forbidden when the scope is not held; admin includes all."""
        if not self.may(scope):
            raise Forbidden(
                f"key {self.name!r} has the scopes {', '.join(sorted(self.scopes))}, and this call requires {scope!r}",
                hint=f"create a key with it: tidegate keys create NAME --scope {scope}",
            )

    def need_source(self, source: str) -> None:
        if self.sources is not None and source not in self.sources:
            raise Forbidden(
                f"key {self.name!r} is limited to {', '.join(sorted(self.sources))} and cannot use {source!r}",
                hint=f"create a key for it: tidegate keys create NAME --scope SCOPE --source {source}",
            )


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_token() -> str:
    return "tg_" + secrets.token_urlsafe(32)  # 32 bytes are 43 characters


def check_admin_key(token: str, name: str) -> None:
    """TidegateError (`key_too_short`) below MIN_ADMIN_KEY characters. Length counts; what it looks like does not."""
    if len(token) < MIN_ADMIN_KEY:
        raise TidegateError(
            f"{name} has {len(token)} characters and needs at least {MIN_ADMIN_KEY}: a short key can be guessed",
            code="key_too_short",
            status=400,
            hint="export TIDEGATE_ADMIN_KEY=$(openssl rand -hex 24)",
        )


class Keyring:
    """The keys of this gateway."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._grants: dict[bytes, tuple[bytes, Grant]] = {}
        self._fixed: dict[bytes, tuple[bytes, Grant]] = {}
        self.epoch = 0  # changes when the keys may have
        self._read_at: float | None = None
        self._missed_at = float("-inf")
        self._reading = asyncio.Lock()  # so that the older of two concurrent reads does not overwrite the newer
        self.attempts = Attempts()
        self._proven: set[tuple[str, bytes]] = set()  # (address, digest) that used a short admin key before

    def fix(self, token: str, name: str) -> None:
        """An admin key that lives in this process only: TIDEGATE_ADMIN_KEY, and that of the local command line.

        Raises what `check_admin_key` raises.
        """
        check_admin_key(token, name)
        hashed = digest(token)
        self._fixed[hashed] = (hashed, Grant(name, frozenset(("admin",))))
        self.epoch += 1

    def known(self, token: str) -> Grant | None:
        """The grant when it is in memory and fresh; for hot paths. None means nothing: call `check`."""
        return self._look(token) if len(token) >= UNGUESSABLE and self._fresh() else None

    def still_holds(self, grant: Grant, epoch: int) -> bool:
        """Whether `known` would give the same as it did at `epoch`."""
        return (
            epoch == self.epoch
            and self._fresh()
            and (grant.expires_at_us is None or grant.expires_at_us > self._clock.now_us())
        )

    async def check(self, token: str, address: str = "") -> Grant:
        """The grant of a key. Unauthorized when it is unknown, revoked or expired.

        `address` is the caller's. TooManyAttempts after many short wrong keys; a short right key is not accepted then
        either, unless this address used it before.
        """
        if len(token) >= UNGUESSABLE:
            return await self._find(token)
        now = self._clock.monotonic()
        place = (address, digest(token))
        if place not in self._proven:
            self.attempts.check(address, now)
        try:
            grant = await self._find(token)
        except Unauthorized:
            self.attempts.failed(address, now)
            raise
        if len(self._proven) < MAX_KEYS:
            self._proven.add(place)
        return grant

    async def _find(self, token: str) -> Grant:
        now = self._clock.monotonic()
        if not self._fresh():
            async with self._reading:
                if not self._fresh():
                    await self._read()
        grant = self._look(token)
        if grant is None and now - self._missed_at > MISS_SECONDS:
            self._missed_at = now
            await self.reload()
            grant = self._look(token)
        if grant is None:
            raise Unauthorized("this key is unknown, revoked or expired")
        return grant

    def _look(self, token: str) -> Grant | None:
        hashed = digest(token)
        found = self._fixed.get(hashed) or self._grants.get(hashed)
        if found is None or not hmac.compare_digest(found[0], hashed):
            return None
        grant = found[1]
        if grant.expires_at_us is not None and grant.expires_at_us <= self._clock.now_us():
            return None
        return grant

    def _fresh(self) -> bool:
        return self._read_at is not None and self._clock.monotonic() - self._read_at <= REFRESH_SECONDS

    async def reload(self) -> None:
        async with self._reading:
            await self._read()

    async def _read(self) -> None:
        keys = await self._settings.keys()
        self._grants = {
            key.hash: (
                key.hash,
                Grant(
                    key.name,
                    frozenset(key.scopes),
                    frozenset(key.sources) if key.sources else None,
                    key.expires_at_us,
                    id=key.id,
                ),
            )
            for key in keys
        }
        self._read_at = self._clock.monotonic()
        self.epoch += 1

    async def create(
        self, name: str, scopes: Sequence[str], sources: Sequence[str] = (), expires_at_us: int | None = None
    ) -> tuple[ApiKey, str]:
        """(the key as kept, its text: shown this once). BadRequest for a name, scope or binding that makes no sense;
        Conflict for a name that is in use."""
        if _NAME.fullmatch(name) is None:
            raise BadRequest(f"key name {name[:80]!r} is not 1 to 63 letters, digits, spaces or . _ @ -")
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            raise BadRequest(f"scopes {list(scopes)!r}: give one or more of {', '.join(SCOPES)}")
        if sources and "admin" in scopes:
            raise BadRequest("an admin key cannot be bound to sources", hint="leave out --source, or --scope admin")
        kept = await self._settings.keys()
        if any(key.name == name for key in kept):
            raise Conflict(
                f"there is a key named {name!r} already",
                hint=f"use another name, or delete it first: tidegate keys delete {name!r}",
                code="key_exists",
            )
        if len(kept) >= MAX_KEYS:
            raise BadRequest(f"there are {len(kept)} keys already", hint="delete those that nobody uses: tidegate keys")
        token = new_token()
        now = self._clock.now_us()
        ordered = tuple(scope for scope in SCOPES if scope in scopes)
        key = ApiKey(
            ids.new_id("key", now), name, digest(token), ordered, tuple(sorted(set(sources))), now, expires_at_us
        )
        await self._settings.put_key(key)
        await self.reload()
        return key, token

    async def all(self) -> list[ApiKey]:
        return await self._settings.keys()

    async def delete(self, name_or_id: str) -> None:
        """By id, or by name when one key has it. NotFound; BadRequest when several have the name."""
        kept = await self._settings.keys()
        found = [key for key in kept if key.id == name_or_id] or [key for key in kept if key.name == name_or_id]
        if not found:
            raise NotFound(f"there is no key {name_or_id[:80]!r}", hint="list them: tidegate keys")
        if len(found) > 1:
            raise BadRequest(
                f"{len(found)} keys are named {name_or_id!r}", hint=f"delete by id: {', '.join(k.id for k in found)}"
            )
        await self._settings.put_key(None, delete=found[0].id)
        await self.reload()
