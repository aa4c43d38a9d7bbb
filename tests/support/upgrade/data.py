"""The stored installations of earlier releases: how their stores become text, and a store again.

A folder of `tests/data/upgrade` holds the store of each kind as SQL with its own schema, so that no later change of
this program's schema files can change what is opened; `expected.json` of each says what that release showed of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import apsw
import asyncpg

from support.postgres.server import Server
from support.upgrade.outside import Outside
from tidegate.core.clock import Clock

FOLDER = Path(__file__).parents[2] / "data" / "upgrade"
EVENT = ("id", "offset", "source", "type", "key", "origin", "time", "received_at", "content_type", "hops", "differs")
DELIVERY = ("event", "destination", "state", "cause", "route", "next_attempt_at")
CUT = "\n# ----\n"
FIRST = {"@SCAN@": "10s", "@LATE@": "false", "@BIG@": "50"}
LAST = {"@SCAN@": "365d", "@LATE@": "true", "@BIG@": "100"}


def configuration(release: str, outside: Outside, values: dict[str, str] = LAST, *, leaver: bool = False) -> str:
    """`tidegate.toml` of a release's installation; `leaver`: with the destination that left the file at last."""
    text = (FOLDER / release / "tidegate.toml").read_text()
    text = text.replace(CUT, "\n") if leaver else text.partition(CUT)[0] + "\n"
    for name, value in {**outside.addresses, **values}.items():
        text = text.replace(name, value)
    return text


def digest(value: Any) -> str:
    """Of bytes, or of JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(raw).hexdigest()[:24]


def expected(release: str, store: str) -> dict[str, Any]:
    """What the API of that release said of what its store held. See `make_upgrade_data.py` for the members."""
    found: dict[str, Any] = json.loads((FOLDER / release / f"{store}.json").read_text())
    return found


class ClockOf(Clock):
    """A clock that began at a given instant, so that stored sessions, keys and retries are as old as they were.

    The clock of a database server does not change it.
    """

    def __init__(self, began_at_us: int) -> None:
        super().__init__()
        self._behind_us = super().machine_us() - began_at_us

    def machine_us(self) -> int:
        return super().machine_us() - self._behind_us

    def agree(self, shared_us: int, asked_us: int) -> bool:
        return False


# -- SQLite ----------------------------------------------------------------------------------------------


def dump_sqlite(database: Path) -> str:
    """The file as SQL: its schema, its rows in the order of their keys, its version."""
    connection = apsw.Connection(str(database))
    lines = [f"PRAGMA user_version = {connection.execute('PRAGMA user_version').get};"]
    schema = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").get
    lines += [f"{_without_comments(sql)};" for _, name, sql in schema if not name.startswith("sqlite_")]
    for kind, name, _ in schema:
        if kind != "table":
            continue
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
        values = ", ".join(f'typeof("{one}"), CAST("{one}" AS BLOB)' for one in columns)
        for row in connection.execute(f'SELECT {values} FROM "{name}" ORDER BY 1, 2, 3, 4'):
            literals = ", ".join(_literal(*pair) for pair in zip(row[::2], row[1::2], strict=True))
            first = "DELETE FROM sqlite_sequence; " if name == "sqlite_sequence" else ""
            lines.append(f'{first}INSERT INTO "{name}" VALUES ({literals});')
    connection.close()
    return "\n".join(lines) + "\n"


def _literal(kind: str, value: bytes | None) -> str:
    """As SQL; text with characters that do not belong into a text file is written in hex."""
    if value is None:
        return "NULL"
    if kind in ("integer", "real"):
        return value.decode()
    if kind == "blob":
        return f"X'{value.hex()}'"
    text = value.decode("utf-8", "backslashreplace")
    if text.isprintable() and text.encode() == value:
        return "'" + text.replace("'", "''") + "'"
    return f"CAST(X'{value.hex()}' AS TEXT)"


def restore_sqlite(release: str, data: Path) -> None:
    """A data directory with the store and its key."""
    _with_key(release, data)
    connection = apsw.Connection(str(data / "tidegate.db"))
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("BEGIN; " + (FOLDER / release / "sqlite.sql").read_text() + "COMMIT")
    connection.close()


# -- PostgreSQL ------------------------------------------------------------------------------------------


def dump_postgres(server: Server, url: str) -> str:
    """The schema `tidegate` by the server's own pg_dump, as statements that any client may run."""
    done = subprocess.run(
        [str(server._bin / "pg_dump"), "--schema=tidegate", "--rows-per-insert=100", "--no-owner", url],
        user=server._user,
        capture_output=True,
        check=True,
        env={**os.environ, "TZ": "UTC", "PGTZ": "UTC"},
    )
    lines = [line for line in done.stdout.decode().splitlines() if line and not line.startswith(("--", "\\"))]
    return "\n".join(lines) + "\n"


async def restore_postgres(release: str, url: str, data: Path) -> None:
    """Fill an empty database; `data` gets the key that opens what is sealed."""
    _with_key(release, data)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute((FOLDER / release / "postgres.sql").read_text())
    finally:
        await connection.close()


def _with_key(release: str, data: Path) -> None:
    data.mkdir(parents=True)
    (data / "secret.key").write_bytes((FOLDER / release / "secret.key").read_bytes())


def _without_comments(sql: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", sql)).strip()
