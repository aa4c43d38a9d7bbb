"""`tidegate check` and `tidegate init`: commands on files, without a gateway."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from tidegate.cli import check_live
from tidegate.cli.check_live import LiveResult
from tidegate.cli.client import JsonObject
from tidegate.cli.options import json_option
from tidegate.config.spec import Config
from tidegate.core.errors import ConfigError, Conflict

STARTER = """#:schema ./tidegate.schema.json
# The configuration of this gateway. Check it with: tidegate check tidegate.toml
# Values can be ${env:NAME} or ${file:PATH}. A variable that is not set is an error before anything starts.

[gateway]
# public_url = "https://gate.example.com"   # required by providers that sign the URL

[egress]
# Requests to private addresses are blocked unless they are listed here.
# allow = ["127.0.0.1/32"]

[retention]
events = "30d"

# -- sources: systems that send events or are polled ---------------------------------------------------

# Events published with POST /api/v1/events and a key from: tidegate keys create NAME --scope publish --source app
[sources.app.publish]

# Webhooks of a provider, received at POST /in/payments.
# [sources.payments.webhook]
# verify = "stripe"
# secret = "${env:STRIPE_SECRET}"

# An API without webhooks: polling turns it into a stream of changes.
# [sources.shop.api]
# base_url = "https://shop.example.com/api"
# auth = { type = "bearer", token = "${env:SHOP_TOKEN}" }
#
# [sources.shop.resources.orders]
# path = "/orders"
# item_path = "/orders/{id}"
# data_selector = "orders"
# version = "updated_at"
# paginator = { type = "header_link" }
# incremental = { cursor_path = "updated_at", param = "updated_since", lag = "10s" }
# poll = "5m"

# -- destinations: systems that receive events ---------------------------------------------------------

# [destinations.crm]
# url = "https://crm.example.com/hooks"
# retry = ["5s", "5m", "30m", "2h", "5h", "10h", "10h"]

# -- routes: which events go to which destination ------------------------------------------------------

# [routes.app-to-crm]
# from = "app"
# to = "crm"
# types = ["order.*"]
"""


@click.command()
@click.argument("file", default="tidegate.toml", type=click.Path(readable=False, path_type=Path))
@click.option("--live", is_flag=True, help="Also ask each resource once, and say what its first page has.")
@json_option
def check(file: Path, live: bool, as_json: bool) -> int:
    """Check a configuration FILE. Lists every problem with its line; exits 2 if there is one.

    With --live, exits 1 when a resource cannot be read.
    """
    from tidegate.cli.output import count, print_error, print_json
    from tidegate.config.load import load_file

    try:
        loaded = load_file(file, os.environ)
    except ConfigError as error:
        if not as_json:
            return print_error(error)
        print_json({"ok": False, "errors": [_as_json(one) for one in getattr(error, "problems", (error,))]})
        return 2
    config = loaded.config
    if as_json:
        counts = {
            "sources": len(config.sources),
            "destinations": len(config.destinations),
            "routes": len(config.routes),
        }
        asked = _live(config, lambda one: None) if live else []
        ok = not any(one.error or one.unreadable for one in asked)
        found = {"live": msgspec.to_builtins(asked)} if live else {}
        print_json({"ok": ok, "warnings": list(loaded.warnings), **counts, **found})
        return 0 if ok else 1
    for warning in loaded.warnings:
        print(f"warning: {warning}")
    things = (
        count(len(config.sources), "source"),
        count(len(config.destinations), "destination"),
        count(len(config.routes), "route"),
    )
    print(f"{file} is valid: {', '.join(things)}")
    if not live:
        return 0
    return 1 if any(one.error or one.unreadable for one in _live(config, check_live.show)) else 0


def _live(config: Config, show: Callable[[LiveResult], None]) -> list[LiveResult]:
    results: list[LiveResult] = []
    asyncio.run(check_live.run(config, results, show))
    return results


def _as_json(error: ConfigError) -> JsonObject:
    return {
        "code": error.code,
        "message": error.message,
        "path": error.path,
        "where": error.where,
        "hint": error.hint,
    }


@click.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False, readable=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace an existing tidegate.toml.")
@json_option
def init(directory: Path, force: bool, as_json: bool) -> None:
    """Write a commented tidegate.toml and tidegate.schema.json into DIRECTORY."""
    from tidegate.cli.output import print_wrote
    from tidegate.config.schema import SCHEMA_FILE, schema_text

    file = directory / "tidegate.toml"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if file.exists() and not force:
            raise Conflict(
                f"{file} already exists", hint=f"tidegate check {file}, or tidegate init --force", code="exists"
            )
        file.write_text(STARTER, "utf-8")
        (directory / SCHEMA_FILE).write_text(schema_text(), "utf-8")
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be written: {(error.strerror or type(error).__name__).lower()}",
            code="config_unreadable",
            hint="choose another directory",
        ) from None
    print_wrote([file, directory / SCHEMA_FILE], as_json)
    if not as_json:
        print(f"next: tidegate serve --config {file}")
