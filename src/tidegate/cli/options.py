"""Options that commands share: the data directory, --json, and types of values."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_DATA = "tidegate-data"
_AGO = re.compile(r"[0-9]+(\.[0-9]+)?(ms|s|m|h|d)")

data_option = click.option(
    "--data",
    envvar="TIDEGATE_DATA",
    default=DEFAULT_DATA,
    show_default=True,
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="The data directory of the gateway.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the response of the API as JSON.")


def gateway_command(function: F) -> F:
    """Adds --data and --json."""
    return data_option(json_option(function))


class When(click.ParamType[Any]):
    """A time: RFC 3339 (2026-11-24T12:00:00Z), or a duration ago (90s, 5m, 2h, 1d). Converts to RFC 3339 text."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from tidegate.core import clock, units

        if _AGO.fullmatch(value):
            return clock.rfc3339(clock.Clock().now_us() - int(units.seconds(value) * 1e6)) or ""
        try:
            return clock.rfc3339(clock.parse_instant(value)) or ""
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time (examples: 2026-11-24T12:00:00Z, 2h)", param, ctx)


class Span(click.ParamType[Any]):
    """A duration such as 90d, or 0. Converts to its text."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from tidegate.core import units

        try:
            units.seconds("0s" if value == "0" else value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Port(click.ParamType[Any]):
    """A port, 0 for a free one."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if (isinstance(value, int) or (value.isascii() and value.isdigit())) and 0 <= int(value) <= 65535:
            return int(value)
        return self.fail(f"{value!r} is not a port (allowed: 0 to 65535)", param, ctx)


class ResourceName(click.ParamType[Any]):
    """SOURCE/RESOURCE, given as a pair."""

    name = "source/resource"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        source, slash, resource = value.partition("/")
        if not slash or not source or not resource or "/" in resource:
            self.fail(f"{value!r} is not SOURCE/RESOURCE (example: shop/orders)", param, ctx)
        return source, resource
