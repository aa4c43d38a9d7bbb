"""Starts and stops the programs of the sample company: seven systems, the gateway, the story page, and a guard.

Knows the gateway only as a command (`python -m tidegate serve`) and by its API. Invariant: no child outlives this
process: a requested stop ends them one after the other, and when this process is killed the guard ends them. When a
child dies, the error has its name and its last log lines.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from tidegate_company.files import Failed, Files, listener

SYSTEMS = ("shop", "accounting", "payments", "website", "crm", "chat", "mailbox")
IMAP = "mailbox-imap"  # the second port of the mailbox
NAMES = ("gateway", "company", *SYSTEMS, IMAP)
START_SECONDS = 60.0
POLLED = (("accounting", "customers"), ("payments", "charges"))
STOP_SECONDS = 12.0  # the gateway may take 10 to store results


class Supervisor:
    def __init__(self, data: Path, port: int, command: str) -> None:
        self.files = Files(data)
        self.command = command
        self.wanted = dict(zip(NAMES, range(port, port + len(NAMES)), strict=True))
        self.sockets = {name: listener(number) for name, number in self.wanted.items()}  # until their owners run
        self.ports: dict[str, int] = {name: one.getsockname()[1] for name, one in self.sockets.items()}
        self.address = {name: f"http://127.0.0.1:{number}" for name, number in self.ports.items()}
        self.login = ""  # the link into the dashboard
        self.draining: asyncio.Task[None] | None = None  # reads the output of the gateway
        self.children: dict[str, asyncio.subprocess.Process] = {}
        self.guard: asyncio.subprocess.Process | None = None

    async def start(self, stop: asyncio.Event) -> None:
        """Start all children, then wait for each. Failed when one does not start; returns early at `stop`."""
        self.files.write(self.address)
        self.guard = await self.run("guard", "-m", "tidegate_company.guard", stdin=asyncio.subprocess.PIPE)
        self.sockets.pop("gateway").close()  # it binds its port itself
        gateway = await self.spawn(
            "gateway", "-m", "tidegate", "serve", "--config", str(self.files.config), "--data", str(self.files.gateway),
            "--host", "127.0.0.1", "--port", str(self.ports["gateway"]), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        for name in (*SYSTEMS, "company"):
            with self.sockets.pop(name) as given, ExitStack() as more:
                words, numbers = ["--socket", str(given.fileno()), *self.words(name)], [given.fileno()]
                if name == "mailbox":
                    numbers.append(more.enter_context(self.sockets.pop(IMAP)).fileno())
                    words += ["--imap-socket", str(numbers[-1])]
                await self.spawn(name, "-m", f"tidegate_company.{name}", *words, pass_fds=tuple(numbers))
        await self.ready(gateway, stop)
        if not stop.is_set():
            await asyncio.to_thread(self.make_keys)
        for name in (*SYSTEMS, "company"):
            await self.listening(name, stop)
        if not stop.is_set():
            await asyncio.to_thread(self.first_polls)

    def words(self, name: str) -> list[str]:
        """The command line of a system."""
        words = ["--port", str(self.ports[name]), "--gateway", self.address["gateway"]]
        words += ["--secrets", str(self.files.secrets), "--story", self.address["company"]]
        if name in ("accounting", "mailbox"):
            words += ["--file", str(self.files.data / f"{name}.json")]
        if name == "company":
            words += [word for system in SYSTEMS for word in (f"--{system}", self.address[system])]
            words += ["--command", self.command, "--data", str(self.files.data)]
        return words

    # -- starting ----------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """The environment of this process without TIDEGATE_ variables, and with the admin key."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
        return {**kept, "TIDEGATE_ADMIN_KEY": self.files.secret("admin-key")}

    async def run(self, name: str, *words: str, **streams: Any) -> asyncio.subprocess.Process:
        """Start `python WORDS` in its own session, so that Ctrl-C reaches only this process; output goes to a file."""
        with (self.files.logs / f"{name}.log").open("wb") as log:
            given = {"stdin": asyncio.subprocess.DEVNULL, "stdout": log, "stderr": log, **streams}
            return await asyncio.create_subprocess_exec(
                sys.executable, *words, env=self.environment(), start_new_session=True, **given
            )

    async def spawn(self, name: str, *words: str, **streams: Any) -> asyncio.subprocess.Process:
        """`run`, watched by this process and by the guard."""
        child = self.children[name] = await self.run(name, *words, **streams)
        self.tell_guard(str(child.pid))
        return child

    def tell_guard(self, line: str) -> None:
        if self.guard is not None and self.guard.stdin is not None and self.guard.returncode is None:
            self.guard.stdin.write(f"{line}\n".encode())

    async def ready(self, gateway: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
        """Wait for the gateway's line `ready`."""
        assert gateway.stdout is not None
        ready = asyncio.create_task(_ready(gateway.stdout))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({ready, stopped}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if ready.done() and ready.result():
            self.draining = asyncio.create_task(_drain(gateway.stdout))
            return
        if stop.is_set():
            ready.cancel()
        elif ready.done():
            await gateway.wait()
            self.nobody_died()
        else:
            ready.cancel()
            raise Failed(f"gateway was not ready after {START_SECONDS:.0f} s{self.files.last_words('gateway')}")

    def make_keys(self) -> None:
        """Create the keys (the CRM may only pull from the shop, the story page may only read) and a login link."""
        for file, body in (
            ("crm-pull-key", {"name": "crm", "scopes": ["pull"], "sources": ["shop"]}),
            ("company-read-key", {"name": "story-page", "scopes": ["read"]}),
        ):
            if not self.files.has_secret(file):
                self.files.write_secret(file, self.new_key(body))
        self.login = self.address["gateway"] + self.post("/keys/login")["path"]

    def new_key(self, body: dict[str, Any]) -> str:
        """A new key. When an earlier start was killed before it wrote the key down, its name is taken: use another."""
        status, content = self.post_once("/keys", body)
        if content.get("code") == "key_exists":
            body = {**body, "name": f"{body['name']}-{secrets.token_hex(3)}"}
        elif status < 300:
            return str(content["key"])
        return str(self.post("/keys", body)["key"])

    def first_polls(self) -> None:
        """Run the first polls, which make no events, before a person can press a button."""
        for source, resource in POLLED:
            report = self.post(f"/sources/{source}/resources/{resource}/poll")
            if report["error"]:
                raise Failed(f"the first poll of {source}/{resource} failed: {report['error']}")

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the gateway's API with the admin key; retry while it is busy. Failed when the call is rejected."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            status, content = self.post_once(path, body)
            if status < 300:
                return content
            if status != 503 or time.monotonic() > deadline:
                raise Failed(f"the gateway rejected POST {path}: {content.get('detail') or status}")
            time.sleep(0.2)

    def post_once(self, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["gateway"], timeout=START_SECONDS)
        headers = {"Authorization": f"Bearer {self.files.secret('admin-key')}", "Content-Type": "application/json"}
        try:
            connection.request("POST", f"/api/v1{path}", json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            content: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Failed(f"the gateway did not answer POST {path}: {error}") from None
        finally:
            connection.close()
        return answer.status, content

    async def listening(self, name: str, stop: asyncio.Event) -> None:
        """Wait until a child answers. Its port accepts connections earlier."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not stop.is_set():
            self.nobody_died()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    if await _answers(self.ports[name]):
                        return
            if asyncio.get_running_loop().time() > deadline:
                raise Failed(f"{name} was not ready after {START_SECONDS:.0f} s{self.files.last_words(name)}")
            await asyncio.sleep(0.03)

    # -- running and stopping ----------------------------------------------------------------------------

    def nobody_died(self) -> None:
        for name, child in self.children.items():
            if child.returncode is not None:
                how = f"exit {child.returncode}" if child.returncode >= 0 else f"signal {-child.returncode}"
                raise Failed(f"{name} stopped by itself with {how}{self.files.last_words(name)}")

    async def watch(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. Failed when a child dies."""
        ends = {asyncio.create_task(child.wait()) for child in self.children.values()}
        wanted = asyncio.create_task(stop.wait())
        await asyncio.wait({*ends, wanted}, return_when=asyncio.FIRST_COMPLETED)
        for task in (*ends, wanted):
            task.cancel()
        if not stop.is_set():
            self.nobody_died()

    async def end(self) -> None:
        """Stop the gateway first, so that its requests do not fail on stopped systems; then all others at once."""
        for one in self.sockets.values():
            one.close()
        for names in (["gateway"], [name for name in self.children if name != "gateway"]):
            alive = [self.children[n] for n in names if n in self.children and self.children[n].returncode is None]
            for child in alive:
                child.terminate()
            waits = [asyncio.create_task(child.wait()) for child in alive]
            if waits:
                await asyncio.wait(waits, timeout=STOP_SECONDS)
            for child in alive:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if self.guard is not None:
            self.tell_guard("done")
            if self.guard.stdin is not None:
                self.guard.stdin.close()
            await self.guard.wait()


async def _answers(port: int) -> bool:
    """Whether a server on this port answers a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /demo/state HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return bool(await reader.read(1))
    finally:
        writer.close()


async def _ready(stream: asyncio.StreamReader) -> bool:
    """True at the line `ready http://...`, False at the end of the stream."""
    async for line in stream:
        if line.startswith(b"ready http"):
            return True
    return False


async def _drain(stream: asyncio.StreamReader) -> None:
    async for _ in stream:
        pass
