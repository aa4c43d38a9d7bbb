"""A WebSub hub and the site of a publisher, on a free loopback port, as the W3C Recommendation describes a hub.

It verifies the intent of every request with a random challenge, keeps leases, signs content with the secret of the
subscription, retries nothing, and drops a subscription that is answered 410. A test scripts its faults.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
from aiohttp import web

GATE = "https://gate.example.com"  # the public_url of the gateway, which the hub reaches at `gate`


class Hub:
    """`asked` are the forms of all requests, `subscribed` the verified subscriptions by (callback, topic)."""

    def __init__(self) -> None:
        self._gate = ""
        self._reachable = asyncio.Event()
        self.lease_seconds: int | None = 864_000
        self.statuses: list[tuple[int, str]] = []  # answers to the next requests, before 202
        self.verifies = True
        self.asked: list[dict[str, str]] = []
        self.subscribed: dict[tuple[str, str], dict[str, str]] = {}
        self.documents: dict[str, tuple[int, list[tuple[str, str]], bytes]] = {}
        self.fetched: list[str] = []
        self.url = ""
        self._calls: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession

    @property
    def gate(self) -> str:
        """Where the gateway is. The hub calls nobody before it is set."""
        return self._gate

    @gate.setter
    def gate(self, url: str) -> None:
        self._gate = url
        self._reachable.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Hub]:
        app = web.Application()
        app.router.add_post("/hub", self._subscribe)
        app.router.add_post("/moved", self._moved)
        app.router.add_get("/{path:.*}", self._document)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as self._http:
            try:
                yield self
            finally:
                for task in self._calls:
                    task.cancel()
                await runner.cleanup()

    def serve(self, path: str, body: str = "", status: int = 200, **headers: str) -> str:
        """Serve a document; its URL. `link=` and the like are headers, `{url}` in them is this site."""
        lines = [(name.replace("_", "-"), value.replace("{url}", self.url)) for name, value in headers.items()]
        self.documents[path] = (status, lines, body.replace("{url}", self.url).encode())
        return self.url + path

    async def publish(
        self, body: bytes, content_type: str, *, method: str = "sha256", key: str | None = None
    ) -> list[int]:
        """Send the content to all subscribers; their statuses. `method` "" sends no signature."""
        await asyncio.gather(*self._calls)
        statuses = []
        for (callback, topic), form in list(self.subscribed.items()):
            headers = {"Content-Type": content_type, "Link": f'<{self.url}/hub>; rel="hub", <{topic}>; rel="self"'}
            if method:
                digest = hmac.new((key or form["hub.secret"]).encode(), body, method).hexdigest()
                headers["X-Hub-Signature"] = f"{method}={digest}"
            async with self._http.post(self._at_gate(callback), data=body, headers=headers) as answer:
                statuses.append(answer.status)
            if statuses[-1] == 410:
                del self.subscribed[callback, topic]
        return statuses

    async def deny(self, topic: str, reason: str) -> int:
        callback = next(url for url, one in self.subscribed if one == topic)
        return (await self.call(callback, {"hub.mode": "denied", "hub.topic": topic, "hub.reason": reason}))[0]

    async def call(self, callback: str, fields: dict[str, str]) -> tuple[int, str, Any]:
        """A GET at a callback: (status, body, headers)."""
        await self._reachable.wait()
        joint = "&" if "?" in callback else "?"
        async with self._http.get(self._at_gate(callback) + joint + urlencode(fields)) as answer:
            return answer.status, await answer.text(), answer.headers

    def _at_gate(self, callback: str) -> str:
        assert callback.startswith(GATE), callback
        return self.gate + callback.removeprefix(GATE)

    async def _document(self, request: web.Request) -> web.Response:
        self.fetched.append(request.path)
        status, headers, body = self.documents.get(request.path, (404, [], b""))
        return web.Response(status=status, headers=headers, body=body)

    async def _moved(self, _request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/hub"})

    async def _subscribe(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-www-form-urlencoded"
        form = {name: values[0] for name, values in parse_qs(await request.text(), strict_parsing=True).items()}
        self.asked.append(form)
        if self.statuses:
            status, text = self.statuses.pop(0)
            return web.Response(status=status, text=text)
        if self.verifies:
            task = asyncio.create_task(self._verify(form))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        return web.Response(status=202)

    async def _verify(self, form: dict[str, str]) -> None:
        challenge = secrets.token_urlsafe(20)
        fields = {"hub.mode": form["hub.mode"], "hub.topic": form["hub.topic"], "hub.challenge": challenge}
        if form["hub.mode"] == "subscribe" and self.lease_seconds is not None:
            fields["hub.lease_seconds"] = str(self.lease_seconds)
        status, body, _ = await self.call(form["hub.callback"], fields)
        if not 200 <= status < 300 or body != challenge:
            return
        one = (form["hub.callback"], form["hub.topic"])
        if form["hub.mode"] == "subscribe":
            assert urlsplit(form["hub.callback"]).path.startswith("/in/")
            self.subscribed[one] = form
        else:
            self.subscribed.pop(one, None)
