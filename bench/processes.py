"""The processes of a measurement: started, metered, ended by their own id. Loopback only.

Owns the accounting: CPU seconds of a process with all its threads (user and system, from the kernel), and its
resident memory. Invariant: every process started here is ended when the measurement ends, fails or is interrupted,
and none runs longer than its own bound. What a measurement leaves on disk lies under one scratch folder.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SECRET = "whsec_YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
ADMIN_KEY = "tg_" + "b" * 43  # as long as a key that the gateway makes
_PROC = Path("/proc")
_running: list[subprocess.Popen[str]] = []


@atexit.register
def _end_all() -> None:
    for child in _running:
        if child.poll() is None:
            child.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child that says `ready ...` on stdout; ended by its own id. A context manager."""

    def __init__(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - stderr, shown when it does not start
        began = time.perf_counter()
        self.child = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=self._said, cwd=ROOT, text=True,
            env={**os.environ, **(environ or {})},
        )  # fmt: skip
        _running.append(self.child)
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        self.ready_seconds = time.perf_counter() - began
        if not line.startswith("ready"):
            self._said.seek(0)
            raise SystemExit(f"{' '.join(arguments)} did not start: {line}{self._said.read()[-2000:]}")

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        if self.child.stdout is not None:
            self.child.stdout.close()
        self._said.close()
        _running.remove(self.child)

    def cpu_seconds(self) -> float:
        """User and system time of all its threads: in nanoseconds where the kernel says so, else in steps of 10 ms."""
        if not _PROC.is_dir():
            return _clock(self._ps("time"))
        threads = Path(f"/proc/{self.child.pid}/task").glob("*/schedstat")
        spent = sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
        if spent:
            return spent
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self) -> int:
        if _PROC.is_dir():
            pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")
        return int(self._ps("rss")) * 1024

    def _ps(self, field: str) -> str:
        """Where there is no /proc (macOS)."""
        asked = ["ps", "-o", f"{field}=", "-p", str(self.child.pid)]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def _clock(text: str) -> float:
    """`12:03.45` or `1:12:03` as seconds."""
    seconds = 0.0
    for part in text.replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


class Scratch:
    """Folders for one measurement after another; those that stand side by side are kept, older ones are not."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0
        root.mkdir(parents=True, exist_ok=True)

    def fresh(self) -> Path:
        shutil.rmtree(self._root / f"{os.getpid()}-{self._count - 1}", ignore_errors=True)
        os.sync()  # what the one before left to be written must not slow the next one's syncs
        self._count += 1
        made = self._root / f"{os.getpid()}-{self._count}"
        made.mkdir()
        return made

    def clear(self) -> None:
        for old in self._root.glob(f"{os.getpid()}-*"):
            shutil.rmtree(old, ignore_errors=True)


# -- who is measured -------------------------------------------------------------------------------------


def gateway(folder: Path, config: str, port: int, database: str | None = None) -> Process:
    """`tidegate serve` on a folder; the same folder again is a restart."""
    file = folder / "tidegate.toml"
    file.write_text(config)
    more = ["--database", database] if database else []
    return Process("-m", "tidegate", "serve", "--config", str(file), "--data", str(folder / "data"),
                   "--port", str(port), *more, environ={"TIDEGATE_ADMIN_KEY": ADMIN_KEY})  # fmt: skip


def floor(kind: str, folder: Path, port: int, to: str = "") -> Process:
    return Process("-m", "bench.floors", kind, "--port", str(port), "--dir", str(folder), "--to", to)


def start_sink() -> tuple[Process, int]:
    """The sink that takes deliveries, and answers pulls as a source."""
    port = free_port()
    return Process("-m", "bench.load", "sink", "--port", str(port)), port


# -- load ------------------------------------------------------------------------------------------------


def load(url: str, seconds: float, *more: str) -> dict[str, Any]:
    """Posts for `seconds`; the loader's own report, and `accepted`."""
    return _run("post", url, "--seconds", str(seconds), "--secret", SECRET, *more, patience=seconds + 60)


def pulls(url: str, seconds: float) -> dict[str, Any]:
    return _run("get", url, "--seconds", str(seconds), "--key", ADMIN_KEY, patience=seconds + 60)


def _run(*arguments: str, patience: float) -> dict[str, Any]:
    out = subprocess.run(
        [sys.executable, "-m", "bench.load", *arguments],
        capture_output=True, text=True, cwd=ROOT, timeout=patience, check=False,
    )  # fmt: skip
    if out.returncode:
        raise SystemExit(f"the load failed: {out.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(out.stdout)
    statuses = answer["statuses"]
    answer["accepted"] = statuses.get("202", 0) + statuses.get("200", 0)
    if answer["accepted"] == 0 or answer["accepted"] < 0.99 * sum(statuses.values()):
        raise SystemExit(f"the answers were not those of a healthy server: {statuses}")
    return answer


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def arrived(sink: int, wanted: int, patience: float = 90) -> None:
    """Wait until the sink has as many deliveries; SystemExit when patience ends."""
    end = time.perf_counter() + patience
    count = 0
    while time.perf_counter() < end:
        count = get(f"http://127.0.0.1:{sink}/count")["count"]
        if count >= wanted:
            return
        time.sleep(0.05)
    raise SystemExit(f"only {count} of {wanted} deliveries arrived within {patience:g} s")
