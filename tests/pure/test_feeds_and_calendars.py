"""Feeds and calendars as rows: one shape for all, stable ids, and a cut answer is an error and not a short list."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.rules.sync.formats import BadRow, read_format, recognized

ITEM = (
    "<item><title>A &amp; B</title><link>http://x.example/1</link><guid isPermaLink='false'>g1</guid>"
    "<pubDate>Mon, 30 Nov 2026 10:00:00 +0100</pubDate><description>&lt;b&gt;hi&lt;/b&gt;&lt;script&gt;</description>"
    "<category>n</category><enclosure url='http://x.example/a.mp3' length='12' type='audio/mpeg'/></item>"
)
CALENDAR = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{}END:VCALENDAR\r\n"


def rss(*items: str) -> bytes:
    return f"<?xml version='1.0'?><rss version='2.0'><channel>{''.join(items)}</channel></rss>".encode()


def event(*lines: str) -> str:
    return "BEGIN:VEVENT\r\n" + "".join(f"{line}\r\n" for line in lines) + "END:VEVENT\r\n"


def rows(body: bytes) -> list[Any]:
    page = read_format("auto", body)
    assert page.rows is not None
    return list(page.rows)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (rss(), "rss"),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'></feed>", "rss"),
        (b'{"version": "https://jsonfeed.org/version/1.1", "items": []}', "rss"),
        (b'{"version": "https:\\/\\/jsonfeed.org\\/version\\/1", "items": []}', "rss"),
        (CALENDAR.format("").encode(), "ical"),
        (b"<orders/>", "xml"),
        (b'{"version": 3, "items": []}', "json"),
    ],
)
def test_feeds_and_calendars_are_recognized_by_their_first_bytes(body: bytes, name: str) -> None:
    assert recognized(body, "text/plain") == name


def test_an_entry_of_rss_is_a_row_with_its_guid_and_times_in_utc() -> None:
    (row,) = rows(rss(ITEM))
    assert row["id"] == "g1"
    assert (row["title"], row["published"], row["categories"]) == ("A & B", "2026-11-30T09:00:00Z", ["n"])
    assert "<script" not in row["summary"]
    assert row["enclosures"] == [{"url": "http://x.example/a.mp3", "type": "audio/mpeg", "bytes": 12}]


def test_without_a_guid_the_link_and_then_a_digest_is_the_id_and_dates_may_be_missing() -> None:
    by_link, by_digest, again = rows(
        rss("<item><link>http://x.example/2</link></item>", *["<item><title>t</title></item>"] * 2)
    )
    assert (by_link["id"], by_link["published"], by_link["updated"]) == ("http://x.example/2", None, None)
    assert by_digest["id"] == again["id"]
    assert isinstance(rows(rss("<item/>"))[0], BadRow)


def test_atom_and_json_feed_give_the_same_shape() -> None:
    atom = (
        b"<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>urn:1</id><title>T</title>"
        b"<updated>2026-11-30T10:00:00Z</updated><link href='http://x.example/2'/></entry></feed>"
    )
    feed = (
        b'{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "urn:1", "title": "T", '
        b'"url": "http://x.example/2", "date_modified": "2026-11-30T10:00:00Z"}, {"title": "no id"}]}'
    )
    from_json, bad = rows(feed)
    assert rows(atom) == [{**from_json, "updated": "2026-11-30T10:00:00Z"}]
    assert isinstance(bad, BadRow)


@pytest.mark.parametrize(
    "body",
    [
        rss(ITEM)[:-20],
        b"<rss><channel><item>",
        CALENDAR.format(event("UID:1")).encode()[:-6],
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\n",
        b'{"version": "https://jsonfeed.org/version/1.1", "items": [',
    ],
)
def test_an_answer_that_was_cut_is_an_error_and_not_a_short_list(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"early|cannot be read"):
        rows(body)


def test_entities_of_a_document_type_do_not_expand() -> None:
    bomb = b"<!DOCTYPE r [<!ENTITY a 'x'><!ENTITY b '" + b"&a;" * 100 + b"'><!ENTITY c '" + b"&b;" * 100 + b"'>]>"
    (row,) = rows(bomb + rss("<item><title>&c;&c;&c;</title></item>").split(b"?>", 1)[1])
    assert len(row["title"]) < 1000


def test_a_calendar_gives_a_series_and_its_changed_occurrence_as_the_source_writes_them() -> None:
    zone = "DTSTART;TZID=Europe/Berlin:20261201T090000"
    series, moved = rows(
        CALENDAR.format(
            event("UID:1@x", "DTSTAMP:20261130T000000Z", zone, "RRULE:FREQ=WEEKLY", "SUMMARY:S", "SEQUENCE:3")
            + event(
                "UID:1@x",
                "RECURRENCE-ID;TZID=Europe/Berlin:20261215T090000",
                "DTSTART;VALUE=DATE:20261216",
                "STATUS:CANCEL" + "LED",
            )
        ).encode()
    )
    assert (series["id"], series["start"], series["rrule"]) == ("1@x", "2026-12-01T09:00:00+01:00", "FREQ=WEEKLY")
    assert (series["sequence"], series["timezone"], series["canceled"]) == (3, "Europe/Berlin", False)
    assert moved["id"] == "1@x/2026-12-15T09:00:00+01:00"
    assert (moved["all_day"], moved["canceled"], moved["start"]) == (True, True, "2026-12-16")


def test_the_time_of_the_request_in_dtstamp_is_no_change() -> None:
    first, second = (
        rows(CALENDAR.format(event("UID:1", f"DTSTAMP:2026113{day}T000000Z", "DTSTART:20261201T090000Z")).encode())
        for day in (0, 1)
    )
    assert first == second


@pytest.mark.parametrize("lines", [("SUMMARY:no uid",), ("UID:2", "DTSTART:garbage"), ("UID:3", "SEQUENCE:x")])
def test_an_entry_that_cannot_be_read_is_a_bad_row_beside_the_others(lines: tuple[str, ...]) -> None:
    found = rows(CALENDAR.format(event("UID:1", "DTSTART:20261201T090000Z") + event(*lines)).encode())
    assert found[0]["id"] == "1"
    assert isinstance(found[1], BadRow)


def test_too_many_entries_are_an_error_and_not_a_cut_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.rules.sync.formats.rss.MAX_ENTRIES", 1)
    monkeypatch.setattr("tidegate.rules.sync.formats.ical.MAX_ENTRIES", 1)
    for body in (rss(ITEM, ITEM), CALENDAR.format(event("UID:1") + event("UID:2")).encode()):
        with pytest.raises(ValueError, match="at most 1 are read"):
            rows(body)
