"""Siblings of faults that were found in sources: other shapes and edge values of the same kinds, in tables.

The kinds themselves are in the other modules `test_poll_*.py`.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from support.upstream.polled import polled

# -- versions: an update is taken at once, or is held, reported and taken at the second poll ---------------

VERSIONS: dict[str, tuple[Any, Any]] = {
    "below zero": (-5, -3),
    "a release after its candidate": ("1.0.0-rc1", "1.0.0"),
    "two time zones": ("2026-11-24T10:00:00+02:00", "2026-11-24T09:00:00Z"),
    "numbers as text": ("9", "10"),
    "a fraction": (9.5, 10),
    "seconds, then milliseconds": (1_764_000_000, 1_764_000_001_000),
    "nothing, then a number": (None, 3),
    "a number, then nothing": (4, None),
    "objects": ({"n": 1}, {"n": 2}),
    "lists": ([1, 9], [1, 10]),
    "days without zeros": ("2026-9-1", "2026-10-1"),
    "German days": ("31.12.2026", "01.01.2027"),
    "RFC 850": ("Friday, 06-Nov-26 08:49:37 GMT", "Saturday, 07-Nov-26 08:49:37 GMT"),
    "beyond 64 bits": (10**30, 10**30 + 1),
    "ULIDs": ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW"),
    "the same version": (5, 5),
    "fractions of other lengths": ("2026-11-24T10:00:00.9Z", "2026-11-24T10:00:00.10Z"),
    "months by name": ("Jan 31, 2026", "Feb 1, 2026"),
    "Roman numbers": ("IX", "X"),
    "weeks": ("2026-W9", "2026-W10"),
    ".NET dates": ("/Date(999)/", "/Date(1000)/"),
}


async def test_an_update_is_taken_whatever_its_version_looks_like(tmp_path: Path) -> None:
    now = [0]

    def answer(_: Any) -> Any:
        return [{"id": name, "v": pair[now[0]], "x": now[0]} for name, pair in VERSIONS.items()]

    for name in VERSIONS:  # one source each: what a resource learns of its versions holds for all of its rows
        now[0] = 0
        async with polled(tmp_path / name, lambda _, of=name: [one for one in answer(_) if one["id"] == of],
                          version="v") as one:  # fmt: skip
            await one.poll()
            now[0] = 1
            if (await one.poll()).updated == 0:
                assert "version_went_back" in one.codes(), name
                await one.poll()
            assert (await one.records())[name]["x"] == 1, name


# -- keys --------------------------------------------------------------------------------------------------

KEYS: list[tuple[str, dict[str, Any], Any, int, bool]] = [
    ("capitals", {}, [{"id": "A"}, {"id": "a"}], 2, False),
    ("a blank at the end", {}, [{"id": "a"}, {"id": "a "}], 2, False),
    ("beyond a float", {}, [{"id": 2**53 + 1}, {"id": 2**53 + 2}, {"id": 2**70}, {"id": 2**70 + 1}], 4, False),
    ("composed and decomposed characters", {}, [{"id": "\u00e9"}, {"id": "e\u0301"}], 2, False),
    ("a number and its text", {}, [{"id": 1, "x": 1}, {"id": "1", "x": 2}], 1, True),
    ("separators in parts", {"primary_key": ["a", "b"]}, [
        {"a": "x:y", "b": "z"}, {"a": "x", "b": "y:z"}, {"a": "x,y", "b": "z"}, {"a": "x", "b": "y,z"},
        {"a": "x|y", "b": "z"}, {"a": "x", "b": "y|z"},
    ], 6, False),
    ("the same row twice", {}, [{"id": 1}, {"id": 1}], 1, False),
    ("two rows that change places", {}, [{"id": 1, "x": 1}, {"id": 1, "x": 2}], 1, True),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "rows", "count", "shared"), [row[1:] for row in KEYS], ids=[row[0] for row in KEYS])
async def test_keys_are_kept_apart_or_reported(
    tmp_path: Path, keys: dict[str, Any], rows: list[Any], count: int, shared: bool
) -> None:
    calls = [0]

    def answer(_: Any) -> Any:
        calls[0] += 1
        return rows[:: 1 if calls[0] % 2 else -1]

    async with polled(tmp_path, answer, **keys) as one:
        for _ in range(3):
            await one.poll()
        assert len(await one.records()) == count
        assert await one.changes() == []
        assert ("duplicate_keys" in one.codes()) is shared


# -- rows that cannot be read ------------------------------------------------------------------------------

JSON = "application/json"
UNREADABLE: list[tuple[str, dict[str, Any], Any, int]] = [
    ("no key", {}, [{"id": None}, {"id": ""}, {"id": [1]}, {"id": True}, {"id": 5}], 1),
    ("NaN", {}, b'[{"id": 1, "x": NaN}, {"id": 2}]', 1),
    ("values that are not rows", {}, [{"id": 1}, 5, "x", None, [1]], 1),
    ("a broken line", {"format": "ndjson"}, b'{"id": 1}\n{"id": 2,\n{"id": 3}\r\n', 2),
]
READABLE: list[tuple[str, dict[str, Any], Any]] = [
    ("UTF-16", {}, (200, '[{"id": 1, "a": "\u00e9"}]'.encode("utf-16"), {"content-type": f"{JSON}; charset=utf-16"})),
    ("a byte order mark", {}, b'\xef\xbb\xbf[{"id": 1}]'),
    ("windows-1252", {}, (200, '[{"id": 1, "a": "\u20ac"}]'.encode("cp1252"),
                          {"content-type": f"{JSON}; charset=windows-1252"})),
    ("half a surrogate pair", {}, b'[{"id": 1, "a": "\\ud800"}]'),
    ("an unknown charset", {}, (200, b'[{"id": 1}]', {"content-type": f"{JSON}; charset=klingon"})),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "rows", "known"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
async def test_a_row_that_cannot_be_read_is_reported_and_the_others_are_taken(
    tmp_path: Path, keys: dict[str, Any], rows: Any, known: int
) -> None:
    async with polled(tmp_path, lambda _: rows, **keys) as one:
        report = await one.poll(ok=False)
        assert len(await one.records()) == known or report.error
        assert report.error or "rows_skipped" in one.codes()


@pytest.mark.parametrize(("keys", "page"), [row[1:] for row in READABLE], ids=[row[0] for row in READABLE])
async def test_a_page_in_another_encoding_is_read(tmp_path: Path, keys: dict[str, Any], page: Any) -> None:
    async with polled(tmp_path, lambda _: page, **keys) as one:
        await one.poll()
        assert list(await one.records()) == ["1"]


async def test_a_compressed_body_that_does_not_say_so_is_an_error_and_no_list(tmp_path: Path) -> None:
    async with polled(tmp_path, lambda _: gzip.compress(b'[{"id": 1}]')) as one:
        assert (await one.poll(ok=False)).error


# -- statuses that are not the whole list ------------------------------------------------------------------


@pytest.mark.parametrize("status", [202, 300, 304])
async def test_a_status_that_is_not_the_whole_list_deletes_nothing(tmp_path: Path, status: int) -> None:
    answer: list[Any] = [[{"id": 1}, {"id": 2}]]
    scan = {"deletes": {"mode": "scan", "confirm": "second_scan", "every": "1s", "max_ratio": 1.0}}
    async with polled(tmp_path, lambda _: answer[0], **scan) as one:
        await one.poll()
        answer[0] = (status, [])
        for _ in range(3):
            one.clock.advance(5)
            await one.poll(ok=False)
        assert len(await one.records()) == 2 and await one.changes() == []
