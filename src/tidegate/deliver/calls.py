"""What nodes ask of each other about deliveries: the shapes of calls and their replies, as JSON.

Owns the shapes and `takes`, the rule by which a replay takes a delivery. May not know senders or the store. Invariant:
a call may arrive twice, so each one names deliveries and not changes. Crash: a call whose reply was lost may have been
done.
"""

from __future__ import annotations

import msgspec

from tidegate.core.model import DeliveryState, DeliveryView

NEVER_OWED = "never_owed"  # for `Reopen.state`: not a state, but events that the destination was never owed


class Retry(msgspec.Struct, frozen=True, tag="retry"):
    offset: int
    destination: int


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    offset: int
    destination: int


class TestSent(msgspec.Struct, frozen=True, tag="test_sent"):
    """A person sent a test event to a destination, and `success` says whether it was accepted."""

    destination: int
    success: bool


class Reopen(msgspec.Struct, frozen=True, tag="reopen"):
    """Deliveries that a replay sends again: (offset, revision of the route that takes it), ascending."""

    destination: int
    job: str
    state: str | None
    items: list[tuple[int, int]]


class Reopened(msgspec.Struct, frozen=True):
    """`done` of the items were looked at (there was no room for the others), `reopened` of them made pending."""

    done: int
    reopened: int


class ReplayCreated(msgspec.Struct, frozen=True, tag="replay_created"):
    """A hint for the node that holds the partition of a replay job: the job is in the store."""

    job: str


class ReplayCanceled(msgspec.Struct, frozen=True, tag="replay_canceled"):
    """A person ends a replay job of a partition that the node holds."""

    job: str


Command = Retry | Cancel | Reopen | TestSent
DECODER = msgspec.json.Decoder(Command | ReplayCreated | ReplayCanceled)


def takes(view: DeliveryView | None, state: str | None) -> bool:
    """Whether a replay that asks for a state (None: all) takes a delivery (None: one that never was).

    A pending delivery is taken only when the replay asks for pending ones: it is then due now.
    """
    if view is None:
        return state in (None, NEVER_OWED)
    if view.state in (DeliveryState.PENDING, DeliveryState.SENDING):
        return view.state is DeliveryState.PENDING and state == view.state.value
    return state is None or view.state.value == state
