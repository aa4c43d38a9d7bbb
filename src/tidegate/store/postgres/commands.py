"""Commands between nodes: a node asks the node that holds a partition to do something, and waits for the answer.

Owns the table `node_commands`: a command is a row, and its answer is written to the same row, so sending, reading and
answering need rights on our tables. Notifications only say that it is worth looking: any role of the database can send
one, and a forged one causes a look that finds nothing. Does not know what a command says.

A command goes to the node that holds the partition. When that node does not hold it, or the partition moved while the
command waited, it is sent again, so a partition on its way costs a moment, and a command can arrive twice. A command
without an answer within `ANSWER_SECONDS` raises StoreBusy and its row is deleted: it is not executed afterwards, unless
it was already taken. After a crash of a node its rows are deleted a minute later by others; after a crash of the server
the table is empty, because it is not logged.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import msgspec

from tidegate.core.errors import BadRequest, StoreBusy, TidegateError
from tidegate.store.postgres.engine import Engine, sql

log = logging.getLogger("tidegate.leases")

CHANNEL = "tidegate_commands"  # the payload is the name of the node that should look
ANSWER_SECONDS = 5.0
RESEND_SECONDS = 0.1  # before a command is sent to another node
LOOK_EVERY_SECONDS = 0.5  # while an answer is missing: a notification may be lost
LOOK_PACE_SECONDS = 0.005  # between two looks, however many notifications arrive
COMMAND_BYTES = 200_000

ANSWER, ERROR, ELSEWHERE = "answer", "error", "elsewhere"
Result = tuple[str, bytes]


class Failure(msgspec.Struct):
    """A TidegateError on its way to the node that asked."""

    message: str
    code: str
    status: int
    hint: str
    retryable: bool
    retry_after_seconds: float | None


class Commands:
    """Sends and answers commands. `owner` names the node of a partition, `answerer` gives what answers for it here."""

    def __init__(
        self,
        engine: Engine,
        node: str,
        owner: Callable[[int], Awaitable[str | None]],
        answerer: Callable[[int], Callable[[bytes], Awaitable[bytes]] | None],
    ) -> None:
        self._engine = engine
        self._sql = sql("commands")
        self._node = node
        self._owner = owner
        self._answerer = answerer
        self._waiting: dict[str, asyncio.Future[Result]] = {}
        self._due = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._engine.session.listen(CHANNEL, self._notified)
        self._due.set()
        self._start(self._looking())

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="command")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _notified(self, payload: str) -> None:
        if payload == self._node:
            self._due.set()

    # -- asking ------------------------------------------------------------------------------------------

    async def ask(self, partition: int, command: bytes) -> bytes:
        if len(command) > COMMAND_BYTES:
            raise BadRequest(
                f"a command of {len(command)} bytes to another node is too large, the limit is {COMMAND_BYTES}",
                hint="ask for less at once",
            )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while (answerer := self._answerer(partition)) is None:
                    owner = await self._owner(partition)
                    kind, data = ELSEWHERE, b""
                    if owner is not None and owner != self._node:
                        kind, data = await self._ask(owner, partition, command)
                    if kind == ANSWER:
                        return data
                    if kind == ERROR:
                        raise _raised(data)
                    await asyncio.sleep(RESEND_SECONDS)
        except TimeoutError as error:
            raise StoreBusy(
                f"no node answered for partition {partition} within {ANSWER_SECONDS:g} s",
                hint="send again in a few seconds: another node takes the partition when its node is gone",
                retry_after_seconds=2,
            ) from error
        return await answerer(command)  # held here: without a time limit

    async def _ask(self, owner: str, partition: int, command: bytes) -> Result:
        name = secrets.token_hex(16)
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answer
        try:
            await self._engine.vital.execute(self._sql["send"], name, self._node, owner, partition, command, CHANNEL)
            while not (await asyncio.wait([answer], timeout=LOOK_EVERY_SECONDS))[0]:
                if await self._owner(partition) != owner:
                    return ELSEWHERE, b""
                self._engine.session.notify(CHANNEL, owner)  # the first notification may be lost
                self._due.set()
            return answer.result()
        finally:
            del self._waiting[name]
            if not answer.done():
                self._start(self._withdraw(name))

    async def _withdraw(self, name: str) -> None:
        """Delete a command without an answer, so that it is not executed later."""
        try:
            await self._engine.vital.execute(self._sql["withdraw"], name)
        except TidegateError as error:
            log.debug("a command could not be withdrawn: %s", error.message)

    # -- looking -----------------------------------------------------------------------------------------

    async def _looking(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._look()
            except TidegateError as error:
                log.debug("commands could not be read: %s", error.message)
            except Exception:
                log.exception("commands could not be read")
            await asyncio.sleep(LOOK_PACE_SECONDS)

    async def _look(self) -> None:
        """Take the commands to this node, and the answers to its own."""
        limit = timedelta(seconds=ANSWER_SECONDS)
        for name, partition, command in await self._engine.vital.fetch(self._sql["take"], self._node, limit):
            self._start(self._serve(name, partition, command))
        if self._waiting:
            for name, result, data in await self._engine.vital.fetch(self._sql["answers"], list(self._waiting)):
                answer = self._waiting.get(name)
                if answer is not None and not answer.done():
                    answer.set_result((result, data))

    async def _serve(self, name: str, partition: int, command: bytes) -> None:
        answerer = self._answerer(partition)
        result, data = ELSEWHERE, b""
        if answerer is not None:
            try:
                result, data = ANSWER, await answerer(command)
            except TidegateError as error:
                result, data = ERROR, _failure(error)
            except Exception:
                log.exception("a command of another node failed")
                result, data = ERROR, _failure(TidegateError("the node that was asked failed"))
        try:
            await self._engine.vital.execute(self._sql["answer"], name, result, data, CHANNEL)
        except TidegateError as error:
            log.warning("the answer to a command of another node could not be written: %s", error.message)


def _failure(error: TidegateError) -> bytes:
    return msgspec.json.encode(
        Failure(error.message, error.code, error.status, error.hint, error.retryable, error.retry_after_seconds)
    )


def _raised(data: bytes) -> TidegateError:
    fields: dict[str, Any] = msgspec.structs.asdict(msgspec.json.decode(data, type=Failure))
    return TidegateError(fields.pop("message"), **fields)
