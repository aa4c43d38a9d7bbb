"""Promise 7: polling misses no change that could be seen, emits none twice, deletes none falsely; never back.

A model (hypothesis, stateful) drives a source that changes before, between and during the pages of a poll, webhooks
that come, come late, out of order, twice or never, pages that fail, and restarts in the middle of a run. After every
step the change events so far must be a true history: each state was the source's own, once, in the order in which the
source had them, numbered without a gap, deleted only what was deleted. When the source has been quiet for a poll and
for scans, records and source must be equal.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.upstream.pull import PullSetup, pull_setup

KEYS = st.sampled_from(["a", "b", "c"])
DAY = 86_400.0
EXAMPLES = max(6, int(os.environ.get("TIDEGATE_KILL_ROUNDS", "12")) // 3)
STEP_SECONDS = 30


@pytest.fixture
def plain(tmp_path: Path) -> AbstractAsyncContextManager[PullSetup]:
    """A source without versions whose items cannot be asked for: only the instants of question and answer count."""
    feed = {"types": ["orders/*"], "key": "id", "deleted_types": ["orders/deleted"]}
    return pull_setup(
        tmp_path, versions=False, item_path=None, initial="events", webhook=feed, deletes={"mode": "none"}
    )


async def test_a_page_that_was_read_before_a_webhook_came_does_not_take_it_back(
    plain: AbstractAsyncContextManager[PullSetup],
) -> None:
    async with plain as one:
        one.shop.put("a", n=1)
        await one.poll()

        async def meanwhile(_: str) -> None:
            one.shop.on_answer = None
            await one.webhook(one.shop.put("a", n=2))

        one.shop.on_answer = meanwhile  # the answer is made, and shows 1
        await one.poll()
        assert (await one.records())["a"]["n"] == 2
        assert [change["data"]["n"] for change in await one.changes()] == [1, 2]
        one.shop.put("a", n=3)
        await one.poll()
        assert [change["data"]["n"] for change in await one.changes()] == [1, 2, 3]


async def test_a_webhook_that_came_before_a_page_was_asked_for_does_not_take_it_back(
    plain: AbstractAsyncContextManager[PullSetup],
) -> None:
    async with plain as one:
        old = dict(one.shop.put("a", n=1))
        await one.poll()
        received_at_us = one.clock.now_us()  # it came, and waits for the disk
        one.shop.put("a", n=2)
        await one.poll()
        await one.webhook(old, at_us=received_at_us)
        await one.settle()
        assert (await one.records())["a"]["n"] == 2
        assert [change["data"]["n"] for change in await one.changes()] == [1, 2]


class PolledSource(RuleBasedStateMachine):
    """The source is `self.one.shop`; `history` is every state each key ever had, in order."""

    versions = True

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.history: dict[str, list[str | None]] = {}
        self.started = False
        self.undelivered: list[tuple[str, dict[str, Any]]] = []  # webhooks on their way
        self.counter = 0
        self.read_events = 0
        self.seen_changes: dict[str, list[dict[str, Any]]] = {}

    def do(self, work: Any) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(STEP_SECONDS):
                return await work

        return self.runner.run(bounded())

    @initialize(
        page_size=st.sampled_from([2, 3, 1000]),
        incremental=st.booleans(),
        confirm=st.sampled_from(["get", "second_scan"]),
    )
    def begin(self, page_size: int, incremental: bool, confirm: str) -> None:
        how: dict[str, Any] = {
            "initial": "events",
            "deletes": {"mode": "scan", "every": "1d", "confirm": confirm, "max_ratio": 1.0},
            "webhook": {"types": ["orders/*"], "key": "id", "deleted_types": ["orders/deleted"]},
        }
        if incremental and self.versions:
            how["incremental"] = {"cursor_path": "updated_at", "param": "updated_since", "lag": "60s"}
        self.context = pull_setup(self.folder, page_size=page_size, versions=self.versions, validators=True, **how)
        self.one: PullSetup = self.do(self.context.__aenter__())
        self.started = True

    # -- the source changes ------------------------------------------------------------------------------

    def put(self, key: str) -> None:
        self.counter += 1
        item = self.one.shop.put(key, n=self.counter)
        self.history.setdefault(key, []).append(json.dumps(item, sort_keys=True))
        self.undelivered.append(("orders/updated", dict(item)))

    def remove(self, key: str) -> None:
        if key in self.one.shop.items:
            item = self.one.shop.remove(key)
            self.history[key].append(None)
            deleted = {**item, "updated_at": self.one.shop.now()} if self.versions else dict(item)
            self.undelivered.append(("orders/deleted", deleted))

    @rule(key=KEYS)
    def change(self, key: str) -> None:
        self.put(key)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.remove(key)

    @rule(seconds=st.sampled_from([1, 30, 4000, 100_000]))
    def time_passes(self, seconds: int) -> None:
        self.one.clock.advance(seconds)
        self.one.shop.second += seconds

    # -- webhooks ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.undelivered)
    @rule(data=st.data(), copies=st.sampled_from([1, 1, 2]))
    def webhook(self, data: Any, copies: int) -> None:
        """Any of those on their way: late, out of order, twice."""
        type_, item = self.undelivered[data.draw(st.integers(0, len(self.undelivered) - 1))]
        for _ in range(copies):
            self.do(self.one.webhook(item, type_))
        self.undelivered.remove((type_, item))

    @precondition(lambda self: len(self.undelivered) > 1)
    @rule()
    def webhooks_come_in_the_wrong_order(self) -> None:
        while self.undelivered:
            type_, item = self.undelivered.pop()
            self.do(self.one.webhook(item, type_))
        self.do(self.one.settle())

    @precondition(lambda self: self.undelivered)
    @rule()
    def webhooks_are_lost(self) -> None:
        self.undelivered.clear()

    # -- polls -------------------------------------------------------------------------------------------

    @rule()
    def poll(self) -> None:
        self.do(self.one.poll(ok=False))

    @rule(
        moves=st.lists(
            st.tuples(st.integers(1, 4), st.sampled_from(["put", "remove", "webhook"]), KEYS), min_size=1, max_size=4
        )
    )
    def poll_while_it_changes(self, moves: list[tuple[int, str, str]]) -> None:
        asked = 0

        async def meanwhile(_: str) -> None:
            nonlocal asked
            asked += 1
            for at, what, key in moves:
                if at != asked:
                    continue
                if what == "put":
                    self.put(key)
                elif what == "remove":
                    self.remove(key)
                elif self.undelivered:
                    type_, item = self.undelivered.pop()
                    await self.one.webhook(item, type_)

        self.one.shop.on_answer = meanwhile
        try:
            self.do(self.one.poll(ok=False))
        finally:
            self.one.shop.on_answer = None

    @rule(good=st.integers(0, 2), status=st.sampled_from([500, 429, 503]))
    def poll_that_fails(self, good: int, status: int) -> None:
        asked = 0

        async def fail_next(_: str) -> None:
            nonlocal asked
            asked += 1
            if asked == good:
                self.one.shop.break_next = [status] * 4

        self.one.shop.on_answer = fail_next
        if not good:
            self.one.shop.break_next = [status] * 4
        try:
            self.do(self.one.poll(ok=False))
        finally:
            self.one.shop.on_answer = None
            self.one.shop.break_next = []

    @rule(page=st.integers(1, 3))
    def restart_in_the_middle_of_a_poll(self, page: int) -> None:
        async def cut() -> None:
            asked = 0
            reached = asyncio.Event()

            async def hold(_: str) -> None:
                nonlocal asked
                asked += 1
                if asked == page:
                    reached.set()
                    await asyncio.sleep(0.05)

            self.one.shop.on_answer = hold
            run = asyncio.create_task(self.one.poll(ok=False))
            waiting = asyncio.create_task(reached.wait())
            await asyncio.wait({run, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            await self.one.restart()
            await asyncio.gather(run, return_exceptions=True)
            self.one.shop.on_answer = None

        self.do(cut())

    # -- the check ---------------------------------------------------------------------------------------

    def read(self) -> None:
        changes = self.do(self.one.changes())
        for change in changes[self.read_events :]:
            self.seen_changes.setdefault(change["key"], []).append(change)
        self.read_events = len(changes)

    @invariant()
    def the_changes_are_a_true_history(self) -> None:
        if not self.started:
            return
        self.read()
        for key, changes in self.seen_changes.items():
            self.check(key, changes)

    def check(self, key: str, changes: list[dict[str, Any]]) -> None:
        states, at, alive = self.history[key], -1, False
        shown = [(change["kind"], change["origin"], change["data"].get("n")) for change in changes]
        had = [None if one is None else json.loads(one)["n"] for one in states]
        note = f"{key}: the source had {had}, the gateway {shown}"
        # Without a gap; a delete that came before anything else was known has a number and makes no change.
        first = changes[0]["number"]
        assert first in (1, 2), note
        assert [change["number"] for change in changes] == list(range(first, first + len(changes))), note
        for change in changes:
            if change["kind"] == "deleted":
                assert alive, note
                assert None in states[max(at, 0) :], note  # deleted, and it never was since then
                at, alive = states.index(None, max(at, 0)), False
                continue
            assert (change["kind"] == "updated") == alive, note
            # Each state had its own counter, so a state that comes twice or out of order is not found further on.
            state = json.dumps(change["data"], sort_keys=True)
            assert state in states[at + 1 :], note
            at, alive = states.index(state, at + 1), True

    def teardown(self) -> None:
        try:
            if self.started:
                self.settle()
        finally:
            if hasattr(self, "context"):
                self.do(self.context.__aexit__(None, None, None))
            self.runner.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self) -> None:
        """The source is quiet: one poll, then scans (a day apart; two prove an absence)."""
        shop = self.one.shop
        for _ in range(3):
            self.one.clock.advance(2 * DAY)
            shop.second += int(2 * DAY)
            self.do(self.one.poll())
            self.do(self.one.settle())
        assert self.do(self.one.records()) == shop.items
        self.the_changes_are_a_true_history()
        for key, states in self.history.items():
            last = self.seen_changes.get(key, [])
            if states[-1] is not None:
                assert json.dumps(last[-1]["data"], sort_keys=True) == states[-1]
            else:
                assert not last or last[-1]["kind"] == "deleted"
        count = self.read_events
        self.do(self.one.poll())
        self.read()
        assert self.read_events == count, "a quiet source has no changes"


class PolledSourceWithoutVersions(PolledSource):
    versions = False


QUICK = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
TestPolledSource = PolledSource.TestCase
TestPolledSource.settings = QUICK
TestPolledSourceWithoutVersions = PolledSourceWithoutVersions.TestCase
TestPolledSourceWithoutVersions.settings = settings(QUICK, max_examples=max(3, EXAMPLES // 2))
