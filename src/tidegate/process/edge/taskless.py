"""One request whose body is here, run without a task: the app's coroutine is stepped by hand.

A task, its events and its messages cost as much as verifying a signature. Owns the coroutine of one request and the
answer it sends. May not know the app. Invariant: the answer is written once, in one piece; or the request is run again
the usual way (`again`), because it needs a task or failed before it waited for anything. Crash: nothing is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any

from tidegate.core.tasks import NeedsTask

log = logging.getLogger("tidegate.serve")

Message = MutableMapping[str, Any]
_FAILED = ((b"content-type", b"text/plain"), (b"content-length", b"21"), (b"connection", b"close"))


class Exchange:
    """The `receive` and `send` of one ASGI call. `finished` gets the exchange when there is an answer, `again`
    when the request must be run the usual way, which also reports errors.
    """

    __slots__ = ("_again", "_coroutine", "_finished", "_waited", "body", "headers", "status", "whole")

    def __init__(self, whole: bytes, finished: Callable[[Exchange], None], again: Callable[[Exchange], None]) -> None:
        self.whole = whole  # the whole body, for apps that look here before they call `receive`
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self._finished = finished
        self._waited = False
        self._again = again
        self._coroutine: Coroutine[Any, Any, None] | None = None

    def run(self, app: Callable[..., Coroutine[Any, Any, None]], scope: Message) -> None:
        """Start the app. It may end in here, when it awaits nothing."""
        self._coroutine = app(scope, self, self.send)
        self._step()

    async def __call__(self) -> Message:
        return {"type": "http.request", "body": self.whole, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = message["headers"]
        else:
            self.body += message.get("body", b"")

    def _step(self, _: Any = None) -> None:
        assert self._coroutine is not None
        try:
            future = self._coroutine.send(None)
        except StopIteration:
            self._coroutine = None  # else exchange and coroutine refer to each other
            self._finished(self)
        except Exception as error:
            self._coroutine = None
            if self._waited and not isinstance(error, NeedsTask):  # it may have done something: not twice
                log.error("an app failed after it had waited", exc_info=error)
                self.status, self.headers, self.body = 500, list(_FAILED), b"Internal Server Error"
                self._finished(self)
            else:
                self._again(self)  # which raises it again, and reports it
        else:
            self._waited = True
            if future is None:  # a bare yield: asyncio.sleep(0)
                asyncio.get_running_loop().call_soon(self._step)
            else:
                future._asyncio_future_blocking = False  # what a task does with a future that it waits for
                future.add_done_callback(self._step)
