"""Which node runs which partitions, between nodes on one PostgreSQL. Implements `store.Leases`.

A node is one row with a fence and a lease, timed by the server's clock alone. Twice a second it renews the row, frees
the partitions of dead nodes, and claims or leaves partitions until all nodes hold about the same number. A node is dead
when its lease expired (a paused process, a lost host) or when its session is gone (a killed process): its row is then
deleted under a lock that every settle needs, so a settle is complete before that, or refused after it. The high-water
mark of a partition is that of its node while it is held, and is written to the partition when it is freed.

Invariant: a node that cannot renew its lease gives up by its own clock before the lease ends at the server, so a
partition is never run by two nodes. After a crash nothing needs to be cleaned up: other nodes do it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from tidegate.core.clock import Clock
from tidegate.core.errors import SchemaTooNew, TidegateError
from tidegate.store import Holder, Node
from tidegate.store.postgres.balance import change_of_partitions, spread
from tidegate.store.postgres.commands import Commands
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.migrate import newest_schema
from tidegate.store.postgres.session_lock import SessionLock, lock_key

log = logging.getLogger("tidegate.leases")

LEASE_SECONDS = 3.0
GIVE_UP_SECONDS = 2.6  # by the node's own clock, from before the request: earlier than the end at the server
ROUND_SECONDS = 0.5
ROUND_PACE_SECONDS = 0.02  # between two rounds, however many notifications arrive
SUSPECT_SECONDS = 0.6  # how long a session must be gone: a node whose connection was cut has a new one by then


def clock_message(clock: Clock) -> str:
    """The log line for a changed correction of the node's clock."""
    seconds = -clock.correction_us / 1e6
    if not seconds:
        return "the clock of this machine agrees with the database server's again"
    way = "ahead of" if seconds > 0 else "behind"
    return f"this machine's clock is {abs(seconds):.0f} s {way} the database server's: this node uses the server's"


