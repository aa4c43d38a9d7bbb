"""Promise 10: an upgrade keeps the data; a newer schema is refused, not damaged.

A store of every schema since 0.2 is made by that schema's own migrations and filled with the rows of a real gateway,
as far as it has the tables and columns. This release must open it, show the same events, deliveries and counters, and
continue delivering. A store of the next schema must be rejected with its bytes unchanged. Stores of 0.1, whose tables
have other names, are real ones: `test_upgrade_from_0_1.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from support.gateway.api import served
from support.gateway.deployment import Deployment
from support.gateway.process import free_port
from support.gateway.running import until
from support.receiver.scripted import ScriptedServer, answer
from tidegate.store.sql import migrations

OLDEST = 3  # the first schema with the names of today
NEWEST = migrations("sqlite")[-1][0]
NAME = "tidegate.db"


def configuration(port: int) -> str:
    return f"""
[sources.shop.publish]
[destinations.crm]
url = "http://127.0.0.1:{port}/"
retry = ["1s", "1s", "1s", "1s", "1s"]
[routes.all]
from = "shop"
to = "crm"
filter = {{ data = {{ n = {{ "$gte" = 3 }} }} }}
"""


async def shown(api: Any) -> dict[str, Any]:
    """What users see of their data."""
    events = (await api.get("/events?limit=100"))["data"]
    deliveries = (await api.get("/deliveries?limit=100"))["data"]
    stats = await api.get("/stats")
    return {
        "events": events,
        "raw": [(await api("GET", f"/api/v1/events/{event['id']}/raw")).body for event in events],
        "deliveries": {one["id"]: (one["event"], one["destination"], len(one["attempts"])) for one in deliveries},
        "accepted": stats["totals"]["accepted"],
        "filtered": stats["totals"]["filtered"],
        "owed": stats["destinations"]["crm"]["accepted"],
    }


def older(version: int, source: Path, target: Path) -> None:
    """A store of schema `version` at `target`, with the rows of `source` that it can hold."""
    connection = apsw.Connection(str(target))
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    for number, _, script in migrations("sqlite"):
        if number <= version:
            connection.execute(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT")
    connection.execute("ATTACH ? AS new", (str(source),))
    tables = [row[0] for row in connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'")]
    for table in tables:
        if table.startswith("sqlite_"):
            continue
        columns = [row[1] for row in connection.execute(f'PRAGMA main.table_info("{table}")')]
        there = {row[1] for row in connection.execute(f'PRAGMA new.table_info("{table}")')}
        shared = ", ".join(f'"{column}"' for column in columns if column in there)
        if shared:
            connection.execute(f'INSERT OR REPLACE INTO main."{table}" ({shared}) SELECT {shared} FROM new."{table}"')
    connection.close()


@pytest.mark.parametrize("version", range(OLDEST, NEWEST + 1))
async def test_a_store_of_an_earlier_schema_shows_the_same_and_continues(tmp_path: Path, version: int) -> None:
    async with ScriptedServer(answer(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")) as down:
        toml = configuration(down.port)
        async with served(tmp_path / "new", toml) as gateway:
            for n in range(8):
                await gateway.api.post("/events", {"source": "shop", "type": "t", "data": {"n": n}, "id": f"i{n}"})
            await until(lambda: len(down.requests) >= 5)
            key = await gateway.key("read")
            before = await shown(gateway.api)
    data = tmp_path / "old" / "data"
    data.mkdir(parents=True)
    for file in (tmp_path / "new" / "data").iterdir():
        if not file.name.startswith(NAME):
            (data / file.name).write_bytes(file.read_bytes())
    older(version, tmp_path / "new" / "data" / NAME, data / NAME)
    async with ScriptedServer(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as up:
        async with served(tmp_path / "old", configuration(up.port)) as gateway:
            after = await shown(gateway.api)
            for name in before:
                if name != "deliveries":
                    assert after[name] == before[name], name
            for id_, (event, destination, attempts) in before["deliveries"].items():
                assert after["deliveries"][id_][:2] == (event, destination)
                assert after["deliveries"][id_][2] >= attempts
            again = {"source": "shop", "type": "t", "data": {"n": 4}, "id": "i4"}
            assert (await gateway.api.post("/events", again))["id"] in {event["id"] for event in after["events"]}
            assert (await gateway.api.with_key(key.key)("GET", "/api/v1/events")).status == 200

            async def delivered() -> bool:
                return bool((await gateway.api.get("/stats"))["totals"]["pending"] == 0)

            await until(delivered, 30)
            assert len({request.headers["webhook-id"] for request in up.requests}) == 5
    assert apsw.Connection(str(data / NAME)).execute("PRAGMA user_version").get == NEWEST


def bytes_of(folder: Path) -> dict[str, str]:
    """Of every file but the lock, which names the last process that tried."""
    files = [file for file in sorted(folder.iterdir()) if file.name != "lock"]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


async def test_a_newer_schema_is_refused_by_name_and_not_a_byte_of_it_is_changed(tmp_path: Path) -> None:
    async with Deployment(tmp_path).served("[sources.shop.publish]\n") as gateway:
        await gateway.api.post("/events", {"source": "shop", "type": "t", "data": 1})
    data = tmp_path / "data"
    connection = apsw.Connection(str(data / NAME))
    connection.execute(f"PRAGMA user_version = {NEWEST + 1}")
    connection.close()
    before = bytes_of(data)
    command = [sys.executable, "-m", "tidegate", "serve", "--config", str(tmp_path / "tidegate.toml")]
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, "--data", str(data), "--port", str(free_port())],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert b"error[schema_newer]" in done.stderr
    assert b"hint: " in done.stderr
    assert done.stdout == b""
    after = bytes_of(data)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() <= {f"{NAME}-wal", f"{NAME}-shm"}  # what looking at the file leaves
    assert not (data / f"{NAME}-wal").exists() or not (data / f"{NAME}-wal").read_bytes()
