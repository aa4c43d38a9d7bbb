"""`tidegate auth`: the state of credentials, and signing in at a provider without a browser on this machine."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tidegate.cli import Group
from tidegate.cli.client import Client, JsonObject, find_gateway, segment
from tidegate.cli.options import gateway_command

_BADGES = {
    "ready": "delivered", "fixed": "delivered", "no_token_yet": "pending", "expired": "pending",
    "not_connected": "pending", "failing": "exhausted", "dead": "exhausted",
}  # fmt: skip
LOOK_SECONDS = 1.0


@click.group(cls=Group)
def auth() -> None:
    """Show the state of credentials, and sign in at a provider."""


@auth.command()
@gateway_command
def status(data: Path, as_json: bool) -> None:
    """Show each credential: whether it works, when its token ends, which scopes are missing."""
    from tidegate.cli.output import local_time, print_json, state_badge, table

    client = find_gateway(data)
    if as_json:
        print_json(client.get_page("/auth"))
        return
    found = client.every("/auth")
    if not found:
        print("no credentials; a source or destination has one under auth")
        return
    table(
        ("name", "belongs to", "type", "state", "token ends", "used by"),
        [
            (
                one["name"],
                one["belongs_to"],
                one["type"],
                state_badge(_BADGES.get(one["state"], "pending"), label=one["state"].replace("_", " ")),
                local_time(one.get("expires_at")),
                ", ".join(one["used_by"]),
            )
            for one in found
        ],
    )
    _print_problems(found)


def _print_problems(found: list[JsonObject]) -> None:
    from tidegate.cli.output import clean

    for one in found:
        missing = ", ".join(one["missing_scopes"])
        for text in (one["message"], f"scopes not granted: {missing}" if missing else ""):
            if text:
                print(clean(f"{one['name']}: {text}"))
        if one["next"]:
            print(clean(f"  {one['next']}"))


@auth.command()
@click.argument("name")
@click.option("--wait", default=600, show_default=True, help="Seconds to wait for the consent; 0 does not wait.")
@gateway_command
def connect(name: str, wait: int, data: Path, as_json: bool) -> None:
    """Print the address where a person signs in for NAME, and wait until it is done.

    Open the address in a browser on any machine that reaches the gateway's public_url.
    """
    from tidegate.cli.output import clean, print_json

    client = find_gateway(data)
    before = _token_of(client, name)
    begun = client.post(f"/auth/{segment(name)}/connect")
    if as_json:
        print_json(begun)
        return
    print("Open this address in a browser and sign in:")
    print(clean(begun["url"]))
    print(clean(f"The provider sends the browser back to {begun['redirect_uri']}"))
    until = time.monotonic() + wait
    while time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        now = _token_of(client, name)
        if now is not None and now != before:
            print(clean(f"connected: {name}"))
            _print_problems([now])
            return
    if wait:
        raise click.ClickException(f"nobody signed in for {name} within {wait} seconds")


def _token_of(client: Client, name: str) -> JsonObject | None:
    """The state of a credential that has a token now; None while it has none."""
    found = (one for one in client.every("/auth") if name in (one["name"], f"{one['belongs_to']}/{one['name']}"))
    one = next((one for one in found if one["type"] == "oauth2_authorization_code"), None)
    return one if one is not None and one["state"] == "ready" else None
