"""Feeds and calendars polled over real sockets: new entries are events, an unchanged feed is one short answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.gateway.running import running
from tidegate.process.gateway import Gateway
from tidegate.store import EventQuery


class Site:
    """Serves documents by path, with an ETag, and answers 304 to a caller that has them."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.statuses: list[int] = []
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = self.documents[head.split(" ")[1]]
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        same = f"if-none-match: {tag}" in head.lower()
        self.statuses.append(304 if same else 200)
        body = b"" if same else body
        status = "304 Not Modified" if same else "200 OK"
        lines = f"HTTP/1.1 {status}\r\nETag: {tag}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(lines.encode() + body)
        await writer.drain()
        writer.close()


def feed(*entries: tuple[str, str]) -> bytes:
    items = "".join(f"<item><guid>{guid}</guid><title>{title}</title></item>" for guid, title in entries)
    return f"<rss version='2.0'><channel>{items}</channel></rss>".encode()


def calendar(*events: tuple[str, str]) -> bytes:
    lines = "".join(
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:20261201T090000Z\r\nSTATUS:{status}\r\nEND:VEVENT\r\n"
        for uid, status in events
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{lines}END:VCALENDAR\r\n".encode()


def config(port: int) -> str:
    return (
        f'[sources.web.api]\nbase_url = "http://127.0.0.1:{port}"\n'
        '[sources.web.resources.posts]\npath = "/feed.xml"\nformat = "rss"\npoll = "1d"\n'
        '[sources.web.resources.dates]\npath = "/cal.ics"\nformat = "ical"\npoll = "1d"\n'
        'deletes = { mode = "flag", path = "canceled" }\n'
    )


async def polled(gateway: Gateway, resource: str) -> list[str]:
    """The changes of one more poll, as `type key`."""
    before = gateway.store.log.published_offset
    report = await gateway.pull.poll_now("web", resource)
    assert report.error == ""
    page = await gateway.store.log.page(EventQuery(ascending=True))
    return [f"{one.type} {one.key}" for one in page.events if one.offset > before]


async def test_entries_of_a_feed_become_events_and_an_unchanged_feed_costs_a_304(tmp_path: Path) -> None:
    site = Site()
    site.documents = {"/feed.xml": feed(("a", "first")), "/cal.ics": calendar()}
    async with site.open(), running(tmp_path, config(site.port)) as gateway:
        assert await polled(gateway, "posts") == [], "the first poll is the snapshot"
        site.documents["/feed.xml"] = feed(("b", "second"), ("a", "first"))
        assert await polled(gateway, "posts") == ["posts.created b"]
        site.statuses.clear()
        assert await polled(gateway, "posts") == []
        assert site.statuses == [304]
        site.documents["/feed.xml"] = feed(("c", "third"), ("b", "corrected"))
        assert sorted(await polled(gateway, "posts")) == ["posts.created c", "posts.updated b"], (
            "`a` only left the feed"
        )


async def test_a_canceled_date_of_a_calendar_is_a_delete_and_a_cut_calendar_changes_nothing(tmp_path: Path) -> None:
    site = Site()
    site.documents = {"/feed.xml": feed(), "/cal.ics": calendar(("1", "CONFIRMED"), ("2", "CONFIRMED"))}
    async with site.open(), running(tmp_path, config(site.port)) as gateway:
        await polled(gateway, "dates")
        site.documents["/cal.ics"] = calendar(("1", "CONFIRMED"), ("2", "CANCEL" + "LED"))
        assert await polled(gateway, "dates") == ["dates.deleted 2"]
        site.documents["/cal.ics"] = calendar(("1", "CONFIRMED"))[:-16]
        report = await gateway.pull.poll_now("web", "dates")
        assert "ends early" in report.error
        assert await gateway.store.records.count("web", "dates") == 1
