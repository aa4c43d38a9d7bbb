"""The figures, one function each: what runs, what is counted, and the goal.

Work is counted per CPU second of the process under test with all its threads, in rounds that alternate with those of
the floor, because a shared machine is noisy: a ratio compares two runs side by side, and the table has its median and
range over the rounds. Figures without a floor (memory, start) are absolute. A figure does not know the others.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from bench.processes import SECRET, Process, Scratch, arrived, floor, free_port, gateway, get, load, pulls, start_sink

SOURCE = f"""
[egress]
allow = ["127.0.0.1/32"]
[sources.bench.webhook]
verify = "standard-webhooks"
secret = "{SECRET}"
"""
PULL = """
[sources.shop.api]
base_url = "http://127.0.0.1:{sink}"
[sources.shop.resources.orders]
path = "/orders"
item_path = "/orders/{{id}}"
cache = "1h"
"""
WAITING = 200_000
PARTS = 4  # of the seconds of a round: the load changes sides so often

Work = Callable[[float], tuple[int, float]]  # load for so many seconds: (work done, CPU seconds it took)
Opener = Callable[[], AbstractContextManager[Work]]


class Options(NamedTuple):
    scratch: Scratch
    rounds: int
    seconds: float
    database: str | None


class Row(NamedTuple):
    """One line of the table. `ok` is None for a figure without a goal."""

    what: str
    figure: str
    spread: str
    goal: str = ""
    ok: bool | None = None


def destinations(count: int, sink: int) -> str:
    """`count` destinations that want every event of the source, at one receiver."""
    names = ", ".join(f'"d{number}"' for number in range(count))
    each = "".join(
        f'[destinations.d{number}]\nurl = "http://127.0.0.1:{sink}/hook"\nconcurrency = {max(1, 64 // count)}\n'
        for number in range(count)
    )
    return f'{each}[routes.all]\nfrom = "bench"\nto = [{names}]\n'


def note(text: str) -> None:
    print(f"  {text}", flush=True)


def turns(number: int) -> list[int]:
    """Whose turn it is in a round: 0 1 1 0 ..., in the next round 1 0 0 1 ..."""
    return [(part + part // 2 + number) % 2 for part in range(PARTS * 2)]


def side_by_side(options: Options, what: str, one: Opener, other: Opener, goal: float | None) -> Row:
    """Ratio of work per CPU second. In each round both run fresh, and the load changes from one to the other."""
    found, mine = [], []
    for number in range(options.rounds):
        sums = [[0.0, 0.0], [0.0, 0.0]]
        with one() as first, other() as second:
            for which in turns(number):
                done, spent = (first, second)[which](options.seconds / PARTS)
                sums[which][0] += done
                sums[which][1] += spent
        ours, its = (done / spent for done, spent in sums)
        mine.append(ours)
        found.append(ours / its)
        note(f"round {number + 1}: {ours:,.0f} against {its:,.0f} a CPU second, {found[-1]:.2f}")
    middle = statistics.median(found)
    return Row(
        what,
        f"{middle:.2f} of the floor, {1e6 / statistics.median(mine):.0f} us each",
        f"{min(found):.2f} to {max(found):.2f}",
        f"at least {goal}" if goal is not None else "",
        None if goal is None else middle >= goal,
    )


# -- receive ---------------------------------------------------------------------------------------------


@contextmanager
def accepting(process: Process, port: int, *more: str) -> Iterator[Work]:
    """Counts requests answered 202."""
    url = f"http://127.0.0.1:{port}/in/bench"

    def work(seconds: float) -> tuple[int, float]:
        before = process.cpu_seconds()
        accepted = load(url, seconds, *more)["accepted"]
        return accepted, process.cpu_seconds() - before

    with process:
        work(0.5)
        yield work


def _ingest(options: Options, what: str, goal: float | None, *more: str) -> list[Row]:
    def tidegate() -> AbstractContextManager[Work]:
        port = free_port()
        return accepting(gateway(options.scratch.fresh(), SOURCE, port, options.database), port, *more)

    def durable() -> AbstractContextManager[Work]:
        port = free_port()
        return accepting(floor("durable", options.scratch.fresh(), port), port, *more)

    return [side_by_side(options, what, tidegate, durable, goal)]


def ingest(options: Options) -> list[Row]:
    """Signed events of 1 KiB at 64 connections, answered 202, against `durable`; ascending ids."""
    return _ingest(options, "accept, ascending ids", 0.7)


def ingest_random(options: Options) -> list[Row]:
    """The same with random ids: each lands on another page of the table that recognizes repeats."""
    return _ingest(options, "accept, random ids", None, "--ids", "random")


# -- receive and deliver ---------------------------------------------------------------------------------

Maker = Callable[[int, int], Process]  # (port, port of the receiver)


@contextmanager
def delivering(make: Maker, copies: int, *more: str) -> Iterator[Work]:
    """Counts deliveries that arrived, from the first request to the last arrival."""
    receiver, sink = start_sink()
    with receiver:
        port, total = free_port(), 0

        def work(seconds: float) -> tuple[int, float]:
            nonlocal total
            before = process.cpu_seconds()
            wanted = load(f"http://127.0.0.1:{port}/in/bench", seconds, *more)["accepted"] * copies
            total += wanted
            arrived(sink, total)
            time.sleep(0.1)  # the last settle
            return wanted, process.cpu_seconds() - before

        with make(port, sink) as process:
            work(0.5)
            yield work


def _plain(options: Options) -> Maker:
    return lambda port, sink: floor("plain", options.scratch.fresh(), port, f"http://127.0.0.1:{sink}/hook")


def _fan_out(options: Options, count: int) -> Maker:
    def make(port: int, sink: int) -> Process:
        return gateway(options.scratch.fresh(), SOURCE + destinations(count, sink), port, options.database)

    return make


def end_to_end(options: Options) -> list[Row]:
    """Accepted, signed again, delivered and settled, compared with `plain`."""
    return [
        side_by_side(
            options,
            "accept and deliver",
            lambda: delivering(_fan_out(options, 1), 1),
            lambda: delivering(_plain(options), 1),
            0.8,
        )
    ]


def fan_out(options: Options) -> list[Row]:
    """What a delivery costs when an event has 1, 10, 100 or 1,000 of them, accepting included."""
    rows = []
    for copies, count in ((1, 0), (10, 3000), (100, 400), (1000, 40)):
        costs = []
        for _ in range(options.rounds):
            more = ("--count", str(count)) if count else ()
            with delivering(_fan_out(options, copies), copies, *more) as work:
                done, spent = work(options.seconds)
            costs.append(1e6 * spent / done)
            note(f"1:{copies}: {costs[-1]:.0f} us of CPU a delivery")
        rows.append(_cost(f"a delivery at 1:{copies}, including accept", costs, "us"))
    return rows


def _cost(what: str, found: Sequence[float], unit: str, digits: int = 0) -> Row:
    middle = statistics.median(found)
    return Row(what, f"{middle:.{digits}f} {unit}", f"{min(found):.{digits}f} to {max(found):.{digits}f}")


@contextmanager
def _steady(make: Maker) -> Iterator[tuple[Callable[[float], None], Callable[[], dict[str, float]]]]:
    """(load at 200 events a second over 16 connections, how late they were since it was last asked)."""
    receiver, sink = start_sink()
    with receiver:
        port, total = free_port(), 0

        def work(seconds: float) -> None:
            nonlocal total
            steady = ("--connections", "16", "--rate", "200")
            total += load(f"http://127.0.0.1:{port}/in/bench", seconds, *steady)["accepted"]
            arrived(sink, total)

        with make(port, sink):
            work(1)
            get(f"http://127.0.0.1:{sink}/late")  # forget the warming up
            yield work, lambda: get(f"http://127.0.0.1:{sink}/late")


def latency(options: Options) -> list[Row]:
    """From the sender's clock to the arrival at the receiver, at 200 events a second."""
    found, mine = [], []
    for number in range(options.rounds):
        with _steady(_fan_out(options, 1)) as first, _steady(_plain(options)) as second:
            for which in turns(number):
                (first, second)[which][0](options.seconds / PARTS)
            ours, its = first[1](), second[1]()
        found.append(ours["p50_ms"] / its["p50_ms"])
        mine.append(ours["p50_ms"])
        p50, p99 = (f"{ours[name]:.2f} against {its[name]:.2f} ms" for name in ("p50_ms", "p99_ms"))
        note(f"round {number + 1}: p50 {p50}, p99 {p99}")
    middle = statistics.median(found)
    return [
        Row(
            "accept to arrival, p50 at 200/s",
            f"{middle:.2f} of the floor, {statistics.median(mine):.2f} ms",
            f"{min(found):.2f} to {max(found):.2f}",
            "at most 2",
            middle <= 2,
        )
    ]


