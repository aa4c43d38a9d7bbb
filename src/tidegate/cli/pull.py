"""`tidegate pull`, `poll`, `baseline` and `records`: commands on the resources of sources."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from tidegate.cli.client import LONG_SECONDS, ApiError, ApiResponse, JsonObject, find_gateway, segment
from tidegate.cli.json_text import read_json
from tidegate.cli.options import ResourceName, Span, When, gateway_command


@click.command()
@click.argument("resource", type=ResourceName(), metavar="SOURCE/RESOURCE")
@click.argument("key", required=False)
@click.option(
    "--max-age", type=Span(), help="Maximum age of a cached response, for example 10s; 0 always asks the source."
)
@click.option("--fresh", is_flag=True, help="Same as --max-age 0.")
@click.option(
    "--param",
    "-p",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A query parameter for the source; can be repeated.",
)
@gateway_command
def pull(
    resource: tuple[str, str],
    key: str | None,
    max_age: str | None,
    fresh: bool,
    params: tuple[str, ...],
    data: Path,
    as_json: bool,
) -> None:
    """Get data from a source now and print it unchanged. Without KEY, gets one page of the list.

    With --json, prints {"status", "age_seconds", "cache_status", "content_type", "data"}.
    """
    from tidegate.cli.output import print_foreign

    query: JsonObject = {}
    for pair in params:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--param")
        query.setdefault(name, []).append(value)
    if fresh or max_age is not None:
        query["max_age"] = "0" if fresh else max_age
    path = f"/pull/{segment(resource[0])}/{segment(resource[1])}" + ("" if key is None else f"/{segment(key)}")
    answer = find_gateway(data).request("GET", path, query=query)
    if as_json:
        _print_response(answer)
        return
    print_foreign(answer.body)
    if sys.stdout.isatty():
        print(f"({_cache_note(answer.headers)})", file=sys.stderr)


def _cache_note(headers: Mapping[str, str]) -> str:
    from tidegate.cli.output import clean

    parts = [f"age {headers.get('age', '0')} s"]
    for name in ("cache-status", "warning"):
        if headers.get(name):
            parts.append(clean(headers[name]))
    return ", ".join(parts)


def _print_response(answer: ApiResponse) -> None:

    from tidegate.cli.output import print_json

    try:
        body = read_json(answer.body)
    except ValueError:
        body = answer.body.decode("utf-8", "replace")
    age = answer.headers.get("age", "")
    print_json(
        {
            "status": answer.status,
            "age_seconds": int(age) if age.isdigit() else None,
            "cache_status": answer.headers.get("cache-status"),
            "content_type": answer.headers.get("content-type"),
            "data": body,
        }
    )


@click.command()
@click.argument("resource", type=ResourceName(), metavar="SOURCE/RESOURCE")
@click.option("--accept-deletes", is_flag=True, help="Delete the missing records that max_ratio kept.")
@gateway_command
def poll(resource: tuple[str, str], accept_deletes: bool, data: Path, as_json: bool) -> None:
    """Poll a resource now, in addition to its schedule."""
    _poll(resource, {"accept_deletes": True} if accept_deletes else None, data, as_json)


@click.command()
@click.argument("resource", type=ResourceName(), metavar="SOURCE/RESOURCE")
@gateway_command
def baseline(resource: tuple[str, str], data: Path, as_json: bool) -> None:
    """Take the present state of a resource: all of it becomes records, and nothing becomes a change event."""
    _poll(resource, {"baseline": True}, data, as_json)


def _poll(resource: tuple[str, str], how: JsonObject | None, data: Path, as_json: bool) -> None:
    from tidegate.cli.output import print_json, waiting

    name = "/".join(resource)
    path = f"/sources/{segment(resource[0])}/resources/{segment(resource[1])}/poll"
    client = find_gateway(data)
    with waiting(f"polling {name}"):
        report = client.post(path, how, timeout=LONG_SECONDS)
    if as_json:
        print_json(report)
    else:
        print_report(report)
    if report["error"]:
        raise ApiError(
            f"the poll of {name} failed: {report['error']}",
            code=report["error_code"] or "upstream_failed",
            hint=report["error_hint"] or f"see what the source answers: tidegate pull {name} --fresh",
        )


def print_report(report: JsonObject) -> None:
    """What one run found, what it cost, what ended it, and what it ignored, skipped or could not read."""
    from tidegate.cli.output import clean, count, span

    found = ", ".join(f"{report[word]:,} {word}" for word in ("created", "updated", "deleted") if report[word])
    cost = [
        count(report["requests"], "request"),
        count(report["pages"], "page"),
        count(report["records_seen"], "record"),
    ]
    if report["unreadable"]:
        cost.append(count(report["unreadable"], "unreadable row"))
    if not report["error"]:
        print(f"{report['id']}: {found or 'no changes'} ({', '.join(cost)}, {span(report['duration_us'] / 1e6)})")
    elif report["pages"]:
        print(f"{report['id']}: {found or 'no changes'} before it stopped ({', '.join(cost)})")
    for line in _report_lines(report):
        print(f"  {clean(line)}")


def _report_lines(report: JsonObject) -> list[str]:
    from tidegate.cli.output import span

    lines = []
    if report["ended_by"] not in ("", "single_page", "not_modified"):
        lines.append(f"ended by: {report['ended_by'].replace('_', ' ')}")
    if report["snapshot"] and report["records_seen"]:
        lines.append("snapshot: these records make no events")
    if report["resumed"]:
        lines.append("resumed at the page where the last run stopped")
    if report["retries"]:
        lines.append(f"retried {report['retries']:,} times, {span(report['waited_seconds'])} in all")
    if report["held_seconds"]:
        lines.append(f"held for {span(report['held_seconds'])}: {report['held_reason']}")
    for one in report["findings"]:
        lines.append(f"{one['title']} ({one['count']:,}); {one['remedy']}")
        lines += [f"  {sample}" for sample in one["samples"]]
    return lines


def print_facts(facts: JsonObject) -> None:
    """Name and value, one a line; nested values are indented."""
    from tidegate.cli.output import clean

    for name, value in facts.items():
        words = name.replace("_", " ")
        if isinstance(value, dict):
            print(f"{clean(words)}:")
            for inner, item in value.items():
                print(f"  {clean(inner.replace('_', ' '))}: {clean(item)}")
        else:
            shown = ", ".join(map(str, value)) or "none" if isinstance(value, list) else value
            print(f"{clean(words)}: {clean(shown)}")


@click.command()
@click.argument("resource", type=ResourceName(), metavar="SOURCE/RESOURCE")
@click.argument("key", required=False)
@click.option(
    "--updated-since", type=When(), help="Only records that changed at or after: a time, or 2h for two hours ago."
)
@click.option("--as-of", type=When(), help="As they were then: a time within retention, or 2h for two hours ago.")
@click.option("--deleted", is_flag=True, help="Include deleted records.")
@click.option(
    "--limit", "-n", type=click.IntRange(1, 500), default=50, show_default=True, help="Maximum number of items (1-500)."
)
@click.option("--cursor", help="Continue after the previous page.")
@gateway_command
def records(
    resource: tuple[str, str],
    key: str | None,
    updated_since: str | None,
    as_of: str | None,
    deleted: bool,
    limit: int,
    cursor: str | None,
    data: Path,
    as_json: bool,
) -> None:
    """Show the stored records of a resource, or the one of KEY, without a request to the source."""
    from tidegate.cli.output import local_time, next_page, print_json, span, table

    client = find_gateway(data)
    path = f"/records/{segment(resource[0])}/{segment(resource[1])}"
    more = {"deleted": "true"} if deleted else {}
    more |= {"as_of": as_of} if as_of is not None else {}
    if key is not None:
        print_json(client.get(f"{path}/{segment(key)}", more))
        return
    page = client.get_page(path, {"updated_since": updated_since, "limit": limit, "cursor": cursor, **more})
    if as_json:
        print_json(page)
        return
    if not page["data"]:
        print("no records" if not page.get("next_cursor") else "no records on this page")
        return
    table(
        ("key", "version", "changes", "changed", "origin", "age"),
        [
            (
                record["key"] + (" (deleted)" if record.get("deleted") else ""),
                record.get("version"),
                record.get("number"),
                local_time(record.get("changed_at")),
                record.get("origin"),
                span(record.get("age_seconds")),
            )
            for record in page["data"]
        ],
        right=("changes", "age"),
    )
    if page.get("next_cursor"):
        words = ["--updated-since", updated_since] if updated_since else []
        words += ["--as-of", as_of] if as_of else []
        words += ["--deleted"] if deleted else []
        words += ["--limit", str(limit)] if limit != 50 else []
        print(next_page("records", "/".join(resource), *words, "--cursor", page["next_cursor"]), file=sys.stderr)
