"""What a flood on one source costs the events of another: the p99 of their answers beside it, against none.

One gateway. Rounds with and without the flood take turns, because the machine changes. A difference under 2 ms is
noise, so the goal is met when the ratio or the difference of the medians is small enough. A figure does not know the
others.
"""

from __future__ import annotations

import statistics
import threading

from bench.figures import SOURCE, Options, Row, note
from bench.processes import free_port, gateway, load

QUIET_RATE = 100  # events a second of the source that is not the flood
NOISE_MS = 2.0
GOAL = 1.25
CONFIG = SOURCE + SOURCE.replace("[egress]", "").replace('allow = ["127.0.0.1/32"]', "").replace("bench", "flood")


class Flood:
    """Sends to one source as fast as it is answered, until the block ends. `per_second` is known afterwards."""

    def __init__(self, url: str, connections: int, seconds: float) -> None:
        self._thread = threading.Thread(target=self._run, args=(url, connections, seconds))
        self.per_second = 0.0

    def _run(self, url: str, connections: int, seconds: float) -> None:
        found = load(url, seconds, "--connections", str(connections))
        self.per_second = found["accepted"] / found["seconds"]

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()


def _beside(options: Options, connections: int) -> Row:
    alone, beside, rates = [], [], []
    port = free_port()
    with gateway(options.scratch.fresh(), CONFIG, port, options.database):
        quiet, flood = (f"http://127.0.0.1:{port}/in/{name}" for name in ("bench", "flood"))

        def p99(seconds: float) -> float:
            return float(load(quiet, seconds, "--connections", "4", "--rate", str(QUIET_RATE))["p99_ms"])

        p99(1)
        for number in range(options.rounds):
            for flooded in (number % 2 == 0, number % 2 == 1):
                if not flooded:
                    alone.append(p99(options.seconds))
                    continue
                with Flood(flood, connections, options.seconds + 1.5) as running:
                    beside.append(p99(options.seconds))
                rates.append(running.per_second)
            note(f"round {number + 1}: p99 {beside[-1]:.2f} against {alone[-1]:.2f} ms, flood of {rates[-1]:,.0f}/s")
    ratio = statistics.median(beside) / statistics.median(alone)
    difference = statistics.median(beside) - statistics.median(alone)
    return Row(
        f"p99 beside a flood over {connections} connections",
        f"{ratio:.2f} of none, {difference:+.2f} ms, {statistics.median(beside):.2f} ms",
        f"{min(beside):.2f} to {max(beside):.2f} ms",
        f"at most {GOAL:g}, or 2 ms more",
        ratio <= GOAL or difference <= NOISE_MS,
    )


def floods(options: Options) -> list[Row]:
    """A source whose events come as fast as they are answered: p99 of another one at 100 events a second."""
    return [_beside(options, connections) for connections in (8, 64)]


FIGURES = {"floods": floods}
