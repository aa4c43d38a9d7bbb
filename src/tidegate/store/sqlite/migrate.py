"""Bring a database to the newest schema, or refuse it untouched.

`PRAGMA user_version` holds the number of the last migration applied. Each migration file is one transaction
with its own version step, so a kill between two leaves a version that is whole. A newer version than this release
knows is refused before anything is written.
"""

from __future__ import annotations

import apsw

from tidegate.core.errors import SchemaTooNew
from tidegate.store.sql import migrations


def migrate(connection: apsw.Connection) -> int:
    """Apply what is missing; returns the version. Raises SchemaTooNew, then nothing was changed."""
    steps = migrations("sqlite")
    newest = steps[-1][0]
    version = _version(connection, newest)
    for number, _, script in steps:
        if number > version:
            connection.execute(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT")
    return newest


def refuse_newer(path: str) -> None:
    """Look at an existing file without touching it: before any pragma that writes."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        _version(connection, migrations("sqlite")[-1][0])
    finally:
        connection.close()


def _version(connection: apsw.Connection, newest: int) -> int:
    version = int(connection.execute("PRAGMA user_version").get)
    if version > newest:
        raise SchemaTooNew(f"the data is of schema {version}, this release knows up to {newest}")
    return version
