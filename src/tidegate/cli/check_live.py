"""`tidegate check --live`: asks each resource of a file once, and says what its first page has.

Owns one request a resource, within the rate of its source, and what is printed about it. Changes nothing and stores
nothing. Invariant: a resource that cannot be asked is named with the reason, never left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from tidegate.config.spec import Config
from tidegate.core.errors import TidegateError
from tidegate.rules.sync.spec import Resource

PATIENCE_SECONDS = 10.0


class LiveResult(msgspec.Struct, frozen=True):
    """One resource, asked once. `error` is "" when its first page can be read."""

    name: str
    rows: int = 0
    unreadable: int = 0
    next_page: str = ""  # what leads to the next page, or why there is none
    problems: list[str] = []
    error: str = ""
    hint: str = ""
    status: int = 0  # that the API answered, when this is the error
    records: list[str] = []  # the first rows, as JSON


async def ask_all(config: Config, keep: int = 0) -> AsyncIterator[LiveResult]:
    """Ask every resource of every source that has an API, one after the other. `keep`: how many rows are returned."""
    from tidegate.core.clock import Clock
    from tidegate.outbound.dialer import Dialer, Guard
    from tidegate.outbound.http import PullClient
    from tidegate.pull.sources import SourceClient
    from tidegate.rules.outbound.addresses import parse_allow

    clock = Clock()
    http = PullClient(Dialer(Guard(parse_allow(config.egress.allow)), clock), clock)
    try:
        for source_name, source in config.sources.items():
            if source.api is None:
                continue
            client = SourceClient(source_name, source.api, http, clock)
            for name, resource in source.resources.items():
                label = f"{source_name}/{name}"
                if resource.parent is not None:
                    yield LiveResult(label, next_page=f"not asked: it needs a record of {resource.parent.resource}")
                    continue
                try:
                    yield await _ask(label, client, resource, keep)
                except TidegateError as error:
                    yield _failed(label, error)
    finally:
        await http.close()


def _failed(label: str, error: TidegateError) -> LiveResult:
    from tidegate.core.errors import UpstreamError

    status = getattr(error, "upstream_status", None)
    hint = error.hint
    if status is None and hint == UpstreamError.hint:
        hint = "check base_url, and that this machine reaches that address"
    return LiveResult(label, error=error.message, hint=hint, status=status or 0)


async def _ask(label: str, client: Any, resource: Resource, keep: int) -> LiveResult:
    from tidegate.core.errors import UpstreamError
    from tidegate.pull.page_requests import hint_for_status
    from tidegate.rules.language.view import MISSING
    from tidegate.rules.sync.items import decoded, item_value, read_page, row_key, row_text, shown
    from tidegate.rules.sync.links import header
    from tidegate.rules.sync.page_end import PageWalk
    from tidegate.rules.sync.paginators import PageAnswer, first_number, first_request, next_page

    request = first_request(resource.paginator, client.list_request(resource))
    response = await client.request_page(request, resource, headers={}, patience_seconds=PATIENCE_SECONDS)
    if not 200 <= response.status < 300 and response.status not in resource.empty:
        status = response.status
        raise UpstreamError(
            f"the source answered {status}: {shown(response.body)}", upstream_status=status,
            hint=hint_for_status(status, label.partition("/")[0]),
        )  # fmt: skip
    content_type = header(response.headers, "content-type") or ""
    try:
        page = read_page(response.status, decoded(response.body, content_type), resource, content_type)
    except ValueError as error:
        hint = "set data_selector and format to fit the answer"
        if "HTML" in str(error):
            hint = "check that base_url is the address of the API; HTML is often a page to sign in"
        return LiveResult(label, error=f"the first page cannot be read: {error}", hint=hint)
    problems: list[str] = []
    for row in page.rows:
        try:
            row_key(item_value(row), resource.primary_key)
        except ValueError as error:
            problems.append(str(error))
    walk = PageWalk(base=first_number(resource.paginator, request))
    answer = PageAnswer(response.headers, page.body, len(page.rows), page.rows[-1] if page.rows else MISSING)
    following = next_page(resource.paginator, request, answer, walk, client.origins_of(resource))
    ended = walk.ended_by.value.replace("_", " ") if walk.ended_by is not None else ""
    leads = walk.found_by or ("there is a next page" if following is not None else f"one page: {ended}")
    notes = [f"the list is empty ({page.empty_form})"] if page.empty_form else []
    notes += [f"pages that are not read: {walk.overlooked}"] if walk.overlooked else []
    samples = list(dict.fromkeys(problems))[:3]
    notes = [*samples, *notes, *walk.contradictions]
    records = [row_text(row) for row in page.rows[:keep]]
    if problems and len(problems) == len(page.rows):
        said = f"none of the {len(page.rows)} rows of the first page can be read: {samples[0]}"
        return LiveResult(label, len(page.rows), len(problems), leads, error=said, records=records,
                          hint="set data_selector and primary_key to fit the rows")  # fmt: skip
    return LiveResult(label, len(page.rows), len(problems), leads, notes, records=records)


async def run(config: Config, results: list[LiveResult], show: Callable[[LiveResult], None]) -> None:
    """Ask all and show each result when it is there."""
    async for one in ask_all(config):
        results.append(one)
        show(one)


def show(one: LiveResult) -> None:
    """One resource as lines of text."""
    from tidegate.cli.output import clean, count

    if one.error:
        print(f"{one.name}: {clean(one.error)}")
        if one.hint:
            print(f"  hint: {clean(one.hint)}")
        _show_records(one)
        return
    print(f"{one.name}: {count(one.rows, 'row')}, {clean(one.next_page)}")
    if one.unreadable:
        print(f"  {count(one.unreadable, 'row')} cannot be read")
    for text in one.problems:
        print(f"  {clean(text)}")
    _show_records(one)


def _show_records(one: LiveResult) -> None:
    from tidegate.cli.output import clean

    for text in one.records:
        print(f"  {clean(text)[:300]}")
