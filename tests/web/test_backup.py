"""A backup goes to a free place that its caller names; every other path is refused, and nothing is written."""

from __future__ import annotations

from pathlib import Path

from support.gateway.api import served


async def test_a_path_that_cannot_be_used_is_refused_by_its_reason(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"mine")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    wanted = {
        "relative/copy.db": (400, "not absolute"),
        "/a\0b": (400, "not absolute"),
        "/" + "x" * 5000: (400, "File name too long"),
        f"{tmp_path}/{'x' * 300}": (400, "File name too long"),
        str(taken): (409, "already exists"),
        f"{taken}/copy.db": (404, "no directory"),
        f"{tmp_path}/none/copy.db": (404, "no directory"),
        f"{loop}/copy.db": (404, "no directory"),
    }

    async with served(tmp_path / "gate", "") as gate:
        for path, (status, words) in wanted.items():
            answer = await gate.api("POST", "/api/v1/backup", {"path": path})
            assert (answer.status, words in answer.json()["detail"]) == (status, True), (path[:50], answer)
            assert len(answer.body) < 1000
        done = await gate.api.post("/backup", {"path": str(tmp_path / "copy.db")})
        assert done["bytes"] == (tmp_path / "copy.db").stat().st_size
    assert taken.read_bytes() == b"mine"
