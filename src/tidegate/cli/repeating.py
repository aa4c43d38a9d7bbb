"""`tidegate replay` and `tidegate trigger`: make events be delivered, again or for a test."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from tidegate.cli.client import Client, find_gateway, segment
from tidegate.cli.options import When, gateway_verb
from tidegate.errors import NotBuilt

_STATES = ("delivered", "pending", "exhausted", "cancelled")


@click.command()
@click.argument("id_", metavar="[EVENT_OR_DELIVERY]", required=False)
@click.option("--source", help="Events of this source.")
@click.option("--destination", help="Only to this destination.")
@click.option("--type", "types", multiple=True, help="Events of this type; may be given several times.")
@click.option("--since", type=When(), help="Received after: 2026-11-24T12:00:00Z, or 2h for two hours ago.")
@click.option("--until", type=When(), help="Received before; now when left out.")
@click.option("--state", type=click.Choice(_STATES), help="Deliveries that stand like this.")
@click.option("--all", "everything", is_flag=True, help="Really everything that is in the log.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--wait", is_flag=True, help="Wait until the job has walked the log.")
@gateway_verb
def replay(
    id_: str | None,
    source: str | None,
    destination: str | None,
    types: tuple[str, ...],
    since: str | None,
    until: str | None,
    state: str | None,
    everything: bool,
    dry_run: bool,
    wait: bool,
    data: Path,
    as_json: bool,
) -> None:
    """Make deliveries again from the log, by the routes of today.

    `tidegate replay dlv_...` sends one delivery again, `tidegate replay evt_...` one event, and options choose many.
    Receivers get the same webhook-id as the first time.
    """
    from tidegate.cli.output import print_json

    asked = {
        "source": source,
        "destination": destination,
        "types": list(types) or None,
        "since": since,
        "until": until,
        "state": state,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    client = find_gateway(data)
    if id_ is not None and id_.startswith("dlv_"):
        if given or dry_run:
            raise click.UsageError("a single delivery takes no other choice")
        delivery = client.post(f"/deliveries/{segment(id_)}/retry")
        if as_json:
            print_json(delivery)
        else:
            print(
                f"{id_} to {delivery['destination']} is {delivery['state']} again: tidegate explain {delivery['event']}"
            )
        return
    if id_ is not None:
        given["event"] = id_
    if not given and not everything:
        raise click.UsageError("choose what to replay (--source, --destination, --since, ...), or say --all")
    job = client.post("/replays", {**given, "dry_run": dry_run})
    if wait and not dry_run:
        job = _finished(client, job)
    if as_json:
        print_json(job)
    else:
        _print_job(job, dry_run)


def _finished(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    while not job.get("finished_at"):
        time.sleep(0.2)
        job = client.get(f"/replays/{segment(job['id'])}")
    return job


def _print_job(job: dict[str, Any], dry_run: bool) -> None:
    from tidegate.cli.output import count

    matched = count(job.get("matched", 0), "delivery", "deliveries")
    if dry_run:
        print(f"{matched} would be made again")
    elif job.get("finished_at"):
        print(f"{job['id']}: {matched} chosen, {job.get('reopened', 0):,} made again")
    else:
        print(f"{job['id']} walks the log up to {job.get('upto')}; wait for it with --wait")


@click.command()
@click.argument("source")
@click.argument("type_", metavar="TYPE")
@click.option("--payload", "-d", default="{}", help="The JSON of its data, or @FILE.")
@click.option("--key", help="The event's key.")
@gateway_verb
def trigger(source: str, type_: str, payload: str, key: str | None, data: Path, as_json: bool) -> None:
    """Publish a test event of TYPE in the name of SOURCE, which needs the publish inlet."""
    from tidegate.cli.output import print_json

    try:
        text = Path(payload[1:]).read_text("utf-8") if payload.startswith("@") else payload
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{payload[:60]!r} is no JSON: {error}", param_hint="--payload") from None
    client = find_gateway(data)
    if "publish" not in client.get(f"/sources/{segment(source)}"):
        raise NotBuilt(
            f"'tidegate trigger' for {source!r}, which has no publish inlet, is not built in this release",
            path=f"$.sources.{source}",
            hint=f"add [sources.{source}.publish]",
        )
    event: dict[str, Any] = {"source": source, "type": type_, "data": content}
    if key is not None:
        event["key"] = key
    answer = client.post("/events", event)
    if as_json:
        print_json(answer)
    else:
        print(f"{answer['id']} is in the log: tidegate explain {answer['id']}")
