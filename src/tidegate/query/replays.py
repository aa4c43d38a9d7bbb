"""Queries of replay jobs. The deliver engine creates and runs them; this module only reads."""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.core.errors import NotFound
from tidegate.query.context import ReadContext
from tidegate.query.events import instant
from tidegate.query.schemas import ReplaySchema
from tidegate.store import Replay


async def list_replays(gateway: ReadContext) -> list[ReplaySchema]:
    """Newest first: the last 200, and those that are not finished."""
    return [schema_of(one) for one in await gateway.store.deliveries.replays()]


async def replay_by_id(gateway: ReadContext, replay_id: str) -> ReplaySchema:
    replay = await gateway.store.deliveries.replay(replay_id) if replay_id.isascii() and "\0" not in replay_id else None
    if replay is None:
        raise NotFound(f"there is no replay {replay_id[:80]!r}", hint="list them: GET /api/v1/replays")
    return schema_of(replay)


def schema_of(replay: Replay) -> ReplaySchema:
    asked: dict[str, Any] = msgspec.json.decode(replay.query)
    shown = {name: value for name, value in asked.items() if value is not None}
    for name in ("since", "until"):
        at_us = shown.pop(f"{name}_us", None)
        if at_us is not None:
            shown[name] = rfc3339(at_us)
    return ReplaySchema(
        id=replay.id,
        created_at=instant(replay.created_at_us),
        query=shown,
        committed_offset=replay.committed_offset,
        upto=replay.upto,
        matched=replay.matched,
        reopened=replay.reopened,
        finished_at=rfc3339(replay.finished_at_us),
        cause=replay.cause,
    )
