"""Requests to one source: URLs, credentials, and the rate limit that pulls, polls and fetch-backs share.

Owns building requests from the configuration, and that a credential goes only to the origin of its source. Knows no
records, caches or schedules. The HTTP client is handed in; `PullClient` says what it must do. Invariant: every request
goes through `SourceClient.request`, so the rate limit counts all of them. Crash: nothing here is durable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode, urlsplit, urlunsplit

import msgspec

from tidegate.auth import Added, RequestFacts, client_certificate
from tidegate.config.spec import ApiInput
from tidegate.core.clock import Clock
from tidegate.core.errors import BadRequest, NotFound, TidegateError, UpstreamError
from tidegate.core.model import JsonObject
from tidegate.core.units import seconds
from tidegate.outbound.credentials import NO_CREDENTIAL, Credential, Credentials
from tidegate.outbound.rate_budgets import RateBudget
from tidegate.pull.own_credentials import OwnCredentials
from tidegate.pull.source_address import SourceAddress
from tidegate.pull.usage import Usage
from tidegate.rules.language.numbers import encode_json
from tidegate.rules.outbound.connect_options import ConnectOptions
from tidegate.rules.outbound.proxies import connect_options
from tidegate.rules.sync.base_urls import place_of
from tidegate.rules.sync.incremental import end_value
from tidegate.rules.sync.items import key_parts
from tidegate.rules.sync.limits import said
from tidegate.rules.sync.links import origin_of
from tidegate.rules.sync.paginators import PageRequest
from tidegate.rules.sync.placeholders import (
    END,
    START,
    Scalar,
    Values,
    fill_header,
    fill_json,
    fill_mapping,
    fill_path,
    fill_text,
    text_of,
)
from tidegate.rules.sync.spec import Resource
from tidegate.rules.sync.upstream_rate_limit import UpstreamRateLimit

MAX_ANSWER_BYTES = 16 << 20
POLL_PATIENCE_SECONDS = 60.0  # the longest that a poll waits for the rate limit at once

LIMIT_REACHED = 429
NOT_SENT = "upstream_rate_limited"  # the code of the error when a request would wait too long
MAX_NOTES = 20
CAPTURED = b"{credential."  # a placeholder of what was kept of the token answer
MAX_ERROR_BYTES = 65_536  # of the body of an error that repeats a credential

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


class Answered(msgspec.Struct, frozen=True):
    """A `PullResponse` with another body or other headers."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    sent_at_us: int
    received_at_us: int


class ApiRequest(msgspec.Struct, frozen=True):
    """A request without its credential."""

    method: str
    url: str
    headers: dict[str, str]
    params: list[tuple[str, str]]
    body: bytes | None
    origins: frozenset[str]

    def facts(self, clock: Clock) -> RequestFacts:
        """What a credential that signs each request needs."""
        url = self.url
        if self.params:
            url += ("&" if "?" in url else "?") + urlencode(self.params, quote_via=quote)
        return RequestFacts(
            self.method, url, tuple(self.headers.items()), self.body or b"", clock.now_us() // 1_000_000
        )


