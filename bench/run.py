"""`make bench`: the figures of the README, as ratios of work per CPU second in alternating runs.

    python -m bench.run [ingest] [end_to_end] [latency] [memory] [start] [--rounds R] [--seconds S]

Everything runs on loopback in processes of its own; the CPU is that of the process under test only (its threads
included), from the kernel's accounting. Ratios are taken round by round, side by side, because machines are noisy; the
median and the spread are printed. fsync: SQLite WAL with synchronous=FULL on both sides, read back at start.
"""

from __future__ import annotations

import argparse
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
SECRET = "whsec_YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="

CONFIG = """
[egress]
allow = ["127.0.0.1/32"]
[sources.bench.webhook]
verify = "standard-webhooks"
secret = "{secret}"
"""
DELIVER = """
[destinations.sink]
url = "http://127.0.0.1:{sink}/hook"
concurrency = 64
[routes.all]
from = "bench"
to = "sink"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child that says `ready ...` on stdout; ended by its own id."""

    def __init__(self, *arguments: str) -> None:
        self.began = time.perf_counter()
        self.child = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, cwd=ROOT, text=True, stderr=subprocess.DEVNULL
        )
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line.startswith("ready"):
            raise SystemExit(f"{arguments} did not start: {line!r}")
        self.ready_seconds = time.perf_counter() - self.began

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def gateway(directory: Path, config: str, port: int) -> Process:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "tidegate.toml"
    file.write_text(config)
    return Process("-m", "tidegate", "serve", "--config", str(file), "--data", str(directory / "data"),
                   "--port", str(port))  # fmt: skip


