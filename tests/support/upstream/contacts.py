"""Two systems with contacts that write to each other through a gateway: their APIs and the configuration between."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from support.gateway.running import until
from support.receiver.scripted import Request, ScriptedServer
from tidegate.process.gateway import Gateway
from tidegate.pull import PollOptions


class System:
    """An API with contacts that writes values in its own way. `silent`: it answers a write without the record."""

    def __init__(self, prefix: str, *, upper: bool = False, silent: bool = False) -> None:
        self.prefix = prefix
        self.upper = upper
        self.silent = silent
        self.contacts: dict[str, dict[str, Any]] = {}
        self.writes = 0  # by the gateway
        self.lose_answers = 0
        self._version = 0
        self.server = ScriptedServer(self._serve)

    def put(self, key: str, **fields: str) -> None:
        """A person changes something here."""
        self._version += 1
        kept = {
            name: value.strip().upper() if self.upper and name == "name" else value for name, value in fields.items()
        }
        self.contacts[key] = {"id": key, **self.contacts.get(key, {}), **kept, "updated": self._version}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        method, target, _ = request.line.split(" ")
        status, answer = 200, b""
        if method == "GET":
            answer = json.dumps(list(self.contacts.values())).encode()
        elif method == "DELETE":
            self.writes += 1
            found = self.contacts.pop(target.rpartition("/")[2], None)
            status = 404 if found is None else 204
        else:
            self.writes += 1
            key = target.rpartition("/")[2] if method == "PATCH" else f"{self.prefix}{len(self.contacts) + 1}"
            self.put(key, **json.loads(request.body))
            answer = json.dumps(self.contacts[key]).encode()
            status = 201 if method == "POST" else 200
            if self.lose_answers:
                self.lose_answers -= 1
                writer.transport.abort()
                return
            if self.silent and method == "PATCH":
                status, answer = 204, b""
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
        writer.write(head.encode() + answer)


SIDE = """
[sources.{name}.api]
base_url = "{url}"
[sources.{name}.resources.contacts]
path = "/contacts"
version = "updated"
poll = "1h"
initial = "events"
[sources.{name}.operations.create]
path = "/contacts"
json = {{ name = "{{{{ data.name }}}}", phone = "{{{{ data.phone }}}}" }}
remember = {{ id = "id" }}
resource = "contacts"
[sources.{name}.operations.update]
method = "PATCH"
path = "/contacts/{{{{ remembered.id }}}}"
json = {{ name = "{{{{ data.name }}}}", phone = "{{{{ data.phone }}}}" }}
resource = "contacts"
record_key = "{{{{ remembered.id }}}}"
[destinations.{name}-create]
type = "operation"
operation = "{name}/create"
ordered_by = "key"
retry = ["20ms", "20ms", "20ms", "20ms"]
[destinations.{name}-update]
type = "operation"
operation = "{name}/update"
ordered_by = "key"
retry = ["20ms", "20ms", "20ms", "20ms"]
"""
ROUTES = """
[routes.{a}-created]
from = "{a}"
changes = ["contacts"]
filter = {{ type = "contacts.created" }}
to = "{b}-create"
[routes.{a}-updated]
from = "{a}"
changes = ["contacts"]
filter = {{ type = "contacts.updated" }}
to = "{b}-update"
"""

DELETES = """
[sources.{name}.operations.delete]
method = "DELETE"
path = "/contacts/{{{{ remembered.id }}}}"
resource = "contacts"
record_key = "{{{{ remembered.id }}}}"
[destinations.{name}-delete]
type = "operation"
operation = "{name}/delete"
ordered_by = "key"
retry = ["20ms"]
[routes.{other}-deleted]
from = "{other}"
changes = ["contacts"]
filter = {{ type = "contacts.deleted" }}
to = "{name}-delete"
"""
SCANS = 'initial = "events"\ndeletes = { mode = "scan", every = "1s", max_ratio = 1.0, confirm = "second_scan" }'


def with_deletes(file: str) -> str:
    """The configuration of two systems, whose deleted contacts are found by each poll and deleted in the other one."""
    sides = DELETES.format(name="left", other="right") + DELETES.format(name="right", other="left")
    return file.replace('initial = "events"', SCANS) + sides


def toml(left: System, right: System) -> str:
    sides = SIDE.format(name="left", url=left.server.url) + SIDE.format(name="right", url=right.server.url)
    return sides + ROUTES.format(a="left", b="right") + ROUTES.format(a="right", b="left")


def same(left: System, right: System) -> bool:
    def seen(system: System) -> list[tuple[str, str]]:
        return sorted((one["name"].upper(), one["phone"]) for one in system.contacts.values())

    return seen(left) == seen(right)


def idle(gateway: Gateway) -> bool:
    health = [gateway.deliver.health(one.number) for one in gateway.active.destinations.values()]
    return all(one.waiting + one.in_flight == 0 for one in health)


async def in_step(gateway: Gateway) -> None:
    """Poll both systems until nothing is pending and nothing changes."""
    quiet = 0
    while quiet < 2:
        changes = 0
        for source in ("left", "right"):
            report = await gateway.pull.poll_now(source, "contacts", PollOptions())
            changes += report.created + report.updated
        await until(lambda: idle(gateway))
        quiet = 0 if changes else quiet + 1