# -- absolute figures ------------------------------------------------------------------------------------


def memory(options: Options) -> list[Row]:
    """200,000 events that wait for a dead destination, against the same gateway freshly started without any."""
    dead = free_port()  # nothing listens there
    folder, port = options.scratch.fresh(), free_port()
    url, config = f"http://127.0.0.1:{port}/in/bench", SOURCE + destinations(1, dead)
    with gateway(folder, config, port, options.database) as process:
        time.sleep(0.5)
        empty = process.rss_bytes()
        accepted = 0
        while accepted < WAITING:
            accepted += load(url, 30, "--count", str(min(50_000, WAITING - accepted)))["accepted"]
            note(f"{accepted:,} wait, {(process.rss_bytes() - empty) >> 20} MiB more than without")
        full = process.rss_bytes()
    with gateway(folder, config, port, options.database) as process:
        time.sleep(0.5)
        again, ready = process.rss_bytes(), process.ready_seconds
    more = (full - empty) / 2**20
    return [
        Row(f"memory for {accepted:,} pending events", f"{more:.0f} MiB", f"{empty >> 20} to {full >> 20} MiB in total",
            "at most 64 MiB", more <= 64),
        Row("the same after a restart", f"{(again - empty) / 2**20:.0f} MiB", f"{again >> 20} MiB in total"),
        Row("start to ready with them", f"{ready:.2f} s", "one start", "under 1 s", ready < 1),
    ]  # fmt: skip


