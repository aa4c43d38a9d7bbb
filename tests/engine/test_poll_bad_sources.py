"""Bad sources over real sockets: the place stays, the reason is shown, and nothing is deleted."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.gateway.process import GatewayProcess, call, free_port

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CONFIG = """
[sources.{name}.api]
base_url = "http://127.0.0.1:{port}/{name}"
timeout = "1s"
[sources.{name}.resources.rows]
path = "/rows"
item_path = "/rows/{{id}}"
poll = "30d"
paginator = {{ type = "page_number" }}
deletes = {{ mode = "scan", every = "1s", max_ratio = 1.0 }}
"""


def whole(body: bytes, more: bytes = b"") -> bytes:
    return HEAD + more + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


class Sources:
    """Page 1 has rows 1 to 5 and page 2 has rows 6 to 9. `bad`: what page 2 of a source answers instead, in pieces."""

    def __init__(self) -> None:
        self.bad: dict[str, list[bytes]] = {}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            for piece in self._answer(*target.split("/")[1:]):
                writer.write(piece)
                await writer.drain()
                if len(piece) == 1:
                    await asyncio.sleep(0.3)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, name: str, rows: str, key: str = "") -> list[bytes]:
        if key:
            return [whole(json.dumps({"id": int(key)}).encode())]
        page = int(rows.rpartition("page=")[2])
        if page == 2 and name in self.bad:
            return self.bad[name]
        return [whole(json.dumps([{"id": n} for n in {1: range(1, 6), 2: range(6, 10)}.get(page, [])]).encode())]


@functools.cache
def bomb() -> bytes:
    return gzip.compress(b'[{"id": 6, "x": "' + b"a" * 100_000_000 + b'"}]')


BAD: list[tuple[str, Callable[[], list[bytes]], str]] = [
    ("no answer", list, "closed"),
    ("cut in its head", lambda: [HEAD], "closed|answer"),
    ("cut in its body", lambda: [HEAD + b"Content-Length: 500\r\n\r\n" + b'[{"id": 6}, {"i'], "closed|body|answer"),
    ("cut in a chunk", lambda: [HEAD + b'Transfer-Encoding: chunked\r\n\r\nff\r\n[{"id": 6}'], "closed|body|answer"),
    ("not HTTP", lambda: [b"SSH-2.0-OpenSSH_9.2\r\n"], "answer|HTTP"),
    ("a truncated list", lambda: [whole(b'[{"id": 6}, {"id"')], "cannot be read"),
    ("no JSON in the middle", lambda: [whole(b'[{"id": 6}, oops, {"id": 7}]')], "cannot be read"),
    ("HTML as JSON", lambda: [whole(b"<html><title>Sign in</title></html>")], "HTML.*Sign in"),
    ("another type", lambda: [whole(b"\x89PNG\r\n\x1a\n" + bytes(200)).replace(b"application/json", b"image/png")],
     "cannot be read"),
    ("a bomb", lambda: [whole(bomb(), b"Content-Encoding: gzip\r\n")], "more than 16777216 bytes"),
    ("a cut bomb", lambda: [whole(bomb()[:-20], b"Content-Encoding: gzip\r\n")], "more than|cannot|closed"),
    ("an unknown encoding", lambda: [whole(b"abc", b"Content-Encoding: snappy\r\n")], "snappy|encoding"),
    ("slow bytes", lambda: [HEAD + b"Content-Length: 100\r\n\r\n", *([b" "] * 8)], "did not answer within"),
    ("a redirect to the metadata service", lambda: [
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"],
     "redirects to another origin"),
    ("a redirect to itself", lambda: [
        b"HTTP/1.1 307 Again\r\nLocation: /s14/rows?page=2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"],
     "redirect"),
]  # fmt: skip


async def test_a_bad_page_is_reported_its_place_is_kept_and_nothing_is_deleted(tmp_path: Path) -> None:
    """One gateway polls all of them at the same time, because most of the time is the backoff between tries."""
    sources, port = Sources(), free_port()
    server = await asyncio.start_server(sources, "127.0.0.1", port)
    names = [f"s{number}" for number in range(len(BAD))]
    file = tmp_path / "tidegate.toml"
    allow = '[egress]\nallow = ["127.0.0.1/32"]\n'
    file.write_text(allow + "".join(CONFIG.format(name=name, port=port) for name in names))
    gateway = await GatewayProcess(file, tmp_path / "data", free_port()).start()

    async def api(path: str, method: str = "GET", body: Any = None) -> Any:
        return await call(gateway.url, f"/api/v1{path}", gateway.key, method, body)

    async def poll(name: str) -> Any:
        return await api(f"/sources/{name}/resources/rows/poll", "POST", {})

    async def live(name: str) -> list[str]:
        return [one["key"] for one in (await api(f"/records/{name}/rows?limit=500"))["data"] if not one["deleted"]]

    async def one(name: str, title: str, answer: Callable[[], list[bytes]], words: str) -> list[str]:
        await poll(name)
        sources.bad[name] = answer()
        report, wrong = await poll(name), []
        if not re.search(words, report["error"]):
            wrong.append(f"{title}: {report['error']}")
        found = (await api("/doctor"))["findings"]
        if not any(one["code"] == "polls_failing" and f"{name}/rows" in one["subject"] for one in found):
            wrong.append(f"{title}: doctor does not say it")
        if await live(name) != list("123456789"):
            wrong.append(f"{title}: {await live(name)}")
        del sources.bad[name]
        report = await poll(name)
        # A retry by the schedule may have gone on at the place before this poll.
        resumed = (await api("/stats"))["resources"][f"{name}/rows"].get("resumed", 0)
        if report["error"] or not (report["resumed"] or resumed) or await live(name) != list("123456789"):
            wrong.append(f"{title}: then {report}")
        return wrong

    try:
        rows = zip(names, BAD, strict=True)
        wrong = await asyncio.gather(*(one(name, *row) for name, row in rows))
        assert [text for texts in wrong for text in texts] == []
        assert [event for event in (await api("/events?limit=500"))["data"] if event["change"]] == []
    finally:
        await gateway.end(signal.SIGTERM)
        server.close()
