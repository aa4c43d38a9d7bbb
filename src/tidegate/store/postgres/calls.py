"""Calls between nodes: what one node is asked for a partition that another holds, over NOTIFY.

Owns the messages, their parts (a notification carries less than 8,000 bytes) and the wait for an answer. Does not
know what a call says. A call is addressed to the node that holds the partition. When that node says that it does not
hold
it, or the partition has gone to another while the asker waits, the asker asks again: so a partition on its way costs
a moment,
and a call may come twice. What has no answer after `ANSWER_SECONDS` (a notification was lost with a session) is
`StoreBusy`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tidegate.core.errors import BadRequest, StoreBusy, TidegateError
from tidegate.store.postgres.engine import Engine

log = logging.getLogger("tidegate.leases")

CHANNEL = "tidegate_call"
ANSWER_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.1
STILL_THERE_SECONDS = 0.5
PART_BYTES = 5_000  # as base64 with the rest of the message below 8,000
CALL_BYTES = 200_000


class Message(msgspec.Struct, array_like=True):
    """One part of a call or of what came of it. `kind`: "call", "answer", "error", "elsewhere"."""

    to: str
    sender: str
    id: str
    kind: str
    share: int
    part: int
    parts: int
    data: bytes


class Failure(msgspec.Struct):
    """A TidegateError on its way to the asker."""

    message: str
    code: str
    status: int
    hint: str
    retryable: bool
    retry_after_seconds: float | None


class Calls:
    """Asks and answers. `owner` says who holds a partition, `answerer` gives what answers for it here."""

    def __init__(
        self,
        engine: Engine,
        node: str,
        owner: Callable[[int], Awaitable[str | None]],
        answerer: Callable[[int], Callable[[bytes], Awaitable[bytes]] | None],
    ) -> None:
        self._engine = engine
        self._node = node
        self._owner = owner
        self._answerer = answerer
        self._waiting: dict[str, asyncio.Future[tuple[str, bytes]]] = {}
        self._parts: dict[tuple[str, str], dict[int, bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._engine.listen(CHANNEL, self._heard)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- asking ------------------------------------------------------------------------------------------

    async def ask(self, share: int, call: bytes) -> bytes:
        if len(call) > CALL_BYTES:
            raise BadRequest(
                f"a call of {len(call)} bytes to another node is too large, {CALL_BYTES} is the limit",
                hint="ask for less at once",
            )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while (answerer := self._answerer(share)) is None:
                    owner = await self._owner(share)
                    kind, data = ("elsewhere", b"")
                    if owner is not None and owner != self._node:
                        kind, data = await self._ask(owner, share, call)
                    if kind == "answer":
                        return data
                    if kind == "error":
                        raise _raised(data)
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except TimeoutError as error:
            raise StoreBusy(
                f"no node answered for partition {share} within {ANSWER_SECONDS:g} s",
                hint="send again in a few seconds: the partition moves to a node that lives",
                retry_after_seconds=2,
            ) from error
        return await answerer(call)  # held here: takes as long as it takes

    async def _ask(self, owner: str, share: int, call: bytes) -> tuple[str, bytes]:
        name = secrets.token_hex(8)
        answer: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answer
        try:
            self._send(owner, name, "call", share, call)
            while not (await asyncio.wait([answer], timeout=STILL_THERE_SECONDS))[0]:
                if await self._owner(share) != owner:
                    return "elsewhere", b""
            return answer.result()
        finally:
            del self._waiting[name]

    # -- answering ---------------------------------------------------------------------------------------

    async def _serve(self, sender: str, name: str, share: int, call: bytes) -> None:
        answerer = self._answerer(share)
        kind, data = "elsewhere", b""
        if answerer is not None:
            try:
                kind, data = "answer", await answerer(call)
            except TidegateError as error:
                kind, data = "error", _failure(error)
            except Exception:
                log.exception("a call of node %s could not be answered", sender)
                kind, data = "error", _failure(TidegateError("the node that was asked failed"))
        self._send(sender, name, kind, share, data)

    # -- messages ----------------------------------------------------------------------------------------

    def _send(self, to: str, name: str, kind: str, share: int, data: bytes) -> None:
        parts = max(1, -(-len(data) // PART_BYTES))
        for part in range(parts):
            piece = data[part * PART_BYTES : (part + 1) * PART_BYTES]
            message = Message(to, self._node, name, kind, share, part, parts, piece)
            self._engine.notify(CHANNEL, msgspec.json.encode(message).decode())

    def _heard(self, payload: str) -> None:
        try:
            message = msgspec.json.decode(payload, type=Message)
        except msgspec.MsgspecError:
            return  # not of this release, or not ours
        if message.to != self._node or (message.kind != "call" and message.id not in self._waiting):
            return
        whole = self._whole(message)
        if whole is None:
            return
        if message.kind == "call":
            work = self._serve(message.sender, message.id, message.share, whole)
            task = asyncio.get_running_loop().create_task(work, name="call")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif not (answer := self._waiting[message.id]).done():
            answer.set_result((message.kind, whole))

    def _whole(self, message: Message) -> bytes | None:
        """The data once all parts are there. What stays incomplete is forgotten when nobody waits for it any more."""
        if message.parts == 1:
            return message.data
        key = (message.sender, message.id)
        if key not in self._parts:
            asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._parts.pop, key, None)
        parts = self._parts.setdefault(key, {})
        parts[message.part] = message.data
        if len(parts) < message.parts:
            return None
        del self._parts[key]
        return b"".join(parts[part] for part in range(message.parts))


def _failure(error: TidegateError) -> bytes:
    return msgspec.json.encode(
        Failure(error.message, error.code, error.status, error.hint, error.retryable, error.retry_after_seconds)
    )


def _raised(data: bytes) -> TidegateError:
    fields: dict[str, Any] = msgspec.structs.asdict(msgspec.json.decode(data, type=Failure))
    return TidegateError(fields.pop("message"), **fields)
