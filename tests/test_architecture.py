"""The walks of `docs/architecture.md` lead through functions that exist, and its paths through files that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
SOURCE = ROOT / "src" / "tidegate"
STEP = re.compile(r"^\d+\. `([a-z0-9_/]+\.py):([A-Za-z_.]+)`", re.MULTILINE)
FILE = re.compile(r"`((?:src/tidegate/)?[a-z_0-9/]+/[a-z_0-9]+\.(?:py|sql|toml))`")


def functions_of(file: Path) -> set[str]:
    """Names of the functions and methods of a file, methods as `Class.method`."""
    return set(_functions(ast.parse(file.read_text()).body, ""))


def _functions(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")


def missing_steps(page: str) -> list[str]:
    """Steps of the walks whose file or function does not exist."""
    return [
        f"{file}:{name}"
        for file, name in STEP.findall(page)
        if not (SOURCE / file).is_file() or name not in functions_of(SOURCE / file)
    ]


def missing_files(page: str) -> list[str]:
    places = (ROOT, SOURCE)
    return [name for name in FILE.findall(page) if not any((place / name).is_file() for place in places)]


def test_every_step_of_the_walks_exists() -> None:
    assert len(STEP.findall(PAGE)) >= 24, "four walks: an event, a poll, a setting, a query"
    assert missing_steps(PAGE) == []


def test_every_file_the_page_names_exists() -> None:
    assert missing_files(PAGE) == []


def test_a_step_that_does_not_exist_is_found() -> None:
    page = "1. `receive/ingress.py:Ingress.nothing` a\n2. `receive/nothing.py:x` b\nsee `deliver/nothing.py`"
    assert missing_steps(page) == ["receive/ingress.py:Ingress.nothing", "receive/nothing.py:x"]
    assert missing_files(page) == ["deliver/nothing.py"]
