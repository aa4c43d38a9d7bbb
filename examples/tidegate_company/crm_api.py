"""The API of the CRM, as business systems have it: OAuth 2.0 client credentials, contacts, idempotency keys.

A token lasts a few minutes and is forgotten at a restart, so a caller must be able to get a new one. A repeated
Idempotency-Key gives the contact that the first request made.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tidegate_company import web

CLIENT = "tidegate"
TOKEN_SECONDS = 300
MAX_KEPT = 500

Contact = dict[str, Any]


class CrmApi:
    """`created(contact, key)` is called once for each new contact."""

    def __init__(self, system: web.System, created: Callable[[Contact, str], None]) -> None:
        self.system = system
        self.created = created
        self.contacts: dict[str, Contact] = {}
        self._tokens: dict[str, float] = {}  # token -> when it ends, monotonic
        self._made: dict[str, str] = {}  # Idempotency-Key -> id of the contact

    async def token(self, request: Request) -> Response:
        """RFC 6749 section 4.4: the client proves itself with HTTP Basic."""
        self.system.counts["token_requests"] += 1
        form = await web.form(request)
        expected = base64.b64encode(f"{CLIENT}:{self.system.secret('crm-client-secret')}".encode()).decode()
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), f"Basic {expected}".encode()):
            return JSONResponse({"error": "invalid_client"}, 401)
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        now = time.monotonic()
        self._tokens = {token: end for token, end in self._tokens.items() if end > now}
        token = secrets.token_urlsafe(24)
        self._tokens[token] = now + TOKEN_SECONDS
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS})

    async def create(self, request: Request) -> Response:
        self.system.count_request()
        if not self._allowed(request):
            return web.problem(401, "the token is not valid")
        try:
            fields = dict(await request.json())
        except (ValueError, TypeError):
            return web.problem(400, "the body is not an object")
        if "@" not in str(fields.get("email", "")):
            return web.problem(422, "email is missing")
        key = request.headers.get("idempotency-key", "")
        if key and key in self._made:
            return JSONResponse(self.contacts[self._made[key]], 200)
        contact = {**fields, "id": f"C-{len(self.contacts) + 1}"}
        if len(self.contacts) >= MAX_KEPT:
            return web.problem(507, "this CRM keeps 500 contacts")
        self.contacts[contact["id"]] = contact
        if key:
            self._made[key] = contact["id"]
        self.created(contact, key)
        return JSONResponse(contact, 201)

    async def list(self, request: Request) -> Response:
        self.system.count_request()
        if not self._allowed(request):
            return web.problem(401, "the token is not valid")
        return JSONResponse({"contacts": list(self.contacts.values())})

    def _allowed(self, request: Request) -> bool:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self._tokens.get(token, 0.0) > time.monotonic()
