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


TOKEN = {
    "api": {
        "base_url": "http://127.0.0.1:9",
        "auth": {
            "type": "oauth2_client_credentials",
            "access_token_url": f"http://127.0.0.1:9/token?client_secret={SECRET}",
            "client_id": "me",
            "client_secret": SECRET,
        },
    },
}


async def test_the_query_of_a_token_url_is_hidden_and_kept_for_its_origin(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        assert (await gate.api("PUT", "/api/v1/sources/shop", TOKEN)).status == 201
        reader = await gate.key("read")
        for path in ("/sources", "/sources/shop", "/config", "/config?format=toml"):
            answer = await reader("GET", "/api/v1" + path)
            assert answer.status == 200 and b"shop" in answer.body
            assert SECRET.encode() not in answer.body, path
        sent = {"api": (await reader.get("/sources/shop"))["api"]}
        assert (await gate.api("PUT", "/api/v1/sources/shop", sent)).status == 200
        kept = gate.gateway.active.sources["shop"].spec.api.auth
        assert kept.access_token_url == TOKEN["api"]["auth"]["access_token_url"]
        sent["api"]["auth"]["access_token_url"] = "http://127.0.0.1:10/token"
        assert (await gate.api("PUT", "/api/v1/sources/shop", sent)).status == 422, "the secret would go elsewhere"


async def test_a_base_url_has_no_query_so_no_credential_in_it(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        source = {"api": {"base_url": f"http://127.0.0.1:9/v1?api_key={SECRET}"}}
        refused = await gate.api("PUT", "/api/v1/sources/shop", source)
        assert refused.status == 422 and SECRET.encode() not in refused.body
