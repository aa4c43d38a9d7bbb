"""What counting by minute costs: CPU time per event of one gateway, with counts and without them.

    python -m bench.run rollups rollups_delivered rollups_share [--rounds R] [--seconds S]
    python -m bench.rollups serve ...      `tidegate serve` that stops and starts counting at each SIGUSR1

Owns the switch: it is here and not in the gateway, which always counts. The switch is within one process, because two
processes of the same program differ by more than what is measured. Turns with and without counts change often, so other
load on the machine meets both; the figure is the median over the pairs of turns, with its 95% interval.

`rollups_share` adds up the CPU time of the threads inside the functions that count and write the counts, so noise of
other load does not matter. It has the time of reading that clock in it, and not the larger commit.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench.figures import SOURCE, Options, Row, Work, accepting, delivering, destinations, note
from bench.processes import ADMIN_KEY, Process, Scratch, free_port
from tidegate.rules.measure.shadow import quantile_ranks

PAIRS = 6  # in a round
MOST = 0.03  # of the CPU time without counts
METER = f"{tempfile.gettempdir()}/tidegate-bench-{{}}"


def _switched(scratch: Scratch, config: str, port: int, meter: str = "") -> Process:
    folder = scratch.fresh()
    (folder / "tidegate.toml").write_text(config)
    return Process("-m", "bench.rollups", "serve", "--config", str(folder / "tidegate.toml"),
                   "--data", str(folder / "data"), "--port", str(port),
                   environ={"TIDEGATE_ADMIN_KEY": ADMIN_KEY, "BENCH_METER": meter})  # fmt: skip


def _pairs(options: Options, process: Process, work: Work) -> list[float]:
    """CPU time per event with counts, of that without, for each pair of turns."""
    found, counts = [], True
    for number in range(options.rounds * PAIRS):
        spent = {}
        for wanted in (True, False) if number % 2 else (False, True):
            if wanted is not counts:
                process.child.send_signal(signal.SIGUSR1)
                counts = wanted
            done, seconds = work(options.seconds / PAIRS)
            spent[wanted] = seconds / done
        found.append(spent[True] / spent[False])
    return found


def _row(what: str, found: list[float]) -> Row:
    ordered, ranks = sorted(found), quantile_ranks(len(found), 0.5)
    low, high = (ordered[rank - 1] - 1 for rank in ranks) if ranks is not None else (ordered[0] - 1, ordered[-1] - 1)
    middle = statistics.median(ordered) - 1
    note(f"{len(found)} pairs, middle half {ordered[len(found) // 4]:.3f} to {ordered[-1 - len(found) // 4]:.3f}")
    return Row(
        what, f"{middle:+.1%} CPU", f"95% interval {low:+.1%} to {high:+.1%}", f"under {MOST:.0%}", middle < MOST
    )


def rollups(options: Options) -> list[Row]:
    """Events accepted."""
    port = free_port()
    process = _switched(options.scratch, SOURCE, port)
    with accepting(process, port) as work:
        return [_row("counts, accept", _pairs(options, process, work))]


def rollups_delivered(options: Options) -> list[Row]:
    """Events accepted and delivered."""
    made: list[Process] = []

    def make(port: int, sink: int) -> Process:
        made.append(_switched(options.scratch, SOURCE + destinations(1, sink), port))
        return made[0]

    opened: AbstractContextManager[Work] = delivering(make, 1)
    with opened as work:
        return [_row("counts, accept and deliver", _pairs(options, made[0], work))]


def rollups_share(options: Options) -> list[Row]:
    """The CPU time of counting by that of the process."""
    rows = []
    for what, deliver in (("counting, accept", False), ("counting, accept and deliver", True)):
        made: list[Process] = []

        def make(port: int, sink: int, deliver: bool = deliver, made: list[Process] = made) -> Process:
            config = SOURCE + (destinations(1, sink) if deliver else "")
            made.append(_switched(options.scratch, config, port, "yes"))
            return made[0]

        port = free_port()
        opened: AbstractContextManager[Work] = delivering(make, 1) if deliver else accepting(make(port, 0), port)
        with opened as work:
            found = [_share(made[0], work, options.seconds) for _ in range(options.rounds)]
        middle = statistics.median(found)
        rows.append(Row(what, f"{middle:.2%} of the CPU", f"{min(found):.2%} to {max(found):.2%}", f"under {MOST:.0%}",
                        middle < MOST))  # fmt: skip
    return rows


def _share(process: Process, work: Work, seconds: float) -> float:
    before = _counting_seconds(process)
    _, spent = work(seconds)
    return (_counting_seconds(process) - before) / spent


def _counting_seconds(process: Process) -> float:
    """What the process says at SIGUSR2."""
    place = Path(METER.format(process.child.pid))
    place.unlink(missing_ok=True)
    process.child.send_signal(signal.SIGUSR2)
    end = time.perf_counter() + 10
    while not (place.exists() and place.read_text().endswith("\n")):
        if time.perf_counter() > end:
            raise SystemExit("the gateway did not say how long it counted")
        time.sleep(0.01)
    said = float(place.read_text())
    place.unlink()
    return said


def _metered() -> None:
    """Time every function that counts, by the clock of its thread."""
    from tidegate.deliver.counts import DeliveryCounts
    from tidegate.store.sqlite import log
    from tidegate.store.sqlite.rollups import SqliteRollups

    spent: dict[int, int] = {}

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            began = time.thread_time_ns()
            try:
                return function(*given, **named)
            finally:
                thread = threading.get_ident()
                spent[thread] = spent.get(thread, 0) + time.thread_time_ns() - began

        return call

    for owner, name in (
        (log, "_rollups"), (SqliteRollups, "_add"), (DeliveryCounts, "delivered"), (DeliveryCounts, "failed"),
        (DeliveryCounts, "take"),
    ):  # fmt: skip
        setattr(owner, name, timed(getattr(owner, name)))

    def say(*_: object) -> None:
        Path(METER.format(os.getpid())).write_text(f"{sum(spent.values()) / 1e9}\n")

    signal.signal(signal.SIGUSR2, say)


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _no_rows(*_: Any) -> list[Any]:
    return []


def main() -> None:
    """Serve, and switch the counts at SIGUSR1."""
    from tidegate.cli import main as tidegate
    from tidegate.deliver.counts import DeliveryCounts
    from tidegate.store.sqlite import log

    functions: list[tuple[Any, str, Callable[..., Any]]] = [
        (log, "_rollups", _no_rows), (DeliveryCounts, "delivered", _nothing), (DeliveryCounts, "failed", _nothing),
    ]  # fmt: skip

    def switch(*_: object) -> None:
        for place, (owner, name, other) in enumerate(functions):
            functions[place] = (owner, name, getattr(owner, name))
            setattr(owner, name, other)

    signal.signal(signal.SIGUSR1, switch)
    if os.environ.get("BENCH_METER"):
        _metered()
    sys.exit(tidegate(sys.argv[1:]))


FIGURES = {"rollups": rollups, "rollups_delivered": rollups_delivered, "rollups_share": rollups_share}

if __name__ == "__main__":
    main()
