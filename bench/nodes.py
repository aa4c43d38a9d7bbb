"""The figures of the shared store: one node against the embedded store, two nodes against one, and their latency.

Work is counted per CPU second of the nodes (and of the server, where that is said), in rounds that alternate. The
server is brought from PyPI, or named with `--database`; every gateway under test gets an empty database.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from bench.figures import SOURCE, Options, Row, Work, accepting, delivering, destinations, note, side_by_side
from bench.history import history
from bench.processes import Process, arrived, free_port, gateway, get, load, start_sink
from bench.server import Database, run

RATE = 500  # events a second of the fixed load
SHARED_KEY = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="


def shared(options: Options) -> list[Row]:
    """One node on PostgreSQL against the embedded store: accepted, and accepted and delivered."""
    database = Database(options.database)

    def accept(url: str | None) -> Callable[[], AbstractContextManager[Work]]:
        @contextmanager
        def opener() -> Iterator[Work]:
            port = free_port()
            with (
                _database(database, url) as found,
                accepting(gateway(options.scratch.fresh(), SOURCE, port, found), port) as work,
            ):
                yield work

        return opener

    def deliver(url: str | None) -> Callable[[], AbstractContextManager[Work]]:
        @contextmanager
        def opener() -> Iterator[Work]:
            with _database(database, url) as found:

                def make(port: int, sink: int) -> Process:
                    return gateway(options.scratch.fresh(), SOURCE + destinations(1, sink), port, found)

                with delivering(make, 1) as work:
                    yield work

        return opener

    rows = [
        side_by_side(options, "accept, one node on PostgreSQL", accept("new"), accept(None), 0.6),
        side_by_side(options, "accept and deliver, one node on PostgreSQL", deliver("new"), deliver(None), 0.6),
    ]
    return [row._replace(figure=row.figure.replace("the floor", "the embedded store")) for row in rows]


@contextmanager
def _database(database: Database, url: str | None) -> Iterator[str | None]:
    if url is None:
        yield None
    else:
        with database.fresh() as found:
            yield found


# -- two nodes -------------------------------------------------------------------------------------------


class Nodes:
    """So many nodes on one fresh database, and a receiver. The load goes to them in equal parts."""

    def __init__(self, nodes: list[Process], ports: list[int], sink: int, copies: int, url: str) -> None:
        self.nodes = nodes
        self.url = url
        self._ports = ports
        self._sink = sink
        self._copies = copies
        self._total = 0

    def post(self, seconds: float, rate: float) -> int:
        """Load at a rate in all, until everything arrived and is settled. Returns the events accepted."""
        each = ("--connections", str(16 // len(self._ports)), "--rate", str(rate / len(self._ports)))
        with ThreadPoolExecutor(len(self._ports)) as threads:
            found = threads.map(
                lambda port: load(f"http://127.0.0.1:{port}/in/bench", seconds, *each)["accepted"], self._ports
            )
            accepted = sum(found)
        self._total += accepted * self._copies
        arrived(self._sink, self._total)
        return accepted

    def late(self) -> dict[str, Any]:
        """Latencies since the last call."""
        return get(f"http://127.0.0.1:{self._sink}/late")


@contextmanager
def nodes(options: Options, database: Database, count: int, copies: int) -> Iterator[Nodes]:
    os.environ["TIDEGATE_SECRET_KEY"] = SHARED_KEY
    with ExitStack() as stack:
        receiver, sink = start_sink()
        stack.enter_context(receiver)
        url = stack.enter_context(database.fresh())
        ports = [free_port() for _ in range(count)]
        config = SOURCE + destinations(copies, sink)
        started = []
        for port in ports:
            folder = options.scratch.fresh()
            started.append(stack.enter_context(gateway(folder, config, port, url)))
        made = Nodes(started, ports, sink, copies, url)
        time.sleep(2)  # until the partitions are spread evenly
        made.post(1, RATE)
        yield made


def two_nodes(options: Options) -> list[Row]:
    """CPU of nodes and server an event, at one rate, with one node and with two. One and two destinations."""
    servers = {1: Database(options.database), 2: Database(options.database)}  # what one does not use costs it nothing
    rows = []
    for copies in (1, 2):
        found, costs = [], []
        for number in range(options.rounds):
            each: dict[int, float] = {}
            with nodes(options, servers[1], 1, copies) as one, nodes(options, servers[2], 2, copies) as two:
                sums = {1: [0.0, 0.0], 2: [0.0, 0.0]}
                order = [1, 2, 2, 1] if number % 2 == 0 else [2, 1, 1, 2]
                for which in order:
                    made = {1: one, 2: two}[which]
                    before = _spent(servers[which], made)
                    sums[which][0] += made.post(options.seconds / 2, RATE)
                    time.sleep(0.2)
                    after = _spent(servers[which], made)
                    sums[which][1] += sum(after) - sum(before)
                    note(f"  {which}: nodes {after[0] - before[0]:.2f} s, server {after[1] - before[1]:.2f} s")
                each = {which: 1e6 * spent / done for which, (done, spent) in sums.items()}
            found.append(each[2] / each[1])
            costs.append(each[2])
            note(f"round {number + 1}: two nodes {each[2]:.0f} us an event, one {each[1]:.0f} us, {found[-1]:.2f}")
        middle = statistics.median(found)
        rows.append(
            Row(
                f"two nodes against one, {RATE}/s, {copies} destination{'s' if copies > 1 else ''}",
                f"{middle:.2f} of the CPU{'' if servers[1].metered else ' of the nodes'}, "
                f"{statistics.median(costs):.0f} us an event",
                f"{min(found):.2f} to {max(found):.2f}",
                "at most 1.15" if servers[1].metered else "",
                middle <= 1.15 if servers[1].metered else None,
            )
        )
    return rows


def _spent(database: Database, made: Nodes) -> tuple[float, float]:
    """CPU seconds of the nodes, and of the server."""
    return sum(node.cpu_seconds() for node in made.nodes), database.cpu_seconds() if database.metered else 0.0


def latency_nodes(options: Options) -> list[Row]:
    """From the sender's clock to the arrival, at 200 events a second, one and two nodes."""
    database = Database(options.database)
    rows = []
    for count in (1, 2):
        p50, p99 = [], []
        for number in range(options.rounds):
            with nodes(options, database, count, 1) as made:
                made.late()
                made.post(options.seconds, 200)
                late = made.late()
            p50.append(late["p50_ms"])
            p99.append(late["p99_ms"])
            note(f"round {number + 1}, {count}: p50 {p50[-1]:.2f} ms, p99 {p99[-1]:.1f} ms")
        rows.append(
            Row(
                f"accept to arrival at 200/s, {count} node{'s' if count > 1 else ''}",
                f"p50 {statistics.median(p50):.1f} ms, p99 {statistics.median(p99):.0f} ms",
                f"p50 {min(p50):.1f} to {max(p50):.1f}",
            )
        )
    return rows


