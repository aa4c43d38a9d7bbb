"""`tidegate explain ID`: one event on one screen.

What it was, whether it was genuine, who got it with every attempt, who did not and why, what happens next. The
answers are the gateway's (`GET /explain/ID`); this file only tells them. Text of outsiders is cleaned.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli.client import ApiError, Client, find_gateway, segment
from tidegate.cli.options import gateway_verb

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_LEARNT = {
    "publish": "it was published with a key for this source",
    "form": "a form input takes what anybody sends; nothing is signed",
    "poll": "the gateway asked the source and found the change itself",
    "reconcile": "the gateway asked the source and found what a webhook had missed",
    "pull": "the gateway asked the source on demand and found the change",
    "imap": "it was read from the mailbox",
}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_SHOWN_ANSWER = 160
_SHOWN_DATA = 1200


@click.command()
@click.argument("id_", metavar="ID")
@gateway_verb
def explain(id_: str, data: Path, as_json: bool) -> None:
    """Say where one event went, and why. ID is of an event, or of a delivery (dlv_...)."""
    from tidegate.cli.output import print_json

    client = find_gateway(data)
    if id_.startswith("dlv_"):
        id_ = client.get(f"/deliveries/{segment(id_)}")["event"]
    told = client.get(f"/explain/{segment(id_)}")
    if as_json:
        print_json(told)
        return
    _Page(told, _verify(client, told["event"])).print()


def _verify(client: Client, event: dict[str, Any]) -> str:
    """How the webhooks of the source are verified today; "" when that cannot be told (it is gone, or not ours)."""
    if event["origin"] != "webhook":
        return ""
    try:
        source = client.get(f"/sources/{segment(event['source'])}")
    except ApiError:
        return ""
    verify = source.get("webhook", {}).get("verify", "")
    return verify if isinstance(verify, str) else "hmac"


class _Page:
    def __init__(self, told: dict[str, Any], verify: str) -> None:
        from tidegate.cli.output import console

        self.told = told
        self.event: dict[str, Any] = told["event"]
        self.verify = verify
        self.out: Console = console()

    def print(self) -> None:
        self._head()
        self._genuine()
        self._who()
        self._who_not()
        self._next()

    # -- sections ----------------------------------------------------------------------------------------

    def _head(self) -> None:
        from tidegate.cli.output import clean, local_time, way_sign

        event = self.event
        line = self._text(clean(event["type"]), "bold")
        line.append(f"  {clean(event['id'])}", style="dim")
        self.out.print(line)
        line = self._text("  ").append_text(way_sign(event["origin"]))
        parts = [clean(event["source"]), local_time(event["received_at"])]
        if event.get("key") is not None:
            parts.append(f"key {clean(event['key'])}")
        if event.get("body_bytes") is not None:
            parts.append(f"{event['body_bytes']:,} bytes")
        self.out.print(line.append("  " + "  ".join(parts)))
        change = event.get("change")
        if change:
            fields = ", ".join(clean(field) for field in change.get("fields", [])) or "nothing by name"
            self.out.print(self._text(f"  change {change.get('number')} of this record; differs in: {fields}"))
        body = json.dumps(event.get("data"), ensure_ascii=False)
        self.out.print(
            self._text("  " + clean(body[:_SHOWN_DATA]) + (" ..." if len(body) > _SHOWN_DATA else ""), "dim")
        )

    def _genuine(self) -> None:
        from tidegate.cli.output import clean

        self._title("Was it genuine?")
        origin = self.event["origin"]
        if origin != "webhook":
            words = _LEARNT.get(origin, "")
        elif self.verify == "none":
            words = 'not checked: the source has verify = "none"'
        elif self.verify:
            words = f"yes, its signature was verified before it was taken ({clean(self.verify)} today)"
        else:
            words = "its signature was verified as the source demanded then; the source cannot be asked now"
        self.out.print(self._text(f"  {words}"))
        if self.event.get("differs"):
            self.out.print(
                self._text("  the same delivery id came again with another body; the first one is kept", "yellow")
            )
        for note in self.told.get("notes", []):
            self.out.print(self._text(f"  {clean(note)}", "yellow"))

    def _who(self) -> None:
        from tidegate.cli.output import clean

        self._title("Who got it")
        deliveries = self.told.get("deliveries", [])
        if not deliveries:
            fed = ", ".join(clean(name) for name in self.told.get("fed", []))
            words = f"the records of {fed}; no route takes it as it came" if fed else "nobody: no route wanted it"
            self.out.print(self._text(f"  {words}"))
        for delivery in deliveries:
            self._delivery(delivery)

    def _delivery(self, delivery: dict[str, Any]) -> None:
        from tidegate.cli.output import clean, local_time, state_sign

        attempts = delivery.get("attempts", [])
        line = self._text("  ").append_text(state_sign(delivery["state"], retrying=bool(attempts)))
        line.append(f"  {clean(delivery['destination'])}", style="bold")
        if delivery.get("route"):
            line.append(f"  by route {clean(delivery['route'])}", style="dim")
        if delivery.get("cause") and delivery["state"] != "delivered":
            line.append(f"  {clean(delivery['cause']).replace('_', ' ')}")
        self.out.print(line)
        for attempt in attempts:
            self._attempt(attempt)
        if delivery.get("next_attempt_at"):
            self.out.print(self._text(f"      ○ next try {local_time(delivery['next_attempt_at'])}", "yellow"))

    def _attempt(self, attempt: dict[str, Any]) -> None:
        from tidegate.cli.output import clean, local_time

        good = attempt["outcome"] == "ok"
        answer = f"{attempt['status']}" if attempt.get("status") is not None else "no answer"
        line = self._text(f"      {'●' if good else '⊗'} {attempt['number']}  ", "green" if good else "red")
        line.append(f"{local_time(attempt['started_at'])}  {answer}  {attempt.get('duration_ms', 0):.0f} ms", style="")
        if not good:
            line.append(f"  {clean(attempt['outcome']).replace('_', ' ')}")
            told = clean(attempt.get("error") or "")
            body = clean((attempt.get("answer_body") or "")[:_SHOWN_ANSWER])
            line.append("".join(f": {part}" for part in (told, body) if part), style="dim")
        if attempt.get("manual"):
            line.append("  asked for by a person", style="dim")
        self.out.print(line)

    def _who_not(self) -> None:
        from tidegate.cli.output import clean

        refused = [verdict for verdict in self.told.get("routes", []) if not verdict.get("took")]
        if not refused:
            return
        self._title("Who did not, and why")
        for verdict in refused:
            names = ", ".join(clean(name) for name in verdict.get("destinations", []))
            line = self._text("  · ", "bright_black").append(f"route {clean(verdict['route'])}", style="bold")
            line.append(f"{' to ' + names if names else ''}  {clean(verdict.get('reason'))}", style="")
            self.out.print(line)

    def _next(self) -> None:
        from tidegate.cli.output import clean, local_time

        self._title("What happens next")
        for line in self.told.get("next", []) or ["nothing: it is settled"]:
            told = _INSTANT.sub(lambda match: local_time(match[0]), clean(line))
            self.out.print(self._text(f"  {told}"))

    # -- small parts -------------------------------------------------------------------------------------

    def _title(self, words: str) -> None:
        self.out.print()
        self.out.print(self._text(words, "bold"))

    @staticmethod
    def _text(words: str, style: str = "") -> Text:
        from rich.text import Text

        text = Text()
        return text.append(words, style=style)
