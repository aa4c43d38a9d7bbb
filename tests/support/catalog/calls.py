"""The calls of an API: lists, items, and those that write. An API that is unlike all others has `Custom` calls."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from support.catalog.pages import Page, Pager
from support.catalog.shape import Ask, Refused, Reply, State, Table
from support.catalog.where import Where
from support.catalog.world import World

Order = tuple[tuple[str, bool], ...]  # (field, descending); the row number comes last


class Call(msgspec.Struct, kw_only=True):
    """`path` is below the base and has placeholders: those of `values` of the double must fit, the rest are free."""

    path: str
    method: str = "GET"

    def answer(self, ask: Ask, world: World) -> Reply:
        raise NotImplementedError


def sorting(table: Table, order: Order) -> Callable[[State], tuple[Any, ...]]:
    fields = [(table.field(name), -1 if descending else 1) for name, descending in order]
    last = -1 if order and order[-1][1] else 1
    return lambda state: (*(get(state) * sign for get, sign in fields), state.number * last)


class Listing(Call, kw_only=True):
    """A list. Deleted rows are in it unless `where` hides them (`hides_gone`), as tombstones of the table.

    `put`: the member that the rows go to, "" for a plain list. `wrap`: what is around each row. `late`: the list is an
    index that lags behind. `parent`: the placeholder of the path that names the parent row. `extra`: more of the body.
    `cap`: how many rows one query can reach; `capped` is the kind of the error behind them, "" for an end of the list.
    """

    table: str
    pages: Pager = Pager()
    put: str = ""
    where: tuple[Where, ...] = ()
    order: Order | Callable[[Ask], Order] = ()
    wrap: Callable[[Any, State], Any] | None = None
    late: bool = False
    parent: str = ""
    extra: Callable[[Ask, World, Page], dict[str, Any]] | None = None
    cap: int = 0
    capped: str = ""
    status: int = 200
    absent: bool = False  # an empty list is left out of the body
    no_rows: int = 0  # the status of an answer without rows and without a body

    def found(self, ask: Ask, world: World) -> tuple[list[State], Callable[[State], Any]]:
        """All rows that this request is about, in order."""
        rows = world.rows(self.table)
        states = rows.visible(late=self.late)
        for where in self.where:
            for condition in where(ask):
                states = [state for state in states if condition.holds(rows.table, state)]
        if self.parent:
            parent = world.rows(rows.table.parent).find(ask.fields[self.parent])
            if parent is None or parent.gone:
                raise Refused("not_found", f"{self.parent} {ask.fields[self.parent]} does not exist")
            states = [state for state in states if state.parent == parent.number]
        order = self.order(ask) if callable(self.order) else self.order
        key = sorting(rows.table, order)
        return sorted(states, key=key), key

    def answer(self, ask: Ask, world: World) -> Reply:
        states, key = self.found(ask, world)
        if self.cap:
            beyond = len(states) > self.cap
            states = states[: self.cap]
            page = self.pages.page(ask, states, key)
            if beyond and self.capped and not page.rest:
                raise Refused(self.capped, f"more than {self.cap} rows")
        else:
            page = self.pages.page(ask, states, key)
        return self.reply(ask, world, page)

    def reply(self, ask: Ask, world: World, page: Page) -> Reply:
        table = world.rows(self.table).table
        shown = [table.shown(state) for state in page.rows]
        if self.wrap is not None:
            shown = [self.wrap(row, state) for row, state in zip(shown, page.rows, strict=True)]
        if not shown and self.no_rows:
            return Reply(self.no_rows, None, page.headers)
        body: Any = shown
        more = {**page.more, **(self.extra(ask, world, page) if self.extra is not None else {})}
        if self.put:
            body = {}
            if shown or not self.absent:
                place(body, self.put, shown)
            for path, value in more.items():
                place(body, path, value)
        return Reply(self.status, body, page.headers)


class Item(Call, kw_only=True):
    """One row by its id, the placeholder `by` of the path. `gone`: what a deleted one answers."""

    table: str
    by: str = "id"
    put: str = ""
    gone: str = "not_found"  # the kind of the error, or "shown" for the tombstone
    as_list: bool = False

    def answer(self, ask: Ask, world: World) -> Reply:
        rows = world.rows(self.table)
        state = rows.find(ask.fields[self.by])
        if state is None:
            raise Refused("not_found", f"{ask.fields[self.by]} does not exist")
        if state.gone and self.gone != "shown":
            raise Refused(self.gone, f"{ask.fields[self.by]} was deleted")
        return Reply(200, wrapped(rows.table.shown(state), self.put, self.as_list))


class Write(Call, kw_only=True):
    """Creates, updates or deletes a row.

    `does`: create, update, delete or upsert. `needs`: places that must have a value. `unique`: the place that no two
    rows may share; a second one is a "duplicate", and an upsert updates it. `repeat_key`: the place of an idempotency
    key; the same key with another body is `repeat_clash`. `by`: the placeholder of the path that names the row.
    """

    method: str = "POST"
    table: str
    does: str = "create"
    needs: tuple[str, ...] = ()
    only: tuple[str, ...] = ()  # if given, the members that the body may have
    unique: str = ""
    repeat_key: str = ""
    repeat_clash: str = "bad_request"
    by: str = "id"
    put: str = ""
    as_list: bool = False
    status: int = 200
    created: int = 0  # the status of an upsert that creates
    empty: bool = False  # no body in the answer
    answers: Callable[[State, Ask], Any] | None = None  # the body, where it is not the row

    def answer(self, ask: Ask, world: World) -> Reply:
        for place_ in self.needs:
            if ask.get(place_) in (None, "", [], {}):
                raise Refused("bad_request", f"{place_} is required")
        self._check_members(ask)
        key = ask.get(self.repeat_key) if self.repeat_key else None
        sent = json.dumps([self.method, ask.path, ask.body], sort_keys=True)
        if key is not None and str(key) in world.repeats:
            before, reply = world.repeats[str(key)]
            if before != sent:
                raise Refused(self.repeat_clash, "the idempotency key was used with another request")
            return reply
        reply = self._write(ask, world)
        if key is not None:
            world.repeats[str(key)] = (sent, reply)
        return reply

    def _check_members(self, ask: Ask) -> None:
        if self.only and isinstance(ask.body, dict):
            wrong = sorted(set(ask.body) - set(self.only))
            if wrong:
                raise Refused("bad_request", f"unknown: {', '.join(wrong)}")

    def _write(self, ask: Ask, world: World) -> Reply:
        rows = world.rows(self.table)
        values = {"body": ask.body, "fields": dict(ask.fields)}
        if self.unique:
            values["unique"] = str(ask.get(self.unique))
        state: State | None = None
        status = self.status
        if self.does in ("update", "delete"):
            state = rows.find(ask.fields[self.by])
            if state is None or state.gone:
                raise Refused("not_found", f"{ask.fields[self.by]} does not exist")
        elif self.unique:
            state = self._same(rows, values["unique"])
            if state is not None and self.does == "create":
                raise Refused("duplicate", f"{values['unique']} exists already")
        if self.does == "delete":
            assert state is not None
            written = rows.delete(state.number)
        elif state is not None:
            written = rows.update(state.number, values)
        else:
            written = rows.create(values)
            status = self.created or status
        if self.empty:
            return Reply(status)
        shown = self.answers(written, ask) if self.answers is not None else rows.table.shown(written)
        return Reply(status, wrapped(shown, self.put, self.as_list))

    def _same(self, rows: Any, value: str) -> State | None:
        for number in rows.live():
            state: State = rows.states[number][-1]
            if state.values.get("unique") == value:
                return state
        return None


class Custom(Call, kw_only=True):
    """Whatever the function answers. `lists`: it is a list, during which rows may change."""

    lists: bool = False
    run: Callable[[Ask, World], Reply]

    def answer(self, ask: Ask, world: World) -> Reply:
        return self.run(ask, world)


# -- helpers -----------------------------------------------------------------------------------------------


def place(body: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a dotted path; `\\.` is a dot of a name, as in `@odata\\.nextLink`."""
    *way, last = [part.replace("\0", ".") for part in path.replace("\\.", "\0").split(".")]
    for part in way:
        body = body.setdefault(part, {})
    body[last] = value


