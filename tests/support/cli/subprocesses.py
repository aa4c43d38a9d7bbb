"""Start a program on a free loopback port, wait until it listens, and end it; and small HTTP calls to it."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlencode


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def call(
    url: str, *, data: bytes | Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """GET, or POST when there is `data` (a mapping is sent as a form). Redirects are not followed."""
    body = urlencode(data).encode() if isinstance(data, Mapping) else data
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}))
    try:
        with _OPENER.open(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(check: Any, what: str, seconds: float = 20) -> Any:
    """The first truthy answer of `check`; AssertionError names `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        select.select([], [], [], 0.05)
    raise AssertionError(f"not in {seconds:.0f} s: {what}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running_program(*words: str, port: int) -> Iterator[str]:
    """`python WORDS`, ended by SIGTERM; gives its address. It must end with exit 0 or by the signal."""
    child = subprocess.Popen([sys.executable, *words], stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: child.poll() is not None or _listens(port), f"{words} listens on {port}")
        assert child.poll() is None, f"{words} ended with {child.returncode}"
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        code = child.wait(20)
    assert code in (0, -15), f"{words} ended with {code}"


class ReceivedRequest(NamedTuple):
    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """A real HTTP server that keeps what it was sent and answers as a test says."""

    def __init__(self) -> None:
        self.taken: list[ReceivedRequest] = []
        self.answers: list[int] = []  # statuses to come; then 202
        self.content = b"{}"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.taken.append(ReceivedRequest(self.path, dict(self.headers), body))
                self.answer(outer.answers.pop(0) if outer.answers else 202)

            def do_GET(self) -> None:
                outer.taken.append(ReceivedRequest(self.path, dict(self.headers), b""))
                self.answer(200)

            def answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Cache-Status", "Tidegate; fwd=miss")
                self.send_header("Content-Length", str(len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content)

            def log_message(self, *args: Any) -> None:
                """Tests print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Receiver:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
