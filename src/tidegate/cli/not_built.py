"""Commands that are planned and not built in this release: rejected by name, never ignored."""

from __future__ import annotations

import click

from tidegate.core.errors import NotBuilt


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("target", metavar="PORT_OR_URL", nargs=-1)
def listen(target: tuple[str, ...]) -> None:
    """Forward events to a local port (not built yet)."""
    raise NotBuilt(
        "'tidegate listen' is not available in this release",
        hint="add a destination with a local url, and its address to [egress] allow",
    )
