"""Fetch-backs: GET one item, after a webhook that is only a hint, for a tie of versions, or to confirm a delete.

Owns the way from a key to a copy that decides. Requests go through the rate limit of the source, a few at a time.
Knows no schedule. Invariant: 404 and 410 are a delete, 200 is the record, every other answer proves neither. Crash: a
fetch-back that was not committed is made again, because the record is still marked dirty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError, UpstreamError
from tidegate.core.model import Origin
from tidegate.pull.record_writer import RecordWriter
from tidegate.pull.sources import NOT_SENT, POLL_PATIENCE_SECONDS, PullResponse, SourceClient
from tidegate.rules.sync.changes import Copy, make_copy
from tidegate.rules.sync.deletes import is_deleted
from tidegate.rules.sync.items import decoded, field, read_item, record_key, record_version, shown, unwrap
from tidegate.rules.sync.limits import ALWAYS_LIMITED
from tidegate.rules.sync.links import header
from tidegate.rules.sync.paginators import PageRequest
from tidegate.rules.sync.spec import Resource

AT_ONCE = 4
MAX_LIMITED = 3  # tries after "too many requests": others of the same group may have used up what was left


class Fetcher:
    """Fetch-backs of one resource."""

    def __init__(self, source: SourceClient, name: str, resource: Resource, writer: RecordWriter, clock: Clock) -> None:
        self._source = source
        self._name = name
        self._resource = resource
        self._writer = writer
        self._clock = clock

    async def fetch(self, key: str, origin: Origin) -> Copy:
        """The item as the source has it now. UpstreamError when the answer proves nothing."""
        await self._source.prepare(self._resource)
        request = PageRequest(*self._source.item_request(self._name, self._resource, key))
        response = await self._ask(request)
        for _ in range(MAX_LIMITED):
            if response.status not in ALWAYS_LIMITED:
                break
            response = await self._ask(request)  # it waits as long as the source says
        return self.read(key, response, origin)

    async def _ask(self, request: PageRequest) -> PullResponse:
        self._writer.statistics.requests += 1
        self._writer.statistics.fetch_backs += 1
        try:
            response = await self._source.request_page(
                request, self._resource, headers={}, patience_seconds=POLL_PATIENCE_SECONDS, item=True
            )
        except TidegateError as error:
            if error.code != NOT_SENT:
                self._writer.counts.fetch_back(0)
            raise
        self._writer.counts.usage(self._source.usage.take())
        self._writer.counts.fetch_back(len(response.body))
        self._writer.statistics.bytes += len(response.body)
        return response

    def read(self, key: str, response: PullResponse, origin: Origin) -> Copy:
        """The copy in an answer for one item. UpstreamError when the answer has none."""
        gone = response.status in self._resource.gone
        value = None
        if not gone:
            if response.status != 200:
                raise UpstreamError(
                    f"item {key!r}: the source answered {response.status}: {shown(response.body)}",
                    upstream_status=response.status,
                    hint=_hint(response.status, self._resource),
                )
            value = self._record(key, response)
            gone = is_deleted(value, self._resource.deletes)
            gone = gone or (bool(self._resource.gone_path) and field(value, self._resource.gone_path) not in _NOT_GONE)
        return make_copy(
            key,
            None if gone else value,
            ignore=self._resource.ignore,
            version=record_version(value, self._resource.version),
            origin=origin,
            asked_at_us=response.sent_at_us,
            answered_at_us=response.received_at_us,
            deleted=gone,
            fetched=True,
        )

    def _record(self, key: str, response: PullResponse) -> object:
        resource = self._resource
        try:
            content_type = header(response.headers, "content-type") or ""
            body = decoded(response.body, content_type)
            value = unwrap(read_item(body, resource, content_type), resource.primary_key, key, resource.item_selector)
        except ValueError as error:
            text = self._source.masked(str(error))
            raise UpstreamError(f"item {key!r} cannot be read: {text}", code="page_unreadable") from None
        if record_key(value, resource.primary_key) != key:
            raise UpstreamError(
                f"asked for item {key!r}, the answer does not have it at {resource.primary_key!r}: "
                f"{self._source.masked(shown(response.body))}",
                code="page_unreadable",
                hint="set item_selector to the path of the record in the answer, or check item_path and primary_key",
            )
        return value

    async def fetch_all(self, wanted: Sequence[tuple[str, Origin]]) -> tuple[list[Copy], dict[str, TidegateError]]:
        """The copies that could be fetched, at most AT_ONCE requests at a time, and the errors of the others by key."""
        copies: list[Copy] = []
        failures: dict[str, TidegateError] = {}
        for first in range(0, len(wanted), AT_ONCE):
            group = wanted[first : first + AT_ONCE]
            done = await asyncio.gather(*(self.fetch(key, origin) for key, origin in group), return_exceptions=True)
            for (key, _), outcome in zip(group, done, strict=True):
                if isinstance(outcome, Copy):
                    copies.append(outcome)
                elif isinstance(outcome, TidegateError):
                    failures[key] = outcome
                else:
                    raise outcome
        return copies, failures


_NOT_GONE: tuple[object, ...] = (None, False, "", 0, [], {})


def _hint(status: int, resource: Resource) -> str:
    if status == 403 and status not in resource.gone:
        return (
            "if the source answers 403 for deleted items, set gone = [404, 410, 403]; else check what the key may read"
        )
    return "check item_path and params of the resource against the message of the source"
