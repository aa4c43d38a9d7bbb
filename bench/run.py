"""`make bench`: the figures of docs/benchmarks.md, measured side by side with the floors that live here.

    make bench [ONLY="ingest latency"] [ROUNDS=5] [DURATION=3] [DATABASE=URL]
    python -m bench.run [FIGURE ...] [--rounds R] [--seconds S] [--database URL]

Everything runs on loopback, in separate processes with time limits, and on the disk of the checkout, and takes some
minutes. The last output is a table. The exit code is always 0, because a busy machine can miss a goal; the table shows
which goals were missed. fsync: SQLite in WAL mode with synchronous=FULL on both sides, checked at start.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

from bench.advice import FIGURES as ADVISED
from bench.bad_receivers import FIGURES as BAD
from bench.figures import FIGURES as ALONE
from bench.figures import Options, Row
from bench.floods import FIGURES as FLOODED
from bench.nodes import FIGURES as SHARED
from bench.polls import FIGURES as POLLED
from bench.processes import ROOT, Scratch
from bench.rollups import FIGURES as COUNTED

FIGURES = {**ALONE, **POLLED, **BAD, **FLOODED, **SHARED, **COUNTED, **ADVISED}


def fsync_us(folder: Path) -> float:
    """Microseconds of one fdatasync after 4 KiB, the median of 100."""
    sync = getattr(os, "fdatasync", os.fsync)
    path = folder / "sync"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            sync(file.fileno())
            took.append((time.perf_counter() - began) * 1e6)
    path.unlink()
    return sorted(took)[50]


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def machine(scratch: Path) -> str:
    import apsw

    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{os.cpu_count()} CPUs ({processor()}), {platform.system()} {platform.release()}, Python "
        f"{platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, uvloop {version('uvloop')}, uvicorn "
        f"{version('uvicorn')}; WAL, synchronous=FULL, an fdatasync takes {fsync_us(scratch):.0f} us; load {load}"
    )


def table(rows: list[Row]) -> str:
    """Markdown, so that docs/benchmarks.md takes it as it is."""
    verdict = {True: "PASS", False: "below target", None: ""}
    cells = [("figure", "measured", "range", "goal", ""), ("---",) * 5]
    cells += [(row.what, row.figure, row.spread, row.goal, verdict[row.ok]) for row in rows]
    wide = [max(len(line[column]) for line in cells) for column in range(5)]
    padded = [
        [cell.ljust(size, "-" if cell == "---" else " ") for cell, size in zip(line, wide, strict=True)]
        for line in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", nargs="*", help=", ".join(FIGURES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--database", help="for the gateway under test; without it SQLite")
    parser.add_argument("--scratch", type=Path, default=ROOT / "bench" / "out")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.figure if name not in FIGURES]
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are {', '.join(FIGURES)}")
    scratch = Scratch(arguments.scratch)
    options = Options(scratch, arguments.rounds, arguments.seconds, arguments.database)
    facts = machine(arguments.scratch)
    print(facts, flush=True)
    rows: list[Row] = []
    began = time.perf_counter()
    try:
        for name in arguments.figure or FIGURES:
            print(name, flush=True)
            rows += FIGURES[name](options)
    finally:
        scratch.clear()
    load = os.getloadavg()[0]
    print(f"\n{table(rows)}\n\n{facts}; at the end {load:.1f}; {time.perf_counter() - began:.0f} s", flush=True)
    missed = [row.what for row in rows if row.ok is False]
    print(f"below target: {', '.join(missed)}" if missed else "every goal measured is met")


if __name__ == "__main__":
    sys.exit(main())
