"""Lists with sync tokens and delta links: everything at first, then only what changed, deleted rows included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from support.catalog.calls import Call, place
from support.catalog.pages import make_token, read_token
from support.catalog.shape import Ask, Refused, Reply, State
from support.catalog.world import World


class Synced(Call, kw_only=True):
    """A list that ends with a token for the next poll.

    `page` and `sync` are the parameters of the request for the two kinds of tokens; `page_out` and `sync_out` are the
    members of the answer, with whole URLs in them when `links` is set (`\\.` is a dot of a name). `alone`: what may
    come beside a sync token; None allows everything. Rows are in the order of their numbers. The first walk leaves
    deleted rows out. A token that the world let expire is answered "expired".
    """

    table: str
    put: str
    page: str = "pageToken"
    page_out: str = "nextPageToken"
    sync: str = "syncToken"
    sync_out: str = "nextSyncToken"
    links: bool = False
    size: str = ""
    default: int = 250
    maximum: int = 2500
    served: int = 30
    alone: tuple[str, ...] | None = None
    wrap: Callable[[Any, State], Any] | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    lives_seconds: float = 0.0  # how long a sync token is known

    def answer(self, ask: Ask, world: World) -> Reply:
        since, started, after = self._where(ask, world)
        rows = world.rows(self.table)
        states = [one for one in rows.visible() if one.number > after]
        states = [one for one in states if not one.gone] if since is None else [one for one in states if one.n > since]
        states.sort(key=lambda one: one.number)
        size = self._size(ask)
        shown = []
        for state in states[:size]:
            row = rows.table.shown(state)
            shown.append(self.wrap(row, state) if self.wrap is not None else row)
        body: dict[str, Any] = {}
        place(body, self.put, shown)
        for name, value in self.extra.items():
            place(body, name, value)
        if len(states) > size:
            token = make_token([since, started, states[size - 1].number], ask.now_us)
            place(body, self.page_out, self._sent(ask, self.page, token))
        else:
            place(body, self.sync_out, self._sent(ask, self.sync, make_token(started, ask.now_us)))
        return Reply(200, body)

    def _where(self, ask: Ask, world: World) -> tuple[int | None, int, int]:
        """(the last change that is known, the last one when the walk began, the last row before this page)."""
        page, sync = ask.get(self.page), ask.get(self.sync)
        if page:
            value, made_us = read_token(page)
            world.check_token(made_us)
            return value[0], value[1], value[2]
        if not sync:
            return None, world.rows(self.table).count, 0
        if self.alone is not None and (others := set(ask.query) - {self.sync, *self.alone}):
            raise Refused("bad_request", f"{', '.join(sorted(others))} cannot come with {self.sync}")
        since, made_us = read_token(sync)
        world.check_token(made_us)
        if self.lives_seconds and ask.now_us - made_us > self.lives_seconds * 1e6:
            raise Refused("expired", "the sync token has expired")
        return since, world.rows(self.table).count, 0

    def _size(self, ask: Ask) -> int:
        given = ask.get(self.size) if self.size else None
        if given is not None and not 1 <= int(given) <= self.maximum:
            raise Refused("bad_request", f"{self.size} must be from 1 to {self.maximum}")
        return min(self.served, int(given or self.default))

    def _sent(self, ask: Ask, name: str, token: str) -> str:
        return f"{ask.url}{ask.path}?{name}={token}" if self.links else token