class PostgresLeases:
    """Implements `store.Leases`. Before `start` and after the lease was lost the fence is 0, and nothing can settle."""

    def __init__(self, engine: Engine, node: str, clock: Clock) -> None:
        self.node = node
        self.fence = 0
        self.held: frozenset[int] = frozenset()
        self._engine = engine
        self._clock = clock
        self._sql = sql("leases")
        self._holder: Holder | None = None
        self._status = b"{}"
        self._published_status: bytes | None = None  # the status in the row
        self._session_lock = SessionLock(engine, lambda: self.fence)
        self._gone: dict[tuple[str, int], float] = {}  # nodes whose session is gone -> when that was first seen
        self._wake = asyncio.Event()
        self.failed: Callable[[BaseException], None] = lambda error: None  # this node can never join again
        self._turn: asyncio.Task[None] | None = None  # the round under way
        self._tasks: list[asyncio.Task[None]] = []
        self._give_up: asyncio.TimerHandle | None = None
        self.on_peers: Callable[[int], None] = lambda nodes: None  # called each round with the number of running nodes
        self._commands = Commands(engine, node, self._owner, self._answer)

    # -- life --------------------------------------------------------------------------------------------

    async def agree(self) -> None:
        """Use the server's clock, before this node compares an instant with one that another node wrote."""
        asked_us = self._clock.machine_us()
        self._agree(await self._engine.vital.fetchval(self._sql["now"]), asked_us)

    def _agree(self, shared_us: int, asked_us: int) -> None:
        if self._clock.agree(shared_us, asked_us):
            log.warning("%s", clock_message(self._clock))

    async def start(self, holder: Holder) -> None:
        self._holder = holder
        await self._engine.session.listen("tidegate_partitions", lambda payload: self._wake.set())
        self._session_lock.start()
        await self._commands.start()
        await self._join()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._renewing(), name="lease")]
        error = await self._one_turn()
        if error is not None and not isinstance(error, TidegateError):
            raise error
        self._tasks.append(loop.create_task(self._turning(), name="partitions"))

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        fence, self.fence, self.held = self.fence, 0, frozenset()
        if self._turn is not None:
            tasks.append(self._turn)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._commands.stop()
        if self._give_up is not None:
            self._give_up.cancel()
        if not fence:
            return
        try:
            await self._free("lock_own", self.node, fence, remove=True)
            await self._session_lock.hold(0)
        except TidegateError as error:
            log.warning("this node could not free its partitions, other nodes take them when its lease ends: %s", error)

    async def _join(self) -> None:
        """Get a new fence, have the session hold its lock, then write the row. Frees what this node held before."""
        fence = await self._engine.vital.fetchval(self._sql["next_fence"])
        await self._session_lock.hold(fence)
        asked, status = asyncio.get_running_loop().time(), self._status
        async with self._engine.vital.transaction() as connection:
            await connection.fetchval(self._sql["lock_migration"])
            before = await connection.fetchval(self._sql["lock_self"], self.node)
            if before is not None:
                await connection.execute(self._sql["free_all"], self.node, before)
            joined = await connection.fetchval(
                self._sql["put_node"], self.node, fence, timedelta(seconds=LEASE_SECONDS), status,
                lock_key(fence), newest_schema(),
            )  # fmt: skip
            if joined is None:
                raise SchemaTooNew("another node migrated the data to a schema that this release cannot read")
        self.fence, self._published_status = fence, status
        self._renewed(asked)
        self._engine.session.notify("tidegate_partitions")  # nodes that hold too many leave some
        log.info("joined as %s with fence %s", self.node, fence)

    # -- the lease ---------------------------------------------------------------------------------------

    async def _renewing(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                if self.fence:
                    await self._renew()
                else:
                    if self._turn is not None:  # the holder is called once at a time
                        await asyncio.wait([self._turn])
                    await self._join()
                    self._wake.set()
            except SchemaTooNew as error:  # the next release took over while this node was away
                self.failed(error)
                return
            except TidegateError as error:
                log.warning("the lease could not be renewed: %s", error.message)
            except Exception:
                log.exception("the lease could not be renewed")

    async def _renew(self) -> None:
        fence, status = self.fence, self._status
        asked, asked_us = asyncio.get_running_loop().time(), self._clock.machine_us()
        # On the session: work that takes all connections of the pool must not cost the lease.
        shared_us = await self._engine.session.fetchval(
            self._sql["renew"],
            self.node,
            fence,
            timedelta(seconds=LEASE_SECONDS),
            status if status is not self._published_status else None,
        )
        if fence != self.fence:
            return  # lost meanwhile
        if shared_us is None:
            self._lose("another node ended its lease")
            return
        self._agree(shared_us, asked_us)
        self._renewed(asked)
        self._published_status = status
        await self._session_lock.hold(fence)

    def _renewed(self, asked: float) -> None:
        if self._give_up is not None:
            self._give_up.cancel()
        loop = asyncio.get_running_loop()
        self._give_up = loop.call_at(asked + GIVE_UP_SECONDS, self._lose, "the server did not renew it in time")

    def _lose(self, why: str) -> None:
        """Stop at once; `_renewing` joins again."""
        if not self.fence:
            return
        log.warning("the lease of this node is lost (fence %s): %s", self.fence, why)
        self.fence, self.held = 0, frozenset()
        if self._give_up is not None:
            self._give_up.cancel()
        if self._turn is not None:
            self._turn.cancel()
        assert self._holder is not None
        self._holder.lost()

    # -- rounds ------------------------------------------------------------------------------------------

    async def _turning(self) -> None:
        pause = ROUND_SECONDS
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self.fence:
                await self._one_turn()
            await asyncio.sleep(ROUND_PACE_SECONDS)
            pause = SUSPECT_SECONDS if self._gone else ROUND_SECONDS

    async def _one_turn(self) -> BaseException | None:
        """Run a round as a task, so that it can be canceled when the lease is lost. Returns what it raised."""
        turn = self._turn = asyncio.get_running_loop().create_task(self._round(), name="round")
        await asyncio.wait([turn])
        error = None if turn.cancelled() else turn.exception()
        if isinstance(error, TidegateError):
            log.warning("a round of the leases failed, the next one tries again: %s", error.message)
        elif error is not None:
            log.error("a round of the leases failed, the next one tries again", exc_info=error)
        return error

    async def _round(self) -> None:
        await self._reap()
        rows = await self._engine.vital.fetch(self._sql["survey"])
        counts = [(row[0], row[1]) for row in rows]
        if all(node != self.node for node, _ in counts):
            return  # not a member: the renewal finds out
        self.on_peers(len(counts))
        if dict(counts)[self.node] != len(self.held):
            await self._free_orphans()
            return
        change = change_of_partitions(counts, self.node, rows[0][2])
        if change > 0:
            await self._claim(change)
        elif change < 0:
            await self._leave(frozenset(sorted(self.held, key=spread)[change:]))

    async def _free_orphans(self) -> None:
        """Free the partitions that are ours in the table and are not run here: the answer of a claim was lost, or they
        were left and not freed."""
        fence = self.fence
        rows = await self._engine.vital.fetch(self._sql["held"], self.node)
        orphans = frozenset(row[0] for row in rows) - self.held
        if orphans:
            log.warning("%d partitions of this node were not running: they are freed", len(orphans))
            await self._free("lock_own", self.node, fence, orphans)

    async def _claim(self, count: int) -> None:
        fence = self.fence
        rows = await self._engine.vital.fetch(self._sql["claim"], self.node, fence, count)
        claimed = frozenset(row[0] for row in rows)
        if not claimed:
            return
        self.held |= claimed
        assert self._holder is not None
        try:
            await self._holder.take(claimed)
        except Exception:
            if fence == self.fence:
                self.held -= claimed
                await self._free("lock_own", self.node, fence, claimed)
            raise

    async def _leave(self, partitions: frozenset[int]) -> None:
        fence = self.fence
        self.held -= partitions
        assert self._holder is not None
        try:
            await self._holder.leave(partitions)
        except Exception:
            # How much of them is settled is unknown, and the node's mark must not move past it: join again.
            self._lose("its partitions could not be left cleanly")
            raise
        if fence == self.fence:
            await self._free("lock_own", self.node, fence, partitions)

    async def _reap(self) -> None:
        """Free the partitions of dead nodes: the lease expired, or the session is gone and did not come back."""
        now = asyncio.get_running_loop().time()
        rows = await self._engine.vital.fetch(self._sql["dead_nodes"], self.node)
        self._gone = {(node, fence): self._gone.get((node, fence), now) for node, fence, _, gone in rows if gone}
        for node, fence, expired, gone in rows:
            long_gone = gone and now - self._gone[node, fence] >= SUSPECT_SECONDS
            if not expired and not long_gone:
                continue
            if await self._free("lock_dead", node, fence, remove=True, last=(long_gone,)):
                self._gone.pop((node, fence), None)
                why = "its lease expired" if expired else "its session is gone"
                log.warning("node %s is gone, %s: its partitions are free", node, why)

    async def _free(
        self,
        lock: str,
        node: str,
        fence: int,
        partitions: Collection[int] | None = None,
        *,
        remove: bool = False,
        last: tuple[Any, ...] = (),
    ) -> bool:
        """Free partitions of a node (None: all) at its high-water mark. False when its row is gone or locked."""
        async with self._engine.vital.transaction() as connection:
            high_water_mark = await connection.fetchval(self._sql[lock], node, fence, *last)
            if high_water_mark is None:
                return False
            if partitions is None:
                await connection.execute(self._sql["free_all"], node, high_water_mark)
            else:
                await connection.execute(self._sql["free_some"], node, high_water_mark, list(partitions))
            if remove:
                await connection.execute(self._sql["remove_node"], node)
        self._engine.session.notify("tidegate_partitions")
        return True

    # -- other nodes -----------------------------------------------------------------------------------------

    async def ask(self, partition: int, call: bytes) -> bytes:
        return await self._commands.ask(partition, call)

    async def _owner(self, partition: int) -> str | None:
        if partition in self.held:
            return self.node
        owner: str | None = await self._engine.vital.fetchval(self._sql["owner"], partition)
        return owner

    def _answer(self, partition: int) -> Callable[[bytes], Any] | None:
        """What answers commands to a partition here; None when this node does not hold it."""
        return self._holder.answer if self._holder is not None and partition in self.held else None

    def publish_status(self, status: bytes) -> None:
        self._status = status

    async def nodes(self) -> list[Node]:
        return [Node(*row) for row in await self._engine.vital.fetch(self._sql["nodes"], self.node)]

    async def facts(self) -> dict[str, Any]:
        """Facts for doctor."""
        ahead_seconds = -self._clock.correction_us / 1e6
        return {
            "node": self.node,
            "fence": self.fence,
            "partitions": len(self.held),
            "clock_ahead_seconds": ahead_seconds,
        }
