"""A credential in the query of a resource's path: no answer, page or export shows it, and an update keeps it."""

from __future__ import annotations

from pathlib import Path

from support.gateway.api import served

SECRET = "s3cr3t-in-a-path"
SOURCE = {
    "api": {"base_url": "http://127.0.0.1:9"},
    "resources": {
        "orders": {"path": f"/orders?api_key={SECRET}&page=1", "item_path": f"/orders/{{id}}?access_token={SECRET}"},
        "plain": {"path": "/plain?page=1"},
    },
}


async def test_no_answer_page_or_export_shows_it_and_an_update_keeps_it(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        assert (await gate.api("PUT", "/api/v1/sources/shop", SOURCE)).status == 201
        reader = await gate.key("read")
        for path in ("/sources", "/sources/shop", "/config", "/config?format=toml"):
            answer = await reader("GET", "/api/v1" + path)
            assert answer.status == 200 and b"shop" in answer.body
            assert SECRET.encode() not in answer.body, path
        shown = await reader.get("/sources/shop")
        assert shown["resources"]["plain"]["path"] == "/plain?page=1"
        sent = {key: shown[key] for key in SOURCE}
        sent["resources"]["plain"]["cache"] = "5s"
        changed = await gate.api("PUT", "/api/v1/sources/shop", sent)
        assert changed.status == 200, changed.body
        spec = gate.gateway.active.sources["shop"].spec
        assert spec.resources["orders"].path == SOURCE["resources"]["orders"]["path"]
        assert spec.resources["plain"].cache == "5s"
        moved = {**sent, "api": {"base_url": "http://127.0.0.1:10"}}
        refused = await gate.api("PUT", "/api/v1/sources/shop", moved)
        assert refused.status == 422, "a credential is kept for its origin only"
