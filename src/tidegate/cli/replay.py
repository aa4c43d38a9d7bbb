"""`tidegate replay`: deliver events again."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from tidegate.cli.client import LONG_SECONDS, Client, JsonObject, find_gateway, segment
from tidegate.cli.json_text import read_json, typed
from tidegate.cli.options import When, gateway_command
from tidegate.query.schemas import ReplaySchema

_STATES = ("delivered", "pending", "exhausted", "canceled")


@click.command()
@click.argument("id_", metavar="[EVENT_OR_DELIVERY]", required=False)
@click.option("--source", help="Only events of this source.")
@click.option("--destination", help="Only deliveries to this destination.")
@click.option("--type", "types", multiple=True, help="Only events of this type; can be repeated.")
@click.option("--since", type=When(), help="Received at or after: 2026-11-24T12:00:00Z, or 2h for two hours ago.")
@click.option("--until", type=When(), help="Received before; the default is now.")
@click.option("--state", type=click.Choice(_STATES), help="Only deliveries in this state.")
@click.option("--all", "everything", is_flag=True, help="All events in the log.")
@click.option("--dry-run", is_flag=True, help="Count the deliveries without replaying them.")
@click.option("--yes", is_flag=True, help="Do not ask before anything is sent.")
@click.option("--wait", is_flag=True, help="Wait until the replay has finished.")
@click.option("--to", metavar="DESTINATION", help="Send one event to this destination, which no route has to name.")
@click.option("--body", type=click.File("rb"), help="With --to: a file with another body; - reads standard input.")
@click.option("--header", "headers", multiple=True, help="With --to: a header to set, 'Name: value'; can be repeated.")
@click.option("--cancel", metavar="REPLAY", help="End a replay that is running (rpl_...).")
@gateway_command
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
    yes: bool,
    wait: bool,
    to: str | None,
    body: BinaryIO | None,
    headers: tuple[str, ...],
    cancel: str | None,
    data: Path,
    as_json: bool,
) -> None:
    """Deliver events from the log again, by the routes of today.

    `tidegate replay dlv_...` replays one delivery and `tidegate replay evt_...` one event; options select many.
    Receivers get the same webhook-id as the first time. Before many deliveries go out, the command counts them and
    asks. `--to` sends one event to any destination, edited or as it is: an edited copy is a new event.
    """
    asked = {"source": source, "destination": destination, "types": list(types) or None}
    asked |= {"since": since, "until": until, "state": state}
    given = {name: value for name, value in asked.items() if value is not None}
    if cancel is not None:
        _cancel(find_gateway(data), cancel, as_json)
        return
    if to is not None:
        _check_direct(id_, given)
        _send_to(find_gateway(data), str(id_), _direct(to, body, headers), as_json)
        return
    _check(id_, given, everything, dry_run)
    client = find_gateway(data)
    if id_ is not None and id_.startswith("dlv_"):
        _replay_delivery(client, id_, as_json)
        return
    if id_ is not None:
        given["event"] = id_
    if not dry_run and not yes:
        _ask(client, given)
    _replay_many(client, given, dry_run, wait, as_json)


def _replay_delivery(client: Client, delivery_id: str, as_json: bool) -> None:
    from tidegate.cli.output import print_json

    delivery = client.post(f"/deliveries/{segment(delivery_id)}/retry")
    if as_json:
        print_json(delivery)
    else:
        print(f"{delivery_id} to {delivery['destination']}: {_last_attempt(delivery)}, now {delivery['state']}")
        print(f"details: tidegate explain {delivery['event']}")


def _replay_many(client: Client, given: dict[str, Any], dry_run: bool, wait: bool, as_json: bool) -> None:
    from tidegate.cli.output import print_json, waiting

    with waiting("counting" if dry_run else "starting the replay"):
        answer = client.post("/replays", {**given, "dry_run": dry_run}, timeout=LONG_SECONDS)
    job = _job(answer)
    if wait and not dry_run:
        job = _finished(client, job)
    if as_json:
        print_json(msgspec.to_builtins(job))
    else:
        _print_job(job, dry_run)


def _ask(client: Client, given: dict[str, Any]) -> None:
    """Count, and ask before anything goes out. Abort when the answer is no; UsageError when nobody can be asked."""
    counted = _job(client.post("/replays", {**given, "dry_run": True}, timeout=LONG_SECONDS))
    question = f"Replay {counted.matched:,} {'delivery' if counted.matched == 1 else 'deliveries'}?"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Add --yes to replay without a question, or --dry-run to count only")
    click.confirm(question, abort=True)


def _cancel(client: Client, replay_id: str, as_json: bool) -> None:
    from tidegate.cli.output import print_json

    answer = client.post(f"/replays/{segment(replay_id)}/cancel")
    if as_json:
        print_json(answer)
    else:
        print(f"{replay_id} is canceled; {_job(answer).reopened:,} deliveries had become pending")


def _check_direct(id_: str | None, given: dict[str, Any]) -> None:
    if id_ is None or not id_.startswith("evt_") or given:
        raise click.UsageError("--to sends one event: tidegate replay evt_... --to DESTINATION")


def _direct(to: str, body: BinaryIO | None, headers: tuple[str, ...]) -> dict[str, Any]:
    """The request of `POST /events/{id}/replay`. A body that is not JSON is sent as a text."""
    asked: dict[str, Any] = {"destination": to}
    if body is not None:
        content = body.read()
        try:
            asked["body"] = read_json(content)
        except ValueError:
            asked["body"] = content.decode("utf-8", "strict")
    pairs = [header.partition(":") for header in headers]
    if any(not colon for _, colon, _ in pairs):
        raise click.UsageError("a header is 'Name: value'")
    if pairs:
        asked["headers"] = {name.strip(): value.strip() for name, _, value in pairs}
    return asked


def _send_to(client: Client, event_id: str, asked: dict[str, Any], as_json: bool) -> None:
    from tidegate.cli.output import print_json

    answer = client.post(f"/events/{segment(event_id)}/replay", asked)
    if as_json:
        print_json(answer)
        return
    copy = "" if answer["event"] == event_id else f" as the edited copy {answer['event']}"
    print(f"{event_id} goes to {asked['destination']}{copy}: tidegate explain {answer['delivery']}")


def _job(answer: object) -> ReplaySchema:
    found: ReplaySchema = typed(answer, ReplaySchema)
    return found


def _last_attempt(delivery: JsonObject) -> str:
    """`attempt 3 was answered 200`, of the latest attempt."""
    attempts = delivery["attempts"]
    if not attempts:
        return "not sent yet"
    last = attempts[-1]
    answer = f"answered {last['status']}" if last["status"] else last["outcome"].replace("_", " ")
    return f"attempt {last['number']}: {answer}"


def _check(id_: str | None, given: JsonObject, everything: bool, dry_run: bool) -> None:
    """UsageError for a selection that is empty or contradictory."""
    if id_ is not None and id_.startswith("dlv_") and (given or everything or dry_run):
        raise click.UsageError("a delivery ID cannot be combined with other options")
    if everything and (given or id_ is not None):
        raise click.UsageError("--all cannot be combined with other options")
    if id_ is None and not given and not everything:
        raise click.UsageError("select what to replay (--source, --destination, --since, ...), or use --all")


def _finished(client: Client, job: ReplaySchema) -> ReplaySchema:
    """The job when it has finished; a terminal shows the progress."""
    from tidegate.cli.output import waiting

    begin = job.committed_offset
    with waiting(f"{job.id} reads the log") as progress:
        while not job.finished_at:
            done = (job.committed_offset - begin) / max(job.upto - begin, 1)
            progress(f"{done:.0%}, {job.matched:,} selected so far")
            time.sleep(0.2)
            job = _job(client.get(f"/replays/{segment(job.id)}"))
    return job


def _print_job(job: ReplaySchema, dry_run: bool) -> None:
    from tidegate.cli.output import count

    if job.cause:
        print(f"{job.id} stopped: {job.cause}")
        return
    matched = count(job.matched, "delivery", "deliveries")
    if dry_run:
        print(f"{matched} would be replayed")
    elif job.finished_at:
        print(f"{job.id}: {matched} selected, {job.reopened:,} reopened")
    else:
        print(f"{job.id} has started and reads the log up to offset {job.upto}; add --wait to wait for it")
