"""`tidegate rotate`: a new secret for a source or a destination, with the old one accepted for a while.

Owns how the new secret of a source comes in: asked for without echo, read from standard input, or generated. It is
never an argument, because every process of the machine can read those. Crash: the gateway has the new secret, or not.
"""

from __future__ import annotations

import base64
import secrets
import sys
from pathlib import Path

import click

from tidegate.cli.client import ApiError, Client, JsonObject, find_gateway, segment
from tidegate.cli.options import Span, gateway_command


@click.command()
@click.argument("name")
@click.option("--generate", is_flag=True, help="Make a secret and print it, where you choose the secret.")
@click.option("--keep", type=Span(), default="24h", show_default=True, help="How long the old secret is accepted too.")
@gateway_command
def rotate(name: str, generate: bool, keep: str, data: Path, as_json: bool) -> None:
    """Rotate the secret of a source, or of a destination.

    For a source, the command asks for the new secret of the provider, or reads it from standard input. Requests that
    are signed with the old one stay accepted for a day, so run it before or after you change the provider. For a
    destination, Tidegate makes a secret and signs with both for a day.
    """
    client = find_gateway(data)
    webhook = _webhook_of(client, name)
    if webhook is None:
        _destination(client, name, as_json)
        return
    secret = _generated(webhook) if generate else _entered()
    asked = {"secret": secret, "keep": "0s" if keep == "0" else keep}
    answer = client.post(f"/sources/{segment(name)}/rotate", asked)
    _print(name, answer, secret if generate else None, as_json)


def _webhook_of(client: Client, name: str) -> JsonObject | None:
    """The webhook input of the source, None when there is no such source. ApiError when it has none."""
    try:
        source: JsonObject = client.get(f"/sources/{segment(name)}")
    except ApiError as error:
        if error.status != 404:
            raise
        return None
    return dict(source.get("webhook") or {})


def _destination(client: Client, name: str, as_json: bool) -> None:
    from tidegate.cli.output import clean, print_json

    answer = client.post(f"/destinations/{segment(name)}/rotate")
    if as_json:
        print_json(answer)
        return
    print(answer["secret"])
    print(
        f"{clean(name)} signs with this secret and for a day with the old one: give it to the receiver", file=sys.stderr
    )


def _entered() -> str:
    """What was typed without echo, or the first line of standard input. UsageError for nothing."""
    asks = sys.stdin.isatty()
    text = str(click.prompt("new secret", hide_input=True, err=True)) if asks else sys.stdin.readline()
    if not text.strip():
        raise click.UsageError("there is no secret on standard input; type it, pipe it in, or use --generate")
    return text.strip()


def _generated(webhook: JsonObject) -> str:
    """A secret of 32 random bytes, as the scheme writes secrets."""
    from tidegate.providers.shape import load_provider

    verify = webhook.get("verify", "none")
    if isinstance(verify, dict):
        written, prefix = verify.get("secret_encoding", "text"), verify.get("secret_prefix", "")
    else:
        schemes = load_provider(verify).schemes if verify != "none" else ()
        written = schemes[0].secret_encoding if schemes else "text"
        prefix = schemes[0].secret_prefix if schemes else ""
    raw = secrets.token_bytes(32)
    texts = {"hex": raw.hex(), "base64": base64.b64encode(raw).decode()}
    return str(prefix) + texts.get(written, secrets.token_urlsafe(32))


def _print(name: str, answer: JsonObject, made: str | None, as_json: bool) -> None:
    from tidegate.cli.output import clean, count, print_json

    if as_json:
        print_json({**answer, **({"secret": made} if made else {})})
        return
    if made:
        print(made)
    print(f"{clean(name)} accepts {count(answer['secrets'], 'secret')} now", file=sys.stderr)
    if answer["change_file"]:
        print(
            "put the new secret where the configuration file takes it from, then: tidegate config apply",
            file=sys.stderr,
        )
