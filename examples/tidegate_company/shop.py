"""The web shop: an API of orders, and no webhooks.

`GET /api/orders` lists by change time, `updated_since` is inclusive, pages follow a `Link` header with
`rel="next"`; `GET /api/orders/ID` returns one. Both require `Authorization: Bearer TOKEN` and answer with an `ETag`.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate_company import web

PER_PAGE = 20
STATES = ["paid", "packed", "shipped", "delivered"]
FIRST_ORDERS = [
    ("A1001", "Blue Harbor Ltd", 18900, "shipped", [("Rope, 20 m", 2), ("Cleat, steel", 4)]),
    ("A1002", "Northwind Sailing", 4550, "packed", [("Chart of the strait", 1)]),
    ("A1003", "Quay Street Coffee", 129900, "paid", [("Espresso machine", 1)]),
]


class Shop:
    def __init__(self, system: web.System) -> None:
        self.system = system
        self.token = system.secret("shop-token")
        self.orders: dict[str, dict[str, Any]] = {}
        for identity, customer, cents, status, items in FIRST_ORDERS:
            self.put(identity, customer, cents, status, items)

    def put(self, identity: str, customer: str, cents: int, status: str, items: list[tuple[str, int]]) -> None:
        at = web.now()
        self.orders[identity] = {
            "id": identity,
            "customer": customer,
            "status": status,
            "total_cents": cents,
            "items": [{"name": name, "quantity": quantity} for name, quantity in items],
            "created_at": at,
            "updated_at": at,
        }

    def allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode())

    async def list_orders(self, request: Request) -> Response:
        self.system.count_request()
        if not self.allowed(request):
            return web.problem(401, "the token is missing or wrong", **{"WWW-Authenticate": "Bearer"})
        try:
            page, per_page = (
                int(request.query_params.get("page", 1)),
                int(request.query_params.get("per_page", PER_PAGE)),
            )
        except ValueError:
            return web.problem(400, "page and per_page must be integers")
        since = request.query_params.get("updated_since", "")
        found = sorted(self.orders.values(), key=lambda order: (order["updated_at"], order["id"]))
        found = [order for order in found if order["updated_at"] >= since]
        start = (max(page, 1) - 1) * max(per_page, 1)
        links = {}
        if start + per_page < len(found):
            query = urlencode({**request.query_params, "page": page + 1})
            links["Link"] = f'<{request.url.replace(query=query)}>; rel="next"'
        return web.with_etag(request, {"orders": found[start : start + per_page]}, links)

    async def one_order(self, request: Request) -> Response:
        self.system.count_request()
        if not self.allowed(request):
            return web.problem(401, "the token is missing or wrong", **{"WWW-Authenticate": "Bearer"})
        order = self.orders.get(request.path_params["id"])
        return web.problem(404, "there is no such order") if order is None else web.with_etag(request, order)

    async def place(self, request: Request) -> Response:
        identity = f"A{secrets.randbelow(900_000) + 100_000}"
        self.put(identity, "Walk-in customer", 2500, "paid", [("Tide table", 1)])
        return web.back()

    async def advance(self, request: Request) -> Response:
        order = self.orders.get(request.path_params["id"])
        if order is None:
            return web.problem(404, "there is no such order")
        order["status"] = STATES[(STATES.index(order["status"]) + 1) % len(STATES)]
        order["updated_at"] = web.now()
        return JSONResponse(order) if web.wants_json(request) else web.back()

    async def page(self, request: Request) -> Response:
        rows = [
            [web.text(order["id"]), web.text(order["customer"]), web.text(order["status"]),
             web.euros(order["total_cents"]), web.button(f"/orders/{order['id']}/advance", "Next state")]
            for order in self.orders.values()
        ]  # fmt: skip
        body = web.table(["Order", "Customer", "State", "Total", ""], rows, "There are no orders.")
        return self.system.page(
            request,
            f"A web shop with an API. Requests to it: {self.system.counts['api_requests']}.",
            body + web.button("/orders", "Place an order"),
        )

    async def state(self, request: Request) -> Response:
        return self.system.state(orders=list(self.orders))


def main() -> None:
    options = web.arguments(__doc__ or "").parse_args()
    shop = Shop(web.System("Shop", options))
    web.serve(
        [
            Route("/", shop.page),
            Route("/api/orders", shop.list_orders),
            Route("/api/orders/{id}", shop.one_order),
            Route("/orders", shop.place, methods=["POST"]),
            Route("/orders/{id}/advance", shop.advance, methods=["POST"]),
            Route("/demo/state", shop.state),
        ],
        options,
    )


if __name__ == "__main__":
    main()
