"""Redmine, a real program whose API is polled: Debian's package with its own server and a SQLite database.

`.ci/redmine` prepared the database. Its list of issues has only open ones by default, `updated_on` has seconds, and a
deleted issue is gone without a word.
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

FOLDER = program.TOOLS / "redmine"
SITE = Path("/usr/share/redmine")
OPEN, CLOSED = 1, 5


def missing() -> str:
    return program.missing("redmine")


class Redmine:
    """The issues of its project `shop`, as a user writes them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = (FOLDER / "key").read_text()

    async def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return await call_with(self.url, path, f"x-redmine-api-key: {self.key}", method, body)

    async def create(self, subject: str) -> str:
        issue = {"project_id": "shop", "subject": subject, "tracker_id": 1, "status_id": OPEN, "priority_id": 1}
        return str((await self.call("/issues.json", "POST", {"issue": issue}))["issue"]["id"])

    async def edit(self, key: str, subject: str) -> None:
        await self.call(f"/issues/{key}.json", "PUT", {"issue": {"subject": subject}})

    async def close(self, key: str) -> None:
        await self.call(f"/issues/{key}.json", "PUT", {"issue": {"status_id": CLOSED}})

    async def delete(self, key: str) -> None:
        await self.call(f"/issues/{key}.json", "DELETE")


@asynccontextmanager
async def redmine(path: Path) -> AsyncIterator[Redmine]:
    """A running Redmine with the project `shop`. Its database is a copy in `path`."""
    shutil.copy(FOLDER / "empty.db", path / "redmine.db")
    port = free_port()
    # Its own list of gems does not name a server; Ruby finds the one of the system by its path.
    found = await asyncio.create_subprocess_exec(
        "ruby", "-e", 'print Gem::Specification.find_by_name("webrick").full_require_paths[0]',
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    library = (await found.communicate())[0].decode()
    server = await asyncio.create_subprocess_exec(
        "bundle", "exec", "rails", "server", "-b", "127.0.0.1", "-p", str(port), "-u", "webrick",
        "-P", path / "redmine.pid",
        cwd=SITE,
        env={
            "PATH": os.environ["PATH"], "HOME": str(path), "RAILS_ENV": "production", "RUBYLIB": library,
            "DATABASE_URL": f"sqlite3:{path / 'redmine.db'}",
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await program.listens(server, port)
        yield Redmine(f"http://127.0.0.1:{port}")
    finally:
        await program.end(server)
