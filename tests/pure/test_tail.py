"""The tail ring: the newest events, bounded in bytes, whatever was trimmed meanwhile."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.model import Event, Origin
from tidegate.store import tail as tail_module
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


def test_events_that_nobody_is_owed_are_kept_as_long_as_they_are_among_the_newest(monkeypatch: Any) -> None:
    monkeypatch.setattr(tail_module, "RECENT_BYTES", 2 * SIZE)
    tail = Tail(ROOM * SIZE, is_owed=lambda event: event.offset % 2 == 0)
    tail.add([event(offset) for offset in range(1, 11)])
    assert offsets(tail) == [4, 6, 8, 9, 10]
    tail.settled(6)
    assert offsets(tail) == [8, 9, 10]
    tail.add([event(11), event(12)])
    assert offsets(tail) == [8, 10, 11, 12]
    tail.settled(100)
    assert offsets(tail) == [11, 12]
    tail.add([event(13)])
    assert offsets(tail) == [12, 13]


@given(st.lists(st.tuples(st.sampled_from(["add", "forget", "settled", "remove"]), st.integers(1, 8)), max_size=40))
def test_its_bytes_are_those_of_its_events_and_bounded(steps: list[tuple[str, int]]) -> None:
    tail, last = Tail(ROOM * SIZE, is_owed=lambda event: event.offset % 3 != 0), 0
    tail._recent_limit, tail._owed_limit = 2 * SIZE, 3 * SIZE
    for what, count in steps:
        if what == "add":
            tail.add([event(last + n) for n in range(1, count + 1)])
            last += count
        elif what == "forget":
            tail.forget(last - ROOM + count)
        elif what == "settled":
            tail.settled(last - count)
        else:
            tail.remove([last - count])
        assert tail._recent_bytes + tail._owed_bytes == len(tail) * SIZE <= ROOM * SIZE
        assert min(tail._recent_bytes, tail._owed_bytes) >= 0


def offsets(tail: Tail) -> list[int]:
    return [offset for offset in range(1, 20) if tail.get(offset) is not None]
