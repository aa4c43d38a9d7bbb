"""Feeds: a named durable cursor over the log for a consumer that cannot receive webhooks.

Reading moves nothing; an ack does, never back, and the first one makes the feed. A feed holds nothing back: one that
fell behind the retention is told so (410 with the oldest cursor) and goes on from there by acking it. Crash: the
position is what was last acked, so a consumer sees events again and misses none.
"""

from __future__ import annotations

import re

from tidegate.core.errors import BadRequest, Gone
from tidegate.query import cursors, events
from tidegate.query.context import ReadContext
from tidegate.query.events import Allowed, EventFilter, instant
from tidegate.query.schemas import FeedPage, FeedSchema

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class FeedExpired(Gone):
    """Events between the feed's position and the oldest kept are past the retention."""

    code = "feed_expired"

    def __init__(self, name: str, committed_offset: int, oldest_cursor: str) -> None:
        super().__init__(
            f"feed {name!r} stands at offset {committed_offset}, and events after it are past the retention",
            hint=f'go on from the oldest: POST /api/v1/feeds/{name}/ack {{"cursor": "{oldest_cursor}"}}',
        )
        self.oldest_cursor = oldest_cursor


def check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise BadRequest(f"feed name {name[:80]!r} is not of the form [a-z0-9][a-z0-9_-]*, at most 63 letters")


async def read(
    gateway: ReadContext, name: str, *, limit: int, wanted: EventFilter, allowed: Allowed = None
) -> FeedPage:
    """What comes after the feed's position, oldest first; before the first ack, from the oldest that is kept."""
    check_name(name)
    feed = await gateway.store.settings.feed(name)
    committed_offset = feed.committed_offset if feed is not None else 0
    found = await events.walk(gateway.store.log, wanted, limit=limit, after=committed_offset, allowed=allowed)
    if feed is not None:  # after the reading: what was trimmed during it may be missing from it
        await _check_kept(gateway, name, committed_offset)
    instance = gateway.store.log.instance
    return FeedPage(
        [events.form(instance, event) for event in found.events],
        cursors.encode_offset(cursors.AFTER, max(committed_offset, found.edge)),
        committed_offset,
        found.more,
    )


async def _check_kept(gateway: ReadContext, name: str, committed_offset: int) -> None:
    trimmed = await gateway.store.log.trimmed()
    if committed_offset < trimmed:
        raise FeedExpired(name, committed_offset, cursors.encode_offset(cursors.AFTER, trimmed))


async def ack(gateway: ReadContext, name: str, cursor: str) -> FeedSchema:
    """Everything up to the cursor is worked off. An older cursor than the feed's own moves nothing."""
    check_name(name)
    offset = cursors.decode_offset(cursors.AFTER, cursor)
    assert offset is not None
    head = gateway.store.log.published_offset
    if offset > head:  # or read from a node that heard of it before this one
        head = await gateway.store.log.head()
    if offset > head:
        raise BadRequest(
            f"the cursor lies at offset {offset}, beyond the log's end at {head}",
            code="bad_cursor",
            hint="ack with next_cursor of the feed's page as it is",
        )
    feed = await gateway.store.settings.feed(name, ack=offset, now_us=gateway.clock.now_us())
    assert feed is not None
    return FeedSchema(feed.name, feed.committed_offset, instant(feed.updated_at_us))