TABLE_BYTES = """
SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relnamespace = 'tidegate'::regnamespace AND c.relname ~ '^(events|attempts|dedupe)'
"""
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
WAL = "SELECT wal_bytes::bigint FROM pg_stat_wal"


def sizing(options: Options) -> list[Row]:
    """What nodes and server take while events of 1 KiB go to one destination: memory, sessions, disk, WAL."""
    rows = []
    for count in (1, 2):
        database = Database(options.database)
        try:
            with nodes(options, database, count, 1) as made:
                rows += _sizing(options, database, made, count)
        finally:
            database.close()
    return rows


def _sizing(options: Options, database: Database, made: Nodes, count: int) -> list[Row]:
    before, wal = (row[0][0] for row in run(made.url, TABLE_BYTES, WAL))
    accepted = sum(made.post(options.seconds, rate) for rate in (RATE, 2 * RATE))
    after, written, sessions = (row[0][0] for row in run(made.url, TABLE_BYTES, WAL, SESSIONS))
    name = f"{count} node{'s' if count > 1 else ''}"
    memory = [node.rss_bytes() / 2**20 for node in made.nodes]
    rows = [
        Row(f"{name}: memory of each", f"{max(memory):.0f} MiB", f"{min(memory):.0f} to {max(memory):.0f}"),
        Row(f"{name}: sessions at the server", f"{sessions}", f"{sessions / count:.1f} each"),
    ]
    if count == 1:
        rows += [
            Row(
                "disk of an event of 1 KiB, in total",
                f"{(after - before) / accepted:.0f} bytes",
                f"{accepted:,} events",
            ),
            Row("WAL of it", f"{(written - wal) / accepted:.0f} bytes", "one run"),
        ]
    if database.metered:
        rows.append(
            Row(f"{name}: memory of the server", f"{database.rss_bytes() / 2**20:.0f} MiB", "64 MiB of buffers")
        )
    return rows


FIGURES: dict[str, Callable[[Options], list[Row]]] = {
    "shared": shared,
    "two_nodes": two_nodes,
    "latency_nodes": latency_nodes,
    "history": history,
    "sizing": sizing,
}
