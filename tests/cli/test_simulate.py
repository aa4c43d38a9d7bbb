"""`tidegate simulate`: the table, the picture and the trace of a gateway's own records."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from tidegate.cli import recorded
from tidegate.cli.simulate import simulate


def test_a_picture_is_a_document_of_its_own_with_every_policy(tmp_path: Path) -> None:
    picture = tmp_path / "costs.svg"
    policies = ["--policy", "poll:5m", "--policy", "webhook:loss=1%,reconcile=1h"]
    done = CliRunner().invoke(simulate, ["--poisson", "3/h", "--for", "5d", *policies, "--svg", str(picture), "--json"])
    assert done.exit_code == 0, done.output
    assert [one["policy"] for one in json.loads(done.output)["policies"]] == policies[1::2]
    root = ElementTree.fromstring(picture.read_text("utf-8"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {"poll:5m", "webhook:loss=1%,reconcile=1h"} <= {one.text for one in root.iter() if one.text}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "name one trace"),
        (["--poisson", "3/h", "--bursty", "3/h"], "name one trace"),
        (["--poisson", "3/h", "--price-per-call", "nan"], "is not a price"),
        (["--poisson", "3/h", "--delay-price", "-1"], "is not a price"),
        (["--poisson", "3/h", "--policy", "cache:5m"], "--reads"),
        (["--poisson", "3/h", "--body", "x"], "is not a size"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: list[str], named: str) -> None:
    done = CliRunner().invoke(simulate, arguments)
    assert done.exit_code == 2
    assert named in done.output


@pytest.mark.parametrize(
    ("lines", "policy", "named"),
    [
        (
            ["10:00:00Z", "10:00:20Z"],
            "poll:1m",
            "poll:1m: no request within 20 s; name shorter intervals, or a longer trace",
        ),
        (["10:00:00Z", "11:00:00Z"], "poll:1m", "2 changes only: percentiles of so few say little"),
        (["10:00:00Z", "09:00:00Z"], "poll:1m", "1 lines are earlier"),
    ],
)
def test_what_a_trace_cannot_say_is_named(tmp_path: Path, lines: list[str], policy: str, named: str) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text("".join(f"2026-01-01T{line}\n" for line in lines))
    done = CliRunner().invoke(simulate, ["--trace", str(trace), "--policy", policy])
    assert done.exit_code == 0 and f"Note: {named}" in done.output, done.output
    shown = CliRunner().invoke(simulate, ["--trace", str(trace), "--policy", policy, "--json"])
    assert any(note.startswith(named) for note in json.loads(shown.output)["trace"]["notes"])


def test_one_change_is_one_and_a_trace_without_any_says_so(tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text("2026-01-01T10:00:00Z\n")
    assert "the trace has 1 change; a simulation needs" in CliRunner().invoke(simulate, ["--trace", str(trace)]).output
    none = CliRunner().invoke(simulate, ["--poisson", "0.0000001/d", "--for", "2h"])
    assert none.exit_code == 0 and none.output.startswith("0 changes in 2 h (poisson)\nNote: no change in the trace")


def test_a_recorded_trace_names_what_is_uncertain_in_it() -> None:
    def event(time: str, received: str) -> dict[str, str]:
        return {"time": f"2026-11-24T{time}Z", "received_at": f"2026-11-24T{received}Z", "key": "a"}

    events = [event("10:00:00", "10:00:05"), event("10:01:00", "10:01:00"), event("08:00:00", "10:00:05")]
    start = recorded.parse_instant("2026-11-24T09:00:00Z")
    trace = recorded._made(events, "shop/orders", start, start + 7_200_000_000)
    assert [one.at for one in trace.changes] == [3600, 3660]
    assert trace.seconds == 7200
    assert trace.notes == (
        "1 of 3 changes have no time of their own: that of the look is used",
        "left out, as they happened before the trace begins: 1",
    )
