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
        "1 changes happened before the trace begins and are left out",
    )
