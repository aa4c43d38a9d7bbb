"""Advice on sources that the API owns: applied, undone, and refused where it is not the caller's to change."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from support.browser import sample_pages
from support.gateway.api import Api, Reply, served
from tidegate.query import advice_report

RESOURCE = {"path": "/orders", "webhook": {"types": ["order/*"]}}
SOURCE = {
    "webhook": {"verify": "none"},
    "api": {"base_url": "http://127.0.0.1:9", "auth": {"type": "bearer", "token": "kept-secret"}},
    "resources": {"orders": RESOURCE},
}
TOML = """[sources.files.webhook]
verify = "none"
[sources.files.api]
base_url = "http://127.0.0.1:9"
[sources.files.resources.orders]
path = "/orders"
webhook = { types = ["order/*"] }
"""


async def put(api: Api, path: str, /, **body: Any) -> Reply:
    return await api("PUT", "/api/v1" + path, body)


async def resource(api: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get("/sources/shop"))["resources"]["orders"]
    return found


async def test_advice_is_applied_to_what_the_api_owns_and_undone(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        assert (await put(gate.api, "/sources/shop", **SOURCE)).status == 201
        (one,) = (await gate.api.get("/advice"))["data"]
        assert one["apply"]["settings"] == [{"key": "reconcile", "before": None, "after": "6h"}]
        assert one["apply"]["toml"] == [" [sources.shop.resources.orders]", '+reconcile = "6h"'] and not one["undo"]
        seen = {"settings": {"reconcile": "1h"}}
        refused = await gate.api("POST", "/api/v1/advice/shop/orders/apply", seen)
        assert (refused.status, refused.json()["code"]) == (409, "advice_changed")
        assert "reconcile" not in await resource(gate.api)
        after = await gate.api.post("/advice/shop/orders/apply", {"settings": {"reconcile": "6h"}})
        assert after["undo"] and (await resource(gate.api))["reconcile"] == "6h"
        again = await gate.api("POST", "/api/v1/advice/shop/orders/apply", {})
        assert (again.status, again.json()["code"]) == (409, "nothing_to_apply")
        undone = await gate.api.post("/advice/shop/orders/undo", {})
        assert not undone["undo"] and await resource(gate.api) == RESOURCE
        nothing = await gate.api("POST", "/api/v1/advice/shop/orders/undo", {})
        assert (nothing.status, nothing.json()["code"]) == (409, "no_undo")
        spec = gate.gateway.active.sources["shop"].spec
        assert spec.api is not None and spec.api.auth is not None and "kept-secret" in repr(spec.api.auth)


async def test_an_undo_never_overwrites_what_a_person_changed_since(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        await put(gate.api, "/sources/shop", **SOURCE)
        await gate.api.post("/advice/shop/orders/apply", {})
        await put(gate.api, "/sources/shop", **{**SOURCE, "resources": {"orders": {**RESOURCE, "reconcile": "2h"}}})
        refused = await gate.api("POST", "/api/v1/advice/shop/orders/undo", {})
        assert (refused.status, refused.json()["code"]) == (409, "changed_since")
        assert (await resource(gate.api))["reconcile"] == "2h"


async def test_what_the_file_owns_is_shown_as_lines_and_not_changed(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        refused = await gate.api("POST", "/api/v1/advice/files/orders/apply", {})
        problem = refused.json()
        assert (refused.status, problem["code"]) == (409, "owned_by_file")
        assert "tidegate advise --apply files/orders" in problem["hint"] and '+reconcile = "6h"' in problem["hint"]
        for path in ("/advice/files/nothing/apply", "/advice/nobody/orders/undo"):
            assert (await gate.api("POST", f"/api/v1{path}", {})).status == 404
        assert (await gate.api("GET", "/api/v1/advice?window=2y")).status == 400


async def test_prices_and_delays_without_a_meaning_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        for api, own in (
            ({"price_per_call": -1}, {}), ({"price_per_call": "free"}, {}), ({"price_per_call": 1e9}, {}),
            ({}, {"max_delay": "soon"}), ({}, {"max_delay": "0s"}), ({}, {"max_delay": "900d"}),
            ({}, {"delay_price": -0.5}), ({}, {"delay_price": True}),
        ):  # fmt: skip
            wrong = {**SOURCE, "api": {**SOURCE["api"], **api}, "resources": {"orders": {**RESOURCE, **own}}}
            answer = await put(gate.api, "/sources/shop", **wrong)
            assert answer.status in (400, 422), (api, own)
            assert next(iter({**api, **own})) in answer.body.decode()
        free = {**SOURCE, "api": {**SOURCE["api"], "price_per_call": 0}}
        assert (await put(gate.api, "/sources/shop", **free)).status == 201
        assert b"NaN" not in (await gate.api("GET", "/api/v1/advice")).body


async def test_the_report_is_one_harmless_file_in_html_or_markdown(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        await put(gate.api, "/sources/shop", **SOURCE)
        page = await gate.api("GET", "/api/v1/advice/report", headers={"accept": "text/html,*/*"})
        policy = page.headers["content-security-policy"]
        assert page.headers["content-type"].startswith("text/html") and "sandbox" in policy
        text = page.body.decode()
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy and policy.startswith("default-src 'none'")
        assert not re.search(r"<script|\son\w+=|style=|https?://|src=", text), "nothing is loaded and nothing runs"
        assert "shop/orders: Not enough data yet" in text and "+reconcile = &#34;6h&#34;" in text
        plain = await gate.api("GET", "/api/v1/advice/report", headers={"accept": "*/*"})
        assert plain.headers["content-type"].startswith("text/markdown")
        assert "## shop/orders: Not enough data yet" in plain.body.decode()
        assert (await gate.api("GET", "/api/v1/advice/report?format=pdf")).status == 400


def test_text_of_outside_systems_is_text_in_both_formats() -> None:
    hostile = "<script>alert(1)</script> [x](http://evil.example) | `a` **b** \u202e&lt;"
    advised = [sample_pages.advice("poll_every", hostile, 900.0)]
    page = advice_report.html(advised, "2026-11-30T00:00:00Z", "7d")
    assert "<script>" not in page and "&lt;script&gt;" in page and "\u202e" not in page
    text = advice_report.markdown(advised, "2026-11-30T00:00:00Z", "7d")
    for raw in ("<script>", "[x]", " | `", "**b", "\u202e", " &lt;"):
        assert raw not in text.split("## ")[1], raw
