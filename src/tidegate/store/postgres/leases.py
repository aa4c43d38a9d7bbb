"""The right to do what runs by itself, by partition, between nodes on one PostgreSQL: implements `store.Leases`.

A node is one row with a fence and a lease that only the server's clock measures. Each half second it renews the row,
gives free what dead nodes held, and takes or leaves partitions until all nodes hold as many. A node is dead when its
lease
ran out (paused, lost host) or when its session is gone (killed): then its row is deleted under a lock that every settle
needs, so a settle is whole before that or refused after it. Shares carry their mark: what a node held stands at the
node's mark while it holds it, and is written at the partition when it is given free.

A node that cannot renew gives up by its own clock before its lease ends at the server. Crash: nothing to clean up,
the others do it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

from tidegate.core.clock import Clock
from tidegate.core.errors import SchemaTooNew, TidegateError
from tidegate.store import PARTITIONS, Holder, Node
from tidegate.store.postgres.commands import Commands
from tidegate.store.postgres.engine import Engine, sql
from tidegate.store.postgres.migrate import newest_schema

log = logging.getLogger("tidegate.leases")

LEASE_SECONDS = 3.0
GIVE_UP_SECONDS = 2.6  # by the node's own clock, counted from before the request: always before the server's end
ROUND_SECONDS = 0.5
ROUND_PACE_SECONDS = 0.02  # between two rounds, however many notifications arrive
SUSPECT_SECONDS = 0.6  # a session must be gone for so long: one that was cut is back by then

_KEY = 0x7FFFFFFF  # the key of an advisory lock is 32 bits wide


def spread(share: int) -> int:
    """The order in which partitions change hands. Destinations are numbered as they are made, so the partitions of a
    small installation are neighbours: taken in order of their number, one node would have them all."""
    return share * 37 % PARTITIONS


def change_of_partitions(counts: Sequence[tuple[str, int]], me: str, free: int) -> int:
    """How many partitions to claim (positive) or to leave (negative). `counts`: what each node holds, the eldest first.

    The first `PARTITIONS % nodes` nodes should hold one more. A difference of one is left alone while nobody lacks a
    partition for it, so nothing moves once all hold as many, whoever came when.
    """
    low, extra = divmod(PARTITIONS, len(counts))
    place, held = next((place, held) for place, (node, held) in enumerate(counts) if node == me)
    target, most = low + (place < extra), low + (extra > 0)
    if held < target and free:
        return min(free, target - held)
    if held > most:
        return most - held
    if held > target and not free and any(other < low for _, other in counts):
        return target - held
    return 0


def said_of_clock(clock: Clock) -> str:
    """What the log says when the correction of a node's clock changed."""
    seconds = -clock.correction_us / 1e6
    if not seconds:
        return "the clock of this machine agrees with the database server's again"
    way = "ahead of" if seconds > 0 else "behind"
    return (
        f"the clock of this machine is {abs(seconds):.0f} s {way} the database server's: this node goes by the server's"
    )


