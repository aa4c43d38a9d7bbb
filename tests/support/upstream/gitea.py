"""Gitea, a real program whose API is polled: built by `.ci/gitea`, with a SQLite database.

Its list of issues is sorted by creation, newest first; times have whole seconds.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.gateway.process import call_with, free_port
from support.upstream import program

FOLDER = program.TOOLS / "gitea"
REPO = "/api/v1/repos/admin/shop"
SETTINGS = """
RUN_MODE = prod
WORK_PATH = {path}
[server]
STATIC_ROOT_PATH = {sources}
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
OFFLINE_MODE = true
DISABLE_SSH = true
[database]
DB_TYPE = sqlite3
PATH = {path}/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = of-tests
[indexer]
ISSUE_INDEXER_TYPE = db
[log]
LEVEL = Warn
"""


def missing() -> str:
    return program.missing("gitea")


class Gitea:
    """The issues of its repository `admin/shop`, as a user writes them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = (FOLDER / "token").read_text().strip()

    async def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return await call_with(self.url, path, f"authorization: token {self.token}", method, body)

    async def create(self, title: str) -> str:
        return str((await self.call(f"{REPO}/issues", "POST", {"title": title}))["number"])

    async def edit(self, key: str, title: str) -> None:
        await self.call(f"{REPO}/issues/{key}", "PATCH", {"title": title})

    async def delete(self, key: str) -> None:
        await self.call(f"{REPO}/issues/{key}", "DELETE")


@asynccontextmanager
async def gitea(path: Path) -> AsyncIterator[Gitea]:
    """A running Gitea with the empty repository `admin/shop`. Its database is a copy in `path`."""
    shutil.copy(FOLDER / "empty.db", path / "gitea.db")
    port = free_port()
    sources = (FOLDER / "sources").read_text().strip()
    settings = path / "app.ini"
    settings.write_text(SETTINGS.format(path=path, sources=sources, port=port))
    environ = {"PATH": os.environ["PATH"], "HOME": str(path), "GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT": "1"}
    server = await asyncio.create_subprocess_exec(
        FOLDER / "gitea",
        "--config",
        settings,
        "web",
        cwd=path,
        env=environ,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await program.listens(server, port)
        one = Gitea(f"http://127.0.0.1:{port}")
        await one.call("/api/v1/user/repos", "POST", {"name": "shop"})
        yield one
    finally:
        await program.end(server)
