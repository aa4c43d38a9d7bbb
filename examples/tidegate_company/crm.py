"""The CRM: receives webhooks, sends one when a deal closes, and has a page with the button "Get order info".

Leads come through its API (`crm_api.py`), which wants an OAuth token.

It verifies Standard Webhooks signatures with its own code, like any receiver: HMAC over `ID.TIMESTAMP.BODY`, one of the
listed signatures must match, the tolerance is five minutes, and a repeated id is ignored. The button pulls the order
from the shop through the gateway, with a key that allows only that.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate_company import web
from tidegate_company.crm_api import Contact, CrmApi

TOLERANCE_SECONDS = 300
FIRST_DEALS = [("Refit of two boats", 2_400_000), ("Coffee for a year", 180_000), ("Charts, 40 pieces", 182_000)]


def key_bytes(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


def signature(secret: str, identity: str, at: str, body: bytes) -> str:
    signed = f"{identity}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key_bytes(secret), signed, hashlib.sha256).digest()).decode()


def verified(secret: str, headers: Mapping[str, str], body: bytes, now_seconds: float) -> bool:
    """Whether the request is signed with this secret and its time is within the tolerance (Standard Webhooks)."""
    identity, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identity or not at.isdecimal() or abs(now_seconds - int(at)) > TOLERANCE_SECONDS:
        return False
    wanted = signature(secret, identity, at, body).encode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(wanted, one.encode()) for one in given)


class Crm:
    def __init__(self, system: web.System) -> None:
        self.system = system
        self.receiving_secret = system.secret("crm-receiving")  # the gateway signs with it
        self.sending_secret = system.secret("crm-sending")  # the CRM signs its own webhooks with it
        self.leads: deque[dict[str, Any]] = deque(maxlen=200)
        self.customers: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.deals: dict[str, dict[str, Any]] = {
            f"D-{number}": {"id": f"D-{number}", "name": name, "amount_cents": cents, "stage": "open"}
            for number, (name, cents) in enumerate(FIRST_DEALS, start=1)
        }
        self.arrivals: deque[dict[str, Any]] = deque(maxlen=2000)
        self.seen: set[str] = set()
        self.order: dict[str, Any] | None = None
        self.client: aiohttp.ClientSession | None = None
        self.api = CrmApi(system, self.contact)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as self.client:
            yield

    async def hook(self, request: Request) -> Response:
        body = await request.body()
        self.system.counts["hooks"] += 1
        if not verified(self.receiving_secret, request.headers, body, time.time()):
            self.system.counts["hooks_rejected"] += 1
            return web.problem(401, "the signature does not match")
        identity = request.headers["webhook-id"]
        if identity in self.seen:
            self.system.counts["hooks_again"] += 1
            return Response(status_code=200)
        try:
            event = json.loads(body)
            kind, data = str(event["type"]), dict(event["data"])
        except (ValueError, KeyError, TypeError):
            return web.problem(400, "the body is not an event")
        self.seen.add(identity)
        self.take(kind, str(event.get("key") or data.get("id") or ""), data, event)
        return Response(status_code=204)

    def contact(self, contact: Contact, key: str) -> None:
        """A contact that came through the API. Its lead does not say when it was sent, so that is its arrival."""
        self.take("lead.contact", "", contact, {"id": key, "timestamp": web.now()})

    def take(self, kind: str, key: str, data: dict[str, Any], event: dict[str, Any]) -> None:
        if kind.startswith("lead."):
            self.system.counts["leads"] += 1
            self.leads.append(data)
            key = str(data.get("email", ""))
        elif kind.startswith("customers."):
            self.system.counts["customers"] += 1
            self.customers[key] = {**data, "deleted": kind.endswith(".deleted")}
        elif kind.startswith("charges."):
            self.system.counts["payments"] += 1
            self.payments[key] = data
        elif kind == "mail.received":
            self.system.counts["mails"] += 1
        happened = data.get("changed_at") or data.get("updated") or event.get("timestamp")
        self.arrivals.append(
            {"type": kind, "key": key, "event": event.get("id"), "happened_at": happened, "arrived_at": web.now(),
             "revision": data.get("revision")}
        )  # fmt: skip

    async def close_deal(self, request: Request) -> Response:
        deal = self.deals.get(request.path_params["id"])
        if deal is None:
            return web.problem(404, "there is no such deal")
        deal["stage"] = "won"
        sent = await self.send_webhook("deal.closed", {**deal, "amount": web.euros(deal["amount_cents"])})
        if not sent:
            deal["stage"] = "open"  # nobody was notified, so the deal can be closed again
            return web.problem(502, "the gateway did not accept the webhook")
        return JSONResponse(deal) if web.wants_json(request) else web.back()

    async def new_deal(self, request: Request) -> Response:
        identity = f"D-{secrets.randbelow(90_000) + 10_000}"
        name, cents = FIRST_DEALS[secrets.randbelow(len(FIRST_DEALS))]
        self.deals[identity] = {"id": identity, "name": name, "amount_cents": cents, "stage": "open"}
        return JSONResponse(self.deals[identity]) if web.wants_json(request) else web.back()

    async def send_webhook(self, kind: str, data: dict[str, Any]) -> bool:
        """Send a webhook, signed by Standard Webhooks. Returns whether the gateway accepted it."""
        assert self.client is not None
        body = json.dumps({"type": kind, "timestamp": web.now(), "data": data}).encode()
        identity, at = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": at,
            "webhook-signature": signature(self.sending_secret, identity, at, body),
        }
        self.system.count_webhook()
        try:
            async with self.client.post(f"{self.system.options.gateway}/in/crm", data=body, headers=headers) as answer:
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def order_info(self, request: Request) -> Response:
        """Pull the current state of an order from the shop."""
        assert self.client is not None
        identity = (await web.form(request)).get("order", "")
        address = f"{self.system.options.gateway}/api/v1/pull/shop/orders/{quote(identity, safe='')}"
        headers = {"Authorization": f"Bearer {self.system.secret('crm-pull-key')}"}
        asked_at, started = web.now(), time.perf_counter()
        try:
            async with self.client.get(address, headers=headers) as answer:
                content = await answer.json(content_type=None)
                self.order = {
                    "asked": identity, "status": answer.status, "order": content,
                    "age_seconds": answer.headers.get("age"), "cache": answer.headers.get("cache-status", ""),
                    "took_ms": round((time.perf_counter() - started) * 1000, 1),
                }  # fmt: skip
        except (aiohttp.ClientError, TimeoutError, ValueError):
            self.order = {"asked": identity, "status": 0, "order": None, "took_ms": None, "cache": ""}
        self.order |= {"asked_at": asked_at, "answered_at": web.now()}
        self.system.counts["asked"] += 1
        return JSONResponse(self.order) if web.wants_json(request) else web.back()

    async def page(self, request: Request) -> Response:
        deals = [
            [web.text(d["id"]), web.text(d["name"]), web.euros(d["amount_cents"]), web.text(d["stage"]),
             web.button(f"/deals/{d['id']}/close", "Close the deal") if d["stage"] == "open" else ""]
            for d in self.deals.values()
        ]  # fmt: skip
        leads = [[web.text(lead.get("name", "")), web.text(lead.get("email", ""))] for lead in reversed(self.leads)]
        customers = [
            [web.text(key), web.text(c.get("name", "")), web.text(c.get("city", "")), web.text(c.get("revision", ""))]
            for key, c in self.customers.items()
        ]
        payments = [
            [f"<code>{web.text(key)}</code>", web.text(p.get("customer", "")), web.euros(int(p.get("amount", 0)))]
            for key, p in reversed(self.payments.items())
        ]
        return self.system.page(
            request,
            f"A CRM. Webhooks in: {self.system.counts['hooks']}, rejected: {self.system.counts['hooks_rejected']}. "
            f"API requests: {self.system.counts['api_requests']}, tokens: {self.system.counts['token_requests']}.",
            "<h2>Order info</h2>"
            + '<form method="post" action="/order-info" class="inline"><label>Order <input name="order" value="A1001">'
            + "</label><button>Get order info</button></form>"
            + self.order_markup()
            + "<h2>Deals</h2>" + web.table(["Deal", "Name", "Amount", "Stage", ""], deals, "")
            + "<h2>Leads</h2>" + web.table(["Name", "Address"], leads, "Send the form of the website.")
            + "<h2>Customers</h2>"
            + web.table(["Customer", "Name", "City", "Revision"], customers, "Edit a customer in accounting.")
            + "<h2>Payments</h2>" + web.table(["Charge", "Customer", "Amount"], payments, "Take a payment."),
        )  # fmt: skip

    def order_markup(self) -> str:
        if self.order is None:
            return '<p class="empty">The answer of the shop appears here.</p>'
        shown = json.dumps(self.order["order"], indent=2)
        return (
            f"<p>Answer {self.order['status']} in {web.text(self.order['took_ms'])} ms. "
            f"<code>{web.text(self.order['cache'])}</code></p><pre>{web.text(shown)}</pre>"
        )

    async def state(self, request: Request) -> Response:
        return self.system.state(arrivals=list(self.arrivals), deals=self.deals, order=self.order)


def main() -> None:
    options = web.arguments(__doc__ or "").parse_args()
    crm = Crm(web.System("CRM", options))
    web.serve(
        [
            Route("/", crm.page),
            Route("/hooks", crm.hook, methods=["POST"]),
            Route("/deals", crm.new_deal, methods=["POST"]),
            Route("/deals/{id}/close", crm.close_deal, methods=["POST"]),
            Route("/oauth/token", crm.api.token, methods=["POST"]),
            Route("/api/contacts", crm.api.create, methods=["POST"]),
            Route("/api/contacts", crm.api.list, methods=["GET"]),
            Route("/order-info", crm.order_info, methods=["POST"]),
            Route("/demo/state", crm.state),
        ],
        options,
        crm.lifespan,
    )


if __name__ == "__main__":
    main()
