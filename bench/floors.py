"""The floors that Tidegate is measured against, each the least program that does the one thing.

    python -m bench.floors noop --port N                         bare ASGI, answers 1 KiB at once
    python -m bench.floors durable --port N --dir DIR            bare ASGI, 202 after a group commit at FULL
    python -m bench.floors plain --port N --dir DIR --to URL     durable, and a bare aiohttp loop posts each body on

`noop` knows no key and no cache; `durable` verifies nothing and keeps nothing but the body; `plain` records no attempt
and never retries. They bound from above what such a server reaches on this machine with these parts.
"""

from __future__ import annotations

import argparse
import asyncio
import queue
import socket
import threading
import time
from pathlib import Path
from typing import Any

DDL = "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, source TEXT, at INTEGER, body BLOB)"
INSERT = "INSERT INTO events (source, at, body) VALUES (?, ?, ?)"


class Durable:
    """Queue, one writer thread, one transaction for all that waits."""

    def __init__(self, directory: Path, after: Any = None) -> None:
        import apsw

        directory.mkdir(parents=True, exist_ok=True)
        self._db = apsw.Connection(str(directory / "floor.db"))
        for pragma in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"):
            self._db.execute(pragma).fetchall()
        if self._db.execute("PRAGMA synchronous").get != 2:
            raise SystemExit("synchronous is not FULL")
        self._db.execute(DDL)
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._after = after
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, body: bytes) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((("bench", time.time_ns() // 1000, body), future))
        return future

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            try:
                while len(batch) < 1000:
                    batch.append(self._queue.get_nowait())
            except queue.Empty:
                pass
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(INSERT, [row for row, _ in batch])
            self._db.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._done, batch)

    def _done(self, batch: list[Any]) -> None:
        for row, future in batch:
            if not future.done():
                future.set_result(None)
            if self._after is not None:
                self._after(row[2])


class Relay:
    """A bare aiohttp client: 64 workers that post what was stored."""

    def __init__(self, url: str) -> None:
        import aiohttp

        self._url = url
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )
        self._tasks = [asyncio.ensure_future(self._work()) for _ in range(64)]

    def put(self, body: bytes) -> None:
        self._queue.put_nowait(body)

    async def _work(self) -> None:
        headers = {"content-type": "application/json", "webhook-id": "msg_1", "webhook-timestamp": "1700000000"}
        while True:
            body = await self._queue.get()
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.read()


def make_app(durable: Durable) -> Any:
    start = {
        "type": "http.response.start",
        "status": 202,
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"13")],
    }
    body = {"type": "http.response.body", "body": b'{"id":"evt1"}'}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        received = b""
        while True:
            part = await receive()
            received += part["body"]
            if not part.get("more_body"):
                break
        await durable.put(received)
        await send(start)
        await send(body)

    return app


def make_noop() -> Any:
    item = b'{"id":1,"state":"paid","note":"' + b"x" * 980 + b'"}'
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(item))]
    start = {"type": "http.response.start", "status": 200, "headers": head}
    body = {"type": "http.response.body", "body": item}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start)
        await send(body)

    return app


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["noop", "durable", "plain"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--to", default="")
    options = parser.parse_args()
    import uvicorn

    relay = Relay(options.to) if options.kind == "plain" else None
    app = make_noop() if options.kind == "noop" else make_app(Durable(options.dir, relay.put if relay else None))
    listener = socket.create_server(("127.0.0.1", options.port), backlog=2048)
    config = uvicorn.Config(app, http="httptools", loop="none", ws="none", lifespan="off", access_log=False,
                            log_level="warning", interface="asgi3", server_header=False)  # fmt: skip
    server = uvicorn.Server(config)
    print(f"ready http://127.0.0.1:{options.port}", flush=True)
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
