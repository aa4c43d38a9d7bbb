"""The settings: configuration items, route revisions, API keys, feeds, rejected requests and small values.

Owns the protocol `Settings`, which `sqlite/settings.py` and `postgres/settings.py` implement, and its shapes. Bodies of
items and revisions arrive sealed: this layer never sees a secret. Times are microseconds since 1970 UTC.

Invariant: an item keeps its number for life, and a number is never used again. Each call is one transaction, so after a
crash its change is stored completely or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec


class Item(msgspec.Struct, frozen=True):
    """A configured source, destination or route."""

    kind: str  # "source", "destination", "route"
    name: str
    number: int  # for life; a name used again after a delete gets a new number
    owner: str  # "file" or "api"
    body: bytes  # sealed JSON; the store cannot read it
    place: int  # order in the file; items made by the API follow, by creation
    created_at_us: int
    updated_at_us: int
    paused_at_us: int | None = None
    pause_reason: str = ""  # "operator", "gone" (410), "left_file"
    deleted_at_us: int | None = None


class ApiKey(msgspec.Struct, frozen=True):
    """A key for the API. Only its SHA-256 is stored."""

    id: str
    name: str
    hash: bytes
    scopes: tuple[str, ...]
    sources: tuple[str, ...]  # the sources it may use; () means all
    created_at_us: int
    expires_at_us: int | None = None


class Feed(msgspec.Struct, frozen=True):
    """A durable consumer cursor over the log."""

    name: str
    committed_offset: int
    updated_at_us: int
    sources: tuple[str, ...] = ()  # the sources it was made for; () means all
    owner: str = ""  # the id of the API key that made it


class FeedAck(msgspec.Struct, frozen=True):
    """An acknowledgment of a feed.

    `sources` are those of the feed, or of the caller when the feed does not exist yet. `limit` bounds the feeds of
    `owner`.
    """

    offset: int
    at_us: int
    sources: tuple[str, ...] = ()
    owner: str = ""
    limit: int = 100


class Rejection(msgspec.Struct, frozen=True):
    """A request that an input rejected."""

    at_us: int
    source: str
    reason: str  # a code: "signature_missing", "signature_wrong", "too_old", "secret_unset", "too_large", ...
    detail: str
    remote: str


class Settings(Protocol):
    """Configuration, route revisions, keys, feeds, rejected requests and small values."""

    async def items(self) -> list[Item]:
        """All items, deleted ones too, ordered by kind, place and number."""
        ...

    async def put_items(self, items: Sequence[Item], *, read: Mapping[int, bytes] | None = None) -> None:
        """Insert or replace items in one transaction. An item with number 0 gets a new number.

        `read` has the bodies, by number, that the change was decided on. Raises ChangedElsewhere when one of them is
        different now, or when an item of the same kind and name exists; then nothing was changed.
        """
        ...

    async def route_revision(self, name: str, body: bytes, digest: bytes) -> int:
        """The number of a route's content: the same name and digest get the same number. `body` is sealed."""
        ...

    async def reseal_revision(self, revision: int, was: bytes, body: bytes) -> None:
        """Replace the sealed body of a revision, unless it is not `was` any more. Its content stays the same."""
        ...

    async def route_revisions(self) -> dict[int, tuple[str, bytes]]:
        """revision -> (route name, sealed body)."""
        ...

    async def keys(self) -> list[ApiKey]: ...

    async def put_key(self, key: ApiKey | None, *, delete: str | None = None) -> None:
        """Delete the key with the id `delete`, then insert `key`, in one transaction."""
        ...

    async def feed(self, name: str, *, ack: FeedAck | None = None) -> Feed | None:
        """A feed; None when it does not exist.

        `ack` creates it, unless its owner has `limit` feeds, or moves it forward, never back, if it belongs to the same
        sources. Otherwise nothing changes.
        """
        ...

    async def feeds(self) -> list[Feed]:
        """All feeds, by name."""
        ...

    async def delete_feed(self, name: str) -> bool:
        """False when it does not exist."""
        ...

    async def rejections(self, *, put: Sequence[Rejection] = (), limit: int = 100) -> list[Rejection]:
        """Add rejected requests, then return the newest `limit`, newest first.

        1,000 are kept: the newest of each source, as many of one as of another.
        """
        ...

    async def value(self, name: str, *, put: bytes | None = None) -> bytes | None:
        """A small named value; the caller seals secret ones."""
        ...

    async def swap(self, name: str, was: bytes | None, put: bytes) -> bool:
        """Replace a small value if it is still `was` (None: it does not exist). False if not; nothing was changed."""
        ...

    def watch(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the loop, within a second, after another node changed items, revisions or keys."""
        ...
