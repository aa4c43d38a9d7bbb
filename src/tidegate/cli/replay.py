"""`tidegate replay` and `tidegate trigger`: make events be delivered, again or for a test."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from tidegate.cli.client import LONG_SECONDS, ApiError, Client, find_gateway, segment
from tidegate.cli.options import When, gateway_verb
from tidegate.core.errors import NotBuilt

_STATES = ("delivered", "pending", "exhausted", "canceled")


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
    from tidegate.cli.output import print_json, waiting

    asked = {
        "source": source,
        "destination": destination,
        "types": list(types) or None,
        "since": since,
        "until": until,
        "state": state,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    _judge(id_, given, everything, dry_run)
    client = find_gateway(data)
    if id_ is not None and id_.startswith("dlv_"):
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
    with waiting("counting" if dry_run else "asking for it"):
        job = client.post("/replays", {**given, "dry_run": dry_run}, timeout=LONG_SECONDS)
    if wait and not dry_run:
        job = _finished(client, job)
    if as_json:
        print_json(job)
    else:
        _print_job(job, dry_run)


def _judge(id_: str | None, given: dict[str, Any], everything: bool, dry_run: bool) -> None:
    """UsageError for a choice that names nothing, or two things."""
    if id_ is not None and id_.startswith("dlv_") and (given or everything or dry_run):
        raise click.UsageError("a single delivery takes no other choice")
    if everything and (given or id_ is not None):
        raise click.UsageError("--all stands alone: it chooses everything that is in the log")
    if id_ is None and not given and not everything:
        raise click.UsageError("choose what to replay (--source, --destination, --since, ...), or say --all")


def _finished(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """The job when it has walked the log; a terminal is told how far it is."""
    from tidegate.cli.output import waiting

    begin = job["position"]
    with waiting(f"{job['id']} walks the log") as tell:
        while not job.get("finished_at"):
            done = (job["position"] - begin) / max(job["upto"] - begin, 1)
            tell(f"{done:.0%}, {job['matched']:,} chosen so far")
            time.sleep(0.2)
            job = client.get(f"/replays/{segment(job['id'])}")
    return job


def _print_job(job: dict[str, Any], dry_run: bool) -> None:
    from tidegate.cli.output import count

    if job.get("cause"):
        print(f"{job['id']} ended early: {job['cause']}")
        return
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
    """Publish a test event of TYPE in the name of SOURCE, which needs the publish input."""
    from tidegate.cli.output import print_json

    event: dict[str, Any] = {"source": source, "type": type_, "data": _payload(payload)}
    if key is not None:
        event["key"] = key
    try:
        answer = find_gateway(data).post("/events", event)
    except ApiError as error:
        if error.code != "no_publish_input":
            raise
        raise NotBuilt(
            f"{source!r} has no publish input, and 'tidegate trigger' by another one is not available in this release",
            path=f"$.sources.{source}",
            hint=f"add [sources.{source}.publish]",
        ) from None
    if as_json:
        print_json(answer)
    else:
        print(f"{answer['id']} is in the log: tidegate explain {answer['id']}")


def _payload(text: str) -> Any:
    """The JSON of `text`, or of the file behind an @."""
    try:
        return json.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except OSError as error:
        reason = (error.strerror or "it is no file").lower()
        raise click.BadParameter(f"{text[1:]!r} cannot be read: {reason}", param_hint="--payload") from None
    except ValueError as error:
        raise click.BadParameter(f"{text[:60]!r} is no JSON: {error}", param_hint="--payload") from None
