"""The truth of a double: every state that each row ever had, and what of it is visible now."""

from __future__ import annotations

import random
from typing import Any

from support.catalog.limits import Meter
from support.catalog.shape import SECOND, Double, Refused, State, Table


class Rows:
    """The rows of one table."""

    def __init__(self, table: Table, world: World) -> None:
        self.table = table
        self.world = world
        self.states: dict[int, list[State]] = {}
        self.count = 0
        self._live: list[int] = []

    # -- changing ----------------------------------------------------------------------------------------

    def _add(self, number: int, kind: str, **more: Any) -> State:
        now_us = self.world.now_us()
        stored = now_us - now_us % self.table.resolution_us
        before = self.states.get(number)
        self.count += 1
        lag_us = int(self.world.random.random() * self.table.lag_seconds * SECOND)
        state = State(
            number=number,
            n=self.count,
            created_us=before[0].created_us if before else stored,
            at_us=stored,
            visible_us=now_us + lag_us,
            gone=kind == "deleted",
            parent=before[0].parent if before else more.pop("parent", 0),
            kind=kind,
            **more,
        )
        self.states.setdefault(number, []).append(state)
        for other in self.world.tables.values():
            if other.table.log_of == self.table.name and kind in other.table.log_kinds:
                other._add(len(other.states) + 1, "created", of=state)
        return state

    def create(self, values: dict[str, Any] | None = None) -> State:
        parent = self.world.any_parent(self.table)
        number = len(self.states) + 1
        self._live.append(number)
        return self._add(number, "created", parent=parent, values=values or {})

    def update(self, number: int, values: dict[str, Any] | None = None) -> State:
        kept = {**self.states[number][-1].values, **(values or {})}
        return self._add(number, "updated", values=kept)

    def delete(self, number: int) -> State:
        self._live.remove(number)
        for other in self.world.tables.values():
            if other.table.parent == self.table.name:
                for child in [one for one in other._live if other.states[one][0].parent == number]:
                    other.delete(child)
        return self._add(number, "deleted", values=self.states[number][-1].values)

    def change(self) -> None:
        """One random change that happens to this kind of row. The first row always stays."""
        pick, kinds = self.world.random, self.table.changes
        if self.table.log_of:
            self.world.tables[self.table.log_of].change()
            return
        kind = pick.choice([one for one in kinds for _ in range({"c": 3, "u": 5, "d": 1}[one])])
        if kind == "d" and len(self._live) > 1:
            self.delete(pick.choice(self._live[1:]))
        elif kind == "u" and self._live:
            self.update(pick.choice(self._live[-40:] if pick.random() < 0.5 else self._live))
        elif self.table.parent == "" or self.world.any_parent(self.table):
            self.create()

    # -- looking -----------------------------------------------------------------------------------------

    def live(self) -> list[int]:
        return list(self._live)

    def visible(self, *, late: bool = False) -> list[State]:
        """The newest state of each row, deleted ones included; `late`: as a list with a delay shows them."""
        now_us = self.world.now_us()
        found = []
        kept_us = self.table.kept_seconds * SECOND
        for states in self.states.values():
            state: State | None = states[-1]
            if late:
                state = next((one for one in reversed(states) if one.visible_us <= now_us), None)
            if state is not None and not (state.gone and kept_us and state.at_us + kept_us < now_us):
                found.append(state)
        return found

    def find(self, ident: str) -> State | None:
        """The newest state of the row with this id."""
        for number, states in self.states.items():
            if str(self.table.ident(number)) == ident:
                return states[-1]
        return None


class World:
    """All tables of a double, its quotas and what it remembers between calls."""

    def __init__(self, double: Double, clock: Any, seed: int = 1) -> None:
        self.double = double
        self.clock = clock
        self.random = random.Random(f"{double.name}{seed}")
        self._ahead_us = self.random.choice([0, 120, -3600]) * SECOND  # clocks differ
        self.tables = {table.name: Rows(table, self) for table in double.tables}
        self.meters = [Meter(quota) for quota in double.quotas]
        self.kept: dict[str, Any] = {}  # for calls that are made by hand
        self.repeats: dict[str, tuple[str, Any]] = {}  # idempotency keys -> (request, answer)
        self.expired_before_us = 0  # tokens made before are not known any more

    def now_us(self) -> int:
        """The time of the outside system. Does not move the clock."""
        return int(self.clock._now_us) + self._ahead_us

    def rows(self, name: str) -> Rows:
        return self.tables[name]

    def any_parent(self, table: Table) -> int:
        if not table.parent:
            return 0
        live = self.tables[table.parent].live()
        return self.random.choice(live) if live else 0

    def begin(self) -> None:
        """The rows that are there before the first poll, made over some hours."""
        for name, rows in self.tables.items():
            if not self.double.tables or rows.table.log_of:
                continue
            for _ in range(rows.table.first):
                rows.create()
                self.clock.advance(self.random.choice([0, 1, 60]))
            assert rows.states or not rows.table.first, name

    def use_up(self) -> None:
        for meter in self.meters:
            meter.use_up(self.now_us())

    def expire_tokens(self) -> None:
        self.expired_before_us = self.now_us()

    def check_token(self, made_us: int) -> None:
        if made_us < self.expired_before_us:
            raise Refused("expired", "the token has expired")
