"""The short way of `/in/SOURCE`: a POST whose body came with its head, stored without a task.

A task, its events and its messages cost more than all checks together. Owns which requests go this way: those of a
known source that are one event, within every limit, with a routing decision that has a number. For every other one it
answers False, has done nothing, and the usual way (`ingress.py`) decides; both use the same checks. Invariants: as
there, no 2xx answer before the event is on disk; a request is answered once. Crash: as there.
"""

from __future__ import annotations

import logging
from typing import Protocol

from tidegate.core.errors import TidegateError
from tidegate.core.model import Appended, Origin
from tidegate.receive import answers
from tidegate.receive.accepting import Accepted, Accepter
from tidegate.receive.bodies import Bodies, Rejected
from tidegate.receive.body_budget import BodyBudget
from tidegate.receive.capacity import Capacity
from tidegate.receive.checks import PREFIX, Checks, NeedsKey, NeedsVisit, Scope
from tidegate.receive.handshakes import Reply
from tidegate.receive.inputs import Input
from tidegate.receive.turns import Done
from tidegate.rules.inbound.places import Headers
from tidegate.store import Log

log = logging.getLogger("tidegate.receive")


class Exchange(Protocol):
    """The connection that waits for an answer."""

    def answer(self, status: int, rest: bytes, *, closes: bool = False) -> None:
        """`rest`: header lines, an empty line and the body. `closes`: the header lines say so."""
        ...

    def again(self) -> None:
        """Run the request the usual way."""
        ...


class DirectIngress:
    """Called by a connection. The functions are those of `Ingress`."""

    def __init__(
        self,
        log: Log,
        checks: Checks,
        accepter: Accepter,
        bodies: Bodies,
        capacity: Capacity,
    ) -> None:
        self.instance = log.instance
        self._log = log
        self._checks = checks
        self._accepter = accepter
        self._capacity = capacity
        self.bodies = bodies

    def __call__(self, scope: Scope, headers: Headers, body: bytes, exchange: Exchange) -> bool:
        """Whether the request is under way, or answered.

        `scope`: that of a POST, as in ASGI; `headers`: by lower-case name, none of which came twice.
        """
        source: str = scope["path"][len(PREFIX) :].removesuffix("/")
        try:
            input = self._checks.sources(source)
            if input is None or not input.one_event or len(body) > input.max_body:
                return False
            if input.batch_type and input.is_batch(headers):
                return False
            if self._capacity.is_over(source):  # the more come, the less each may cost
                self._checks.over_capacity(source)
        except Rejected as rejected:
            return self._reject(source, scope, exchange, rejected)
        except TidegateError:
            return False
        if self._capacity.over_share(source):
            return False
        if not self._capacity.turns.must_wait(source):
            return self._take(input, scope, headers, body, exchange, None)
        budget = self.bodies.budget
        if not budget.take(source, len(body)):
            return False

        def run(done: Done) -> None:
            budget.release(source, len(body))
            try:
                taken = self._take(input, scope, headers, body, exchange, done)
            except Exception:  # the usual way meets it again, and reports it
                log.exception("a request that waited could not be taken without a task")
                taken = False
            if not taken:
                done()
                exchange.again()

        self._capacity.turns.wait(source, run)
        return True

    def _take(
        self, input: Input, scope: Scope, headers: Headers, body: bytes, exchange: Exchange, done: Done | None
    ) -> bool:
        """Check and append. `done`: to be called when it is answered."""
        source = input.source
        try:
            found = self._checks.check(input, scope, headers, body)
            if not isinstance(found, Accepted):
                _reply(exchange, found)
                if done is not None:
                    done()
                return True
            assert input.read is not None
            reading = input.read(headers, body, found.query_string)
            event = self._accepter.make(input, Origin.WEBHOOK, reading, found)
        except Rejected as rejected:
            if done is not None:
                done()
            return self._reject(source, scope, exchange, rejected)
        except (NeedsKey, NeedsVisit, TidegateError):
            return False
        budget = self.bodies.budget
        if not event.audience or not budget.take(source, len(body)):
            return False
        if input.verify is None or input.visits:
            self._checks.look_for_handshake(input, found)
        waiting = _Waiting(self, input, scope, exchange, len(body), budget)
        waiting.done_turn = done
        self._log.append_one(event, waiting)
        return True

    def _reject(self, source: str, scope: Scope, exchange: Exchange, rejected: Rejected) -> bool:
        if rejected.reason:
            self._checks.record(source, scope, rejected.reason, rejected.detail)
        _reply(exchange, rejected.reply)
        return True

    def failed(self, source: str, scope: Scope, error: BaseException) -> Reply:
        """The answer when an event could not be stored; recorded."""
        if not isinstance(error, TidegateError):
            log.error("an event could not be stored", exc_info=error)
            return answers.unavailable(None)
        self._checks.record(source, scope, error.code, error.message)
        return answers.unavailable(error.retry_after_seconds)


class _Waiting:
    """A request until its event is on disk: what the log completes in place of a future. It holds its body's bytes."""

    __slots__ = ("_budget", "_direct", "_exchange", "_input", "_is_done", "_scope", "_size", "done_turn")

    def __init__(
        self,
        direct: DirectIngress,
        input: Input,
        scope: Scope,
        exchange: Exchange,
        size: int,
        budget: BodyBudget,
    ) -> None:
        self._direct = direct
        self._input = input
        self._scope = scope
        self._exchange = exchange
        self._is_done = False
        self._size = size
        self._budget = budget
        self.done_turn: Done | None = None

    def done(self) -> bool:
        return self._is_done

    def set_result(self, appended: Appended) -> None:
        if self._is_done:
            return
        self._is_done = True
        input, exchange = self._input, self._exchange
        self._budget.release(input.source, self._size)
        if self.done_turn is not None:
            self.done_turn()
        if appended.differs:  # nothing was stored: its id came before with other content
            exchange.again()
        elif input.answer is not None:
            _reply(exchange, input.answer)
        else:
            lines = answers.id_lines(self._direct.instance, appended.offset)
            exchange.answer(200 if appended.duplicate else 202, lines)

    def set_exception(self, error: BaseException) -> None:
        if self._is_done:
            return
        self._is_done = True
        self._budget.release(self._input.source, self._size)
        if self.done_turn is not None:
            self.done_turn()
        _reply(self._exchange, self._direct.failed(self._input.source, self._scope, error))


def _reply(exchange: Exchange, reply: Reply) -> None:
    lines = b"".join([b"%s: %s\r\n" % pair for pair in reply.headers])
    exchange.answer(reply.status, lines + b"\r\n" + reply.body, closes=b"connection: close\r\n" in lines)
