"""No secret is on disk in clear text, and none is shown: the data directory, a backup, a shared database, the API and
the pages.

A gateway gets a secret of every kind, and then everything that it wrote and tells is searched for them.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from support.gateway.api import ADMIN, Served, served
from support.postgres.server import contents, server

SECRETS = {
    "input": "whsec_aW5sZXQtc2VjcmV0LWlubGV0",
    "older": "whsec_b2xkZXItc2VjcmV0LW9sZGVy",
    "token": "token-of-the-shop-4711",
    "query": "key-in-the-query-4712",
    "signing": "whsec_c2lnbmluZy1zZWNyZXQtc2ln",
    "header": "header-value-4713",
    "password": "password-4714",
    "chat": "T000/B000/chat-path-4715",
}
CONFIG = """
[sources.payments.webhook]
verify = "stripe"
secret = ["{input}", "{older}"]
[sources.shop.api]
base_url = "https://shop.example.com"
auth = {{ type = "bearer", token = "{token}" }}
[sources.stock.api]
base_url = "https://stock.example.com"
auth = {{ type = "api_key", name = "k", api_key = "{query}", location = "query" }}
[destinations.crm]
url = "https://crm.example.com/hooks"
secret = "{signing}"
headers = {{ "X-Api-Key" = "{header}" }}
[destinations.erp]
url = "https://erp.example.com/hooks"
auth = {{ type = "http_basic", username = "me", password = "{password}" }}
[destinations.chat]
type = "slack"
url = "https://hooks.example.com/services/{chat}"
text = "hello"
[sources.app.publish]
""".format(**SECRETS)
READ = (
    "/sources", "/sources/payments", "/sources/shop", "/sources/stock", "/destinations", "/destinations/crm",
    "/destinations/erp", "/destinations/chat", "/config", "/config?format=toml", "/stats", "/doctor", "/keys",
    "/events",
)  # fmt: skip
PAGES = (
    "/",
    "/events",
    "/destinations",
    "/destinations/crm",
    "/destinations/chat",
    "/sources",
    "/api-or-webhook",
    "/api-or-webhook/all",
)


async def session_of(gate: Served) -> dict[str, str]:
    """The header of a browser that signed in."""
    form = f"key={ADMIN}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    entered = await gate.api.with_key(None)("POST", "/login", form, headers=headers)
    assert entered.status == 303
    return {"Cookie": entered.headers["set-cookie"].partition(";")[0]}


def found_in(data: bytes, made: dict[str, str]) -> list[str]:
    return [name for name, secret in {**SECRETS, **made}.items() if secret.encode() in data]


async def use_all(gate: Any) -> dict[str, str]:
    """Make what else is secret, and read everything; what was made, by name."""
    made: dict[str, str] = {"key": (await gate.api.post("/keys", {"name": "k", "scopes": ["read"]}))["key"]}
    made["rotated"] = (await gate.api.post("/destinations/erp/rotate"))["secret"]
    cookie = await session_of(gate)
    made["session"] = cookie["Cookie"].partition("=")[2]
    await gate.api.post("/events", {"source": "app", "type": "a.b", "data": {}})
    for path in READ:
        answer = await gate.api("GET", f"/api/v1{path}")
        assert answer.status == 200 and found_in(answer.body, made) == [], path
    for path in PAGES:
        page = await gate.api.with_key(None)("GET", path, headers=cookie)
        assert page.status == 200 and found_in(page.body, made) == [], path
    return made


async def test_no_secret_lies_in_the_clear_and_none_is_shown(tmp_path: Path) -> None:
    async with served(tmp_path / "gate", CONFIG) as gate:
        made = await use_all(gate)
        await gate.api.post("/backup", {"path": str(tmp_path / "copy.db")})
        _search(tmp_path, made)  # while it runs: the write-ahead log is on disk too
    _search(tmp_path, made)
    assert stat.S_IMODE((tmp_path / "gate" / "data" / "secret.key").stat().st_mode) == 0o600


async def test_no_secret_lies_in_the_clear_in_a_shared_database(tmp_path: Path) -> None:
    database = server().new_database()
    async with served(tmp_path / "gate", CONFIG, database=database) as gate:
        made = await use_all(gate)
    tables = await contents(database)
    assert b"a.b" in tables["events_0"], "it is searched as it lies there"
    assert {name: found for name, held in tables.items() if (found := found_in(held, made))} == {}


def _search(folder: Path, made: dict[str, Any]) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "tidegate.toml"]
    assert {"tidegate.db", "copy.db", "secret.key"} <= {path.name for path in files}
    assert {path.name: found for path in files if (found := found_in(path.read_bytes(), made))} == {}


def test_the_search_of_this_file_finds_what_is_there(tmp_path: Path) -> None:
    assert found_in(b"... " + SECRETS["token"].encode(), {"key": "tg_1"}) == ["token"]
    assert found_in(b"tg_1", {"key": "tg_1"}) == ["key"]
