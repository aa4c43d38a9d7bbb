"""`tidegate demo` as a process: taken ports, two side by side, restarts, and an end that leaves nothing behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from support.cli.demo import Demo, free_ports, gone
from support.cli.subprocesses import call, wait_until


def test_an_end_while_it_starts_leaves_no_orphans(tmp_path: Path) -> None:
    with Demo(tmp_path / "data", free_ports()) as demo:
        wait_until(lambda: len(demo.children()) >= 3, "the first children")
        children = demo.children()
        assert demo.end() == 0
        assert gone(children) == []


def test_a_gateway_that_does_not_start_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "data" / "gateway").mkdir(parents=True)
    (tmp_path / "data" / "gateway" / "tidegate.db").write_bytes(b"not a database file" * 400)
    with Demo(tmp_path / "data", free_ports()) as demo:
        assert demo.process.wait(60) == 1
        assert "error[demo_failed]: gateway stopped by itself with exit 1" in demo.text
        assert "database" in demo.text


def test_two_run_side_by_side_whatever_becomes_of_one(tmp_path: Path) -> None:
    """One pair for all of it, because every start takes some seconds of the processor."""
    with Demo(tmp_path / "one", 65534).started() as one:
        assert "shop 65536 ->" in one.text, "a port that there is not is replaced as a taken one"
        a_directory_in_use_or_of_no_use_is_refused_and_nothing_changes(one, tmp_path)
        port = int(one.gateway.rpartition(":")[2])
        with Demo(tmp_path / "two", port).started() as two:
            assert one.story != two.story and one.gateway != two.gateway
            assert "Some ports are in use" in two.text and f"gateway {port} ->" in two.text
            for demo in (one, two):
                assert call(f"{demo.story}/").status == 200
                assert call(f"{demo.gateway}/readyz").status == 200
            a_child_that_dies_is_named_with_its_last_words(two)
        assert call(f"{one.gateway}/readyz").status == 200, "the first goes on"
        children = one.children()
        assert one.end(signal.SIGKILL) == -signal.SIGKILL
        assert gone(children) == [], "one that is killed leaves no orphans"


def a_directory_in_use_or_of_no_use_is_refused_and_nothing_changes(demo: Demo, folder: Path) -> None:
    before = (demo.data / "tidegate.toml").read_bytes()
    (folder / "file").write_text("no directory")
    for data, why in (
        (demo.data.name, "another sample company uses"),
        ("file/below", "cannot be used: Not a directory"),
    ):
        with Demo(folder / data, free_ports(), printed=folder / "second.out") as second:
            assert second.process.wait(30) == 1
            assert "error[demo_failed]: " in second.text and why in second.text
            assert "hint: " in second.text and "Traceback" not in second.text
    assert (demo.data / "tidegate.toml").read_bytes() == before
    assert call(f"{demo.gateway}/readyz").status == 200


def a_child_that_dies_is_named_with_its_last_words(demo: Demo) -> None:
    children = demo.children()
    os.kill(demo.child("tidegate_company.crm"), signal.SIGKILL)
    assert demo.process.wait(30) == 1
    assert "error[demo_failed]: crm stopped by itself with signal 9" in demo.text
    assert f"hint: read the logs in {demo.data.parent}" in demo.text
    assert gone(children) == []


def test_a_wanted_end_stops_every_child_and_a_restart_plays_the_slow_scene_again(tmp_path: Path) -> None:
    for revision, number in ((2, signal.SIGINT), (3, signal.SIGHUP)):
        with Demo(tmp_path / "data", free_ports()).started() as demo:
            children = demo.children()
            assert len(children) == 10, "gateway, seven systems, the story page and the guard"
            call(f"{demo.story}/scenes/customer", data={}, headers={"Accept": "application/json"})
            scene = wait_until(lambda: arrived(demo), "the change reaches the CRM", 30)
            assert scene["steps"][3] is not None
            (change,) = demo.ask("/events?source=accounting&limit=1")["data"]
            assert change["change"]["version"] == str(revision)
            assert demo.end(number) == 0
            assert gone(children, 0) == []
            assert "has stopped" in demo.text


def arrived(demo: Demo) -> dict[str, list[object]] | None:
    scene: dict[str, list[object]] = demo.state(demo.story)["scenes"]["customer"]
    return scene if scene["state"] == "done" else None
