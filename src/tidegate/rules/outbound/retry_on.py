"""Decides what a finished attempt means for its delivery and for the destination.

Owns which failures are retried (`retry_on` of a destination) and which of them count against the destination as a
whole. May not know schedules, queues or time. Invariants: only a success status delivers; a body that could not be
rendered is exhausted at once, because no request can help; 400, 409, 413, 415 and 422 speak about one delivery and
never count against the destination. Stateless: a crash loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import Enum
from typing import Final, Literal

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.core.model import Outcome
from tidegate.core.spec import DEFAULT_RETRY_ON

_STATUS_WORD = re.compile(r"[3-5](?:[0-9]{2}|xx)")
_OUTCOME_WORDS = {
    Outcome.REFUSED: "connection",
    Outcome.RESET: "connection",
    Outcome.DNS: "connection",
    Outcome.BLOCKED: "connection",
    Outcome.BAD_ANSWER: "connection",
    Outcome.TLS: "tls",
    Outcome.TIMEOUT: "timeout",
}
_GONE = 410
_TOO_MANY = 429
ABOUT_ONE_DELIVERY: Final = frozenset({400, 409, 413, 415, 422})


class Blame(Enum):
    """What a failure is about. The circuit breaker counts DESTINATION and is reset by NONE."""

    NONE = "none"  # a success
    DESTINATION = "destination"  # connection, TLS, timeout, 3xx, 5xx, 429, and any other 4xx
    DELIVERY = "delivery"  # the destination answered about this delivery alone
    NOT_SENT = "not_sent"  # no request was sent, so nothing is known about the destination


class AttemptMeaning(msgspec.Struct, frozen=True):
    """`follow`: what happens to the delivery. `answered`: there was an HTTP answer, with any status."""

    follow: Literal["delivered", "retry", "exhausted", "disable"]
    blame: Blame
    answered: bool = False
    timed_out: bool = False
    throttled: bool = False  # 429: the destination asks for fewer requests


class RetryOn:
    """The compiled `retry_on` of one destination."""

    __slots__ = ("_words",)

    def __init__(self, words: Collection[str]) -> None:
        self._words = frozenset(words)

    def covers(self, outcome: Outcome, status: int | None) -> bool:
        """Whether a failed attempt with this outcome and status is tried again."""
        if outcome in (Outcome.RENDER, Outcome.CONFLICT):
            return False
        if outcome is Outcome.CREDENTIAL:  # the destination did not fail: its delivery waits for a token
            return True
        word = _OUTCOME_WORDS.get(outcome)
        if word is not None:
            return word in self._words
        if status is None or not 300 <= status <= 599:
            return "connection" in self._words  # a status outside of HTTP's failures is treated as a bad answer
        return str(status) in self._words or f"{status // 100}xx" in self._words


def parse_retry_on(values: Sequence[str | int], path: str = "$.retry_on") -> RetryOn:
    """Compile `retry_on`: words of `connection`, `tls`, `timeout`, statuses 300-599, and `3xx`, `4xx`, `5xx`.

    An empty list retries nothing. Raises ConfigError for any other value.
    """
    known = set(_OUTCOME_WORDS.values())
    words: set[str] = set()
    for value in values:
        word = str(value).strip().lower()
        if word not in known and not _STATUS_WORD.fullmatch(word):
            raise ConfigError(
                f"{value!r} is not a failure that can be retried (examples: connection, tls, timeout, 429, 5xx)",
                path=path,
                hint='remove it, or write for example retry_on = ["connection", "timeout", 429, "5xx"]',
            )
        words.add(word)
    return RetryOn(words)


RETRY_ALL: Final = RetryOn(DEFAULT_RETRY_ON)
_DELIVERED: Final = AttemptMeaning("delivered", Blame.NONE, answered=True)
_NOT_SENT: Final = AttemptMeaning("exhausted", Blame.NOT_SENT)


def is_success(outcome: Outcome, status: int | None, success_statuses: Collection[int] | None = None) -> bool:
    """2xx, or one of `success_statuses` when the destination names its own.

    HTTP_ERROR with 2xx is a failure: a receiver may answer 200 with an error in its body. OK without a status: there
    was nothing to send.
    """
    if outcome is Outcome.OK and status is None:
        return True
    if outcome not in (Outcome.OK, Outcome.HTTP_ERROR) or status is None:
        return False
    if success_statuses:
        return status in success_statuses
    return outcome is Outcome.OK and 200 <= status < 300


def read_attempt(
    outcome: Outcome,
    status: int | None,
    retry_on: RetryOn = RETRY_ALL,
    success_statuses: Collection[int] | None = None,
) -> AttemptMeaning:
    """What a finished attempt means. `status` is None when there was no HTTP answer.

    401, 403, 404, 405 and every other 4xx that is not about one delivery count against the destination: a wrong
    deployment at the receiver must not empty a backlog into the dead letters. A success of any other event resets
    what the breaker counts, so they never stop a destination that takes other events.
    """
    if is_success(outcome, status, success_statuses):
        return _DELIVERED
    if outcome in (Outcome.RENDER, Outcome.CONFLICT):
        return _NOT_SENT
    answered = outcome in (Outcome.OK, Outcome.HTTP_ERROR)
    if answered and status == _GONE:
        return AttemptMeaning("disable", Blame.DESTINATION, answered=True)
    follow: Literal["retry", "exhausted"] = "retry" if retry_on.covers(outcome, status) else "exhausted"
    if answered and status in ABOUT_ONE_DELIVERY:
        return AttemptMeaning(follow, Blame.DELIVERY, answered=True)
    return AttemptMeaning(
        follow,
        Blame.DESTINATION,
        answered=answered,
        timed_out=outcome is Outcome.TIMEOUT,
        throttled=answered and status == _TOO_MANY,
    )
