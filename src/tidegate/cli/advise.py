"""`tidegate advise`: API or webhook for each resource, the figures behind it, and how to follow the advice.

Owns the table, the page of one resource, and the questions of `--apply` and `--undo`. What the API owns is changed by a
call; what the file owns is changed in the file (`advised_file.py`). Nothing is changed before the lines were shown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from tidegate.cli.client import Client, JsonObject, find_gateway, segment
from tidegate.cli.options import ResourceName, gateway_command
from tidegate.core.errors import Conflict

Advised = JsonObject  # one item of GET /advice


class Place(NamedTuple):
    """Where advice is applied, and how the user is asked."""

    client: Client
    file: Path
    data: Path
    yes: bool
    as_json: bool


@click.command()
@click.argument("resources", nargs=-1, type=ResourceName(), metavar="[SOURCE/RESOURCE]...")
@click.option("--window", type=click.Choice(["1h", "24h", "7d", "30d"]), default="7d", show_default=True,
              help="By what was measured in this time.")  # fmt: skip
@click.option("--apply", "applies", is_flag=True, help="Follow the advice, after showing what changes.")
@click.option("--undo", "undoes", is_flag=True, help="Take back what --apply changed last.")
@click.option("--file", default="tidegate.toml", show_default=True, type=click.Path(readable=False, path_type=Path),
              help="The configuration file of the gateway, for sources that it owns.")  # fmt: skip
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a report to send to somebody: HTML, or Markdown for a name that ends in .md.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@gateway_command
def advise(
    resources: tuple[tuple[str, str], ...], window: str, applies: bool, undoes: bool, file: Path,
    report: Path | None, yes: bool, data: Path, as_json: bool,
) -> None:  # fmt: skip
    """API or webhook: what each resource costs, and what to set instead.

    With a SOURCE/RESOURCE, shows the figures behind its advice too. --apply changes the source through the API, or the
    file with its comments and layout, which is then checked and reloaded; a file that is not valid is put back.
    """
    if applies + undoes + (report is not None) > 1:
        raise click.UsageError("--apply, --undo and --report contradict each other; use one")
    client = find_gateway(data)
    if report is not None:
        _write_report(client, report, window, as_json=as_json)
        return
    names = [f"{source}/{resource}" for source, resource in resources]
    advised = _named(client.every("/advice", {"window": window}), names)
    if undoes:
        _undo(Place(client, file, data, yes, as_json), advised if names else [])
    elif applies:
        _apply(Place(client, file, data, yes, as_json), advised, named=bool(names))
    else:
        _show(advised, named=bool(names), as_json=as_json)


def _named(advised: list[Advised], names: list[str]) -> list[Advised]:
    """Those that were named, all without names. UsageError for an unknown name."""
    if not names:
        return advised
    by_name = {one["resource"]: one for one in advised}
    for name in names:
        if name not in by_name:
            from tidegate.config.problems import nearest

            raise click.UsageError(f"there is no resource {name[:80]!r}; {nearest(name, list(by_name), 'resource')}")
    return [by_name[name] for name in dict.fromkeys(names)]


# -- show ------------------------------------------------------------------------------------------------


def _show(advised: list[Advised], *, named: bool, as_json: bool) -> None:
    from tidegate.cli.output import print_json, span, table

    if as_json:
        print_json({"data": advised, "next_cursor": None})
        return
    if not advised:
        print("no resources yet; add one to a source: [sources.NAME.resources.NAME]")
        return
    if named:
        for one in advised:
            _show_one(one)
        return
    table(
        ("resource", "recommendation", "confidence", "requests/day", "empty", "median delay", "reason"),
        [
            (
                one["resource"],
                one["label"],
                one["confidence"],
                _now_and_after(one, "requests_per_day", _figure),
                _share(one["now"].get("empty_share")),
                _now_and_after(one, "delay_p50_seconds", span),
                one["reason"],
            )
            for one in advised
        ],
        right=("requests/day", "empty", "median delay"),
    )
    if any(one["apply"] is not None for one in advised):
        print("the figures of one: tidegate advise SOURCE/RESOURCE; follow it: tidegate advise --apply SOURCE/RESOURCE")


def _show_one(one: Advised) -> None:
    from tidegate.cli.output import clean, span, table

    print(clean(f"{one['resource']}: {one['label']} (confidence {one['confidence']}: {one['confidence_reason']})"))
    print(clean(one["sentence"]))
    for found in one["evidence"]:
        print(clean(f"  {found['name']}: {found['text']}"))
    for text in one["assumptions"]:
        print(clean(f"  Note: {text}"))
    if one["would_change"]:
        print(clean(f"  What would change this: {one['would_change']}"))
    _print_change(one)
    table(
        ("poll every", "requests/day", "median delay", "p99 delay", "empty", "missed", "cost/day"),
        [
            (
                span(point["poll_every_seconds"]),
                _figure(point["requests_per_day"]) + ("" if point["within_limit"] else " (over the limit)"),
                span(point["delay_p50_seconds"]),
                span(point["delay_p99_seconds"]),
                _share(point["empty_share"]),
                _share(point["missed_share"]),
                _figure(point["cost_per_day"]),
            )
            for point in one["curve"]
        ],
        right=("poll every", "requests/day", "median delay", "p99 delay", "empty", "missed", "cost/day"),
    )


def _print_change(one: Advised) -> None:
    from tidegate.cli.output import clean

    if one["apply"] is None:
        return
    for line in one["apply"]["toml"]:
        print(clean(line))
    if one["apply"]["needs"]:
        print(clean(f"First: {one['apply']['needs']}."))


def _now_and_after(one: Advised, name: str, show: Callable[[float | None], str]) -> str:
    """`288 > 96`: as measured, and as expected with the recommendation."""
    now, after = one["now"].get(name), (one["after"] or {}).get(name)
    return show(now) if after is None else f"{show(now)} > {show(after)}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _write_report(client: Client, report: Path, window: str, *, as_json: bool) -> None:
    from tidegate.cli.output import print_wrote

    chosen = "markdown" if report.suffix.lower() in (".md", ".markdown") else "html"
    answer = client.request("GET", "/advice/report", query={"window": window, "format": chosen})
    try:
        report.write_bytes(answer.body)
    except OSError as error:
        raise click.UsageError(f"{str(report)!r} cannot be written: {error.strerror}") from None
    print_wrote([report], as_json)


# -- apply and undo --------------------------------------------------------------------------------------


def _apply(place: Place, advised: list[Advised], *, named: bool) -> None:
    from tidegate.cli.output import print_json

    ready = [one for one in advised if one["apply"] is not None and one["apply"]["ready"]]
    for one in advised if named else []:
        if one not in ready:
            _print_change(one)
            reason = "needs a person first" if one["apply"] is not None else "changes no setting"
            raise Conflict(
                f"the advice for {one['resource']} {reason}: {one['label']}",
                hint=f"tidegate advise {one['resource']}",
                code="nothing_to_apply",
            )
    if not ready:
        print("no advice that can be applied", file=sys.stderr)
    done = []
    for one in ready:
        _ask(one, yes=place.yes)
        wanted = {setting["key"]: setting["after"] for setting in one["apply"]["settings"]}
        if one["apply"]["owner"] == "api":
            place.client.post(_path(one["resource"], "apply"), {"settings": wanted})
        else:
            from tidegate.cli.advised_file import apply_to_file

            apply_to_file(place.client, place.file, place.data, one["resource"], wanted)
        done.append({"resource": one["resource"], "settings": wanted, "owner": one["apply"]["owner"]})
        print(f"applied to {one['resource']}; take it back: tidegate advise --undo {one['resource']}", file=sys.stderr)
    if place.as_json:
        print_json({"applied": done})


def _undo(place: Place, advised: list[Advised]) -> None:
    from tidegate.cli.advised_file import applied_to_file, undo_in_file
    from tidegate.cli.output import print_json

    if not advised:
        raise click.UsageError("name what to undo: tidegate advise --undo SOURCE/RESOURCE")
    for one in advised:
        if one["undo"]:
            place.client.post(_path(one["resource"], "undo"))
        elif applied_to_file(place.data, one["resource"]):
            undo_in_file(place.client, place.file, place.data, one["resource"])
        else:
            raise Conflict(f"no advice was applied to {one['resource']}", hint="tidegate advise", code="no_undo")
        print(f"took back the advice for {one['resource']}", file=sys.stderr)
    if place.as_json:
        print_json({"undone": [one["resource"] for one in advised]})


def _ask(one: Advised, *, yes: bool) -> None:
    """Show the change and ask. Without a terminal, only --yes is an answer."""
    from tidegate.cli.output import clean

    shown: list[Any] = [one["sentence"], *one["apply"]["toml"]]
    for line in shown:
        print(clean(line), file=sys.stderr)
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is nobody to ask; to apply it, add --yes")
    click.confirm(f"Apply this to {one['resource']}?", abort=True, err=True)


def _path(name: str, action: str) -> str:
    source, _, resource = name.partition("/")
    return f"/advice/{segment(source)}/{segment(resource)}/{action}"
