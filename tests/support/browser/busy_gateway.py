"""A busy gateway for people to look at: every input, both ways, and a destination in every state, all of it real.

`busy_gateway(folder)` serves a gateway with polled and pushing sources on loopback, and receivers that behave as their
names say: healthy, slow, down, failing, full, gone. `fill` sends what makes each state; then open the pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from support.gateway.api import Served, served
from support.gateway.running import until
from support.receiver.scripted import OK, Request, Script, ScriptedServer, answer
from support.upstream.orders import Upstream

STRIPE = "whsec_scene"
T = TypeVar("T")


def _says(status: str, body: str = "", **headers: str) -> bytes:
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{head}content-length: {len(body)}\r\n\r\n{body}".encode()


_DOWN = _says("503 Service Unavailable", "maintenance until 18:00\n", content_type="text/plain")
_BAD = _says("422 Unprocessable Content", '{"error": "unknown customer 7"}', content_type="application/json")
_FULL = _says("429 Too Many Requests", retry_after="600")
_GONE = _says("410 Gone")


class BusyGateway:
    """The gateway and its receivers by the name of the destination they stand behind."""

    def __init__(self, gate: Served, shop: Upstream, counters: Upstream, receivers: dict[str, ScriptedServer]) -> None:
        self.gate = gate
        self.url = gate.url
        self.shop = shop
        self.counters = counters
        self.receivers = receivers

    def login(self) -> str:
        """An address that signs a browser in, once."""
        return f"{self.url}/login?token={self.gate.context.sessions.new_link()}"

    async def publish(self, source: str, type: str, data: Any, **more: Any) -> str:
        """One event by the API; its id."""
        found = await self.gate.api.post("/events", {"source": source, "type": type, "data": data, **more})
        return str(found["id"])

    async def charge(self, number: int, *, kind: str = "charge.succeeded", **more: Any) -> str:
        """A webhook as the payment processor signs it; the event's id."""
        record = {"id": f"ch_{number:05}", "object": "charge", "amount": 1000 + number * 731, "updated": number, **more}
        body = json.dumps({"id": f"evt_{kind}_{number}", "type": kind, "data": {"object": record}}).encode()
        now = int(time.time())
        signed = hmac.digest(STRIPE.encode(), f"{now}.".encode() + body, hashlib.sha256).hex()
        headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={now},v1={signed}"}
        reply = await self.gate.api.with_key(None)("POST", "/in/payments", body, headers=headers)
        assert reply.status == 202, reply
        return str(reply.json()["id"])

    async def lead(self, **fields: str) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        reply = await self.gate.api.with_key(None)("POST", "/in/leads", urlencode(fields).encode(), headers=headers)
        assert reply.status in (202, 303), reply


def _toml(shop: Upstream, counters: Upstream, receivers: dict[str, ScriptedServer]) -> str:
    return f"""
[sources.payments.webhook]
verify = "stripe"
secret = "{STRIPE}"
[sources.payments.api]
base_url = "{shop.url}"
[sources.payments.resources.charges]
path = "/charges"
version = "updated"
webhook = {{ types = ["charge.succeeded"], record = "object", key = "id" }}
[sources.leads.form]
event_type = "lead.submitted"
key_field = "email"
[sources.crm-app.publish]
[sources.open.webhook]
verify = "none"
[sources.shop.api]
base_url = "{shop.url}"
[sources.shop.resources.orders]
path = "/orders"
item_path = "/orders/{{id}}"
data_selector = "orders"
version = "updated_at"
poll = "1s"
[sources.accounting.api]
base_url = "{counters.url}"
[sources.accounting.resources.customers]
path = "/orders"
data_selector = "orders"
version = "updated_at"
poll = "1s"
initial = "events"
[destinations.crm]
url = "{receivers["crm"].url}/hooks?team=sales"
rate = "200/s"
[destinations.chat]
type = "slack"
url = "{receivers["chat"].url}/services/T0/B0/secret"
text = "Deal {{{{ data.name }}}}"
[destinations.warehouse]
url = "{receivers["warehouse"].url}/hooks"
[destinations.ledger]
url = "{receivers["ledger"].url}/hooks"
[destinations.newsletter]
url = "{receivers["newsletter"].url}/hooks"
retry = ["100ms", "200ms"]
[destinations.search]
url = "{receivers["search"].url}/index"
timeout = "2m"
concurrency = 2
[destinations.tax-office]
url = "{receivers["tax-office"].url}/hooks"
[destinations.old-shop]
url = "{receivers["old-shop"].url}/hooks"
[destinations.mail]
url = "{receivers["mail"].url}/hooks"
retry = ["20m", "2h"]
[routes.everything]
from = "*"
to = ["crm"]
[routes.charges]
from = "payments"
to = ["warehouse", "ledger"]
types = ["charge.succeeded"]
[routes.newsletter]
from = "leads"
to = ["newsletter"]
[routes.deals]
from = "crm-app"
to = ["chat", "search"]
types = ["deal.*"]
[routes.taxes]
from = "crm-app"
to = "tax-office"
types = ["invoice.*"]
[routes.old]
from = "crm-app"
to = "old-shop"
types = ["old.*"]
[routes.large]
from = "payments"
to = "mail"
filter = {{ data = {{ object = {{ amount = {{ "$gte" = 20000 }} }} }} }}
[routes.orders]
from = ["shop", "accounting"]
to = "mail"
changes = ["orders"]
filter = {{ data = {{ id = "o-5" }} }}
"""


