"""The HTTP client for requests to sources: pulls, polls, token calls, tests of sources.

Owns redirects, the bound on the decoded size of an answer, and the translation of aiohttp's errors. Knows no resources,
no pages and no credentials beyond the headers it is handed. Invariants: a request goes only to an origin that the
caller named; the headers of the caller never reach another origin, not by a redirect either; error messages name the
host and never the query, which may hold a key. Every HTTP status is an answer and is returned; an error means that
there was no usable answer. Crash: nothing here is durable.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urljoin

import msgspec

from tidegate import __version__
from tidegate.core.clock import Clock
from tidegate.core.errors import ConfigError, UpstreamError, UpstreamTimeout
from tidegate.outbound.dial_failed import translate
from tidegate.outbound.dialer import Dialer
from tidegate.rules.outbound.addresses import Target, parse_target
from tidegate.rules.outbound.certificates import why_rejected
from tidegate.rules.outbound.connect_options import ConnectOptions, without_certificate
from tidegate.rules.unpacking import ACCEPTED, Unpacker, unpacker

if TYPE_CHECKING:
    import aiohttp

_REDIRECTS = 3
_FOLLOWED = (301, 302, 303, 307, 308)
_SAFE = ("GET", "HEAD")
ONCE_BYTES = 4 * 1024 * 1024
_SESSIONS = 64  # with options of their own, kept with their idle sockets
_CONNECT_SECONDS = 10.0
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_UNASKED = ("content-encoding", "content-length", "transfer-encoding")  # no longer true of a decoded body


class PullResponse(msgspec.Struct, frozen=True):
    """An answer. Header names are lower-case, in the order sent; one with a control character is left out. `body` is
    decoded when it came compressed.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    sent_at_us: int  # before the first byte of the first request
    received_at_us: int  # after the last byte of the body


class _Pool:
    """A session with the guard's rules of one moment; closed when the rules have changed and no request uses it."""

    def __init__(self, session: aiohttp.ClientSession, generation: int) -> None:
        self.session = session
        self.generation = generation
        self.users = 0


class _Pools:
    """The sessions of a client and of all clients made by `through`, by the key of their options."""

    def __init__(self) -> None:
        self.closed = False
        self.current: OrderedDict[str, _Pool] = OrderedDict()  # least recently used first


