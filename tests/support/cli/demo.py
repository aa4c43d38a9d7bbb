"""`tidegate demo` as a process of its own, as a user starts it; its addresses are read from what it prints."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support.cli.subprocesses import call, wait_until

START_SECONDS = 60.0


def free_ports() -> int:
    """The first of eight free ports, below those that the system gives to outgoing connections."""
    while True:
        first = random.randrange(10_000, 32_000)
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + 8):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


class Demo:
    """One sample company. `port` is the one that is asked for; the real ones are read from the configuration."""

    def __init__(self, data: Path, port: int, printed: Path | None = None) -> None:
        self.data = data
        self.printed = printed or data.with_suffix(".out")
        with self.printed.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tidegate", "demo", "--port", str(port), "--data", str(data)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.printed.read_text()

    def started(self) -> Demo:
        """Wait until it says what to do next."""
        wait_until(
            lambda: "Ctrl-C stops everything." in self.text or self.process.poll() is not None, "start", START_SECONDS
        )
        assert self.process.poll() is None, self.text
        return self

    @property
    def story(self) -> str:
        return self._found(r"The story +(http://\S+)/")

    @property
    def login(self) -> str:
        return self._found(r"Dashboard +(http://\S+)")

    @property
    def gateway(self) -> str:
        return self.login.partition("/login")[0]

    def _found(self, pattern: str) -> str:
        match = re.search(pattern, self.text)
        assert match, self.text
        return match[1]

    def children(self) -> list[int]:
        """The process ids of all that it started and that still runs, grandchildren left out."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
        return [pid for pid, parent in pairs if parent == self.process.pid]

    def child(self, name: str) -> int:
        """The process id of a system of the company."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
        mine = f" {self.process.pid} "
        return next(int(line.split()[0]) for line in listed.stdout.splitlines() if mine in line and name in line)

    def state(self, address: str) -> dict[str, Any]:
        """What a system says it saw."""
        found: dict[str, Any] = call(f"{address}/demo/state").json
        return found

    def ask(self, path: str) -> Any:
        """The gateway's API, with the admin key."""
        key = (self.data / "secrets" / "admin-key").read_text()
        answer = call(f"{self.gateway}/api/v1{path}", headers={"Authorization": f"Bearer {key}"})
        assert answer.status == 200, answer
        return answer.json

    def end(self, number: int = signal.SIGTERM, seconds: float = 30.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.end()
            return
        self.process.kill()
        self.process.wait()


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its parent to notice does not."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(shown.stdout.strip()) and not shown.stdout.strip().startswith("Z")


def gone(pids: list[int], seconds: float = 20.0) -> list[int]:
    """Those of `pids` that still run after the wait."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left
