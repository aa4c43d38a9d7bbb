"""Requests to one source: URLs, credentials, and the rate limit that pulls, polls and fetch-backs share.

Owns building requests from the configuration, and that a credential goes only to the origin of its source. Knows no
records, caches or schedules. The HTTP client is handed in; `PullClient` says what it must do. Invariant: every request
goes through `SourceClient.request`, so the rate limit counts all of them. Crash: nothing here is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from tidegate.auth import Added, kind_of
from tidegate.config.spec import ApiInput
from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, NotFound, UpstreamError
from tidegate.core.spec import Resource
from tidegate.core.units import per_second, seconds
from tidegate.rules.sync.paginators import origin_of
from tidegate.rules.sync.upstream_rate_limit import UpstreamRateLimit

MAX_ANSWER_BYTES = 16 << 20
POLL_PATIENCE_SECONDS = 60.0  # the longest that a poll waits for the rate limit at once

Params = Iterable[tuple[str, str]]


class PullResponse(Protocol):
    """A complete answer with its content encoding undone."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def sent_at_us(self) -> int: ...
    @property
    def received_at_us(self) -> int: ...


class PullClient(Protocol):
    """The interface of `tidegate.outbound.http`.

    The path and query of the URL are encoded already and are sent unchanged. Redirects may be followed within
    `origins` only. Raises UpstreamTimeout, UpstreamError (no usable answer) or Blocked (the address guard); any status
    is an answer.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        params: list[tuple[str, str]],
        body: bytes | None = None,
        timeout_seconds: float,
        max_bytes: int = MAX_ANSWER_BYTES,
        origins: frozenset[str],
    ) -> PullResponse: ...


class SourceClient:
    """One source as configured now. Its rate limit stays when the rest of the configuration changes."""

    def __init__(
        self, name: str, api: ApiInput, client: PullClient, clock: Clock, rate_limit: UpstreamRateLimit | None = None
    ) -> None:
        self.name = name
        self.api = api
        self.origin = origin_of(api.base_url)
        self.timeout_seconds = seconds(api.timeout)
        self.rate_limit = rate_limit or UpstreamRateLimit(per_second(api.rate) if api.rate else None)
        self.requests = 0
        self._client = client
        self._clock = clock
        self._origins = frozenset({self.origin})
        added = kind_of(api.auth).add(api.auth) if api.auth is not None else Added()
        self._auth_headers, self._auth_params = dict(added.headers), dict(added.params)

    # -- building requests -------------------------------------------------------------------------------------

    def list_url(self, resource: Resource) -> tuple[str, list[tuple[str, str]]]:
        """(URL, parameters) of a resource's list, without credentials. `params` replaces what `path` sets."""
        url, params = self._join(resource.path)
        kept = [(name, value) for name, value in params if name not in resource.params]
        return url, [*kept, *resource.params.items()]

    def fixed_params(self, resource: Resource) -> frozenset[str]:
        """Names of parameters that only the configuration sets: in URLs and paths, in `params`, for credentials."""
        in_urls = [*self._join(resource.path)[1], *self._join(resource.item_path or "")[1]]
        return frozenset((*(name for name, _ in in_urls), *resource.params, *self._auth_params))

    def item_url(self, name: str, resource: Resource, key: str) -> tuple[str, list[tuple[str, str]]]:
        """(URL, parameters) of one item. NotFound when the resource has no `item_path`, BadRequest for a bad key."""
        if not resource.item_path:
            raise NotFound(
                f"{self.name}/{name} has no item_path, so no single item can be asked for",
                hint=f'set item_path = "{resource.path}/{{id}}" on the resource, or pull the list',
                code="no_item_path",
            )
        return self._join(resource.item_path.replace("{id}", segment(key)))

    def _join(self, path: str) -> tuple[str, list[tuple[str, str]]]:
        base = urlsplit(self.api.base_url)
        path, _, query = path.partition("?")
        joined = f"{base.path.rstrip('/')}/{path.lstrip('/')}" if path else base.path
        url = urlunsplit((base.scheme, base.netloc.rpartition("@")[2], joined, "", ""))
        both = f"{base.query}&{query}" if base.query and query else base.query or query
        return url, parse_qsl(both, keep_blank_values=True)

    def without_credentials(self, params: Params) -> list[tuple[str, str]]:
        """Parameters of a caller or of a next link without those that carry the credentials of the source."""
        return [(name, value) for name, value in params if name not in self._auth_params]

    # -- requests ----------------------------------------------------------------------------------------

    async def request(
        self,
        url: str,
        params: Params,
        *,
        headers: dict[str, str] | None = None,
        patience_seconds: float | None = None,
    ) -> PullResponse:
        """GET within the rate limit. Waits for it at most `patience_seconds` (default: the timeout of the source).

        UpstreamError with code upstream_rate_limited when the wait would be longer; then nothing was sent.
        """
        if origin_of(url) != self.origin:
            raise UpstreamError(
                f"{origin_of(url)} is not {self.origin}: no credential leaves its origin", code="page_foreign"
            )
        await self._wait_for_rate_limit(self.timeout_seconds if patience_seconds is None else patience_seconds)
        self.requests += 1
        response = await self._client.request(
            "GET",
            url,
            headers={
                "Accept": "application/json, */*;q=0.5",
                **self.api.headers,
                **(headers or {}),
                **self._auth_headers,
            },
            params=[*self.without_credentials(params), *self._auth_params.items()],
            timeout_seconds=self.timeout_seconds,
            max_bytes=MAX_ANSWER_BYTES,
            origins=self._origins,
        )
        self.rate_limit.observe(response.status, response.headers, self._clock.monotonic(), self._clock.now_us())
        return response

    async def _wait_for_rate_limit(self, patience_seconds: float) -> None:
        while True:
            wait = self.rate_limit.wait_seconds(self._clock.monotonic())
            if wait > patience_seconds:
                raise UpstreamError(
                    f"{self.name} is rate limited for another {wait:.0f} s (its rate limit, or `rate` of the source)",
                    code="upstream_rate_limited",
                    hint="wait, or raise `rate` in [sources.NAME.api] if the source allows more",
                    retry_after_seconds=wait,
                )
            wait = self.rate_limit.reserve(self._clock.monotonic())
            refused = self.rate_limit.refused_until
            if wait > 0:
                await asyncio.sleep(wait)
            if self.rate_limit.refused_until <= refused:
                return
            patience_seconds -= wait  # the source answered with a rate limit meanwhile


def segment(key: str) -> str:
    """A key as one encoded path segment. BadRequest for keys that a path cannot carry, such as ".."."""
    if key in ("", ".", "..") or "\0" in key:
        raise BadRequest(f"{key!r} cannot be a key in a path", hint="a key is one path segment, and neither . nor ..")
    try:
        return quote(key, safe="")
    except UnicodeEncodeError:
        raise BadRequest(f"{key!r} is not valid text", hint="send the key as UTF-8, percent-encoded") from None
