"""WordPress, a real program whose API is polled: Debian's package with PHP's own server and a MariaDB of its own.

`.ci/wordpress` prepared both. The site is in New York: `modified` is its local time, `modified_gmt` is UTC without a
zone. A deleted post goes to the trash and stays readable there until it is deleted for good.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.gateway.process import call_with, free_port
from support.upstream import program

FOLDER = program.TOOLS / "wordpress"
USER = "admin"
POSTS = "/wp-json/wp/v2/posts"


def missing() -> str:
    return program.missing("wordpress")


class WordPress:
    """Its posts, as an editor writes them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.password = (FOLDER / "password").read_text()
        secret = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        self._credential = f"authorization: Basic {secret}"

    async def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return await call_with(self.url, path, self._credential, method, body)

    async def create(self, title: str, **more: str) -> str:
        made = await self.call(POSTS, "POST", {"title": title, "content": "text", "status": "publish", **more})
        return str(made["id"])

    async def edit(self, key: str, title: str) -> None:
        await self.call(f"{POSTS}/{key}", "POST", {"title": title})

    async def trash(self, key: str) -> None:
        await self.call(f"{POSTS}/{key}", "DELETE")

    async def delete(self, key: str) -> None:
        await self.call(f"{POSTS}/{key}?force=true", "DELETE")


@asynccontextmanager
async def wordpress(path: Path) -> AsyncIterator[WordPress]:
    """A running WordPress without posts. Its database is a copy in `path`."""
    await asyncio.to_thread(shutil.copytree, FOLDER / "database", path / "mariadb")
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has at most 107 bytes
        socket = Path(short) / "mariadb.sock"
        database = await _database(path / "mariadb", socket)
        try:
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            server = await asyncio.create_subprocess_exec(
                "php", "-S", f"127.0.0.1:{port}", "-t", FOLDER / "site",
                env={"PATH": os.environ["PATH"], "WORDPRESS_SOCKET": str(socket), "WORDPRESS_URL": url},
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                await program.listens(server, port)
                yield WordPress(url)
            finally:
                await program.end(server)
        finally:
            await program.end(database)


async def _database(folder: Path, socket: Path) -> asyncio.subprocess.Process:
    database = await asyncio.create_subprocess_exec(
        "mariadbd", "--no-defaults", f"--datadir={folder}", f"--socket={socket}", "--skip-networking",
        "--user=root" if os.geteuid() == 0 else "--silent-startup", "--innodb-log-file-size=4M",
        "--innodb-flush-log-at-trx-commit=0",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await program.listens(database, socket)
    return database
