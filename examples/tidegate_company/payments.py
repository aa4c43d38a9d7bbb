"""The payment processor: sends a signed webhook for each charge, and has an API of charges.

Webhooks are signed as Stripe signs: `Stripe-Signature: t=SECONDS,v1=HEX`, HMAC-SHA256 over `SECONDS.BODY`. A webhook
that is not answered with 2xx is sent again twice. A charge with `lose` sends no webhook, which shows a lost webhook.
`GET /v1/charges` requires a bearer token, lists by change time and has the URL of its next page in the body.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate_company import web

PER_PAGE = 50
PAUSES_SECONDS = (1.0, 3.0)  # before the second and the third try of a webhook


def sign(secret: str, body: bytes, at: int) -> str:
    """The value of `Stripe-Signature`; `at` in whole seconds since 1970."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Payments:
    def __init__(self, system: web.System) -> None:
        self.system = system
        self.token = system.secret("payments-token")
        self.signing = system.secret("payments-signing")
        self.charges: dict[str, dict[str, Any]] = {}
        self.lost: list[str] = []
        self.sending: set[asyncio.Task[None]] = set()
        self.client: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as self.client:
            yield

    async def charge(self, request: Request) -> Response:
        form = await web.form(request)
        lose = bool(form.get("lose"))
        customer = (form.get("customer") or "Blue Harbor Ltd")[:120]
        at = web.now()
        charge: dict[str, Any] = {
            "id": f"ch_{secrets.token_hex(6)}",
            "object": "charge",
            "amount": 1000 + secrets.randbelow(40_000),
            "currency": "eur",
            "customer": customer,
            "status": "succeeded",
            "created": at,
            "updated": at,
        }
        self.charges[charge["id"]] = charge
        if lose:
            self.system.counts["webhooks_lost"] += 1
            self.lost.append(charge["id"])
        else:
            task = asyncio.create_task(self.send_webhook(charge))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)
        return JSONResponse(charge) if web.wants_json(request) else web.back()

    async def send_webhook(self, charge: dict[str, Any]) -> None:
        body = json.dumps(
            {"id": f"evt_{secrets.token_hex(6)}", "object": "event", "type": "charge.succeeded",
             "created": int(time.time()), "data": {"object": charge}}
        ).encode()  # fmt: skip
        for pause in (*PAUSES_SECONDS, None):
            self.system.count_webhook()
            if await self.post(body) or pause is None:
                return
            await asyncio.sleep(pause)

    async def post(self, body: bytes) -> bool:
        assert self.client is not None
        headers = {
            "Content-Type": "application/json",
            "Stripe-Signature": sign(self.signing, body, int(time.time())),
        }
        try:
            async with self.client.post(
                f"{self.system.options.gateway}/in/payments", data=body, headers=headers
            ) as answer:
                ok = 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            ok = False
        self.system.counts["webhooks_accepted" if ok else "webhooks_failed"] += 1
        return ok

    def allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode())

    async def list_charges(self, request: Request) -> Response:
        self.system.count_request()
        if not self.allowed(request):
            return web.problem(401, "the token is missing or wrong", **{"WWW-Authenticate": "Bearer"})
        since, after = request.query_params.get("updated_since", ""), request.query_params.get("after", "")
        found = sorted(self.charges.values(), key=lambda charge: (charge["updated"], charge["id"]))
        found = [c for c in found if c["updated"] >= since and f"{c['updated']}|{c['id']}" > after]
        following = None
        if len(found) > PER_PAGE:
            last = found[PER_PAGE - 1]
            query = urlencode({**request.query_params, "after": f"{last['updated']}|{last['id']}"})
            following = str(request.url.replace(query=query))
        return web.with_etag(request, {"data": found[:PER_PAGE], "next": following})

    async def one_charge(self, request: Request) -> Response:
        self.system.count_request()
        if not self.allowed(request):
            return web.problem(401, "the token is missing or wrong", **{"WWW-Authenticate": "Bearer"})
        charge = self.charges.get(request.path_params["id"])
        return web.problem(404, "there is no such charge") if charge is None else web.with_etag(request, charge)

    async def page(self, request: Request) -> Response:
        rows = [
            [
                f"<code>{web.text(c['id'])}</code>",
                web.text(c["customer"]),
                web.euros(c["amount"]),
                web.text(c["status"]),
            ]
            for c in reversed(self.charges.values())
        ]
        counts = self.system.counts
        return self.system.page(
            request,
            f"Payments. Webhooks sent: {counts['webhooks_sent']}, lost on purpose: {counts['webhooks_lost']}. "
            f"Requests to its API: {counts['api_requests']}.",
            web.button("/charges", "Take a payment")
            + web.button("/charges", "Take a payment and lose its webhook", lose="1")
            + web.table(["Charge", "Customer", "Amount", "State"], rows, "There are no charges."),
        )

    async def state(self, request: Request) -> Response:
        return self.system.state(charges=list(self.charges), lost=self.lost)


def main() -> None:
    options = web.arguments(__doc__ or "").parse_args()
    payments = Payments(web.System("Payments", options))
    web.serve(
        [
            Route("/", payments.page),
            Route("/charges", payments.charge, methods=["POST"]),
            Route("/v1/charges", payments.list_charges),
            Route("/v1/charges/{id}", payments.one_charge),
            Route("/demo/state", payments.state),
        ],
        options,
        payments.lifespan,
    )


if __name__ == "__main__":
    main()