def start(options: Options) -> list[Row]:
    """From the command to the `ready` line, empty data directory."""
    found, spent = [], []
    for _ in range(max(3, options.rounds)):
        with gateway(options.scratch.fresh(), SOURCE, free_port(), options.database) as process:
            found.append(process.ready_seconds)
            spent.append(process.cpu_seconds())
        note(f"{found[-1]:.2f} s, of CPU {spent[-1]:.2f} s")
    middle = statistics.median(found)
    figure = f"{middle:.2f} s, of CPU {statistics.median(spent):.2f} s"
    return [Row("start to ready, empty", figure, f"{min(found):.2f} to {max(found):.2f}", "under 1 s", middle < 1)]


def idle(options: Options) -> list[Row]:
    """2,000 destinations that want what never comes: what they cost at rest, and what an accepted event costs."""
    count = 2000
    config = SOURCE + destinations(count, free_port()).replace('from = "bench"', 'from = "quiet"')
    config += '[sources.quiet.publish]\n[destinations.d0x]\nurl = "http://127.0.0.1:9/"\n'

    def measure(text: str) -> tuple[float, float, float, float]:
        port = free_port()
        with gateway(options.scratch.fresh(), text, port, options.database) as process:
            time.sleep(1)
            before = process.cpu_seconds()
            time.sleep(3)
            share = (process.cpu_seconds() - before) / 3
            rss = process.rss_bytes() / 2**20
        again = gateway(options.scratch.fresh(), text, port, options.database)
        ready = min(process.ready_seconds, again.ready_seconds)
        with accepting(again, port) as work:
            done, spent = work(options.seconds)
        return share, rss, ready, 1e6 * spent / done

    with_, without = measure(config), measure(SOURCE)
    return [
        Row(f"{count:,} idle destinations, no traffic", f"{with_[0]:.1%} of a core", f"{without[0]:.1%} without"),
        Row("... memory", f"{with_[1] - without[1]:.0f} MiB", f"{without[1]:.0f} MiB without"),
        Row("... first start, all of them new", f"{with_[2]:.2f} s", "the faster of two"),
        Row("... an accepted event", f"{with_[3]:.0f} us", f"{without[3]:.0f} us without"),
    ]


# -- ask -------------------------------------------------------------------------------------------------


def pull(options: Options) -> list[Row]:
    """`GET /api/v1/pull/...` from cache at 64 connections, key checked, against a server that knows nothing."""

    @contextmanager
    def asking(process: Process, url: str) -> Iterator[Work]:
        def work(seconds: float) -> tuple[int, float]:
            before = process.cpu_seconds()
            answered = pulls(url, seconds)["accepted"]
            return answered, process.cpu_seconds() - before

        with process:
            work(0.5)
            yield work

    @contextmanager
    def tidegate() -> Iterator[Work]:
        receiver, sink = start_sink()
        with receiver:
            port = free_port()
            process = gateway(options.scratch.fresh(), SOURCE + PULL.format(sink=sink), port, options.database)
            with asking(process, f"http://127.0.0.1:{port}/api/v1/pull/shop/orders/1") as work:
                yield work

    def noop() -> AbstractContextManager[Work]:
        port = free_port()
        return asking(floor("noop", options.scratch.fresh(), port), f"http://127.0.0.1:{port}/orders/1")

    return [side_by_side(options, "pull from cache", tidegate, noop, 1.2)]


FIGURES: dict[str, Callable[[Options], list[Row]]] = {
    "ingest": ingest,
    "ingest_random": ingest_random,
    "end_to_end": end_to_end,
    "latency": latency,
    "memory": memory,
    "start": start,
    "pull": pull,
    "fan_out": fan_out,
    "idle": idle,
}
