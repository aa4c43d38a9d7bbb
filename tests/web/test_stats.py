"""What was measured, through the API, `/metrics` and the command line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from support.gateway.api import served
from support.gateway.running import until
from support.receiver.scripted import OK, ScriptedServer, answer

TOML = """
[sources.shop.webhook]
verify = "none"
[destinations.crm]
url = "{url}/hook"
[routes.all]
from = "shop"
to = "crm"
"""


async def test_stats_of_a_window_and_metrics_of_the_last_hour(tmp_path: Path) -> None:
    async with ScriptedServer(answer(OK)) as server, served(tmp_path, TOML.format(url=server.url)) as gate:
        assert (await gate.api.get("/stats"))["measured"] is None
        nothing = (await gate.api.get("/stats?window=24h"))["measured"]
        assert nothing["since"] is None and nothing["destinations"]["crm"]["delay"]["p50"]["seconds"] is None
        for number in range(3):
            body = msgspec.json.encode({"type": "order", "n": number})
            assert (await gate.api("POST", "/in/shop", body)).status == 202
        same = {"webhook-id": "one"}
        for _ in range(2):
            await gate.api("POST", "/in/shop", b'{"type": "order"}', headers=same)

        async def delivered() -> bool:
            made = (await gate.api.get("/stats?window=1h"))["measured"]
            return bool(made["destinations"]["crm"]["delivered"] == 4)

        await until(delivered)
        made = (await gate.api.get("/stats?window=30d"))["measured"]
        source = made["sources"]["shop"]
        assert (source["accepted"], source["accepted_by_origin"]) == (4, {"webhook": 4})
        assert (source["doubled"]["part"], source["doubled"]["whole"], made["window"]) == (1, 5, "30d")
        assert made["destinations"]["crm"]["delay"]["samples"] == 4
        wrong = await gate.api("GET", "/api/v1/stats?window=2d")
        assert wrong.status == 400 and b"1h, 24h, 7d, 30d" in wrong.body
        text = (await gate.api("GET", "/metrics")).body.decode()
        assert 'tidegate_hour_webhooks_doubled{source="shop"} 1.0' in text
        assert 'tidegate_hour_delivery_delay_seconds{destination="crm",quantile="0.5"}' in text
        assert "nan" not in text.lower()
