"""Starts the sample company: ports, secrets, the configuration file, eight child processes, and their end.

Knows the gateway only as a command: `python -m tidegate serve` and `keys create`. Invariant: no child outlives this
process when it ends by Ctrl-C, SIGTERM or SIGHUP, and a child that dies is named with its last words. After a crash
of this process the children go on and can be ended by hand; the next start takes other ports.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SYSTEMS = ("shop", "accounting", "payments", "website", "crm", "chat")
START_SECONDS = 30.0
STOP_SECONDS = 12.0  # the gateway may settle for 10
TEMPLATE = Path(__file__).parent / "templates" / "tidegate.toml"


class Failed(Exception):
    """A part did not start or stopped by itself; the text says which, and its last words."""


def play(data: Path | None, port: int, open_browser: bool) -> int:
    if data is not None:
        return asyncio.run(_run(data, port, open_browser))
    with tempfile.TemporaryDirectory(prefix="tidegate-demo-") as directory:
        return asyncio.run(_run(Path(directory), port, open_browser))


async def _run(data: Path, port: int, open_browser: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    stage = Stage(data, port)
    try:
        await stage.start(stop)
        if not stop.is_set():
            stage.tell(open_browser)
            await stage.watch(stop)
    except Failed as failure:
        print(f"error[demo_failed]: {failure}", file=sys.stderr)
        return 1
    finally:
        await stage.end()
    print("The sample company has stopped.", flush=True)
    return 0


class Stage:
    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.logs = data / "logs"
        self.secrets = data / "secrets"
        names = ("gateway", "company", *SYSTEMS)
        self.ports = dict(zip(names, free_ports(range(port, port + len(names))), strict=True))
        self.address = {name: f"http://127.0.0.1:{number}" for name, number in self.ports.items()}
        self.admin_key = ""
        self.draining: asyncio.Task[None] | None = None  # keeps reading what the gateway prints
        self.children: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, stop: asyncio.Event) -> None:
        self.write_files()
        print("Starting the sample company: six systems and the gateway.", flush=True)
        for name in SYSTEMS:
            await self.spawn(name, *self.module(name))
        await self.gateway(stop)
        if stop.is_set():
            return
        await self.make_key("crm-pull-key", "crm", "--scope", "pull", "--source", "shop")
        await self.make_key("company-read-key", "story-page", "--scope", "read")
        places = [word for name in SYSTEMS for word in (f"--{name}", self.address[name])]
        await self.spawn("company", *self.module("company"), *places)
        for name in (*SYSTEMS, "company"):
            await self.listening(name, stop)

    # -- what is written before anything starts ----------------------------------------------------------

    def write_files(self) -> None:
        for directory in (self.data, self.logs, self.secrets):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.admin_key = self.keep("admin-key", secrets.token_urlsafe(32))
        for name in ("shop-token", "accounting-key", "payments-token", "payments-signing", "chat-path"):
            self.keep(name, secrets.token_urlsafe(24))
        for name in ("crm-receiving", "crm-sending"):
            self.keep(name, "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
        text = TEMPLATE.read_text()
        for name in SYSTEMS:
            text = text.replace(f"@{name}@", self.address[name])
        (self.data / "tidegate.toml").write_text(text)

    def keep(self, name: str, value: str) -> str:
        """A secret that stays the same over restarts with the same data directory; mode 0600."""
        path = self.secrets / name
        if not path.exists():
            self.write_secret(name, value)
        return path.read_text()

    def write_secret(self, name: str, value: str) -> None:
        path = self.secrets / name
        path.touch(mode=0o600)
        path.write_text(value)

    # -- the children ------------------------------------------------------------------------------------

    def module(self, name: str) -> list[str]:
        return [
            "-m", f"tidegate.demo.{name}", "--port", str(self.ports[name]), "--gateway", self.address["gateway"],
            "--secrets", str(self.secrets),
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Ours, without what would point the gateway elsewhere, and with the admin key."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
        return {**kept, "TIDEGATE_ADMIN_KEY": self.admin_key}

    async def spawn(self, name: str, *words: str, stdout: int | None = None) -> asyncio.subprocess.Process:
        """Start `python WORDS` in a session of its own (Ctrl-C reaches only us); what it says goes to a file."""
        with (self.logs / f"{name}.log").open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable, *words, stdin=asyncio.subprocess.DEVNULL, stdout=stdout or log, stderr=log,
                env=self.environment(), start_new_session=True,
            )  # fmt: skip
        self.children[name] = child
        return child

    async def gateway(self, stop: asyncio.Event) -> None:
        words = [
            "-m", "tidegate", "serve", "--config", str(self.data / "tidegate.toml"), "--data",
            str(self.data / "gateway"), "--host", "127.0.0.1", "--port", str(self.ports["gateway"]),
        ]  # fmt: skip
        child = await self.spawn("gateway", *words, stdout=asyncio.subprocess.PIPE)
        assert child.stdout is not None
        ready = asyncio.create_task(_ready(child.stdout))
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({ready, stopped}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if ready in done and ready.result():
            self.draining = asyncio.create_task(_drain(child.stdout))
            return
        ready.cancel()
        if not stop.is_set():
            raise Failed(f"the gateway was not ready after {START_SECONDS:.0f} s{self.last_words('gateway')}")

    async def make_key(self, file: str, name: str, *words: str) -> None:
        if (self.secrets / file).exists():
            return
        environment = {**self.environment(), "TIDEGATE_URL": self.address["gateway"], "TIDEGATE_KEY": self.admin_key}
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tidegate", "keys", "create", name, *words, "--json", env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await child.communicate()
        if child.returncode != 0:
            raise Failed(f"no key for {name}: {err.decode(errors='replace').strip()}")
        self.write_secret(file, json.loads(out)["key"])

    async def listening(self, name: str, stop: asyncio.Event) -> None:
        """Wait until the port of a child takes connections."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not stop.is_set():
            self.nobody_died()
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.ports[name])
                writer.close()
                return
            if asyncio.get_running_loop().time() > deadline:
                raise Failed(f"{name} was not ready after {START_SECONDS:.0f} s{self.last_words(name)}")
            await asyncio.sleep(0.05)

    def nobody_died(self) -> None:
        for name, child in self.children.items():
            if child.returncode is not None:
                raise Failed(f"{name} stopped by itself with exit {child.returncode}{self.last_words(name)}")

    def last_words(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        lines = path.read_text(errors="replace").strip().splitlines()[-5:] if path.exists() else []
        return "".join(f"\n  {line}" for line in lines)

    async def watch(self, stop: asyncio.Event) -> None:
        """Until `stop`, or Failed when a child dies."""
        ends = {asyncio.create_task(child.wait()) for child in self.children.values()}
        wanted = asyncio.create_task(stop.wait())
        await asyncio.wait({*ends, wanted}, return_when=asyncio.FIRST_COMPLETED)
        for task in (*ends, wanted):
            task.cancel()
        if not stop.is_set():
            self.nobody_died()

    async def end(self) -> None:
        """The gateway first, so that it is not refused by systems that are gone; then all others at once."""
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

    # -- what the user reads -----------------------------------------------------------------------------

    def tell(self, open_browser: bool) -> None:
        story = self.address["company"] + "/"
        print(
            f"\n  The story   {story}\n"
            f"  Dashboard   {self.address['gateway']}/   (sign in with the key below)\n"
            f"  Admin key   {self.admin_key}\n"
            f"  Files       {self.data}   (tidegate.toml, logs)\n\n"
            "Ctrl-C stops everything.",
            flush=True,
        )
        if open_browser:
            webbrowser.open(story)


async def _ready(stream: asyncio.StreamReader) -> bool:
    """True at the line `ready http://...`, False at the end of the stream."""
    async for line in stream:
        if line.startswith(b"ready http"):
            return True
    return False


async def _drain(stream: asyncio.StreamReader) -> None:
    async for _ in stream:
        pass


def free_ports(wanted: Iterable[int]) -> list[int]:
    """Each wanted port, or a free one in its place when it is taken."""
    found: list[int] = []
    held: list[socket.socket] = []
    try:
        for port in wanted:
            held.append(_bind(port))
            found.append(held[-1].getsockname()[1])
    finally:
        for one in held:
            one.close()
    return found


def _bind(port: int) -> socket.socket:
    for number in (port, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", number))
        except (OSError, OverflowError):
            listener.close()
            if number == 0:
                raise
        else:
            return listener
    raise AssertionError("port 0 is always tried last")
