"""`tidegate explain ID`: one event on one screen.

Owns the layout only: every sentence comes from the gateway (`GET /explain/ID`). Instants are shown in this machine's
time zone, and text from outside is cleaned.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli.client import find_gateway, segment
from tidegate.cli.json_text import json_text, typed
from tidegate.cli.options import gateway_command
from tidegate.query.schemas import AttemptSchema, ExplainedDelivery, Explanation, Fact, RequestSchema
from tidegate.query.sent_requests import FORMATS, copied

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_SHOWN_RESPONSE = 160
_SHOWN_DATA = 1200


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--request", "as_format", type=click.Choice(FORMATS), help="Print a request of this delivery as sent.")
@click.option("--attempt", type=int, help="With --request: the number of the attempt (default: the latest).")
@gateway_command
def explain(id_: str, as_format: str | None, attempt: int | None, data: Path, as_json: bool) -> None:
    """Show where an event went and why. ID is the ID of an event, or of a delivery (dlv_...).

    With --request, print what was sent to a destination, credentials masked: as an HTTP message, or as a command for
    curl, Python or httpie.
    """

    from tidegate.cli.output import print_foreign, print_json

    client = find_gateway(data)
    if as_format is not None:
        if not id_.startswith("dlv_"):
            raise click.UsageError("--request needs the ID of a delivery (dlv_...)")
        text = _request(client.get(f"/deliveries/{segment(id_)}"), attempt, as_format)
        print_foreign(text.encode("utf-8", "surrogatepass") + b"\n")
        return
    if id_.startswith("dlv_"):
        id_ = client.get(f"/deliveries/{segment(id_)}")["event"]
    explained = client.get(f"/explain/{segment(id_)}")
    if as_json:
        print_json(explained)
        return
    _Screen(typed(explained, Explanation)).print()


def _request(delivery: dict[str, Any], number: int | None, as_format: str) -> str:
    """The request of one attempt as text. UsageError without such an attempt or when its request was not kept."""

    made = typed(delivery["attempts"], list[AttemptSchema])
    chosen = [one for one in made if number is None or one.number == number]
    if not chosen:
        raise click.UsageError(f"the delivery has {len(made)} attempts" + (f" and no {number}" if number else ""))
    request = chosen[-1].request
    if not isinstance(request, RequestSchema):
        raise click.UsageError("no request was kept for this attempt: none was sent, or an earlier release sent it")
    return copied(request, as_format)


class _Screen:
    """One explanation as lines on a terminal."""

    def __init__(self, explained: Explanation) -> None:
        from tidegate.cli.output import console

        self.explained = explained
        self.out: Console = console()

    def print(self) -> None:
        self._head()
        self._section("Origin", self.explained.origin)
        self._section("Signature", self.explained.signature)
        self._notes()
        self._section("Delivered to", self.explained.delivered_to)
        for delivery in self.explained.deliveries:
            self._delivery(delivery)
        self._not_delivered()
        self._section("Next", self.explained.next)
        self._findings()

    def _head(self) -> None:
        from tidegate.cli.output import clean, local_time, way_badge

        event = self.explained.event
        line = self._text(clean(event.type), "bold")
        self.out.print(line.append(f"  {clean(event.id)}", style="dim"))
        line = self._text("  ").append_text(way_badge(event.origin))
        parts = [clean(event.source), local_time(event.received_at)]
        if event.key is not None:
            parts.append(f"key {clean(event.key)}")
        self.out.print(line.append("  " + "  ".join(parts)))
        if event.change is not None:
            fields = ", ".join(clean(field) for field in event.change.fields) or "none"
            self.out.print(self._text(f"  changed fields: {fields}"))
        body = json_text(event.data)
        cut = " ..." if len(body) > _SHOWN_DATA else ""
        self.out.print(self._text("  " + clean(body[:_SHOWN_DATA]) + cut, "dim"))

    def _section(self, title: str, fact: Fact) -> None:
        from tidegate.cli.output import clean, local_time

        self._title(title)
        line = self._text(f"  {clean(fact.text)}")
        parts = [f"at {local_time(fact.at)}"] if fact.at else []
        parts += [clean(fact.detail)] if fact.detail else []
        self.out.print(line.append("".join(f"; {part}" for part in parts), style="dim"))

    def _notes(self) -> None:
        from tidegate.cli.output import clean

        for note in self.explained.notes:
            self.out.print(self._text(f"  {clean(note)}", "yellow"))

    def _delivery(self, one: ExplainedDelivery) -> None:
        from tidegate.cli.output import clean, local_time, state_badge

        line = self._text("  ").append_text(state_badge(one.state, retrying=bool(one.attempts)))
        line.append(f"  {clean(one.destination)}", style="bold")
        if one.route:
            line.append(f"  by route {clean(one.route)}", style="dim")
        line.append(f"  {clean(one.id)}", style="dim")
        self.out.print(line)
        for attempt in one.attempts:
            self._attempt(attempt)
        due = f" Next attempt at {local_time(one.next_at)}." if one.next_at else ""
        self.out.print(self._text(f"      {clean(one.status)}{due}"))
        if one.remedy:
            self.out.print(self._text(f"      {clean(one.remedy)}", "dim"))

    def _attempt(self, one: AttemptSchema) -> None:
        from tidegate.cli.output import clean, local_time

        good = one.outcome == "ok"
        status = f"{one.status}" if one.status is not None else "no response"
        line = self._text(f"      {'●' if good else '⊗'} {one.number}  ", "green" if good else "red")
        line.append(f"{local_time(one.started_at)}  {status}  {one.duration_ms:.0f} ms", style="")
        if not good:
            line.append(f"  {clean(one.outcome).replace('_', ' ')}")
            error, body = clean(one.error), clean(one.answer_body[:_SHOWN_RESPONSE])
            line.append("".join(f": {part}" for part in (error, body) if part), style="dim")
        if one.manual:
            line.append("  manual", style="dim")
        self.out.print(line)

    def _not_delivered(self) -> None:
        from tidegate.cli.output import clean

        decisions = [one for one in self.explained.routes if not one.selected]
        if decisions:
            self._title("Not delivered to")
        for one in decisions:
            names = ", ".join(clean(name) for name in one.destinations)
            line = self._text("  · ", "bright_black").append(f"route {clean(one.route)}", style="bold")
            self.out.print(line.append(f"{' to ' + names if names else ''}  {clean(one.reason)}", style=""))

    def _findings(self) -> None:
        from tidegate.cli.findings import print_findings

        if self.explained.findings:
            self._title("Findings")
            print_findings(self.out, self.explained.findings)

    def _title(self, words: str) -> None:
        self.out.print()
        self.out.print(self._text(words, "bold"))

    @staticmethod
    def _text(words: str, style: str = "") -> Text:
        from rich.text import Text

        text = Text()
        return text.append(words, style=style)
