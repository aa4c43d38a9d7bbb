"""Imports go one way and close no circle.

The order of the parts is the table of `docs/architecture.md`, read from that page as data. A part is what a row names;
a module belongs to the longest part its name starts with. A module may import its own part and every part of a lower
row; parts of one row do not know each other, except in row 0, the vocabulary. Inside a part, modules may import each
other as long as no cycle arises. Imports under `TYPE_CHECKING`, inside functions, and by `importlib` count like all
others.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
EXAMPLES = ROOT / "examples"
TABLE_ROW = re.compile(r"^\| *(\d+) *\|([^|]*)\|", re.MULTILINE)
DYNAMIC = ("import_module", "find_spec", "__import__")


def parts_of_table(page: str) -> dict[str, str]:
    """`{"core": "0", "rules": "2", ...}` from the second column's code spans."""
    parts: dict[str, str] = {}
    for layer, cell in TABLE_ROW.findall(page):
        for span in re.findall(r"`([^`]+)`", cell):
            for word in span.split():
                path = word.removesuffix(".py").removesuffix("/__init__")
                parts[path.strip("/").replace("/", ".")] = layer
    return parts


def part_of(module: str, parts: Mapping[str, str]) -> str | None:
    """The longest part that `module` (without the leading `tidegate.`) is or lies in."""
    fits = [part for part in parts if module == part or module.startswith(part + ".")]
    return max(fits, key=len, default=None)


def imports_of(tree: ast.AST, package: str) -> set[str]:
    """Full names that a module imports; `from a import b` counts as `a.b`, which may be a name of `a`."""
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
        elif isinstance(node, ast.Call):
            found.update(dynamic_imports(node))
    return found


@cache
def imports_of_file(module: str, path: Path) -> set[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return imports_of(ast.parse(path.read_text()), package)


def dynamic_imports(call: ast.Call) -> Iterator[str]:
    """The module that `importlib.import_module(...)` and the like load; of an f-string, its constant beginning."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in DYNAMIC or not call.args:
        return
    given = call.args[0]
    first = given.values[0] if isinstance(given, ast.JoinedStr) and given.values else given
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first.value.rstrip(".")
    else:
        yield "tidegate.(computed)"


def ours(names: set[str]) -> set[str]:
    """Those below `tidegate`, without that prefix."""
    return {name.removeprefix("tidegate.") for name in names if name == "tidegate" or name.startswith("tidegate.")}


def violations(module: str, imported: set[str], parts: Mapping[str, str]) -> list[str]:
    """What `module` imports (names without `tidegate.`) that its row does not allow."""
    own = part_of(module, parts)
    if own is None:
        return [f"{module} is in no row of the table in docs/architecture.md"]
    wrong = []
    for name in sorted(imported):
        other = part_of(name, parts)
        if name in ("tidegate", "__version__") or other == own:
            continue
        if other is None:
            wrong.append(f"{module} imports {name}, which is in no row of the table")
        elif int(parts[other]) > int(parts[own]) or (parts[other] == parts[own] != "0"):
            wrong.append(f"{module} (layer {parts[own]}) imports {name} (layer {parts[other]})")
    return wrong


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other in a circle (strongly connected, more than one)."""
    reached = {module: reachable(module, graph) for module in graph}
    groups = {
        frozenset({module, *(other for other in reached[module] if module in reached.get(other, ()))})
        for module in graph
        if module in reached[module]
    }
    return sorted(sorted(group) for group in groups)


def reachable(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    pending = list(graph.get(start, ()))
    while pending:
        module = pending.pop()
        if module not in found:
            found.add(module)
            pending.extend(graph.get(module, ()))
    return found


def module_graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> modules it imports, itself left out. Importing a name of a package imports its `__init__`."""
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        found = imports_of_file(module, path)
        known = {name if name in files else name.rpartition(".")[0] for name in found}
        graph[module] = {name for name in known if name in files and name != module}
    return graph


def modules_below(root: Path) -> dict[str, Path]:
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in sorted(root.rglob("*.py"))}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


PARTS = parts_of_table((ROOT / "docs" / "architecture.md").read_text())
FILES = modules_below(SOURCE)


@pytest.mark.parametrize("module", FILES)
def test_a_module_imports_only_lower_layers(module: str) -> None:
    imported = ours(imports_of_file(module, FILES[module]))
    if module == "tidegate":
        assert imported == set()
        return
    assert violations(module.removeprefix("tidegate."), imported, PARTS) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert cycles(module_graph(FILES)) == []


def test_the_sample_company_imports_nothing_of_the_gateway() -> None:
    for module, path in modules_below(EXAMPLES).items():
        assert ours(imports_of(ast.parse(path.read_text()), module.rpartition(".")[0])) == set(), module


def test_every_part_of_the_table_exists() -> None:
    for part in PARTS:
        where = SOURCE / "tidegate" / part.replace(".", "/")
        assert where.is_dir() or where.with_suffix(".py").is_file(), f"the table names {part}, which does not exist"


def test_a_climbing_import_is_found() -> None:
    source = (
        "from tidegate.api import routes\nfrom tidegate.core.errors import NotFound\nfrom . import hidden\n"
        "import importlib\nimportlib.import_module('tidegate.dashboard')\nimport_module(f'tidegate.cli.{name}')\n"
        "import_module(name)"
    )
    found = ours(imports_of(ast.parse(source), "tidegate.rules"))
    assert found == {"api.routes", "core.errors.NotFound", "rules.hidden", "dashboard", "cli", "(computed)"}
    assert violations("rules.outbound.retry", {"api.routes", "core.errors.NotFound", "rules.hidden"}, PARTS) == [
        f"rules.outbound.retry (layer {PARTS['rules']}) imports api.routes (layer {PARTS['api']})"
    ]
    assert violations("rules.routing", {"dashboard"}, PARTS), "importlib counts"
    assert violations("rules.routing", {"(computed)"}, PARTS), "a computed name cannot be checked, so it is refused"
    assert violations("deliver.lane", {"pull.engine"}, PARTS), "engines do not know each other"
    assert violations("config.load", {"core.spec", "rules.language.filters"}, PARTS) == []
    assert violations("core.spec", {"config.load"}, PARTS), "the structs know nothing of loading"


def test_a_circle_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from b import thing")
    (tmp_path / "b.py").write_text("def late():\n    import c")
    (tmp_path / "c.py").write_text("from a import other")
    (tmp_path / "d.py").write_text("import a")
    assert cycles(module_graph(modules_below(tmp_path))) == [["a", "b", "c"]]
