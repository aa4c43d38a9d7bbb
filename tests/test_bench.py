"""`make bench` runs: short measurements of the real thing. Figures are not checked here, because machines differ."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def bench(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    short = ("--rounds", "1", "--seconds", "0.8", "--scratch", str(tmp_path))
    return subprocess.run(
        [sys.executable, "-m", "bench.run", *arguments, *short],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "row", "goal"),
    [
        ("ingest", "| accept, ascending ids |", "| at least 0.7 |"),
        ("end_to_end", "| accept and deliver |", "| at least 0.8 |"),
        ("pull", "| pull from cache |", "| at least 1.2 |"),
    ],
)
def test_a_figure_is_measured_beside_its_floor_and_shown_with_its_goal(
    tmp_path: Path, figure: str, row: str, goal: str
) -> None:
    done = bench(tmp_path, figure)
    assert done.returncode == 0, done.stderr
    shown = next(line for line in done.stdout.splitlines() if line.startswith(row))
    assert "of the floor" in shown
    assert goal in shown
    assert "PASS" in shown or "below target" in shown
    assert "synchronous=FULL" in done.stdout
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_rows_of_polls_are_measured_beside_parsing_and_hashing_them(tmp_path: Path) -> None:
    done = bench(tmp_path, "polls")
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith("| a row of a poll, ")]
    assert len(shown) == 2
    assert all("of the floor" in line for line in shown)


def test_the_shared_store_is_measured_beside_the_embedded_one(tmp_path: Path) -> None:
    done = bench(tmp_path, "shared")
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if "one node on PostgreSQL " in line]
    assert len(shown) == 2
    assert all("of the embedded store" in line and "| at least 0.6 |" in line for line in shown)


def test_a_figure_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    done = bench(tmp_path, "ingets")
    assert done.returncode == 2
    assert "'ingets'" in done.stderr
    assert "end_to_end" in done.stderr


def test_a_gateway_that_does_not_start_ends_the_bench_with_its_words(tmp_path: Path) -> None:
    done = bench(tmp_path, "start", "--database", "nosuch://x")
    assert done.returncode == 1
    assert "error[unknown_database]" in done.stderr
