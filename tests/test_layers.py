"""Imports go one way. The order is the table of `docs/architecture.md`, read from that page as data.

A part is what a row of the table names; a module belongs to the longest part its name starts with. A module may
import its own part and every part of a lower row. Parts of one row do not know each other, save in row 0, which
is the vocabulary. Imports under `TYPE_CHECKING` and inside functions count like all others.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
TABLE_ROW = re.compile(r"^\| *(\d+|-) *\|([^|]*)\|", re.MULTILINE)
ALONE = "-"  # the row of parts that neither import nor are imported


def parts_of_table(page: str) -> dict[str, str]:
    """`{"config.model": "1", "rules": "2", ...}` from the second column's code spans."""
    parts: dict[str, str] = {}
    for layer, cell in TABLE_ROW.findall(page):
        for span in re.findall(r"`([^`]+)`", cell):
            for word in span.split():
                path = word.removesuffix("/*.toml").removesuffix(".py").removesuffix("/__init__")
                name = path.strip("/").replace("/", ".")
                parts[name] = layer
    return parts


def part_of(module: str, parts: dict[str, str]) -> str | None:
    """The longest part that `module` (without the leading `tidegate.`) is or lies in."""
    fits = [part for part in parts if module == part or module.startswith(part + ".")]
    return max(fits, key=len, default=None)


def imports_of(tree: ast.AST, package: str) -> set[str]:
    """Names of ours that a module imports, without the leading `tidegate.`; `from a import b` may mean `a.b`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return {name.removeprefix("tidegate.") for name in found if name == "tidegate" or name.startswith("tidegate.")}


def violations(module: str, imported: set[str], parts: dict[str, str]) -> list[str]:
    own = part_of(module, parts)
    if own is None:
        return [f"{module} stands in no row of the table in docs/architecture.md"]
    wrong = []
    for name in sorted(imported):
        other = part_of(name, parts)
        if name in ("tidegate", "__version__") or other == own:
            continue
        if other is None:
            wrong.append(f"{module} imports {name}, which stands in no row of the table")
        elif ALONE in (parts[own], parts[other]):
            wrong.append(f"{module} imports {name}: {ALONE!r} parts stand alone")
        elif int(parts[other]) > int(parts[own]) or (parts[other] == parts[own] != "0"):
            wrong.append(f"{module} (layer {parts[own]}) imports {name} (layer {parts[other]})")
    return wrong


PARTS = parts_of_table((ROOT / "docs" / "architecture.md").read_text())
MODULES = sorted(path for path in (SOURCE / "tidegate").rglob("*.py") if path.parent.name or path.stem != "__init__")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_lower_layers(path: Path) -> None:
    names = path.relative_to(SOURCE).with_suffix("").parts
    package = ".".join(names[:-1])
    module = ".".join(names[1:-1] if names[-1] == "__init__" else names[1:])
    tree = ast.parse(path.read_text())
    if module == "":
        assert imports_of(tree, package) == set()
        return
    assert violations(module, imports_of(tree, package), PARTS) == []


def test_every_part_of_the_table_exists() -> None:
    for part in PARTS:
        where = SOURCE / "tidegate" / part.replace(".", "/")
        assert where.is_dir() or where.with_suffix(".py").is_file(), f"the table names {part}, which is not there"


def test_the_rules_of_this_test_can_fail() -> None:
    tree = ast.parse("from tidegate.api import routes\nfrom tidegate.core.errors import NotFound\nfrom . import hidden")
    assert imports_of(tree, "tidegate.rules") == {"api.routes", "core.errors.NotFound", "rules.hidden"}
    assert violations("rules.outbound.retry", {"api.routes", "core.errors.NotFound", "rules.hidden"}, PARTS) == [
        f"rules.outbound.retry (layer {PARTS['rules']}) imports api.routes (layer {PARTS['api']})"
    ]
    assert violations("deliver.lane", {"pull.pages"}, PARTS), "engines must not know each other"
    assert violations("demo.shop", {"core.errors"}, PARTS), "the sample company stands alone"
    assert violations("config.load", {"core.spec", "rules.language.filters"}, PARTS) == []
    assert violations("core.spec", {"config.load"}, PARTS), "the structs know nothing of loading"
