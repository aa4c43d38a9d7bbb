"""Migrates a shared database to the newest schema, or refuses it without a change. Several nodes may start at once.

Works under one advisory lock: one node migrates, and the others find it done. All missing steps are one transaction,
each with its row in `schema_version`. A newer schema is refused unless it says (`oldest_reader`) that this release can
read it: so nodes of two releases run side by side during an upgrade (expand first, contract when no old node is left).
A step that a running node could not read is refused too. After a crash the schema is the one from before.
"""

from __future__ import annotations

import re
from typing import Any

from tidegate.core.errors import Conflict, SchemaTooNew
from tidegate.store.postgres.engine import Engine
from tidegate.store.sql import migrations

_OLDEST_READER = re.compile(r"^-- oldest_reader: (\d+)$", re.MULTILINE)
_LOCK = "SELECT pg_advisory_xact_lock(8420, 2)"
_VERSIONS = """
CREATE TABLE tidegate.schema_version (
  version        integer PRIMARY KEY,
  oldest_reader  integer NOT NULL,
  applied_at     timestamptz NOT NULL DEFAULT now()
);
"""


_OLDER_NODES = """
SELECT string_agg(id, ', ' ORDER BY id) FROM tidegate.nodes WHERE schema < $1 AND lease_expires_at > clock_timestamp()
"""


def newest_schema() -> int:
    """The number of the newest schema that this release knows."""
    return migrations("postgres")[-1][0]


async def migrate(engine: Engine) -> int:
    """Apply the missing steps and return the version.

    Raises SchemaTooNew or Conflict (`older_nodes_run`); nothing was changed then.
    """
    async with engine.work.transaction() as connection:
        await connection.execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
        await connection.fetchval(_LOCK, timeout=300)
        return await _migrate(connection, migrations("postgres"))


async def _migrate(connection: Any, steps: list[tuple[int, str, str]]) -> int:
    newest = steps[-1][0]
    found = 0
    if await connection.fetchval("SELECT to_regclass('tidegate.schema_version') IS NOT NULL"):
        found, oldest_reader = await connection.fetchrow(
            "SELECT coalesce(max(version), 0), coalesce(max(oldest_reader), 0) FROM tidegate.schema_version"
        )
        if found > newest and oldest_reader > newest:
            raise SchemaTooNew(f"the data has schema {found}, and this release knows schemas up to {newest}")
    else:
        if not await connection.fetchval("SELECT to_regnamespace('tidegate') IS NOT NULL"):
            await connection.execute("CREATE SCHEMA tidegate")
        await connection.execute(_VERSIONS)
    missing = [(number, _oldest_reader(number, script), script) for number, _, script in steps if number > found]
    if found and missing:
        await _refuse_beside_older(connection, max(oldest_reader for _, oldest_reader, _ in missing))
    for number, oldest_reader, script in missing:
        await connection.execute(script, timeout=300)
        await connection.execute(
            "INSERT INTO tidegate.schema_version (version, oldest_reader) VALUES ($1, $2)", number, oldest_reader
        )
    return max(found, newest)


async def _refuse_beside_older(connection: Any, oldest_reader: int) -> None:
    older = await connection.fetchval(_OLDER_NODES, oldest_reader)
    if older is not None:
        raise Conflict(
            f"nodes of a release that cannot read the new schema are running: {older}",
            hint="stop them, then start this one; to upgrade without a stop, see docs/guides/many-nodes.md",
            code="older_nodes_run",
        )


def _oldest_reader(number: int, script: str) -> int:
    """N of the line `-- oldest_reader: N`; without one, only releases that know this step can read it."""
    said = _OLDEST_READER.search(script)
    return int(said[1]) if said else number
