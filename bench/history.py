"""What a statement costs when the log is long: the real statements of the shared store, beside themselves.

One database has a short history and one a long one, built inside the server through the real tables and indexes, with
attempts and delivery ids. The statements that run all day are made on both in turns, and two things are counted: pages
touched (EXPLAIN with BUFFERS, all parts of a statement) and CPU seconds of the server's process that made them.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.figures import Options, Row, note
from bench.server import Database
from tidegate.core.model import Attempt, Lane, NewEvent, Origin, Outcome
from tidegate.store import PARTITIONS, Settlement
from tidegate.store.postgres import PostgresStore, open_postgres
from tidegate.store.postgres.batches import Call, make_batch
from tidegate.store.postgres.deliveries import _written
from tidegate.store.postgres.engine import sql

SHORT = 10_000
LONG = int(os.environ.get("TIDEGATE_BENCH_HISTORY", "5000000"))
SLICE = 250_000
ROWS = 20  # of one append, of one settle
TURNS = 150
DESTINATION = 7
NOW = 1_700_000_000_000_000

# As a day's traffic leaves it: one delivery an event, a key in fifty, ids that count up.
FILL = """
WITH drawn AS MATERIALIZED (SELECT nextval('event_offset') AS number FROM generate_series(1, {rows})),
ids AS (
  INSERT INTO dedupe SELECT convert_to('bench' || chr(1) || 'msg_' || lpad(number::text, 12, '0'), 'utf8'), number,
    decode(md5(number::text), 'hex'), {now} FROM drawn
), tries AS (
  INSERT INTO attempts SELECT number, {destination}, 1, 0, {now}, 1500, 200, '', '', convert_to('{{}}', 'utf8'), 2, '',
    false FROM drawn
)
INSERT INTO events ("offset", audience, type, key, origin, received_at, hops, data_path, content_type, headers, change,
                    body)
SELECT number, {audience}, 'order.created', 'customer ' || number % 50, 0, {now} + number, 0, 'data',
  'application/json', '', '', convert_to(repeat('x', 200), 'utf8') FROM drawn
