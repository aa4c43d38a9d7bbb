"""Sources that answer for a limited time at once: windows between start and end, and starts that are too old."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.gateway.sample_config import rejections
from support.upstream.polled import START_US, SentRequest, polled
from tidegate.rules.sync.instants import ISO, read_as, write

DAY_US = 86_400_000_000
WINDOW_US = 31 * DAY_US
RULE: dict[str, Any] = {
    "cursor_path": "at", "param": "from", "end_param": "to", "format": "iso8601", "window": "31d", "max_age": "300d",
}  # fmt: skip
NUMBERED = {"type": "page_number", "total_path": "pages"}


def iso(at_us: int) -> str:
    return write(at_us, "", ISO)


def us(text: str) -> int:
    found = read_as(text, ISO)
    assert found is not None
    return found


class Ledger:
    """Rows by their instants, days before the start. It rejects a span that is too long or too old."""

    def __init__(self, *days: float) -> None:
        self.rows = {str(n): START_US - int(day * DAY_US) for n, day in enumerate(days, 1)}
        self.spans: list[tuple[int, int]] = []
        self.broken_at = -1  # the number of the request that fails once

    def __call__(self, asked: SentRequest) -> Any:
        begin, end = us(asked.query["from"]), us(asked.query["to"])
        if end - begin > WINDOW_US or begin < asked.at_us - 301 * DAY_US:
            return 400, {"name": "INVALID_REQUEST"}
        if len(self.spans) == self.broken_at:
            self.broken_at = -1
            return 400, {"name": "BROKEN"}
        self.spans.append((begin, end))
        found = [{"id": ident, "at": iso(at)} for ident, at in self.rows.items() if begin <= at <= end]
        number = int(asked.query["page"])
        return {"rows": found[(number - 1) * 2 : number * 2], "pages": -(-len(found) // 2)}


def windows(path: Path, ledger: Ledger, **rule: Any) -> Any:
    return polled(path, ledger, incremental={**RULE, **rule}, paginator=NUMBERED, data_selector="rows")


async def test_a_poll_asks_for_one_window_after_the_other(tmp_path: Path) -> None:
    ledger = Ledger(250, 249, 248, 120, 3)
    async with windows(tmp_path, ledger) as one:
        await one.poll()
        assert set(await one.records()) == set("12345")
        begins = [begin for begin, _ in dict.fromkeys(ledger.spans)]
        assert len(begins) == 10 and begins == sorted(begins)
        spans = list(dict.fromkeys(ledger.spans))
        assert all(end == following for (_, end), (following, _) in pairwise(spans)), "no gap"
        ledger.spans.clear()
        ledger.rows["6"] = one.clock.now_us()
        one.clock.advance(60)
        await one.poll()
        assert set(await one.records()) == set("123456")
        assert len(ledger.spans) == 1, "the next poll begins at the cursor"


async def test_the_cursor_passes_windows_without_rows(tmp_path: Path) -> None:
    ledger = Ledger(299)
    async with windows(tmp_path, ledger, lag="3h") as one:
        await one.poll()
        ledger.spans.clear()
        await one.poll()
        assert len(ledger.spans) == 1
        assert ledger.spans[0][0] >= START_US - 32 * DAY_US


async def test_a_walk_that_stops_goes_on_at_its_window(tmp_path: Path) -> None:
    ledger = Ledger(250, 120, 3)
    async with windows(tmp_path, ledger) as one:
        ledger.broken_at = 5
        await one.poll(ok=False)
        await one.restart()
        asked = len(ledger.spans)
        await one.poll()
        assert set(await one.records()) == set("123")
        assert ledger.spans[asked][0] > ledger.spans[asked - 1][0], "the windows before it are not asked for again"
        assert len(ledger.spans) == 10


async def test_a_start_that_the_source_does_not_take_any_more_is_moved_and_reported(tmp_path: Path) -> None:
    ledger = Ledger(2)
    async with windows(tmp_path, ledger) as one:
        await one.poll()
        assert one.codes() == set()
        one.clock.advance(400 * 86_400)
        await one.poll()
        assert one.codes() == {"cursor_too_old"}


async def test_windows_fill_placeholders_of_a_body_too(tmp_path: Path) -> None:
    spans: list[Any] = []

    def answer(asked: SentRequest) -> Any:
        spans.append((asked.body["span"]["from"], asked.body["span"]["to"]))
        return {"rows": []}

    body = {"span": {"from": "{incremental.start_value}", "to": "{incremental.end_value}"}}
    rule = {"cursor_path": "at", "format": "epoch_s", "window": "31d", "max_age": "90d"}
    async with polled(tmp_path, answer, incremental=rule, method="POST", json=body, data_selector="rows") as one:
        await one.poll()
        assert len(spans) == 3
        assert spans[0][1] == spans[1][0] and spans[1][1] == spans[2][0]


SOURCE = """
[sources.s.api]
base_url = "https://s.example.com"
[sources.s.resources.o]
path = "/o"
poll = "5m"
"""


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('format = "iso8601", window = "31d", max_age = "90d"', "'window' needs an end"),
        ('format = "iso8601", window = "31d", end_param = "to"', "needs a start for the first poll"),
        ('window = "31d", end_param = "to", max_age = "90d"', "needs cursor_path and a format of instants"),
        ('format = "iso8601", window = "10m", end_param = "to", max_age = "90d"', "out of range"),
    ],
)
def test_windows_without_what_they_need_are_rejected(keys: str, message: str) -> None:
    error, *_ = rejections(SOURCE + f'incremental = {{ cursor_path = "at", param = "from", {keys} }}\n')
    assert message in error


def test_a_scan_for_deletes_cannot_have_an_oldest_start() -> None:
    keys = 'incremental = { cursor_path = "at", param = "from", format = "iso8601", max_age = "90d" }\n'
    error, *_ = rejections(SOURCE + keys + 'deletes = { mode = "scan", confirm = "second_scan" }\n')
    assert "cannot see rows older than max_age" in error