class PostgresLeases:
    """Implements `store.Leases`. Before `start`, and after the lease was lost, the fence is 0: nothing may settle."""

    def __init__(self, engine: Engine, node: str, clock: Clock) -> None:
        self.node = node
        self.fence = 0
        self.held: frozenset[int] = frozenset()
        self._engine = engine
        self._clock = clock
        self._sql = sql("leases")
        self._holder: Holder | None = None
        self._status = b"{}"
        self._told: bytes | None = None  # of the status, what stands in the row
        self._vouched = 0  # the fence whose lock the session holds, 0 when it holds none
        self._gone: dict[tuple[str, int], float] = {}  # nodes whose session is gone, and since when it was seen so
        self._wake = asyncio.Event()
        self.failed: Callable[[BaseException], None] = lambda error: None  # this node can never join again
        self._turn: asyncio.Task[None] | None = None  # the round under way
        self._tasks: list[asyncio.Task[None]] = []
        self._give_up: asyncio.TimerHandle | None = None
        self.on_peers: Callable[[int], None] = lambda nodes: None  # told each round how many nodes are alive
        self._commands = Commands(engine, node, self._owner, self._answer)

    # -- life --------------------------------------------------------------------------------------------

    async def agree(self) -> None:
        """Go by the server's clock, before this node compares an instant with what another wrote."""
        asked_us = self._clock.machine_us()
        self._agree(await self._engine.vital.fetchval(self._sql["now"]), asked_us)

    def _agree(self, shared_us: int, asked_us: int) -> None:
        if self._clock.agree(shared_us, asked_us):
            log.warning("%s", said_of_clock(self._clock))

    async def start(self, holder: Holder) -> None:
        self._holder = holder
        await self._engine.listen("tidegate_partitions", lambda payload: self._wake.set())
        self._engine.on_session_lost(self._session_lost)
        self._engine.on_session(self._session_back)
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
            await self._vouch(0)
        except TidegateError as error:
            log.warning("this node could not give its partitions back, others take them when its lease ends: %s", error)

    async def _join(self) -> None:
        """A new fence, a session that vouches for it, then the row. What this node held before is given free."""
        fence = await self._engine.vital.fetchval(self._sql["next_fence"])
        await self._vouch(fence)
        asked, status = asyncio.get_running_loop().time(), self._status
        async with self._engine.vital.transaction() as connection:
            await connection.fetchval(self._sql["lock_migration"])
            before = await connection.fetchval(self._sql["lock_self"], self.node)
            if before is not None:
                await connection.execute(self._sql["free_all"], self.node, before)
            joined = await connection.fetchval(
                self._sql["put_node"], self.node, fence, timedelta(seconds=LEASE_SECONDS), status,
                fence & _KEY, newest_schema(),
            )  # fmt: skip
            if joined is None:
                raise SchemaTooNew("another node took the data to a schema that this release cannot read")
        self.fence, self._told = fence, status
        self._renewed(asked)
        self._engine.notify("tidegate_partitions")  # who holds more than its part hears of it
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
            except SchemaTooNew as error:  # it was away while the release after this one took over
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
        shared_us = await self._engine.on_session_fetchval(
            self._sql["renew"],
            self.node,
            fence,
            timedelta(seconds=LEASE_SECONDS),
            status if status is not self._told else None,
        )
        if fence != self.fence:
            return  # given up meanwhile
        if shared_us is None:
            self._lose("another node ended its lease")
            return
        self._agree(shared_us, asked_us)
        self._renewed(asked)
        self._told = status
        await self._vouch(fence)

    def _renewed(self, asked: float) -> None:
        if self._give_up is not None:
            self._give_up.cancel()
        loop = asyncio.get_running_loop()
        self._give_up = loop.call_at(asked + GIVE_UP_SECONDS, self._lose, "the server did not renew it in time")

    def _lose(self, why: str) -> None:
        """Stop at once; `_renewing` joins anew."""
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

    async def _vouch(self, fence: int) -> None:
        """Have the session hold the lock that says this node lives, in place of the one for an older fence."""
        if self._vouched == fence:
            return
        if self._vouched:
            await self._engine.on_session_fetchval(self._sql["free_session"], self._vouched & _KEY)
            self._vouched = 0
        # After a cut the server may still hold the lock for the session that was: then it is asked for again.
        if fence and await self._engine.on_session_fetchval(self._sql["hold_session"], fence & _KEY):
            self._vouched = fence

    def _session_lost(self) -> None:
        self._vouched = 0

    async def _session_back(self, session: Any) -> None:
        """The node lives: it takes its lock again at once, before others judge."""
        if self.fence and await session.fetchval(self._sql["hold_session"], self.fence & _KEY):
            self._vouched = self.fence

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
        """A round as a task of its own, so that a lease that is lost can end it. Returns what it raised."""
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
            await self._free_strays()
            return
        change = change_of_partitions(counts, self.node, rows[0][2])
        if change > 0:
            await self._claim(change)
        elif change < 0:
            await self._leave(frozenset(sorted(self.held, key=spread)[change:]))

    async def _free_strays(self) -> None:
        """Shares that are ours in the table and that nobody here works for: a claim whose answer was lost, or one that
        was left and not given free. They go free, for whoever lacks some."""
        fence = self.fence
        rows = await self._engine.vital.fetch(self._sql["held"], self.node)
        strays = frozenset(row[0] for row in rows) - self.held
        if strays:
            log.warning("%d partitions of this node had nobody to work for them: they are given free", len(strays))
            await self._free("lock_own", self.node, fence, strays)

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
            # What of them is settled is not known, and the node's mark must not move on for them: begin anew.
            self._lose("partitions could not be left in order")
            raise
        if fence == self.fence:
            await self._free("lock_own", self.node, fence, partitions)

    async def _reap(self) -> None:
        """Give free what dead nodes held: whose lease ran out, or whose session is gone and did not come back."""
        now = asyncio.get_running_loop().time()
        rows = await self._engine.vital.fetch(self._sql["suspects"], self.node)
        self._gone = {(node, fence): self._gone.get((node, fence), now) for node, fence, _, gone in rows if gone}
        for node, fence, expired, gone in rows:
            long_gone = gone and now - self._gone[node, fence] >= SUSPECT_SECONDS
            if not expired and not long_gone:
                continue
            if await self._free("lock_suspect", node, fence, remove=True, last=(long_gone,)):
                self._gone.pop((node, fence), None)
                why = "its lease ran out" if expired else "its session is gone"
                log.warning("node %s is gone, %s: what it held is free to be taken", node, why)

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
        """Give partitions of a node free (None: all) at the mark where they stand. False when its row is not to be
        had.
        """
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
        self._engine.notify("tidegate_partitions")
        return True

    # -- seeing and asking others --------------------------------------------------------------------------

    async def ask(self, partition: int, call: bytes) -> bytes:
        return await self._commands.ask(partition, call)

    async def _owner(self, share: int) -> str | None:
        if share in self.held:
            return self.node
        owner: str | None = await self._engine.vital.fetchval(self._sql["owner"], share)
        return owner

    def _answer(self, share: int) -> Callable[[bytes], Any] | None:
        """Who answers for a partition here; None when it is not held here."""
        return self._holder.answer if self._holder is not None and share in self.held else None

    def publish_status(self, status: bytes) -> None:
        self._status = status

    async def nodes(self) -> list[Node]:
        return [Node(*row) for row in await self._engine.vital.fetch(self._sql["nodes"], self.node)]

    async def facts(self) -> dict[str, Any]:
        """For doctor."""
        settled_ahead = -self._clock.correction_us / 1e6
        return {
            "node": self.node,
            "fence": self.fence,
            "partitions": len(self.held),
            "clock_ahead_seconds": settled_ahead,
        }
