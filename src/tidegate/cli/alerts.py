"""`tidegate alerts`: list them, acknowledge, mute and unmute.

Each is a call of the API. Nothing is kept here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tidegate.cli import Group
from tidegate.cli.client import JsonObject, find_gateway
from tidegate.cli.options import gateway_command


@click.group(cls=Group, invoke_without_command=True)
@gateway_command
@click.pass_context
def alerts(ctx: click.Context, data: Path, as_json: bool) -> None:
    """Show the alerts and the mutes. With a command: acknowledge, mute or unmute one."""
    if ctx.invoked_subcommand is None:
        _show(find_gateway(data).get("/alerts"), as_json)


@alerts.command("acknowledge")
@click.argument("type")
@click.argument("subject")
@click.option("--note", default="", help="A note for others.")
@gateway_command
def acknowledge(type: str, subject: str, note: str, data: Path, as_json: bool) -> None:
    """Say that you know of an alert: it is not repeated until it ends.

    TYPE and SUBJECT are those of the list: destination.failing destination:crm
    """
    _call("acknowledge", {"type": type, "subject": subject, "note": note}, data, as_json)


@alerts.command("mute")
@click.argument("type")
@click.argument("subject")
@click.option("--for", "for_", default="1h", show_default=True, help="How long: a duration, or forever.")
@click.option("--note", default="", help="A note for others.")
@gateway_command
def mute(type: str, subject: str, for_: str, note: str, data: Path, as_json: bool) -> None:
    """Send nothing about TYPE and SUBJECT for some time. Each can be '*'."""
    _call("mute", {"type": type, "subject": subject, "for": for_, "note": note}, data, as_json)


@alerts.command("unmute")
@click.argument("type")
@click.argument("subject")
@gateway_command
def unmute(type: str, subject: str, data: Path, as_json: bool) -> None:
    """End a mute."""
    _call("unmute", {"type": type, "subject": subject}, data, as_json)


def _call(command: str, body: JsonObject, data: Path, as_json: bool) -> None:
    _show(find_gateway(data).post(f"/alerts/{command}", body), as_json)


def _show(answer: Any, as_json: bool) -> None:
    from rich.text import Text

    from tidegate.cli.output import clean, console, print_json, span_since, state_badge

    if as_json:
        print_json(answer)
        return
    out = console()
    if not answer["enabled"]:
        out.print("alerts are off: [alerts] enabled = false")
    if not answer["data"]:
        out.print("no alerts")
    for one in answer["data"]:
        badge = state_badge("exhausted" if one["severity"] == "error" else "pending", label=one["label"])
        line = Text("  ").append_text(badge).append(f"  {clean(one['type'])} {clean(one['subject'])}", style="bold")
        out.print(line.append(f"{span_since(one['since'])}  {_decided(one)}"))
        out.print(Text(f"      {clean(one['summary'])}"))
        if one["next_step"]:
            out.print(Text(f"      {clean(one['next_step'])}", style="dim"))
    for one in answer["mutes"]:
        until = one["until"] or "forever"
        out.print(Text(f"  muted  {clean(one['type'])} {clean(one['subject'])} until {until}{_by(one)}", style="dim"))


def _decided(one: JsonObject) -> str:
    return "" if one["state"] == "firing" else f"{one['state']}{_by(one)}"


def _by(one: JsonObject) -> str:
    from tidegate.cli.output import clean

    note = f": {clean(one['note'])}" if one["note"] else ""
    return (f" by {clean(one['by'])}" if one["by"] else "") + note