class PullClient(Protocol):
    """The interface of `tidegate.outbound.http`. `through` gives one with an own authority, certificate or proxy.

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

    def through(self, options: ConnectOptions | None) -> PullClient: ...


class SourceLimits(msgspec.Struct, frozen=True):
    """`quota`: what answers of the source say. `budgets`: the configured rates, shared by all nodes."""

    quota: UpstreamRateLimit
    budgets: Sequence[RateBudget] = ()


class SourceClient:
    """One source as configured now. Its rate limit stays when the rest of the configuration changes."""

    def __init__(
        self,
        name: str,
        api: ApiInput,
        client: PullClient,
        clock: Clock,
        limits: SourceLimits | None = None,
        credential: Credential | None = None,
    ) -> None:
        self.name = name
        self.api = api
        self.timeout_seconds = seconds(api.timeout)
        limits = limits or SourceLimits(UpstreamRateLimit())
        self.rate_limit, self._budgets = limits.quota, limits.budgets
        self.requests = 0
        self.usage = Usage()
        options = connect_options(api.ca, api.proxy, client_certificate(api.auth))
        self._client = client if options is None else client.through(options)
        self._clock = clock
        self.credential = credential or Credentials().of(f"source/{name}", api.auth, place_of(api.base_url))
        self.place = SourceAddress(name, api, self.credential)
        self._auth_params = dict(self.credential.always.params)
        self._notes: list[tuple[str, str]] = []
        self._own = OwnCredentials(self._auth_params)

    # -- building requests -------------------------------------------------------------------------------

    def list_request(self, resource: Resource, values: Values | None = None) -> PageRequest:
        """The request for the list of a resource, without credentials and without a page.

        `values` of placeholders; None takes those of a pull: `with`, and `initial_value` as the start. BadRequest when
        a placeholder has no value.
        """
        values = self.values(resource, initial_value(resource)) if values is None else values
        try:
            url, params = self._join(fill_path(resource.path, values))
            return PageRequest(url, with_params(params, resource.params, values), fill_json(resource.json, values))
        except ValueError as error:
            raise BadRequest(
                f"the request for {self.name}{resource.path} cannot be made: {error}",
                hint="check the placeholders in path, params and json of the resource",
                code="placeholder_unfilled",
            ) from None

    async def prepare(self, resource: Resource) -> None:
        """Before requests are built: what was captured with a token is there when the resource names it."""
        if self.place.names_captured or CAPTURED in msgspec.json.encode(resource):
            await self.credential.get(None)

    def values(
        self, resource: Resource, start: str | None, parent: Mapping[str, Scalar | None] | None = None
    ) -> Values:
        """The placeholders of a resource. `start`: of an incremental run; `parent`: fields of the parent record."""
        end = end_value(self._clock.now_us(), resource.incremental, start)
        values: dict[str, Scalar | None] = {START: start, END: end}
        values.update((f"with.{name}", value) for name, value in resource.with_.items())
        values.update((f"credential.{name}", value) for name, value in self.credential.captured.items())
        if resource.parent is not None:
            values.update((f"resources.{resource.parent.resource}.{name}", one) for name, one in (parent or {}).items())
        return values

    def headers_of(self, resource: Resource, values: Values) -> dict[str, str]:
        """The headers of a resource; one whose placeholder has no value is left out."""
        try:
            return fill_mapping(resource.headers, values, fill_header)
        except ValueError as error:
            raise BadRequest(
                f"the headers of {self.name}{resource.path} cannot be made: {error}",
                hint="check the placeholders in headers of the resource",
                code="placeholder_unfilled",
            ) from None

    def fixed_params(self, resource: Resource) -> frozenset[str]:
        """Names of parameters that only the configuration sets: in URLs and paths, in `params`, for credentials."""
        urls = (self.api.base_url, resource.path, resource.item_path or "")
        in_urls = [one for url in urls for one in parse_qsl(url.partition("?")[2], keep_blank_values=True)]
        own = (*resource.params, *(resource.item_params or ()))
        return frozenset((*(name for name, _ in in_urls), *own, *self._auth_params))

    def item_request(self, name: str, resource: Resource, key: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        """(URL, parameters) of one item, without credentials.

        NotFound when the resource has no `item_path`, BadRequest for a key that a path cannot carry.
        """
        if not resource.item_path:
            raise NotFound(
                f"{self.name}/{name} has no item_path, so no single item can be asked for",
                hint=f'set item_path = "{resource.path}/{{id}}" on the resource, or pull the list',
                code="no_item_path",
            )
        path = resource.item_path
        if isinstance(resource.primary_key, list):
            for place, part in zip(resource.primary_key, key_parts(key), strict=False):
                path = path.replace(f"{{{place}}}", segment(part))
        path = path.replace("{id}", segment(key))
        values = self.values(resource, None)
        try:
            url, params = self._join(fill_path(path, values))
            own = resource.params if resource.item_params is None else resource.item_params
            return url, with_params(params, own, values)
        except ValueError as error:
            raise BadRequest(
                f"the request for item {key!r} of {self.name}/{name} cannot be made: {error}",
                hint="item_path and params of items may use {id} and {with.NAME}",
                code="placeholder_unfilled",
            ) from None

    def address(self, path: str) -> tuple[str, list[tuple[str, str]]]:
        """(URL, parameters) of a path below `base_url`, without credentials."""
        return self._join(path)

    def origins_of(self, resource: Resource) -> frozenset[str]:
        """The origins that next links of a resource may name."""
        return frozenset({self.place.origin}) | {origin_of(one) for one in resource.origins}

    def _join(self, path: str) -> tuple[str, list[tuple[str, str]]]:
        base = urlsplit(self.place.url)
        path, _, query = path.partition("?")
        joined = f"{base.path.rstrip('/')}/{path.lstrip('/')}" if path else base.path
        url = urlunsplit((base.scheme, base.netloc.rpartition("@")[2], joined, "", ""))
        both = f"{base.query}&{query}" if base.query and query else base.query or query
        return url, parse_qsl(both, keep_blank_values=True)

    def without_credentials(self, params: Params) -> list[tuple[str, str]]:
        """Parameters of a caller without those that carry the credentials of the source."""
        return [(name, value) for name, value in params if name not in self._auth_params]

    def _url_without_credentials(self, url: str) -> str:
        """A next link without credentials, everything else of its query byte for byte."""
        if not self._auth_params or "?" not in url:
            return url
        base, _, query = url.partition("?")
        kept = [pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]) not in self._auth_params]
        return f"{base}?{'&'.join(kept)}" if kept else base

    # -- requests ----------------------------------------------------------------------------------------

    async def request_page(
        self,
        request: PageRequest,
        resource: Resource,
        *,
        headers: dict[str, str],
        patience_seconds: float,
        item: bool = False,
    ) -> PullResponse:
        """Ask for a page of a list, or for one item (always by GET), as the resource says."""
        headers = {
            **self.headers_of(resource, self.values(resource, None if item else initial_value(resource))),
            **headers,
        }
        sent: tuple[str, bytes | None] = ("GET", None)
        if not item and (resource.method != "GET" or request.body is not None):
            headers = {"Content-Type": "application/json", **headers}
            sent = (resource.method, b"" if request.body is None else encode_json(request.body))
        return await self.request(
            request.url,
            request.params,
            headers=headers,
            patience_seconds=patience_seconds,
            origins=self.origins_of(resource),
            sent=sent,
            share_credential=resource.share_credential,
        )

    async def request(
        self,
        url: str,
        params: Params,
        *,
        headers: dict[str, str] | None = None,
        patience_seconds: float | None = None,
        origins: frozenset[str] | None = None,
        sent: tuple[str, bytes | None] = ("GET", None),
        share_credential: bool = False,
    ) -> PullResponse:
        """A request within the rate limit. Waits for it at most `patience_seconds` (default: the source's timeout).

        `sent` is the method and the body. A 401 refreshes a token once and repeats the request. The credential goes to
        the origin of the source only, with `share_credential` to all `origins`. The answer has no credentials of the
        source in it, even where the source writes them into its links. UpstreamError with code upstream_rate_limited
        when the wait would be longer; then nothing was sent.
        """
        here, origin = self.place.origin, origin_of(url)
        allowed = origins or frozenset({here})
        if origin not in allowed:
            raise UpstreamError(f"{origin} is not {here}: no credential leaves its origin", code="page_foreign")
        own = origin == here or share_credential
        credential = self.credential if own else NO_CREDENTIAL
        given = self.place.headers() if own else self.place.harmless_headers()
        request = ApiRequest(
            sent[0],
            self._url_without_credentials(url),
            {"Accept": "application/json, */*;q=0.5", **given, **(headers or {})},
            self.without_credentials(params),
            sent[1],
            allowed,
        )
        patience = self.timeout_seconds if patience_seconds is None else patience_seconds
        facts = request.facts(self._clock) if credential.per_request else None
        added = credential.ready(facts) or await credential.get(facts)
        response = await self._send(request, added, patience)
        if response.status != 401:
            credential.accepted(added)
        elif await credential.refused(added, response.headers):
            facts = request.facts(self._clock) if credential.per_request else None
            response = await self._send(request, await credential.get(facts), patience)
        return self._masked(response)

    async def _send(self, request: ApiRequest, added: Added, patience_seconds: float) -> PullResponse:
        """One request with its credential, within the rate limit."""
        await self._wait_for_rate_limit(patience_seconds)
        self.requests += 1
        self._own.used = added
        response = await self._client.request(
            request.method,
            request.url,
            headers={**request.headers, **dict(added.headers)},
            params=[*request.params, *added.params],
            body=request.body,
            timeout_seconds=self.timeout_seconds,
            max_bytes=MAX_ANSWER_BYTES,
            origins=request.origins,
        )
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        held = self.rate_limit.held_seconds(now)
        own = said(self.api.limits, response.status, response.headers, response.body)
        if own.limited:  # whatever its status, it means what 429 means
            response = Answered(
                LIMIT_REACHED, response.headers, response.body, response.sent_at_us, response.received_at_us
            )
        self.usage.answered(self.api.limits, response.headers)
        self._notes += self.rate_limit.observe(response.status, response.headers, now, now_us, own)[:MAX_NOTES]
        longer = self.rate_limit.held_seconds(now)
        if longer > held:
            for budget in self._budgets:
                with contextlib.suppress(TidegateError):  # this node pauses anyway
                    await budget.hold(longer)
        return response

    def take_notes(self) -> list[tuple[str, str]]:
        """(code of a finding, sample) since the last call: what the rate limit cut or could not read."""
        notes, self._notes = self._notes, []
        return notes

    def masked(self, text: str) -> str:
        """What is shown of an error of the source, without its credentials."""
        return self._own.masked(text)

    def _masked(self, response: PullResponse) -> PullResponse:
        """The answer without the credentials of the source: a source may repeat them in links and in errors."""
        own = self._own
        body = own.out_of_body(response.body)
        if response.status >= 400:
            text = body[:MAX_ERROR_BYTES].decode("utf-8", "replace")
            masked = own.masked(text)
            body = body if masked == text else masked.encode()
        elif not self._auth_params:
            return response
        headers = [(name, own.out_of_links(value)) for name, value in response.headers]
        return Answered(response.status, headers, body, response.sent_at_us, response.received_at_us)

    async def _wait_for_rate_limit(self, patience_seconds: float) -> None:
        while True:
            wait = self.rate_limit.wait_seconds(self._clock.monotonic())
            if wait <= patience_seconds:
                wait = max([wait, *[await budget.reserve(patience_seconds) for budget in self._budgets]])
            if wait > patience_seconds:
                raise UpstreamError(
                    f"{self.name} is rate limited for another {wait:.0f} s (its rate limit, or a `rate` of yours)",
                    code="upstream_rate_limited",
                    hint="wait, or raise `rate` of the source or of its credential if the provider allows more",
                    retry_after_seconds=wait,
                )
            wait = max(wait, self.rate_limit.reserve(self._clock.monotonic()))
            refused = self.rate_limit.refused_until
            if wait > 0:
                self.usage.waited(wait)
                await self._clock.sleep(wait)
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


def initial_value(resource: Resource) -> str | None:
    return (resource.incremental.initial_value or None) if resource.incremental is not None else None


def with_params(params: list[tuple[str, str]], own: JsonObject, values: Values) -> tuple[tuple[str, str], ...]:
    """`params` of a URL with those of the resource, which replace parameters of the same name."""
    kept = [(name, value) for name, value in params if name not in own]
    for name, value in fill_mapping(own, values, fill_text).items():
        kept += [(name, text_of(one)) for one in (value if isinstance(value, list) else [value])]
    return tuple(kept)
