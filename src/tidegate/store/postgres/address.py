"""The address of a database, as somebody wrote it: judged before the driver sees it, and told without its secrets.

Pure. An address that is not wholly understood is never repeated, for what stands where may then be a password.
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


def shown(url: str) -> str:
    """Server and database, without user, password and parameters. StoreBroken when the URL is none."""
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise StoreBroken(
            "the URL of the database cannot be understood",
            hint=f"{FORM}; in user and password write @ as %40, / as %2F, # as %23, ? as %3F, [ as %5B",
        )
    return f"the database at {unquote(found['hosts']) or 'the local socket'}{found['name'] or ''}"
