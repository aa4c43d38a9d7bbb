"""Sends a delivery with its credential: at once while it is at hand, else after its token was acquired.

Owns the one repetition after a 401. May not know kinds of credential, lanes or retries. Invariants: `done` is called
exactly once, later, unless the request is aborted; without a credential nothing is sent; a repetition has the same id
and body, and spends the rates once more. Crash: the delivery is sent again with the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from tidegate.auth import Added, RequestFacts
from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.model import Outcome
from tidegate.deliver.ports import InTransit, Transport
from tidegate.outbound.credentials import Credential
from tidegate.outbound.post import PostResult
from tidegate.rules.outbound.addresses import Target

Done = Callable[[PostResult], None]


class OutgoingRequest(msgspec.Struct, frozen=True):
    """A request without its credential. `url` is the whole address."""

    target: Target
    method: str
    url: str
    head: bytes
    body: bytes
    timeout_seconds: float


class AuthenticatedSend:
    """One delivery under way."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        credential: Credential,
        request: OutgoingRequest,
        done: Done,
        may_repeat: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`may_repeat` waits for the rates and spends them; False: they do not allow a repetition soon."""
        self._transport = transport
        self._clock = clock
        self._credential = credential
        self._request = request
        self._done = done
        self._may_repeat = may_repeat
        self._in_transit: InTransit | None = None
        self._task: asyncio.Task[None] | None = None
        self._repeated = False
        self._aborted = False

    def start(self) -> AuthenticatedSend:
        added = self._credential.ready(self._facts())
        if added is None:
            self._spawn(self._acquire())
        else:
            self._send(added)
        return self

    def abort(self) -> None:
        self._aborted = True
        if self._task is not None:
            self._task.cancel()
        if self._in_transit is not None:
            self._in_transit.abort()

    def _facts(self) -> RequestFacts | None:
        if not self._credential.per_request:
            return None
        one = self._request
        return RequestFacts(one.method, one.url, (), one.body, self._clock.now_us() // 1_000_000)

    def _send(self, added: Added) -> None:
        one = self._request
        lines = "".join(f"{name}: {value}\r\n" for name, value in added.headers).encode("latin-1")
        self._in_transit = self._transport.send(
            one.target, one.head + lines, one.body, one.timeout_seconds, lambda result: self._answered(added, result)
        )

    def _answered(self, added: Added, result: PostResult) -> None:
        self._in_transit = None
        if result.status != 401:
            if result.status is not None:
                self._credential.accepted(added)
            self._done(result)
        elif self._repeated:
            self._done(result)
        else:
            self._spawn(self._repeat(added, result))

    async def _acquire(self) -> None:
        try:
            added = await self._credential.get(self._facts())
        except TidegateError as error:
            self._end(_no_credential(error))
        else:
            self._send_again(added)

    async def _repeat(self, used: Added, result: PostResult) -> None:
        self._repeated = True
        try:
            headers = [(name, value) for name, value in msgspec.json.decode(result.headers or b"[]")]
            if not await self._credential.refused(used, headers):
                self._end(result)
                return
            if self._may_repeat is not None and not await self._may_repeat():
                self._end(result)  # a retry comes with the new token
                return
            added = await self._credential.get(self._facts())
        except TidegateError:
            self._end(result)  # the 401 says what happened to this request; the credential reports itself
        else:
            self._send_again(added)

    def _send_again(self, added: Added) -> None:
        try:
            self._send(added)
        except RuntimeError:  # the transport is closed: the process ends
            self._aborted = True

    def _end(self, result: PostResult) -> None:
        if not self._aborted:
            self._done(result)

    def _spawn(self, work: object) -> None:
        self._task = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]


def _no_credential(error: TidegateError) -> PostResult:
    text = f"{error.message} ({error.code})"[:300]
    wait = "" if error.retry_after_seconds is None else str(int(error.retry_after_seconds) + 1)
    return PostResult(Outcome.CREDENTIAL, None, text, b"", wait, b"", 0, 0, False)
