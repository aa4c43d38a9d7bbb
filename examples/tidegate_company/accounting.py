"""The accounting system: an API of customers without webhooks.

`GET /api/customers` requires the header `X-Api-Key`; `changed_since` is inclusive; each page but the last has a
`next_cursor`. Each customer has a `revision` that counts its edits, also across restarts when a file is given. People
edit customers on the page at `/`.
"""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate_company import web

PER_PAGE = 50
FIRST_CUSTOMERS = [
    ("C-11", "Blue Harbor Ltd", "Rotterdam", 500_000),
    ("C-12", "Northwind Sailing", "Bergen", 120_000),
    ("C-13", "Quay Street Coffee", "Lisbon", 80_000),
    ("C-14", "Lighthouse Hotel", "Brest", 250_000),
]


class Accounting:
    def __init__(self, system: web.System) -> None:
        self.system = system
        self.key = system.secret("accounting-key")
        self.customers: dict[str, dict[str, Any]] = {}
        self.file = Path(system.options.file) if system.options.file else None
        if self.file is not None and self.file.exists():
            self.customers = json.loads(self.file.read_text())
            return
        for identity, name, city, limit in FIRST_CUSTOMERS:
            self.customers[identity] = {
                "id": identity,
                "name": name,
                "city": city,
                "credit_limit_cents": limit,
                "revision": 1,
                "changed_at": web.now(),
            }

    def allowed(self, request: Request) -> bool:
        return hmac.compare_digest(request.headers.get("x-api-key", "").encode(), self.key.encode())

    def save(self) -> None:
        """Write to a new file and rename it, so that a stop in the middle leaves the last state."""
        if self.file is not None:
            fresh = self.file.with_suffix(".new")
            fresh.write_text(json.dumps(self.customers))
            fresh.replace(self.file)

    async def list_customers(self, request: Request) -> Response:
        self.system.count_request()
        if not self.allowed(request):
            return web.problem(401, "the key is missing or wrong")
        since, cursor = request.query_params.get("changed_since", ""), request.query_params.get("cursor", "")
        found = sorted(self.customers.values(), key=lambda customer: (customer["changed_at"], customer["id"]))
        found = [c for c in found if c["changed_at"] >= since and f"{c['changed_at']}|{c['id']}" > cursor]
        last = found[PER_PAGE - 1] if len(found) > PER_PAGE else None
        following = f"{last['changed_at']}|{last['id']}" if last else None
        return web.with_etag(request, {"customers": found[:PER_PAGE], "next_cursor": following})

    async def one_customer(self, request: Request) -> Response:
        self.system.count_request()
        if not self.allowed(request):
            return web.problem(401, "the key is missing or wrong")
        customer = self.customers.get(request.path_params["id"])
        return web.problem(404, "there is no such customer") if customer is None else web.with_etag(request, customer)

    async def edit(self, request: Request) -> Response:
        """Apply what the form of the page posts. A missing field is not changed."""
        customer = self.customers.get(request.path_params["id"])
        if customer is None:
            return web.problem(404, "there is no such customer")
        form = await web.form(request)
        for field in ("name", "city"):
            if form.get(field):
                customer[field] = form[field][:120]
        customer["revision"] += 1
        customer["changed_at"] = web.now()
        self.system.counts["edits"] += 1
        self.save()
        return JSONResponse(customer) if web.wants_json(request) else web.back()

    async def page(self, request: Request) -> Response:
        rows = [
            [web.text(c["id"]), self.form(c), str(c["revision"]), web.text(c["changed_at"][11:19])]
            for c in self.customers.values()
        ]
        return self.system.page(
            request,
            f"Accounting has an API and no webhooks. Requests to it: {self.system.counts['api_requests']}.",
            web.table(["Customer", "Name and city", "Revision", "Changed (UTC)"], rows, "There are no customers."),
        )

    def form(self, customer: dict[str, Any]) -> str:
        return (
            f'<form method="post" action="/customers/{web.text(customer["id"])}" class="inline">'
            f'<input name="name" aria-label="Name" value="{web.text(customer["name"])}">'
            f'<input name="city" aria-label="City" value="{web.text(customer["city"])}"><button>Save</button></form>'
        )

    async def state(self, request: Request) -> Response:
        return self.system.state(customers=self.customers)


def main() -> None:
    parser = web.arguments(__doc__ or "")
    parser.add_argument("--file", default="", help="keep the customers in this file; in memory without")
    options = parser.parse_args()
    accounting = Accounting(web.System("Accounting", options))
    web.serve(
        [
            Route("/", accounting.page),
            Route("/api/customers", accounting.list_customers),
            Route("/api/customers/{id}", accounting.one_customer),
            Route("/customers/{id}", accounting.edit, methods=["POST"]),
            Route("/demo/state", accounting.state),
        ],
        options,
    )


if __name__ == "__main__":
    main()
