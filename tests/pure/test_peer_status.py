"""What a node publishes of its senders: the health of the most notable, and the numbers of all others that fail."""

from __future__ import annotations

import msgspec

from tidegate.deliver.health import SenderHealth
from tidegate.deliver.peer_status import FAILING, MAX_FAILING, MAX_SENDERS, NodeStatus, status_of


def failing(lag: int = 1) -> SenderHealth:
    return SenderHealth("open", 0, 1, lag, None, "refused", 0.0, failing=True)


def healthy() -> SenderHealth:
    return SenderHealth("closed", 0, 0, 0, None, "", 0.0)


def test_every_destination_that_fails_is_published_also_beyond_the_most_notable() -> None:
    senders = {number: failing() if number % 2 else healthy() for number in range(200)}
    status = status_of(senders)
    assert len(status.senders) == MAX_SENDERS
    assert {*status.senders, *status.failing} == {number for number in senders if number % 2}
    assert FAILING.failing


def test_what_is_published_is_bounded_and_read_by_nodes_that_do_not_know_the_member() -> None:
    status = status_of({number: failing() for number in range(3000)})
    assert len(status.failing) == MAX_FAILING
    assert len(msgspec.json.encode(status)) < 16_000
    assert msgspec.json.decode(b'{"senders": {}, "later": 1}', type=NodeStatus).failing == []
