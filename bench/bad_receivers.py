"""What bad receivers cost the healthy ones: the p99 of good deliveries beside them, against a clean run.

Both gateways of a round stand side by side, and the load changes from one to the other. A difference under 2 ms is
noise, so a goal is met when the ratio or the difference is small enough. A figure does not know the others.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.figures import PARTS, SOURCE, Options, Row, note, turns
from bench.processes import arrived, free_port, gateway, get, load, start_sink

GROUPS, SIZE = 20, 100  # destinations in groups: an event goes to all of one group
NOISE_MS = 2.0

Config = Callable[[int], tuple[str, int]]  # port of the receiver -> (configuration, good deliveries of one event)
Late = Callable[[], dict[str, float]]


def thousands(bad: bool) -> Config:
    """2,000 destinations; with `bad`, one of each hundred refuses connections and one answers after 30 s."""

    def config(sink: int) -> tuple[str, int]:
        dead, lines = free_port(), [SOURCE]
        for group in range(GROUPS):
            names = [f"d{group}-{number}" for number in range(SIZE)]
            for number, name in enumerate(names):
                port, path = (
                    (dead, "hook") if bad and number == 0 else (sink, "slow" if bad and number == 1 else "hook")
                )
                lines.append(f'[destinations.{name}]\nurl = "http://127.0.0.1:{port}/{path}"\ntimeout = "60s"')
            to = ", ".join(f'"{name}"' for name in names)
            lines.append(f'[routes.r{group}]\nfrom = "bench"\ntypes = ["group{group}"]\nto = [{to}]')
        return "\n".join([*lines, ""]), SIZE - 2 * bad

    return config


def one_destination(path: str) -> Config:
    def config(sink: int) -> tuple[str, int]:
        url = f"http://127.0.0.1:{sink}/{path}"
        text = f'[destinations.d]\nurl = "{url}"\n[routes.all]\nfrom = "bench"\nto = "d"\n'
        return SOURCE + text, 1

    return config


@contextmanager
def running(options: Options, make: Config, rate: str, share: float) -> Iterator[tuple[Callable[[float], None], Late]]:
    """(load for so many seconds, how late the good deliveries were since it was last asked).

    `share`: of the good deliveries of an event, how many are taken, because a receiver may fail events.
    """
    receiver, sink = start_sink()
    with receiver:
        config, each = make(sink)
        port, accepted = free_port(), 0

        def work(seconds: float) -> None:
            nonlocal accepted
            more = ("--connections", "4", "--rate", rate, "--types", str(GROUPS if each > 1 else 0))
            accepted += load(f"http://127.0.0.1:{port}/in/bench", seconds, *more)["accepted"]
            arrived(sink, int(accepted * each * share) - 20)

        with gateway(options.scratch.fresh(), config, port, options.database):
            work(2.5 if each > 1 else 1)
            get(f"http://127.0.0.1:{sink}/late")  # forget the warming up
            yield work, lambda: get(f"http://127.0.0.1:{sink}/late")


def _compared(options: Options, what: str, clean: Config, bad: Config, rate: str, most: float) -> Row:
    share = 0.8 if most == 2 else 1.0
    found, mine, its = [], [], []
    for number in range(options.rounds):
        with running(options, bad, rate, share) as first, running(options, clean, rate, 1.0) as second:
            for which in turns(number):
                (first, second)[which][0](options.seconds / PARTS)
            ours, others = first[1](), second[1]()
        mine.append(ours["p99_ms"])
        its.append(others["p99_ms"])
        found.append(mine[-1] / its[-1])
        note(f"round {number + 1}: p99 {mine[-1]:.2f} against {its[-1]:.2f} ms, {int(ours['n'])} deliveries")
    middle, difference = statistics.median(found), statistics.median(mine) - statistics.median(its)
    return Row(
        what,
        f"{middle:.2f} of a clean run, {statistics.median(mine):.2f} ms",
        f"{min(found):.2f} to {max(found):.2f}",
        f"at most {most:g}, or 2 ms more",
        middle <= most or difference < NOISE_MS,
    )


def bad_thousands(options: Options) -> list[Row]:
    """2,000 destinations, 1% dead and 1% answering after 30 s: p99 of the others at 1,000 deliveries a second."""
    return [
        _compared(options, "p99 beside 1% dead and 1% slow of 2,000", thousands(False), thousands(True), "10", 1.25)
    ]


def bad_events(options: Options) -> list[Row]:
    """A destination that fails a fifth of the events: p99 of the others at 200 events a second."""
    return [
        _compared(options, "p99 beside 20% failing events", one_destination("hook"), one_destination("fail"), "200", 2)
    ]


FIGURES = {"bad_thousands": bad_thousands, "bad_events": bad_events}