class PullClient:
    """One per process, on the loop it is first used on; `through` makes those with other options."""

    def __init__(self, dialer: Dialer, clock: Clock) -> None:
        self._dialer = dialer
        self._clock = clock
        self._options: ConnectOptions | None = None
        self._pools = _Pools()

    def through(self, options: ConnectOptions | None) -> PullClient:
        """This client with an own authority, a client certificate or a proxy. It is closed together with this one."""
        other = PullClient(self._dialer, self._clock)
        other._options, other._pools = options, self._pools
        return other

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout_seconds: float,
        max_bytes: int = 16 * 1024 * 1024,
        origins: frozenset[str] = frozenset(),
    ) -> PullResponse:
        """One request and at most three redirects, all within `timeout_seconds`.

        `params` are added to the query of `url`. `origins` (`https://host` or `https://host:port`) are those
        that may be asked; none given means the URL's own only. A redirect is followed for GET and HEAD (307
        and 308 on the same origin for every method); on another one of `origins` without headers and params.
        ConfigError `url_invalid`, Blocked, UpstreamTimeout, or UpstreamError with the code `foreign_origin`
        (URL or redirect leave `origins`), `upstream_too_large` or `upstream_failed`.
        """
        target = parse_target(_with_params(url, params))
        allowed = frozenset(parse_target(origin).origin for origin in origins) or frozenset({target.origin})
        if target.origin not in allowed:
            raise _foreign(f"{target.origin} is not an origin of this source", None)
        sent_at_us = self._clock.now_us()
        try:
            async with asyncio.timeout(timeout_seconds):
                status, answer, decoded = await self._follow(method, target, headers, body, max_bytes, allowed)
        except TimeoutError:
            raise UpstreamTimeout(f"{target.host} did not answer within {timeout_seconds:g} s") from None
        return PullResponse(status, answer, decoded, sent_at_us, self._clock.now_us())

    async def once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout_seconds: float
    ) -> PullResponse:
        """One request without redirects, its answer bounded by ONCE_BYTES. Raises what `request` raises."""
        target = parse_target(url.split("#", 1)[0])
        sent_at_us = self._clock.now_us()
        try:
            async with asyncio.timeout(timeout_seconds):
                status, answer, decoded = await self._once(method, target, headers, body, ONCE_BYTES)
        except TimeoutError:
            raise UpstreamTimeout(f"{target.host} did not answer within {timeout_seconds:g} s") from None
        return PullResponse(status, answer, decoded, sent_at_us, self._clock.now_us())

    async def close(self) -> None:
        self._pools.closed = True
        while self._pools.current:
            await self._pools.current.popitem()[1].session.close()

    async def _follow(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        allowed: frozenset[str],
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        first, client = target.origin, self
        for _ in range(_REDIRECTS + 1):
            status, answer, decoded = await client._once(method, target, headers, body, max_bytes)
            location = next((value for name, value in answer if name == "location"), "")
            if status not in _FOLLOWED or not location:
                return status, answer, decoded
            following = _redirected(target, location, status)
            if following.origin not in allowed:
                raise _foreign(f"{target.host} redirects to another origin, {following.origin}", status)
            if method not in _SAFE and (status not in (307, 308) or following.origin != first):
                raise UpstreamError(f"{target.host} redirects a {method}", upstream_status=status, retryable=False)
            if following.origin != first:
                headers, client = {}, self.through(without_certificate(self._options))
            target = following
        raise UpstreamError(f"{target.host} redirects more than {_REDIRECTS} times", upstream_status=status)

    async def _once(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None, max_bytes: int
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        import aiohttp  # at the first request: see guarded.py
        from yarl import URL

        shown = f"{target.scheme}://{target.host_header}"
        sent = {"user-agent": f"tidegate/{__version__}"}
        sent.update((name.lower(), value) for name, value in headers.items())
        sent["accept-encoding"] = ACCEPTED
        tls = await self._dialer.tls(self._options) if target.scheme == "https" else True
        async with self._session() as session:
            try:
                async with session.request(
                    method,
                    URL(shown + target.path, encoded=True),
                    headers=sent,
                    data=body,
                    allow_redirects=False,
                    ssl=tls,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                ) as response:
                    answer = [
                        (name.decode("latin-1").lower(), value.decode("latin-1"))
                        for name, value in response.raw_headers
                        if _CONTROL.search(value) is None  # RFC 9110 section 5.5; the parser lets some pass
                    ]
                    decoded, unpacked = await _read(response, target.host, max_bytes)
                    if unpacked:
                        answer = [(name, value) for name, value in answer if name not in _UNASKED]
                    return response.status, answer, decoded
            except (aiohttp.ClientError, ConnectionError) as error:
                raise _translated(error, target, self._about_certificate()) from None

    def _about_certificate(self) -> str:
        """What to add to an error when the connection ends without an answer."""
        certificate = self._options.certificate if self._options is not None else None
        return why_rejected(certificate.certificate, self._clock.now_us()) if certificate is not None else ""

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        pools, key = self._pools, self._options.key if self._options is not None else ""
        if pools.closed:
            raise RuntimeError("the pull client is closed")
        pool = pools.current.get(key)
        generation = self._dialer.guard.generation
        unused = []
        if pool is None or pool.generation != generation:
            from tidegate.outbound.guarded import make_session

            unused = [] if pool is None else [pool]
            pool = pools.current[key] = _Pool(make_session(self._dialer, self._options), generation)
            if len(pools.current) > _SESSIONS:
                unused.append(pools.current.popitem(last=False)[1])
        pools.current.move_to_end(key)
        pool.users += 1  # before anything is awaited: an unused pool is closed
        try:
            for one in unused:
                if one.users == 0:
                    await one.session.close()
            yield pool.session
        finally:
            pool.users -= 1
            if pool.users == 0 and pool is not pools.current.get(key):
                await pool.session.close()


def _with_params(url: str, params: Sequence[tuple[str, str]]) -> str:
    """A fragment is dropped: links that a source gives may have one, and it is never sent."""
    base = url.split("#", 1)[0]
    if not params:
        return base
    joint = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return base + joint + urlencode(params, quote_via=quote)


def _foreign(message: str, status: int | None) -> UpstreamError:
    return UpstreamError(
        message,
        upstream_status=status,
        code="foreign_origin",
        retryable=False,
        hint="credentials stay with their origin; set base_url to the address the source answers from",
    )


def _redirected(target: Target, location: str, status: int) -> Target:
    base = f"{target.scheme}://{target.host_header}{target.path}"
    try:
        return parse_target(urljoin(base, location).split("#", 1)[0])
    except (ConfigError, ValueError):
        message = f"{target.host} redirects to something other than an http or https URL"
        raise UpstreamError(message, upstream_status=status, retryable=False) from None


async def _read(response: aiohttp.ClientResponse, host: str, max_bytes: int) -> tuple[bytes, bool]:
    """The body and whether it was unpacked. Both the bytes on the wire and the unpacked ones are bounded."""
    try:
        unpack = unpacker(response.headers.get("content-encoding", ""))
        parts, whole = await _unpacked(response, unpack, host, max_bytes)
    except ValueError as error:
        raise UpstreamError(f"{host}: {error}", upstream_status=response.status) from None
    if not whole:
        raise UpstreamError(f"{host}: the compressed body ends early", upstream_status=response.status)
    return b"".join(parts), unpack is not None


async def _unpacked(
    response: aiohttp.ClientResponse, unpack: Unpacker | None, host: str, max_bytes: int
) -> tuple[list[bytes], bool]:
    parts: list[bytes] = []
    read = size = 0
    async for chunk in response.content.iter_any():
        read += len(chunk)
        for piece in [chunk] if unpack is None else unpack.pieces(chunk):
            size += len(piece)
            parts.append(piece)
            if size > max_bytes:
                break
            if unpack is not None:
                await asyncio.sleep(0)
        if size > max_bytes or read > max_bytes:
            response.close()
            raise UpstreamError(
                f"{host} answered with more than {max_bytes} bytes",
                upstream_status=response.status,
                code="upstream_too_large",
                retryable=False,
                hint="ask for smaller pages",
            )
    return parts, unpack is None or unpack.whole


def _translated(error: Exception, target: Target, more: str) -> Exception:
    """`more`: what may explain a connection that ended without an answer."""
    import aiohttp

    host = target.host
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "refused")
        return UpstreamError(f"{host} port {target.port}: certificate refused: {reason}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return translate(error.os_error, f"{host} port {target.port}", target.scheme == "https")
    if isinstance(error, aiohttp.ServerTimeoutError):
        return UpstreamTimeout(f"{host}: no connection within {_CONNECT_SECONDS:g} s")
    if isinstance(error, aiohttp.ClientPayloadError):
        return UpstreamError(f"{host}: the body of the answer ends early or is broken")
    if isinstance(error, aiohttp.ClientResponseError):
        return UpstreamError(f"{host}: the answer is not HTTP")
    if isinstance(error.__cause__, ssl.SSLError):  # the alert that ends a TLS 1.3 connection after the handshake
        return UpstreamError(f"{host}: TLS failed: {error.__cause__.reason or 'closed'}{more}")
    return UpstreamError(f"{host}: closed before an answer{more}")
