"""Named SQL: queries live in `.sql` files, split by `-- name: ...` headers, and each file is read once.

Only SQL that differs between the two databases exists twice, in `sqlite/` and `postgres/`. Invariant: nothing here
builds SQL from values, and identifiers are never inserted. Holds nothing durable.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_HEADER = "-- name: "


@cache
def queries(name: str) -> dict[str, str]:
    """The queries of `NAME.sql` by their names, e.g. `queries("sqlite/log")["insert_event"]`."""
    text = (_FOLDER / f"{name}.sql").read_text("utf-8")
    found: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in text.splitlines():
        if line.startswith(_HEADER):
            lines = found.setdefault(line[len(_HEADER) :].strip(), [])
        elif lines is not None and not line.startswith("--"):
            lines.append(line)
    return {query: "\n".join(body).strip().rstrip(";") for query, body in found.items()}


def migrations(engine: str) -> list[tuple[int, str, str]]:
    """(number, file name, SQL script), ascending: `0001_log.sql` is number 1."""
    files = sorted((_FOLDER / engine / "schema").glob("*.sql"))
    return [(int(file.name[:4]), file.name, file.read_text("utf-8")) for file in files]
