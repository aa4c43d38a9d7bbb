"""A healed event through the API and the pages: filter, explanation, record and page say what was missed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlencode

from support.gateway.api import Served, served
from support.gateway.running import until
from support.upstream.orders import Upstream

TOML = """[sources.shop.webhook]
verify = "none"
[sources.shop.api]
base_url = "{url}"
[sources.shop.resources.orders]
path = "/orders"
data_selector = "orders"
version = "updated_at"
initial = "events"
webhook = {{ types = ["orders/*"] }}
reconcile = "1d"
"""


async def signed_in(gate: Served) -> Callable[[str], Awaitable[str]]:
    """Reads pages as a person who signed in."""
    fields = urlencode({"token": gate.context.sessions.new_link()}).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    entered = await gate.api.with_key(None)("POST", "/login", fields, headers=form)
    cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}

    async def page(path: str) -> str:
        answer = await gate.api.with_key(None)("GET", path, headers=cookie)
        assert answer.status == 200, answer
        return answer.body.decode()

    return page


async def test_a_healed_event_says_what_was_missed_wherever_it_is_shown(tmp_path: Path) -> None:
    async with Upstream() as shop:
        shop.put("7")
        async with served(tmp_path, TOML.format(url=shop.url)) as gate:
            await gate.api.post("/sources/shop/resources/orders/poll")
            await gate.api("POST", "/in/shop", {"type": "other", "id": "1"})
            (event,) = (await gate.api.get("/events?healed=true"))["data"]
            healed = event["change"]["healed"]
            assert event["key"] == "7" and healed["webhooks"] == ["orders/*"] and healed["missed_for_seconds"] > 0
            assert [one["type"] for one in (await gate.api.get("/events?healed=false"))["data"]] == ["other"]
            refused = await gate.api("GET", "/api/v1/events?healed=yes")
            assert refused.status == 400 and "true or false" in refused.json()["detail"]

            explained = await gate.api.get(f"/explain/{event['id']}")
            assert "no orders/* webhook had reported it, missing for " in explained["origin"]["detail"]
            assert "to /in/shop" in explained["notes"][0] and explained["event"]["change"]["healed"] == healed

            assert (await gate.api.get("/records/shop/orders/7"))["healed"] == healed
            assert (await gate.api.get("/records/shop/orders"))["data"][0]["healed"] == healed
            figures = (await gate.api.get("/stats"))["resources"]["shop/orders"]
            assert (figures["healed"], figures["healed_samples"]) == (1, ["orders.created 7"])

            page = await signed_in(gate)
            text = await page(f"/events/{event['id']}")
            assert "Missed webhook" in text and "Missing since" in text and "orders/*, missing for" in text
            listed = await page("/events?healed=1")
            assert event["id"] in listed and "healed only" in listed and "other" not in listed.partition("<tbody")[2]


async def test_a_change_that_a_webhook_brought_says_nothing_of_the_kind(tmp_path: Path) -> None:
    async with Upstream() as shop:
        async with served(tmp_path, TOML.format(url=shop.url)) as gate:
            await gate.api("POST", "/in/shop", {"type": "orders/updated", **shop.put("7")})

            async def merged() -> bool:
                return bool((await gate.api.get("/events?type=orders.created"))["data"])

            await until(merged)
            await gate.api.post("/sources/shop/resources/orders/poll")
            (event,) = (await gate.api.get("/events?type=orders.created"))["data"]
            assert "healed" not in event["change"] and (await gate.api.get("/events?healed=true"))["data"] == []
            assert (await gate.api.get("/records/shop/orders/7"))["healed"] is None
            page = await signed_in(gate)
            assert "Missed webhook" not in await page(f"/events/{event['id']}")
