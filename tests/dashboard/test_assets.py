"""The dashboard's own files as they are served: without comments, and otherwise the same."""

from __future__ import annotations

from pathlib import Path

from tidegate.dashboard.assets import Assets, without_comments


def test_comments_and_indentation_stay_in_the_source() -> None:
    style = b"/* one\n two */\n@media print{\n  a{color:red}/* why */b{margin:0}\n}\n"
    assert without_comments("a.css", style) == b"@media print{\na{color:red}b{margin:0}\n}\n"
    script = b'// why\nconst url = "http://x"; // stays\n\n  go(url);\n'
    assert without_comments("a.js", script) == b'const url = "http://x"; // stays\ngo(url);\n'
    assert without_comments("a.svg", b"  <svg/>\n") == b"<svg/>\n"


def test_no_script_has_a_text_over_several_lines_that_would_lose_its_indentation() -> None:
    folder = Path(__file__).parents[2] / "src" / "tidegate" / "dashboard" / "static"
    scripts = sorted(folder.glob("*.js"))
    assert scripts and all(line.count("`") % 2 == 0 for one in scripts for line in one.read_text().splitlines())
    assets = Assets()
    assert all(assets.size(one.name) < one.stat().st_size for one in scripts)