def wrapped(shown: Any, put: str, as_list: bool = False) -> Any:
    if as_list:
        shown = [shown]
    if not put:
        return shown
    body: dict[str, Any] = {}
    place(body, put, shown)
    return body


def order_param(name: str, known: dict[str, str], default: Order, direction: str = "") -> Callable[[Ask], Order]:
    """The order by a parameter: its values -> fields; `-x` or the parameter `direction` = desc turns it round."""

    def order(ask: Ask) -> Order:
        given = str(ask.get(name) or "")
        if not given:
            if direction and default:
                return ((default[0][0], _descends(ask, direction, default[0][1])),)
            return default
        bare = given.removeprefix("-")
        if bare not in known:
            raise Refused("bad_request", f"{name} cannot be {given}")
        descending = given.startswith("-")
        if direction:
            descending = _descends(ask, direction, default[0][1] if default else False)
        return ((known[bare], descending),)

    return order


def _descends(ask: Ask, direction: str, default: bool) -> bool:
    given = str(ask.get(direction) or "").lower()
    if given not in ("", "asc", "desc", "ascending", "descending"):
        raise Refused("bad_request", f"{direction} cannot be {given}")
    return given.startswith("desc") if given else default


_HOLE = re.compile(r"\{(\w+)\}")


def matcher(path: str, values: dict[str, str]) -> re.Pattern[str]:
    """A path with placeholders as a pattern; those of `values` are fixed."""

    def part(match: re.Match[str]) -> str:
        name = match[1]
        return re.escape(values[name]) if name in values else f"(?P<{name}>[^/?]+)"

    pieces = _HOLE.split(path)
    out = "".join(
        re.escape(piece) if i % 2 == 0 else part(re.fullmatch(r"(\w+)", piece))  # type: ignore[arg-type]
        for i, piece in enumerate(pieces)
    )
    return re.compile(out)