"""

Statement = tuple[str, tuple[Any, ...]]


class Side:
    """A store with a history, and the statements to try on it."""

    def __init__(self, store: PostgresStore, connection: Any, audience: int) -> None:
        self.store = store
        self.connection = connection
        self.audience = audience
        self.number = 0

    def _event(self) -> NewEvent:
        self.number += 1
        return NewEvent(
            "bench", "order.created", Origin.WEBHOOK, NOW, self.audience, b"x" * 1024, "application/json",
            key=f"customer {self.number % 50}", dedupe_id=f"new_{self.number:012d}", body_hash=b"h" * 16,
        )  # fmt: skip

    def append(self) -> Statement:
        future = asyncio.get_running_loop().create_future()
        batch, _ = make_batch([Call(future, [self._event() for _ in range(ROWS)], False)])
        return sql("log")["append"], batch.columns()

    def settle(self) -> Statement:
        self.number += 1
        top = self.store.log.published_offset + self.number * ROWS
        tries = [Attempt(top + n, DESTINATION, 1, Outcome.OK, NOW, 1500, 200) for n in range(ROWS)]
        settlement = Settlement(0, [Lane(DESTINATION, None, (), top)], tries)
        return sql("deliveries")["settle"], ("bench", 1, top, *_written(settlement))

    def looks(self) -> dict[str, Statement]:
        """What lists and the dashboard ask."""
        log, deliveries = sql("log"), sql("deliveries")
        end, top = 1 << 62, self.store.log.published_offset
        newest = [top - n for n in range(50)]
        return {
            "GET /events": (log["slice_down"], (end, 50)),
            "... its rows": (log["fit_down"], (top - 49, end, 50, None, None, None, None, None, None)),
            "GET /events?key=": (log["slice_key_down"], (end, 50, "customer 7")),
            "GET /deliveries, attempts": (deliveries["attempts_of"], (newest, [DESTINATION] * 50)),
            "GET /deliveries, deferred deliveries": (
                deliveries["deferred_of_events"],
                (newest, [0, 1, 2, 3], None, 100),
            ),
            "counters, audiences": (deliveries["audience_counts"], ()),
            "counters, lanes": (deliveries["load"], (list(range(PARTITIONS)),)),
            "head": (log["head"], ()),
            "oldest": (log["oldest"], ()),
            "a reader, 500 behind": (log["follow"], ([top - 500], [end], 500, 16 << 20, top - 500)),
            "records, a page": (sql("records")["page"], ("bench", "orders", "", False, 50)),
        }


async def _open(database: Database, url: str, events: int) -> Side:
    store = await open_postgres(url)
    kept = await store.log.audience("bench", (1,), ((DESTINATION, 1),), ())
    connection = await store.engine.connect()
    await connection.execute("SET statement_timeout = 0")
    left = events
    while left:
        rows = min(left, SLICE)
        text = FILL.format(rows=rows, now=NOW, destination=DESTINATION, audience=kept.number)
        await connection.execute(text, timeout=600)
        left -= rows
        if events > SLICE:
            note(f"{events - left:,} of {events:,} events built")
    await connection.execute(
        "INSERT INTO nodes (id, fence, high_water_mark, started_at, lease_expires_at, lock_key, schema) "
        "VALUES ('bench', 1, 0, now(), now() + interval '1 day', 1, 2)"
    )
    await connection.execute("UPDATE audiences SET events = $1", events)
    for table in ("events", "attempts", "dedupe", "nodes", "lanes", "audiences"):
        await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=600)
    store.log.follower.published_offset = await connection.fetchval(sql("log")["head"])
    return Side(store, connection, kept.number)


async def _pages(side: Side, statement: Statement) -> int:
    """Pages that a statement touches, hit or read, in all its parts."""
    text, values = statement
    (row,) = await side.connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", *values)
    top = msgspec.json.decode(row[0])[0]["Plan"]
    writes = [one for one in top.get("Plans", ()) if one["Node Type"] == "ModifyTable"]
    counted = [top, *writes]
    return sum(one["Shared Hit Blocks"] + one["Shared Read Blocks"] for one in counted)


async def _microseconds(database: Database, side: Side, make: Callable[[], Statement]) -> float:
    """CPU of the server's process for one statement, the mean of some."""
    made = [make() for _ in range(TURNS // 5)]
    pid = side.connection.get_server_pid()
    before = _process_seconds(pid)
    for text, values in made:
        await side.connection.fetch(text, *values)
    return 1e6 * (_process_seconds(pid) - before) / len(made)


def _process_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def _measure(database: Database, short_url: str, long_url: str, rounds: int) -> list[Row]:
    short = await _open(database, short_url, SHORT)
    began = time.perf_counter()
    long = await _open(database, long_url, LONG)
    note(f"built in {time.perf_counter() - began:.0f} s")
    rows = []
    try:
        for name in ("append", "settle"):
            makers = [getattr(side, name) for side in (short, long)]
            for side, make in zip((short, long), makers, strict=True):  # warm, and every page of the edge is in memory
                await _microseconds(database, side, make)
            pages = [
                statistics.median([await _pages(side, make()) for _ in range(15)])
                for side, make in zip((short, long), makers, strict=True)
            ]
            rows.append(_pages_row(f"{name} of {ROWS}", pages))
            if database.metered:
                rows.append(await _cpu_row(database, name, (short, long), makers, rounds))
        rows.append(await _looks_row(short, long))
        rows += await _sizes(long, LONG)
    finally:
        for side in (short, long):
            await side.connection.close()
            await side.store.close()
    return rows


def _pages_row(name: str, pages: list[float]) -> Row:
    return Row(
        f"{name}, pages touched",
        f"{pages[1]:.0f} with {LONG:,} events of history, {pages[0]:.0f} with {SHORT:,}",
        f"{pages[1] - pages[0]:+.0f}",
        "the same, one a row for each level of an index",
        pages[1] <= pages[0] + 5 * ROWS,
    )


async def _cpu_row(database: Database, name: str, sides: Any, makers: Any, rounds: int) -> Row:
    found, costs = [], []
    for number in range(max(5, rounds)):
        each = [0.0, 0.0]
        for which in (0, 1, 1, 0) if number % 2 == 0 else (1, 0, 0, 1):
            each[which] += await _microseconds(database, sides[which], makers[which]) / 2
        found.append(each[1] / each[0])
        costs.append(each[1])
        note(f"{name}, round {number + 1}: {each[1]:.0f} us against {each[0]:.0f} us, {found[-1]:.2f}")
    middle = statistics.median(found)
    return Row(
        f"{name} of {ROWS}, CPU of the server",
        f"{middle:.2f} of that with {SHORT:,}, {statistics.median(costs):.0f} us",
        f"{min(found):.2f} to {max(found):.2f}",
        "at most 1.25",
        middle <= 1.25,
    )


async def _looks_row(short: Side, long: Side) -> Row:
    grown = []
    for name, statement in long.looks().items():
        there, here = await _pages(long, statement), await _pages(short, short.looks()[name])
        note(f"{name}: {there} pages against {here}")
        grown.append((there - here, there, here, name))
    worst = max(grown)
    return Row(
        "lists, counters and readers, pages touched",
        f"at most {worst[0]:+d} ({worst[3]}: {worst[1]} against {worst[2]})",
        f"{len(grown)} statements",
        "at most +110",
        worst[0] <= 110,
    )


async def _sizes(side: Side, events: int) -> list[Row]:
    """Bytes an event in each table, with its indexes."""
    rows = []
    for table, what in (("events", "an event of 200 bytes"), ("attempts", "an attempt"), ("dedupe", "a delivery id")):
        found = await side.connection.fetchrow(
            "SELECT sum(pg_table_size(c.oid))::float8 AS table, sum(pg_indexes_size(c.oid))::float8 AS indexes "
            "FROM pg_class AS c WHERE c.relkind = 'r' AND c.relname ~ $1",
            f"^{table}(_[0-9]+)?$",
        )
        rows.append(
            Row(
                f"disk of {what}",
                f"{(found['table'] + found['indexes']) / events:.0f} bytes",
                f"{found['table'] / events:.0f} and {found['indexes'] / events:.0f} of indexes",
            )
        )
    return rows


def history(options: Options) -> list[Row]:
    """Append, settle and lists with a short and with a long history (some minutes and 6 GB of disk)."""
    database = Database(options.database)
    with database.fresh() as short, database.fresh() as long:
        return asyncio.run(_measure(database, short, long, options.rounds))
