"""Shopify: GraphQL with connections, a search that lags, a bucket of query cost, errors with status 200."""

from __future__ import annotations

from typing import Any

from support.catalog import graphql
from support.catalog.auth import header
from support.catalog.calls import Custom, sorting
from support.catalog.limits import Left, Quota
from support.catalog.pages import make_token, read_token
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test
from support.catalog.times import iso_s, read_iso
from support.catalog.where import Condition, conditions
from support.catalog.world import World

KINDS = {"orders": "Order", "customers": "Customer", "products": "Product"}
SORTS = {"UPDATED_AT": "updated", "CREATED_AT": "created", "ID": "id", "PROCESSED_AT": "created"}
SEARCH = {"updated_at": ("updated", read_iso), "created_at": ("created", read_iso)}
PAGE = 40  # 250 in the real one


def gid(kind: str) -> Any:
    return lambda number: f"gid://shopify/{kind}/{1000 + number}"


def row(table: str) -> Any:
    def node(state: State) -> dict[str, Any]:
        common = {
            "id": gid(KINDS[table])(state.number),
            "tags": list(state.values.get("tags", [])),
            "createdAt": iso_s(state.created_us),
            "updatedAt": iso_s(state.at_us),
        }
        if table == "orders":
            money = {"amount": "49.00", "currencyCode": "EUR"}
            return common | {
                "name": f"#{1000 + state.number}",
                "email": "mira@example.com",
                "phone": None,
                "note": state.mark,
                "cancelledAt": None,
                "closedAt": None,
                "displayFinancialStatus": "PAID",
                "displayFulfillmentStatus": "UNFULFILLED",
                "currencyCode": "EUR",
                "currentTotalPriceSet": {"shopMoney": money},
                "customer": {"id": "gid://shopify/Customer/1001"},
            }
        if table == "customers":
            return common | {
                "firstName": "Mira",
                "lastName": state.mark,
                "state": "ENABLED",
                "note": None,
                "verifiedEmail": True,
                "numberOfOrders": "3",
                "defaultEmailAddress": {"emailAddress": "mira@example.com"},
            }
        return common | {
            "title": state.mark,
            "handle": f"p{state.number}",
            "status": "ACTIVE",
            "vendor": "Acme",
            "productType": "",
            "totalInventory": 7,
        }

    return node


def connection(world: World, table: str, now_us: int) -> graphql.Resolver:
    """orders(first, after, query, sortKey, reverse). The search is an index; deleted rows are in none."""

    def resolve(field: graphql.Field) -> Any:
        given = field.arguments
        first = given.get("first")
        if not isinstance(first, int) or not 1 <= first <= 250:
            raise Refused("bad_request", f"first must be from 1 to 250, and it is {first!r}")
        sort = given.get("sortKey") or "ID"
        if sort not in SORTS:
            raise Refused("bad_request", f"{sort} is not a sort key")
        rows = world.rows(table)
        wanted = [Condition("gone", "=", False), *conditions(str(given.get("query") or ""), SEARCH)]
        key = sorting(rows.table, ((SORTS[sort], bool(given.get("reverse"))),))
        states = [one for one in rows.visible(late=True) if all(each.holds(rows.table, one) for each in wanted)]
        states.sort(key=key)
        if given.get("after"):
            last, _ = read_token(given["after"])
            states = [one for one in states if list(key(one)) > last]
        size = min(first, PAGE)
        page = states[:size]
        nodes = [rows.table.row(one) for one in page]
        tokens = [make_token(list(key(one)), now_us) for one in page]
        return {
            "nodes": nodes,
            "edges": [{"node": node, "cursor": token} for node, token in zip(nodes, tokens, strict=True)],
            "pageInfo": {
                "hasNextPage": len(states) > size,
                "endCursor": tokens[-1] if tokens else None,
                "hasPreviousPage": bool(given.get("after")),
                "startCursor": tokens[0] if tokens else None,
            },
        }

    return resolve


def customer_set(world: World) -> graphql.Resolver:
    def resolve(field: graphql.Field) -> Any:
        given = field.arguments.get("input") or {}
        if not given.get("email"):
            return {"customer": None, "userErrors": [{"field": ["input"], "message": "email is needed", "code": None}]}
        rows, unique = world.rows("customers"), (field.arguments.get("identifier") or {}).get("email")
        owners = (one for one in rows.live() if rows.states[one][-1].values.get("unique") == given["email"])
        same = next(owners, None)
        if same is not None and unique != given["email"]:
            taken = {"field": ["input", "email"], "message": "Email has already been taken", "code": "TAKEN"}
            return {"customer": None, "userErrors": [taken]}
        values = {"unique": given["email"]}
        state = rows.create(values) if same is None else rows.update(same, values)
        return {"customer": rows.table.row(state), "userErrors": []}

    return resolve


def tags_add(world: World) -> graphql.Resolver:
    def resolve(field: graphql.Field) -> Any:
        rows = world.rows("orders")
        state = rows.find(str(field.arguments.get("id")))
        if state is None or state.gone:
            return {"node": None, "userErrors": [{"field": ["id"], "message": "Order does not exist"}]}
        tags = [*state.values.get("tags", []), *(field.arguments.get("tags") or [])]
        written = rows.update(state.number, {"tags": list(dict.fromkeys(tags))})
        return {"node": {"id": rows.table.row(written)["id"]}, "userErrors": []}

    return resolve


def run(ask: Ask, world: World) -> Reply:
    queries = {table: connection(world, table, ask.now_us) for table in KINDS}
    try:
        data = graphql.run(ask.body, queries, {"customerSet": customer_set(world), "tagsAdd": tags_add(world)})
    except Refused as error:
        return Reply(200, {"errors": [{"message": error.message}]})
    return Reply(200, {"data": data})


def cost(ask: Ask) -> float:
    """An object costs 1, a mutation 10, and a connection what it may have."""
    first = (ask.get("body:variables") or {}).get("first", 10)
    return 2 + float(first if isinstance(first, int) else 0)


def throttle_status(left: Left, body: Any) -> None:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": left.remaining, "restoreRate": 100.0}
    body["extensions"] = {"cost": {"requestedQueryCost": 102, "actualQueryCost": 102, "throttleStatus": status}}


def throttled(left: Left) -> Reply:
    return Reply(200, {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]})


DOUBLE = Double(
    name="shopify",
    sources=(
        "https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits",
        "https://shopify.dev/docs/api/admin-graphql/latest/queries/orders",
        "https://shopify.dev/docs/api/admin-graphql/latest/mutations/customerSet",
        "https://community.shopify.com/t/graphql-admin-api-example-throttled-requests-response/8456",
    ),
    auth=header("X-Shopify-Access-Token"),
    base="/admin/api/2026-10",
    values={"shop": "acme"},
    quotas=(Quota(limit=2000, seconds=20, bucket=True, cost=cost, refuse=throttled, into=throttle_status),),
    error=lambda kind, status, message: {"errors": f"[API] {message}"},
    tables=tuple(
        Table(name=table, row=row(table), ident=gid(kind), first=80, lag_seconds=60) for table, kind in KINDS.items()
    ),
    resources={table: table for table in KINDS},
    calls=(Custom(path="/graphql.json", method="POST", run=run, lists=True),),
    operations={
        "upsert_customer": Test(
            data={"email": "{n}@example.com", "firstname": "A", "lastname": "B"}, table="customers"
        ),
        "tag_order": Test(
            data={"order_id": "gid://shopify/Order/1001", "tags": ["urgent"]}, table="orders", creates=False
        ),
    },
)
