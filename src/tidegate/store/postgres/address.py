"""The address of a database: checked before the driver sees it, and shown without its secrets.

Pure. An address that cannot be understood completely is never repeated, because any part of it may be a password.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from tidegate.core.errors import StoreBroken

_HOST = r"(?:\[[0-9A-Fa-f:.]+(?:%[\w.]+)?\]|(?:[\w.~-]|%[0-9A-Fa-f]{2})*)(?::\d{1,5})?"
_ADDRESS = re.compile(
    rf"postgres(?:ql)?://(?:[^@/?#\[\]]*@)?(?P<hosts>{_HOST}(?:,{_HOST})*)(?P<name>/[^@/?#]*)?"
    r"(?:\?[\w.]+=[^&#]*(?:&[\w.]+=[^&#]*)*)?",
    re.ASCII,
)
FORM = "postgresql://USER:PASSWORD@HOST:5432/NAME"


def redacted(url: str) -> str:
    """Server and database, without user, password and parameters. Raises StoreBroken for an invalid URL."""
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise StoreBroken(
            "the URL of the database cannot be understood",
            hint=f"{FORM}; in user and password write @ as %40, / as %2F, # as %23, ? as %3F, [ as %5B",
        )
    return f"the database at {unquote(found['hosts']) or 'the local socket'}{found['name'] or ''}"