def load(url: str, seconds: float, connections: int = 64, rate: float = 0) -> dict[str, Any]:
    out = subprocess.run(
        [sys.executable, "-m", "bench.load", "post", url, "--seconds", str(seconds), "--connections", str(connections),
         "--rate", str(rate), "--secret", SECRET],
        capture_output=True, text=True, cwd=ROOT, check=True, timeout=seconds + 60,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(out.stdout)
    answer["accepted"] = answer["statuses"].get("202", 0)
    return answer


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def arrived(sink: int, wanted: int, patience: float = 60) -> int:
    """Wait until the sink has what was accepted; what it has when patience ends."""
    end = time.perf_counter() + patience
    count = 0
    while time.perf_counter() < end:
        count = get(f"http://127.0.0.1:{sink}/count")["count"]
        if count >= wanted:
            break
        time.sleep(0.05)
    return int(count)


def ratios(name: str, rounds: int, one: Callable[[], float], floor: Callable[[], float], goal: float) -> None:
    pairs = []
    for number in range(rounds):
        order = (one, floor) if number % 2 == 0 else (floor, one)
        first, second = order[0](), order[1]()
        mine, its = (first, second) if number % 2 == 0 else (second, first)
        pairs.append((mine / its, mine, its))
        print(
            f"  round {number + 1}: {mine:,.0f} against {its:,.0f} per CPU second, ratio {mine / its:.2f}", flush=True
        )
    pairs.sort()
    middle = pairs[len(pairs) // 2][0]
    print(f"{name}: {middle:.2f} [{pairs[0][0]:.2f}..{pairs[-1][0]:.2f}] of the floor, goal {goal}", flush=True)


def ingest(options: argparse.Namespace, scratch: Path) -> None:
    def measure(process: Process, port: int, path: str) -> float:
        url = f"http://127.0.0.1:{port}{path}"
        load(url, 0.5)
        before = process.cpu()
        answer = load(url, options.seconds)
        spent = process.cpu() - before
        process.end()
        return answer["accepted"] / spent

    def tidegate() -> float:
        port = free_port()
        return measure(gateway(fresh(scratch), CONFIG.format(secret=SECRET), port), port, "/in/bench")

    def durable() -> float:
        port = free_port()
        process = Process("-m", "bench.floors", "durable", "--port", str(port), "--dir", str(fresh(scratch)))
        return measure(process, port, "/in/bench")

    ratios("ingest, 64 connections, 1 KiB signed", options.rounds, tidegate, durable, 0.55)


def end_to_end(options: argparse.Namespace, scratch: Path) -> None:
    def measure(process: Process, port: int, sink: int) -> float:
        url = f"http://127.0.0.1:{port}/in/bench"
        warm = load(url, 0.5)["accepted"]
        arrived(sink, warm)
        before = process.cpu()
        accepted = load(url, options.seconds)["accepted"]
        count = arrived(sink, warm + accepted)
        spent = process.cpu() - before
        process.end()
        if count < warm + accepted:
            raise SystemExit(f"only {count} of {warm + accepted} arrived")
        return accepted / spent

    def with_sink(make: Callable[[int, int], Process]) -> Callable[[], float]:
        def run() -> float:
            port, sink = free_port(), free_port()
            receiver = Process("-m", "bench.load", "sink", "--port", str(sink))
            try:
                return measure(make(port, sink), port, sink)
            finally:
                receiver.end()

        return run

    def tidegate(port: int, sink: int) -> Process:
        return gateway(fresh(scratch), CONFIG.format(secret=SECRET) + DELIVER.format(sink=sink), port)

    def plain(port: int, sink: int) -> Process:
        return Process("-m", "bench.floors", "plain", "--port", str(port), "--dir", str(fresh(scratch)),
                       "--to", f"http://127.0.0.1:{sink}/hook")  # fmt: skip

    ratios("end to end, accepted and delivered", options.rounds, with_sink(tidegate), with_sink(plain), 0.8)


def latency(options: argparse.Namespace, scratch: Path) -> None:
    def measure(make: Callable[[int, int], Process]) -> dict[str, Any]:
        port, sink = free_port(), free_port()
        receiver = Process("-m", "bench.load", "sink", "--port", str(sink))
        process = make(port, sink)
        url = f"http://127.0.0.1:{port}/in/bench"
        arrived(sink, load(url, 1, 16, 200)["accepted"])
        get(f"http://127.0.0.1:{sink}/late")
        load(url, options.seconds, 16, 200)
        time.sleep(0.3)
        late = get(f"http://127.0.0.1:{sink}/late")
        process.end()
        receiver.end()
        return late

    mine, floor = [], []
    for number in range(options.rounds):
        a = measure(lambda p, s: gateway(fresh(scratch), CONFIG.format(secret=SECRET) + DELIVER.format(sink=s), p))
        b = measure(lambda p, s: Process("-m", "bench.floors", "plain", "--port", str(p), "--dir", str(fresh(scratch)),
                                         "--to", f"http://127.0.0.1:{s}/hook"))  # fmt: skip
        mine.append(a["p50_ms"])
        floor.append(b["p50_ms"])
        print(f"  round {number + 1}: p50 {a['p50_ms']:.2f} ms against {b['p50_ms']:.2f} ms "
              f"(p99 {a['p99_ms']:.1f} against {b['p99_ms']:.1f})", flush=True)  # fmt: skip
    pairs = sorted(m / f for m, f in zip(mine, floor, strict=True))
    print(
        f"latency at 200/s, accept to arrival, p50: {pairs[len(pairs) // 2]:.2f} of plain, goal at most 2", flush=True
    )


def memory(options: argparse.Namespace, scratch: Path) -> None:
    """200,000 events that wait for a dead destination, against the same start with none."""
    dead = free_port()  # nothing listens there
    config = CONFIG.format(secret=SECRET) + DELIVER.format(sink=dead)
    directory, port = fresh(scratch), free_port()
    process = gateway(directory, config, port)
    load(f"http://127.0.0.1:{port}/in/bench", 1)
    empty = process.rss_bytes()
    accepted, url = 0, f"http://127.0.0.1:{port}/in/bench"
    while accepted < 200_000:
        accepted += load(url, 5)["accepted"]
        print(f"  {accepted:,} events wait, {process.rss_bytes() >> 20} MiB", flush=True)
    full = process.rss_bytes()
    process.end()
    again = gateway(directory, config, port)
    time.sleep(1)
    after = again.rss_bytes()
    ready = again.ready_seconds
    again.end()
    print(f"memory with {accepted:,} waiting: {(full - empty) / 2**20:.0f} MiB more than after one second of load, "
          f"after a restart {after >> 20} MiB in all, ready in {ready:.2f} s; goal within 64 MiB")  # fmt: skip


def start(options: argparse.Namespace, scratch: Path) -> None:
    times = []
    for _ in range(max(3, options.rounds)):
        process = gateway(fresh(scratch), CONFIG.format(secret=SECRET), free_port())
        times.append(process.ready_seconds)
        process.end()
    times.sort()
    print(
        f"start to ready: {times[len(times) // 2]:.2f} s [{times[0]:.2f}..{times[-1]:.2f}], goal under 1 s", flush=True
    )


_fresh = [0]


def fresh(scratch: Path) -> Path:
    _fresh[0] += 1
    for old in scratch.iterdir():
        shutil.rmtree(old, ignore_errors=True)
    return scratch / str(_fresh[0])


ALL = {"ingest": ingest, "end_to_end": end_to_end, "latency": latency, "memory": memory, "start": start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=[*ALL, []])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}, WAL, synchronous=FULL", flush=True)
    for name in options.which or ALL:
        with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as scratch:
            ALL[name](options, Path(scratch))


if __name__ == "__main__":
    main()
