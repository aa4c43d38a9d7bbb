"""Sends token requests through the guarded client of pulls.

Owns the bounds of a token request and which errors mean that nothing was sent. May not know tokens. Invariants: no
redirect to another origin is followed, so a client secret stays with its origin; an answer is at most MAX_BYTES. Crash:
nothing is kept.
"""

from __future__ import annotations

from typing import Any, Protocol

from tidegate.auth.tokens import TokenAnswer, TokenRequest
from tidegate.core.errors import Blocked, ConfigError, CredentialFailed
from tidegate.outbound.dial_failed import DialFailed
from tidegate.outbound.tokens import NotSent
from tidegate.rules.outbound.connect_options import ConnectOptions

TOKEN_SECONDS = 20.0
MAX_BYTES = 256 * 1024


class HttpClient(Protocol):
    """What this needs of `outbound.http.PullClient`."""

    async def request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, timeout_seconds: float,
        max_bytes: int,
    ) -> Any: ...  # fmt: skip

    def through(self, options: ConnectOptions) -> HttpClient: ...


class TokenClient:
    """One per process."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def send(self, request: TokenRequest, options: ConnectOptions | None = None) -> TokenAnswer:
        """NotSent when the request did not leave; UpstreamError when its answer was lost."""
        client = self._client if options is None else self._client.through(options)
        try:
            response = await client.request(
                "POST",
                request.url,
                headers=dict(request.headers),
                body=request.body,
                timeout_seconds=TOKEN_SECONDS,
                max_bytes=MAX_BYTES,
            )
        except (Blocked, DialFailed, ConfigError) as error:
            hint = error.hint if isinstance(error, Blocked) else "check the token URL of the credential"
            raise NotSent(
                CredentialFailed(f"the token service cannot be reached: {error.message}", hint=hint)
            ) from error
        return TokenAnswer(response.status, response.headers, response.body)
