"""The tail ring: the newest events, bounded in bytes, whatever was trimmed meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.model import Event, Origin
from tidegate.store.tail import EVENT_OVERHEAD_BYTES, Tail

ROOM = 5
SIZE = EVENT_OVERHEAD_BYTES + 10


def event(offset: int) -> Event:
    return Event(offset, "shop", "t", Origin.WEBHOOK, 1, 1, b"x" * 10, "application/json")


@given(st.lists(st.tuples(st.sampled_from(["add", "forget"]), st.integers(1, 8)), max_size=30))
def test_it_keeps_the_newest_events_that_were_not_forgotten(steps: list[tuple[str, int]]) -> None:
    tail, kept, last = Tail(ROOM * SIZE), [], 0
    for what, count in steps:
        if what == "add":
            tail.add([event(last + n) for n in range(1, count + 1)])
            kept += range(last + 1, last + count + 1)
            kept, last = kept[-ROOM:], last + count
        else:
            upto = last - ROOM + count
            tail.forget(upto)
            kept = [offset for offset in kept if offset > upto]
        assert [offset for offset in range(1, last + 1) if tail.get(offset) is not None] == kept
        assert len(tail) == len(kept)
