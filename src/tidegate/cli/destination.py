"""`tidegate pause`, `resume` and `test`: the verbs on one destination.

Each is a call of the API and says what follows from it. A test is one signed event outside the log; it fails with 1
when the destination did not take it, and says what to look at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tidegate.cli.client import LONG_SECONDS, ApiError, Client, find_gateway, segment
from tidegate.cli.options import gateway_verb


def _do(client: Client, name: str, verb: str) -> dict[str, Any]:
    return dict(client.post(f"/destinations/{segment(name)}/{verb}", timeout=LONG_SECONDS))


@click.command()
@click.argument("name")
@gateway_verb
def pause(name: str, data: Path, as_json: bool) -> None:
    """Send nothing to a destination until it is resumed. Events keep waiting for it, and no tries are spent."""
    from tidegate.cli.output import clean, print_json

    answer = _do(find_gateway(data), name, "pause")
    if as_json:
        print_json(answer)
    else:
        print(f"{clean(name)} is paused; what comes waits. Go on with: tidegate resume {clean(name)}")


@click.command()
@click.argument("name")
@gateway_verb
def resume(name: str, data: Path, as_json: bool) -> None:
    """Send to a destination again: what waits, and what comes."""
    from tidegate.cli.output import clean, count, print_json

    client = find_gateway(data)
    answer = _do(client, name, "resume")
    if as_json:
        print_json(answer)
        return
    pending = client.get("/stats")["destinations"].get(name, {}).get("pending", 0)
    waits = f"{count(pending, 'delivery', 'deliveries')} on the way" if pending else "nothing waited"
    print(f"{clean(name)} is sent to again; {waits}")


@click.command()
@click.argument("name")
@gateway_verb
def test(name: str, data: Path, as_json: bool) -> None:
    """Send one signed test event to a destination, outside the log. Exit 1 when it was not taken."""
    from tidegate.cli.output import clean, print_json, span, waiting
    from tidegate.rules.outbound.causes import what_to_do

    client = find_gateway(data)
    with waiting(f"sending to {name}"):
        attempt = _do(client, name, "test")
    good = attempt["outcome"] == "ok"
    if as_json:
        print_json(attempt)
    elif good:
        print(f"{clean(name)} answered {attempt['status']} in {span(attempt['duration_ms'] / 1000)}")
    if not good:
        said = attempt.get("error") or str(attempt["outcome"]).replace("_", " ")
        raise ApiError(
            f"{name} did not take the test: {said}",
            code="not_taken",
            hint=what_to_do(attempt["outcome"], attempt["status"]) or "look at the receiver and at its `url`",
        )
