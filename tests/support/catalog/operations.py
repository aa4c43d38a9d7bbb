"""Runs the operations of a provider file against its double: once, and again after an answer that was lost."""

from __future__ import annotations

from typing import Any

from support.catalog.driver import Polled
from support.catalog.shape import Test
from tidegate.core.model import Outcome
from tidegate.pull.operations import OperationResult, OperationRunner


class Operations:
    """The operations of the polled source. All calls of a round have one key, so ids are remembered."""

    def __init__(self, one: Polled) -> None:
        self.one = one
        self.runner = OperationRunner(one.store.operations, one.engine.client_of, one.clock)
        self.runner.configure({"s": one.source})
        self._rounds = 0

    async def call(self, name: str, key: str, delivery: str, data: dict[str, Any]) -> OperationResult:
        """One call, again while the API says that it is asked too often."""
        view = {
            "type": "t", "source": "shop", "origin": "publish", "key": key, "data": data, "body": data, "context": {},
            "headers": {}, "query": {}, "change": None, "test": False, "schema_error": None, "delivery_id": delivery,
        }  # fmt: skip
        for _ in range(5):
            result = await self.runner.run("s", name, view)
            self.one.clock.advance(1.0)
            if result.retry_after_seconds is None:
                break
            self.one.clock.advance(result.retry_after_seconds)
        return result

    async def check(self, name: str) -> str:
        """Run one operation. Returns what a repeat after a lost answer does, as the double shows it."""
        test = self.one.double.operations[name]
        place = f"{self.one.double.name}/{name}"
        rows = self.one.world.rows(test.table)
        before = len(rows.live()), rows.count
        first, second = self._round(), self._round()
        for prior in test.after:
            done = await self.call(prior, f"{name}-a", f"evt_{name}_{prior}", self._data(prior, first))
            assert done.outcome is Outcome.OK, f"{place}: {prior} before it: {done.status} {done.error}"
            before = len(rows.live()), rows.count
        result = await self.call(name, f"{name}-a", f"evt_{name}_a", self._data(name, first))
        assert result.outcome is Outcome.OK, f"{place}: {result.status} {result.error} {result.body[:300]!r}"
        assert rows.count > before[1], f"{place}: nothing was written to {test.table}"
        if not test.creates:
            return "same"
        assert len(rows.live()) == before[0] + 1, f"{place}: {len(rows.live()) - before[0]} rows were created"
        return await self._lost(name, test, place, second)

    def _round(self) -> str:
        """Another character each time."""
        self._rounds += 1
        return chr(ord("a") + self._rounds - 1)

    async def _lost(self, name: str, test: Test, place: str, which: str) -> str:
        """The call is made, its answer is lost, and the same delivery is tried again."""
        rows = self.one.world.rows(test.table)
        for prior in test.after:
            await self.call(prior, f"{name}-b", f"evt_{name}_{prior}_b", self._data(prior, which))
        before = len(rows.live())
        self.one.served.lose_next = True
        first = await self.call(name, f"{name}-b", f"evt_{name}_b", self._data(name, which))
        # The client itself repeats a PUT over a new connection when a kept one was closed.
        repeats = self.one.source.operations[name].method in ("PUT", "DELETE")
        assert first.outcome is not Outcome.OK or repeats, f"{place}: an answer came although it was lost"
        assert len(rows.live()) == before + 1, place
        self.one.clock.advance(test.found_after_seconds)
        again = await self.call(name, f"{name}-b", f"evt_{name}_b", self._data(name, which))
        created = len(rows.live()) - before
        if test.repeat == "rejected":
            assert again.outcome is not Outcome.OK and created == 1, f"{place}: {again.status}, {created} rows"
        else:
            assert again.outcome is Outcome.OK, f"{place}: {again.status} {again.error}"
            wanted = 1 if test.repeat == "same" else 2
            assert created == wanted, f"{place}: {created} rows after a repeat, {wanted} expected"
        return test.repeat

    def _data(self, name: str, which: str) -> dict[str, Any]:
        return {key: _filled(value, which) for key, value in self.one.double.operations[name].data.items()}


def _filled(value: Any, which: str) -> Any:
    """`{n}` in a text is another text in each round."""
    if isinstance(value, str):
        return value.replace("{n}", which)
    if isinstance(value, dict):
        return {key: _filled(one, which) for key, one in value.items()}
    return [_filled(one, which) for one in value] if isinstance(value, list) else value
