"""Feeds: a named durable cursor over the log, for consumers that cannot receive webhooks.

Reading moves nothing. An acknowledgment does, never back, and the first one creates the feed. A feed belongs to the
sources that its first acknowledgment could read: it returns their events only, and a caller who cannot read all of them
can neither read nor move it. A feed does not block retention: one that is behind it gets 410 with the oldest cursor and
continues from there by acknowledging it. Crash: the committed offset is the last acknowledged one, so a consumer may
see events again and misses none.
"""

from __future__ import annotations

import re

from tidegate.core.errors import BadRequest, Conflict, Forbidden, Gone, NotFound
from tidegate.query import cursors, events
from tidegate.query.context import ReadContext
from tidegate.query.events import Allowed, EventFilter, instant
from tidegate.query.schemas import FeedPage, FeedSchema
from tidegate.store import Feed, FeedAck

MAX_FEEDS = 100  # of one key
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class FeedExpired(Gone):
    """Retention deleted events between the feed's committed offset and the oldest kept event."""

    code = "feed_expired"

    def __init__(self, name: str, committed_offset: int, oldest_cursor: str) -> None:
        super().__init__(
            f"feed {name!r} is at offset {committed_offset}, and retention deleted events after it",
            hint=f'continue from the oldest: POST /api/v1/feeds/{name}/ack {{"cursor": "{oldest_cursor}"}}',
        )
        self.oldest_cursor = oldest_cursor


class TooManyFeeds(Conflict):
    """The key made as many feeds as one key may."""

    code = "too_many_feeds"


def check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise BadRequest(f"feed name {name[:80]!r} is not of the form [a-z0-9][a-z0-9_-]*, at most 63 characters")


def covers(allowed: Allowed, feed: Feed) -> bool:
    """Whether a caller with these sources may see everything that the feed returns."""
    return allowed is None or (bool(feed.sources) and allowed.issuperset(feed.sources))


async def _feed(gateway: ReadContext, name: str, allowed: Allowed) -> Feed | None:
    """Forbidden when the feed returns events that the caller may not read."""
    check_name(name)
    feed = await gateway.store.settings.feed(name)
    if feed is not None and not covers(allowed, feed):
        raise _foreign(name)
    return feed


def _foreign(name: str) -> Forbidden:
    return Forbidden(
        f"feed {name!r} belongs to sources that this key cannot read",
        hint="use a feed name of your own; the first acknowledgment creates it",
    )


async def read(
    gateway: ReadContext, name: str, *, limit: int, wanted: EventFilter, allowed: Allowed = None
) -> FeedPage:
    """The events after the feed's committed offset, oldest first; from the oldest event when there is no feed yet.

    Raises BadRequest (name), Forbidden (another's feed), FeedExpired.
    """
    feed = await _feed(gateway, name, allowed)
    committed_offset = feed.committed_offset if feed is not None else 0
    if feed is not None and feed.sources:
        allowed = frozenset(feed.sources)
    found = await events.walk(gateway.store.log, wanted, limit=limit, after=committed_offset, allowed=allowed)
    if feed is not None:  # after the read: what was trimmed during it may be missing from it
        await _check_kept(gateway, name, committed_offset)
    instance = gateway.store.log.instance
    return FeedPage(
        [events.schema_of(instance, event) for event in found.events],
        cursors.encode_offset(cursors.AFTER, max(committed_offset, found.edge)),
        committed_offset,
        found.more,
    )


async def _check_kept(gateway: ReadContext, name: str, committed_offset: int) -> None:
    trimmed = await gateway.store.log.trimmed()
    if committed_offset < trimmed:
        raise FeedExpired(name, committed_offset, cursors.encode_offset(cursors.AFTER, trimmed))


async def ack(
    gateway: ReadContext, name: str, upto: str | int, *, allowed: Allowed = None, owner: str = ""
) -> FeedSchema:
    """Acknowledge everything up to a cursor, or received before an instant (microseconds since 1970).

    What lies before the committed offset moves nothing. `owner` is the id of the caller's key. Raises BadRequest (name,
    cursor), Forbidden (another's feed), TooManyFeeds.
    """
    feed = await _feed(gateway, name, allowed)
    offset = await (_offset(gateway, upto) if isinstance(upto, str) else _offset_before(gateway, upto))
    sources = tuple(sorted(allowed or ())) if feed is None else feed.sources
    done = await gateway.store.settings.feed(
        name, ack=FeedAck(offset, gateway.clock.now_us(), sources, owner, MAX_FEEDS)
    )
    if done is None:
        raise TooManyFeeds(
            f"this key has {MAX_FEEDS} feeds already",
            hint="delete one: DELETE /api/v1/feeds/NAME; list: GET /api/v1/feeds",
        )
    if done.sources != sources:  # another key created it at the same time
        raise _foreign(name)
    return _schema(done)


async def _offset(gateway: ReadContext, cursor: str) -> int:
    offset = cursors.decode_offset(cursors.AFTER, cursor)
    assert offset is not None
    head = gateway.store.log.published_offset
    if offset > head:  # or read from a node that saw newer events before this one
        head = await gateway.store.log.head()
    if offset > head:
        raise BadRequest(
            f"the cursor is at offset {offset}, after the end of the log at {head}",
            code="bad_cursor",
            hint="acknowledge next_cursor of the feed's page unchanged",
        )
    return offset


async def _offset_before(gateway: ReadContext, instant_us: int) -> int:
    """The last offset before the first event that was received at or after an instant."""
    first = await gateway.store.log.offset_at(instant_us)
    return await gateway.store.log.head() if first is None else first - 1


async def all_feeds(gateway: ReadContext, allowed: Allowed = None) -> list[FeedSchema]:
    """The feeds that the caller may read, by name."""
    return [_schema(feed) for feed in await gateway.store.settings.feeds() if covers(allowed, feed)]


async def delete(gateway: ReadContext, name: str, allowed: Allowed = None) -> None:
    """NotFound; Forbidden for another's feed."""
    if await _feed(gateway, name, allowed) is None or not await gateway.store.settings.delete_feed(name):
        raise NotFound(f"there is no feed {name!r}", hint="list them: GET /api/v1/feeds")


def _schema(feed: Feed) -> FeedSchema:
    return FeedSchema(feed.name, feed.committed_offset, instant(feed.updated_at_us), list(feed.sources) or None)
