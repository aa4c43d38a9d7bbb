"""Requests to WebSub topics and hubs: no credentials, and redirects to any address that the guard allows.

Owns which redirects are followed: up to five; a POST is repeated as it was (section 5.1 of WebSub names 307 and 308,
hubs use 301 and 302 too), and never from https to http, because its form has the secret. Knows no subscription. Crash:
nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin

from tidegate.core.errors import UpstreamError
from tidegate.outbound.http import PullClient, PullResponse

TIMEOUT_SECONDS = 30.0
_REDIRECTS = 5
_FOLLOWED = (301, 302, 303, 307, 308)


class HubClient:
    """`fetch` is the function that subscriptions use."""

    def __init__(self, client: PullClient) -> None:
        self._client = client

    async def fetch(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, PullResponse]:
        """(last URL, its answer). Raises Blocked, ConfigError, UpstreamTimeout or UpstreamError."""
        for _ in range(_REDIRECTS + 1):
            answer = await self._client.once(method, url, headers, body, timeout_seconds=TIMEOUT_SECONDS)
            location = next((value for name, value in answer.headers if name == "location"), "")
            if answer.status not in _FOLLOWED or not location or (method == "POST" and answer.status == 303):
                return url, answer
            following = urljoin(url, location)
            if body is not None and url.startswith("https:") and not following.startswith("https:"):
                raise UpstreamError("the hub redirects from https to http", code="hub_not_https")
            url = following
        raise UpstreamError(f"more than {_REDIRECTS} redirects")
