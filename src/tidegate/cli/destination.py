"""`tidegate pause`, `resume` and `test`: commands on one destination.

Each is a call of the API. A test is one signed event outside the log; when the destination does not accept it, the
command exits 1 with the cause and a remedy.
"""

from __future__ import annotations

from pathlib import Path

import click

from tidegate.cli.client import LONG_SECONDS, ApiError, Client, JsonObject, find_gateway, segment
from tidegate.cli.options import gateway_command


def _post(client: Client, name: str, command: str) -> JsonObject:
    return dict(client.post(f"/destinations/{segment(name)}/{command}", timeout=LONG_SECONDS))


@click.command()
@click.argument("name")
@gateway_command
def pause(name: str, data: Path, as_json: bool) -> None:
    """Pause a destination. Its deliveries stay pending and no attempts are made until you resume it."""
    from tidegate.cli.output import clean, print_json

    answer = _post(find_gateway(data), name, "pause")
    if as_json:
        print_json(answer)
    else:
        print(f"{clean(name)} is paused; its deliveries stay pending. Resume it with: tidegate resume {clean(name)}")


@click.command()
@click.argument("name")
@gateway_command
def resume(name: str, data: Path, as_json: bool) -> None:
    """Resume a destination. Its pending deliveries are sent."""
    from tidegate.cli.output import clean, count, print_json

    client = find_gateway(data)
    answer = _post(client, name, "resume")
    if as_json:
        print_json(answer)
        return
    pending = client.get("/stats")["destinations"].get(name, {}).get("pending", 0)
    print(f"{clean(name)} is resumed; {count(pending, 'delivery', 'deliveries')} pending")


@click.command()
@click.argument("name")
@gateway_command
def test(name: str, data: Path, as_json: bool) -> None:
    """Send a signed test event to a destination, outside the log. Exits 1 when it is not accepted."""
    from tidegate.cli.output import clean, print_json, span, waiting
    from tidegate.rules.outbound.causes import what_to_do

    client = find_gateway(data)
    with waiting(f"sending to {name}"):
        attempt = _post(client, name, "test")
    good = attempt["outcome"] == "ok"
    if as_json:
        print_json(attempt)
    elif good:
        print(f"{clean(name)} answered {attempt['status']} in {span(attempt['duration_ms'] / 1000)}")
    if not good:
        reason = attempt.get("error") or str(attempt["outcome"]).replace("_", " ")
        raise ApiError(
            f"{name} did not accept the test event: {reason}",
            code="not_taken",
            hint=what_to_do(attempt["outcome"], attempt["status"]) or "check the receiver and its `url`",
        )
