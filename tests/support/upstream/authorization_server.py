"""A double of an authorization server with an API beside it, on loopback, that counts what it sees.

It has the habits of real ones: refresh tokens that rotate or stay, a grace period for the old one, reuse that revokes
everything, and answers that are not what RFC 6749 says. `hostile` replaces the answers of the token endpoint.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from support.receiver.scripted import Request, ScriptedServer


class AuthorizationServer:
    """`async with AuthorizationServer() as server:`; the token endpoint is `server.url + "/token"`.

    `rotates`: each refresh ends the refresh token. `grace`: the one before the last is still taken. `lifetime`: of an
    access token, in seconds; None says nothing.
    """

    def __init__(self, *, rotates: bool = True, grace: bool = False, lifetime: int | None = 3600) -> None:
        self.rotates = rotates
        self.grace = grace
        self.lifetime = lifetime
        self.hostile = ""
        self.asks = False  # whether /authorize shows a page, and not the redirect of a person who said yes
        self.refresh_token = "refresh-0"
        self.access_token = ""
        self.issued = 0
        self.refreshes = 0
        self.reused = 0  # a refresh token that was used up came again
        self.revoked = False
        self.code = ""
        self.challenge = ""
        self.scope = ""
        self.delay_seconds = 0.0
        self.more: dict[str, Any] = {}  # of the token answer
        self.token_requests: list[dict[str, str]] = []
        self.api_status: Counter[int] = Counter()
        self.together = 0  # an API call is answered when so many callers use the token; then the token ends
        self._users: list[asyncio.Future[None]] = []
        self._previous = ""
        self._far = ScriptedServer(self._serve)

    async def __aenter__(self) -> AuthorizationServer:
        await self._far.__aenter__()
        self.url = self._far.url
        self.port = self._far.port
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._far.__aexit__(*exc)

    @property
    def requests(self) -> list[Request]:
        return self._far.requests

    def issue(self, *, refresh: bool = True) -> dict[str, Any]:
        self.issued += 1
        self.access_token = f"access-{self.issued}"
        answer: dict[str, Any] = {"access_token": self.access_token, "token_type": "Bearer", **self.more}
        if self.lifetime is not None:
            answer["expires_in"] = self.lifetime
        if self.scope:
            answer["scope"] = self.scope
        if refresh and self.rotates:
            self._previous, self.refresh_token = self.refresh_token, f"refresh-{self.issued}"
        if refresh:
            answer["refresh_token"] = self.refresh_token
        return answer

    # -- answering ---------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        path = urlsplit(request.line.split(" ")[1]).path
        if path == "/token":
            if self.hostile == "hang":
                await reader.read()
                return
            status, headers, body = self._token(request)
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
        elif path == "/authorize":
            status, headers, body = self._authorize(request)
        else:
            status, headers, body = self._api(request)
            if self.together and status == 200:
                await self._meet()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    def _token(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        kind = {"content-type": "application/json"}
        if self.hostile == "html":
            return 200, {"content-type": "text/html"}, b"<!doctype html><h1>Please sign in to the network</h1>"
        if self.hostile == "error_with_200":
            return 200, kind, b'{"error": "invalid_client", "error_description": "no such app"}'
        if self.hostile.startswith("redirect "):
            return 302, {"location": self.hostile.partition(" ")[2]}, b""
        if self.hostile.isdecimal():
            return int(self.hostile), kind, b"{}"
        fields = dict(parse_qsl(request.body.decode()))
        self.token_requests.append(fields)
        answer, status = self._granted(fields)
        return status, kind, json.dumps(answer).encode()

    def _granted(self, fields: dict[str, str]) -> tuple[dict[str, Any], int]:
        grant = fields.get("grant_type")
        if grant == "client_credentials" or (grant or "").endswith("jwt-bearer"):
            return self.issue(refresh=False), 200
        if grant == "authorization_code":
            digest = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
            if not self.code or fields.get("code") != self.code:
                return {"error": "invalid_grant", "error_description": "unknown or used code"}, 400
            if self.challenge and base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != self.challenge:
                return {"error": "invalid_grant", "error_description": "wrong verifier"}, 400
            self.code, self.revoked = "", False
            return self.issue(), 200
        given = fields.get("refresh_token")
        self.refreshes += 1
        if self.revoked or given not in (self.refresh_token, self._previous if self.grace else self.refresh_token):
            self.reused += given != self.refresh_token
            return {"error": "invalid_grant", "error_description": "the refresh token is not valid"}, 400
        return self.issue(), 200

    def _authorize(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        query = dict(parse_qsl(urlsplit(request.line.split(" ")[1]).query))
        self.challenge = query.get("code_challenge", "")
        back = f"{query['redirect_uri']}?state={query['state']}"
        if self.hostile == "denied":
            return 302, {"location": f"{back}&error=access_denied&error_description=The%20user%20said%20no"}, b""
        self.code = f"code-{self.issued}"
        if self.asks:  # a page with a button, as people see it
            link = f"{back}&code={self.code}&realmId=4711".replace("&", "&amp;")
            page = f'<!doctype html><title>Allow</title><h1>Allow the app?</h1><a href="{link}">Allow</a>'
            return 200, {"content-type": "text/html"}, page.encode()
        return 302, {"location": f"{back}&code={self.code}&realmId=4711"}, b""

    def _api(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        right = request.headers.get("authorization") == f"Bearer {self.access_token}" and bool(self.access_token)
        self.api_status[200 if right else 401] += 1
        if not right:
            return 401, {"content-type": "application/json"}, b'{"error": "invalid_token"}'
        return 200, {"content-type": "application/json"}, b'[{"id": "1"}]'

    async def _meet(self) -> None:
        """Wait for the other callers of this token; the last one ends it."""
        here: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._users.append(here)
        if len(self._users) >= self.together:
            self.access_token = ""
            for one in self._users:
                one.set_result(None)
            self._users = []
        await here
