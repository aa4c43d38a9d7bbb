"""Migrates the file to the newest schema, or refuses it without a change.

`PRAGMA user_version` holds the number of the last step. Each step is one transaction together with its number, so after
a crash between two steps the version is that of the last complete one. A newer version than this release knows is
refused before anything is written.
"""

from __future__ import annotations

import apsw

from tidegate.core.errors import SchemaTooNew
from tidegate.store.sql import migrations


def migrate(connection: apsw.Connection) -> int:
    """Apply the missing steps and return the version. Raises SchemaTooNew; nothing was changed then."""
    steps = migrations("sqlite")
    newest = steps[-1][0]
    version = _version(connection, newest)
    for number, _, script in steps:
        if number > version:
            connection.execute(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT")
    return newest


def refuse_newer(path: str) -> None:
    """Check an existing file read-only, before any pragma that writes."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        _version(connection, migrations("sqlite")[-1][0])
    finally:
        connection.close()


def _version(connection: apsw.Connection, newest: int) -> int:
    version = int(connection.execute("PRAGMA user_version").get)
    if version > newest:
        raise SchemaTooNew(f"the data has schema {version}, and this release knows schemas up to {newest}")
    return version
