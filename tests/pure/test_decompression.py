"""Where anything is unpacked: in few places, each with a bound. Backups are not among them."""

from __future__ import annotations

import ast
import sqlite3
import stat
from pathlib import Path

from support.gateway.api import served

SOURCE = Path(__file__).parents[2] / "src" / "tidegate"
UNPACKERS = {"zlib", "gzip", "bz2", "lzma", "zipfile", "tarfile", "brotli", "zstd", "zstandard", "backports"}
# Each has tests of its bound: test_unpack.py and test_pull_client.py; test_view.py.
BOUNDED = {"rules/unpacking.py", "rules/language/compressed.py"}


def uses_an_unpacker(module: Path) -> bool:
    text = module.read_text()
    if not any(name in text for name in (*UNPACKERS, "unpack_archive")):
        return False
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if UNPACKERS & {part for name in names for part in name.split(".")}:
                return True
        if isinstance(node, ast.Attribute) and node.attr == "unpack_archive":
            return True
    return False


def only_counts(module: Path) -> bool:
    """It uses `zlib.crc32` alone, a checksum."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "zlib"
    }
    return used == {"crc32"}


def test_only_these_modules_unpack_anything_and_each_has_a_bound() -> None:
    found = {
        module.relative_to(SOURCE).as_posix()
        for module in SOURCE.rglob("*.py")
        if uses_an_unpacker(module) and not only_counts(module)
    }
    assert found == BOUNDED, "a new place needs a bound and its test"


async def test_a_backup_is_a_plain_database_for_its_owner(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with served(tmp_path / "gate", "") as gate:
        await gate.api.post("/backup", {"path": str(copy)})
    assert copy.read_bytes()[:16] == b"SQLite format 3\0"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    database = sqlite3.connect(copy)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
