"""The guide "connect your CRM in five minutes", followed by its text alone: its commands and samples, in their order.

HubSpot is its double. What differs from the text is what has to: the address of HubSpot and of the receiver, the token,
and the port of the gateway.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from pathlib import Path

import msgspec

from support.catalog.auth import Auth
from support.catalog.doubles.hubspot import DOUBLE
from support.catalog.server import CatalogServer
from support.catalog.world import World
from support.cli.command import Done, Served, tidegate
from support.docs_pages import DOCS, FENCE
from support.receiver.scripted import ScriptedServer, answer

TEXT = (DOCS / "guides" / "connect-a-crm.md").read_text()
BLOCKS = [(match[1], match[2]) for match in FENCE.finditer(TEXT)]
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.strip().splitlines()]
SAMPLES = [block for language, block in BLOCKS if language == "toml"]


SECRET = "pat-eu1-01234567-89ab-cdef-0123-456789abcdef"
AUTH = Auth(lambda ask: ask.headers.get("authorization") == f"Bearer {SECRET}", {})
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class RunningClock:
    """The time of the machine, which can be moved on: the search of HubSpot shows a change after some seconds."""

    ahead_us = 0

    @property
    def _now_us(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us

    def advance(self, seconds: float) -> None:
        self.ahead_us += int(seconds * 1_000_000)


def command(start: str) -> list[str]:
    """The words of the only command of the guide that starts so."""
    found = {line for line in COMMANDS if line.startswith(start)}
    assert len(found) == 1, (start, COMMANDS)
    return shlex.split(found.pop())[1:]


def test_the_guide_works_as_it_is_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with CatalogServer() as hubspot, ScriptedServer(answer(OK)) as app:
            world = World(msgspec.structs.replace(DOUBLE, auth=AUTH), RunningClock())
            world.begin()
            served = hubspot.add(world)
            await asyncio.to_thread(follow, tmp_path, world, served.url, app.url)
            assert [one.headers["webhook-id"] for one in app.requests], "the change arrived at the program"

    asyncio.run(main())


def follow(folder: Path, world: World, hubspot: str, app: str) -> None:
    env = {"HUBSPOT_TOKEN": SECRET, "TIDEGATE_DATA": "data"}

    def run(start: str, *more: str) -> Done:
        done = tidegate(folder, *command(start), *more, env=env)
        assert done.code == 0, (start, done)
        return done

    assert "private-apps" in run("tidegate providers show").out
    run("tidegate init")
    added = run("tidegate add source", "--base-url", hubspot, "--allow", "127.0.0.1/32").out
    assert added.count('"properties"') >= 3 and SECRET not in added
    file = folder / "tidegate.toml"
    text = file.read_text().replace(f'base_url = "{hubspot}"\n', "")
    assert SECRET not in text
    assert re.sub(r"\s+", "", SAMPLES[0]) in re.sub(r"\s+", "", text), "the guide shows what is written"
    text = file.read_text().replace("# allow = [", "allow = [") + SAMPLES[1].replace(
        "https://app.example.com/hooks", app
    )
    file.write_text(text)
    run("tidegate check")
    with Served(folder, text, env=env):
        run("tidegate poll")
        assert "70001" in run("tidegate records").out
        world.rows("contacts").update(1)
        world.clock.advance(30)
        run("tidegate poll")
        assert "contacts.updated" in run("tidegate events").out
        called = run("tidegate call").out
        assert "remembered id" in called
        assert "\\u000a" not in called, "the answer is printed in lines"
        again = run("tidegate call").out
        assert "nothing was sent, because it exists already: its look-up answered 200" in again