_SCRIPTS = {
    "crm": answer(OK), "chat": answer(OK), "warehouse": answer(close=True), "ledger": answer(OK),
    "newsletter": answer(_BAD), "search": answer(OK), "tax-office": answer(_FULL), "old-shop": answer(_GONE),
    "mail": answer(_DOWN),
}  # fmt: skip


def _slow(ending: asyncio.Event) -> Script:
    """Answers when the scene ends, and not before."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        await ending.wait()
        writer.write(OK)

    return script


@contextlib.asynccontextmanager
async def busy_gateway(folder: Path) -> AsyncIterator[BusyGateway]:
    async with contextlib.AsyncExitStack() as stack:
        receivers = {name: await stack.enter_async_context(ScriptedServer(script)) for name, script in _SCRIPTS.items()}
        ending = asyncio.Event()
        receivers["search"].script = _slow(ending)
        shop, counters = await stack.enter_async_context(Upstream()), await stack.enter_async_context(Upstream())
        for one in (shop, counters):  # what they change is of this second, so that being late is measured
            one.now = lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # type: ignore[method-assign]
        gate = await stack.enter_async_context(served(folder, _toml(shop, counters, receivers)))
        stack.callback(ending.set)  # else the gateway waits for the answers on their way
        yield BusyGateway(gate, shop, counters, receivers)


async def fill(one: BusyGateway, scale: int = 1) -> dict[str, str]:
    """What makes every state; ids of events by what is to be seen at them."""
    ids = {}
    await one.gate.api.post("/destinations/ledger/pause")
    for number in range(1, 6 + 12 * scale):
        one.shop.put(f"o-{number}", total=number * 10)
    one.counters.put("C-4410", name="Brot & Meer GmbH", city="Bremen", phone="+49 421 1")
    ids["poison"] = await one.charge(1)
    for number in range(2, 10 * scale):
        await one.charge(number)
    ids["charge"] = await one.charge(
        99, customer={"name": "Ada <b>Lovelace</b>", "email": "ada@example.com"}, refunds=[], paid=True, note=None
    )
    for number in range(2):  # three tries each: too few to open its circuit
        await one.lead(email=f"ada{number}@example.com", name="Ada", message="Please call")
    ids["deal"] = await one.publish(
        "crm-app", "deal.closed", {"name": "Northern lights", "amount": 12900}, key="deal-7"
    )
    for number in range(2, 5 * scale):
        await one.publish("crm-app", "deal.closed", {"name": f"Deal {number}", "amount": number}, key=f"deal-{number}")
    await one.publish("crm-app", "invoice.sent", {"number": 1})
    await one.publish("crm-app", "old.thing", {"number": 1})
    reply = await one.gate.api.with_key(None)("POST", "/in/payments", b"{}", headers={"Stripe-Signature": "t=1,v1=00"})
    assert reply.status == 401
    await asyncio.gather(
        *(
            one.gate.api.post(f"/sources/{path}/poll")
            for path in ("shop/resources/orders", "accounting/resources/customers")
        )
    )
    one.shop.put("o-5", total=990, city="Emden")
    one.counters.put("C-4410", city="Bremerhaven", vat="DE811")
    await until(lambda: _settled(one), 30)
    return ids


async def _settled(one: BusyGateway) -> bool:
    found = (await one.gate.api.get("/stats"))["destinations"]
    senders = one.gate.gateway.deliver.senders
    names = {live.name: senders.get(live.number) for live in one.gate.gateway.active.destinations.values()}
    warehouse, mail = names["warehouse"], found["mail"]
    return bool(
        found["newsletter"]["exhausted"] and found["chat"]["delivered"] and warehouse is not None
        and warehouse.limits.breaker.state != "closed" and mail["pending"] and found["crm"]["pending"] == 0
        and one.gate.gateway.active.destinations["old-shop"].paused_at_us and (await _changes(one))
    )  # fmt: skip


async def _changes(one: BusyGateway) -> bool:
    found = (await one.gate.api.get("/events?type=customers.updated"))["data"]
    return bool(found)


class BackgroundLoop:
    """A gateway in a thread of its own, so that a test may block on a browser. `run` does a coroutine there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)


@contextlib.contextmanager
def in_background(opening: contextlib.AbstractAsyncContextManager[T]) -> Iterator[tuple[T, BackgroundLoop]]:
    """What `opening` yields, living in a loop of its own until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="gateway")
    thread.start()
    one = BackgroundLoop(loop)
    try:
        opened = one.run(opening.__aenter__())
        try:
            yield opened, one
        finally:
            one.run(opening.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
