"""Advice in the configuration file: edit it, have the gateway check and reload it, and take it back.

Owns `advice.json` in the data directory: what was applied to each resource and the lines that it replaced. The file is
written beside and renamed, with its mode kept. Invariants: a file that the gateway rejects, or that is not the
gateway's, is put back byte by byte; when nothing else changed since, an undo gives the same bytes as before. Crash:
between the two renames the file has the new lines and the gateway the old settings; `tidegate config diff` shows it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tidegate.cli.client import Client
from tidegate.config.file_edits import edit_text
from tidegate.core.errors import Conflict, NotFound, TidegateError

_KEPT = "advice.json"


def apply_to_file(client: Client, file: Path, data: Path, resource: str, settings: dict[str, Any]) -> None:
    """Edit the file and reload it. Raises what the gateway says of the file, which is then as it was."""
    old = _read(file)
    before = _values(old, resource, settings)
    source, _, name = resource.partition("/")
    new = edit_text(old, source, name, settings)
    _write_and_reload(client, file, old, new, resource)
    kept = _kept(data)
    kept[resource] = {
        "before": before, "after": settings, "digest": _digest(new), "lines": _replaced(old, new),
    }  # fmt: skip
    _keep(data, kept)


def undo_in_file(client: Client, file: Path, data: Path, resource: str) -> None:
    """Set the keys back. Conflict `changed_since` when one of them is another one by now."""
    kept, old = _kept(data), _read(file)
    last = kept[resource]
    if _digest(old) == last["digest"]:
        new = _with_lines(old, last["lines"])
    else:
        if _values(old, resource, last["after"]) != last["after"]:
            raise Conflict(
                f"{', '.join(last['after'])} of {resource} was changed since the advice was applied",
                hint="change it in the file, then: tidegate config apply",
                code="changed_since",
            )
        source, _, name = resource.partition("/")
        new = edit_text(old, source, name, last["before"])
    _write_and_reload(client, file, old, new, resource)
    del kept[resource]
    _keep(data, kept)


def applied_to_file(data: Path, resource: str) -> bool:
    return resource in _kept(data)


# -- the file --------------------------------------------------------------------------------------------


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(
            f"the file {str(file)!r} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}",
            hint="name the file that the gateway was started with: --file FILE",
            code="config_unreadable",
        ) from None


def _write_and_reload(client: Client, file: Path, old: str, new: str, resource: str) -> None:
    _write(file, new)
    try:
        changes = client.post("/config", {"prune": False})["changes"]
        source = resource.partition("/")[0]
        if not any(one["kind"] == "source" and one["name"] == source for one in changes):
            raise Conflict(
                f"the gateway did not change {source!r} when it reloaded its file, so {str(file)!r} is another one",
                hint="name the file that the gateway was started with: --file FILE",
                code="other_file",
            )
    except TidegateError:
        _write(file, old)
        raise


def _write(file: Path, text: str) -> None:
    """Beside it and renamed, so that nobody reads half of it; a link stays a link."""
    target = file.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with beside.open("xb") as out:
            os.fchmod(out.fileno(), target.stat().st_mode & 0o7777)
            out.write(text.encode())
            out.flush()
            os.fsync(out.fileno())
        beside.replace(target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Conflict(f"the file {str(file)!r} cannot be written: {error.strerror}", hint=f"ls -l {file}") from None


# -- what was applied ------------------------------------------------------------------------------------


def _values(text: str, resource: str, keys: dict[str, Any]) -> dict[str, Any]:
    import tomllib

    source, _, name = resource.partition("/")
    found: Any = tomllib.loads(text.removeprefix("\ufeff"))
    for part in ("sources", source, "resources", name):
        found = found.get(part, {}) if isinstance(found, dict) else {}
    return {key: found.get(key) for key in keys}


def _replaced(old: str, new: str) -> list[tuple[int, int, list[str]]]:
    """(first line, number of lines) of the new text, and the lines of the old one, last first."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    codes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return [(j1, j2 - j1, before[i1:i2]) for tag, i1, i2, j1, j2 in reversed(codes) if tag != "equal"]


def _with_lines(text: str, replaced: list[tuple[int, int, list[str]]]) -> str:
    lines = text.splitlines(keepends=True)
    for first, count, old in replaced:
        lines[first : first + count] = old
    return "".join(lines)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _kept(data: Path) -> dict[str, Any]:
    try:
        found = json.loads((data / _KEPT).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(data: Path, kept: dict[str, Any]) -> None:
    """Readable by its owner only, because a line of the file can have a secret."""
    path = data / _KEPT
    beside = path.with_name(f".{_KEPT}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(kept, out)
    beside.replace(path)
